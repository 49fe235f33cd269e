//! Trace spans: reads W3C Trace Context, and exports over OTLP and gRPC if the environment names a collector.
//!
//! The exporter has its own thread and runtime. It drops spans before it delays a call.

use std::{
    env, fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName};
use opentelemetry::{
    Context, InstrumentationScope, KeyValue,
    trace::{
        Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer as _,
        TracerProvider,
    },
};
use opentelemetry_otlp::{
    SpanExporter, WithExportConfig, WithTonicConfig,
    tonic_types::transport::{Certificate, ClientTlsConfig, Identity},
};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SdkTracer, SdkTracerProvider, SpanData},
};
use thiserror::Error;
use tokio::runtime::{Builder, Handle, Runtime};

/// The variables that say where spans go. The first one that is not empty counts.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// The file of the CAs of an `https` collector, in PEM. Without it the CAs of the system count (`SSL_CERT_FILE`).
const CA: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
/// The files of the certificate and key with which spans are sent, in PEM.
const OWN: [&str; 2] = ["OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];
const SERVICE: &str = "aa-redirect";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The most spans that may wait: the SDK's default.
const QUEUE: usize = 2048;

/// The environment asks for an export that is impossible.
#[derive(Debug, Error)]
pub enum BadTracing {
    /// The endpoint or another `OTEL_…` variable cannot be used.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// A file of certificates cannot be read.
    #[error("{name}: {path} cannot be read: {error}")]
    File {
        /// The variable that names the file.
        name: &'static str,
        /// The path of the file.
        path: String,
        /// Why the file cannot be read.
        error: std::io::Error,
    },
    /// The system cannot start a thread.
    #[error("the exporter of spans: {0}")]
    Thread(#[from] std::io::Error),
}

/// Exports spans.
pub struct Tracer {
    spans: SdkTracer,
    provider: SdkTracerProvider,
    runtime: Mutex<Option<Runtime>>,
    count: Arc<Count>,
    /// Spans that may wait.
    queue: usize,
}

/// Spans on their way.
#[derive(Debug, Default)]
struct Count {
    /// Spans that have ended and that the exporter does not have yet.
    waiting: AtomicUsize,
    /// Spans that were not exported: too many waited, or the collector did not take them.
    lost: AtomicU64,
}

impl Tracer {
    /// A tracer if `OTEL_EXPORTER_OTLP_ENDPOINT` is set. The SDK reads the other `OTEL_…` variables, among them
    /// `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME` and `OTEL_BSP_…`. The CAs of `OTEL_EXPORTER_OTLP_CERTIFICATE`, or
    /// else those of the system, check an `https` collector.
    ///
    /// # Errors
    /// If the endpoint or a file of certificates cannot be used.
    pub fn from_environment() -> Result<Option<Self>, BadTracing> {
        Self::from_variables(&|name| env::var(name).ok())
    }

    /// [`Tracer::from_environment`], with variables that `read` returns.
    ///
    /// # Errors
    /// As for [`Tracer::from_environment`].
    fn from_variables(read: &Read<'_>) -> Result<Option<Self>, BadTracing> {
        let endpoint = ENDPOINTS.iter().find_map(|name| given(read, name));
        endpoint.map(|endpoint| Self::new(&endpoint, read)).transpose()
    }

    fn new(endpoint: &str, read: &Read<'_>) -> Result<Self, BadTracing> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("otlp").enable_all().build()?;
        let exporter = {
            // The runtime in which a channel is made drives it.
            let _entered = runtime.enter();
            let builder = SpanExporter::builder().with_tonic().with_endpoint(endpoint);
            let tls = endpoint.to_ascii_lowercase().starts_with("https:").then(|| tls(read)).transpose()?;
            match tls {
                Some(tls) => builder.with_tls_config(tls).build()?,
                None => builder.build()?,
            }
        };
        let count = Arc::new(Count::default());
        let exporter = Exporter {
            collector: Arc::new(exporter),
            runtime: runtime.handle().clone(),
            failing: AtomicBool::new(false),
            count: Arc::clone(&count),
        };
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(read)).build();
        let scope = InstrumentationScope::builder(SERVICE).with_version(VERSION).build();
        let spans = provider.tracer_with_scope(scope);
        let queue = given(read, "OTEL_BSP_MAX_QUEUE_SIZE").and_then(|size| size.parse().ok()).unwrap_or(QUEUE);
        Ok(Self { spans, provider, runtime: Mutex::new(Some(runtime)), count, queue })
    }

    /// How many spans were not exported.
    pub fn lost(&self) -> impl Fn() -> u64 + Send + Sync + use<> {
        let count = Arc::clone(&self.count);
        move || count.lost.load(Relaxed)
    }

    /// Exports the span of a call from `time.0` to `time.1`, unless the parent or the sampler says no. Returns the
    /// trace that the span belongs to.
    pub(super) fn export(
        &self,
        name: &'static str,
        parent: Option<&SpanContext>,
        time: (SystemTime, SystemTime),
        fault: bool,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Option<TraceId> {
        let context = match parent {
            Some(parent) => Context::new().with_remote_span_context(parent.clone()),
            None => Context::new(),
        };
        let builder = self.spans.span_builder(name).with_kind(SpanKind::Server).with_start_time(time.0);
        let mut span = self.spans.build_with_context(builder, &context);
        if !span.is_recording() {
            return None;
        }
        // The SDK does not count the spans that it drops if its own queue is full. That queue is as long as ours.
        if self.count.waiting.fetch_add(1, Relaxed) >= self.queue {
            self.count.waiting.fetch_sub(1, Relaxed);
            self.count.lost.fetch_add(1, Relaxed);
            return None;
        }
        span.set_attributes(attributes());
        if fault {
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(time.1);
        Some(span.span_context().trace_id())
    }

    /// Exports the waiting spans and ends. Blocks for at most `bound`.
    pub fn shutdown(&self, bound: Duration) {
        // The log has already reported a collector that does not answer.
        let _ = self.provider.shutdown_with_timeout(bound);
        self.end_runtime();
    }

    fn end_runtime(&self) {
        if let Some(runtime) = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // A plain drop of a runtime waits, and async code must not wait.
        self.end_runtime();
    }
}

/// Exports in its own runtime. Logs once when the export begins to fail, and once when it works again.
#[derive(Debug)]
struct Exporter {
    collector: Arc<SpanExporter>,
    runtime: Handle,
    failing: AtomicBool,
    count: Arc<Count>,
}

impl opentelemetry_sdk::trace::SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (collector, spans) = (Arc::clone(&self.collector), batch.len());
        self.count.waiting.fetch_sub(spans, Relaxed);
        let exported = self.runtime.spawn(async move { collector.export(batch).await }).await;
        let result = exported.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())));
        if result.is_err() {
            self.count.lost.fetch_add(spans as u64, Relaxed);
        }
        match (&result, self.failing.swap(result.is_err(), Relaxed)) {
            (Err(error), false) => tracing::warn!(%error, "spans are not exported"),
            (Ok(()), true) => tracing::info!("spans are exported again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.collector.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Before the first export there are no other owners.
        if let Some(collector) = Arc::get_mut(&mut self.collector) {
            collector.set_resource(resource);
        }
    }
}

/// Reads a variable by its name.
pub type Read<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// An empty variable counts as absent.
fn given(read: &Read<'_>, name: &str) -> Option<String> {
    read(name).filter(|value| !value.is_empty())
}

/// The resource of the spans: the service with its version, and the id of this process, unless the environment sets
/// them.
fn resource(read: &Read<'_>) -> Resource {
    let attributes = given(read, "OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let missing = |name: &str| !attributes.split(',').any(|pair| pair.split('=').next().map(str::trim) == Some(name));
    let mut resource = Resource::builder();
    if given(read, "OTEL_SERVICE_NAME").is_none() && missing("service.name") {
        resource = resource.with_service_name(SERVICE);
    }
    let instance = uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string();
    for (name, value) in [("service.version", VERSION.to_owned()), ("service.instance.id", instance)] {
        if missing(name) {
            resource = resource.with_attribute(KeyValue::new(name, value));
        }
    }
    resource.build()
}

/// The CAs that an `https` collector is checked with, and the certificate with which this process sends.
fn tls(read: &Read<'_>) -> Result<ClientTlsConfig, BadTracing> {
    let file = |name: &'static str| {
        given(read, name)
            .map(|path| fs::read(&path).map_err(|error| BadTracing::File { name, path, error }))
            .transpose()
    };
    let tls = match file(CA)? {
        Some(ca) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    Ok(match (file(OWN[0])?, file(OWN[1])?) {
        (Some(certificate), Some(key)) => tls.identity(Identity::from_pem(certificate, key)),
        _ => tls,
    })
}

static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The caller's span, from `traceparent` and `tracestate` (W3C Trace Context). A malformed one counts as absent.
pub(super) fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let mut values = headers.get_all(&TRACEPARENT).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    let (trace_id, span_id, flags) = parse(value.as_bytes())?;
    let mut states = headers.get_all("tracestate").iter();
    let state = match (states.next().and_then(|state| state.to_str().ok()), states.next()) {
        (Some(state), None) => state.parse().unwrap_or_default(),
        _ => TraceState::default(),
    };
    Some(SpanContext::new(trace_id, span_id, flags, true, state))
}

/// `version-traceid-parentid-flags` in lower-case hexadecimal of 2, 32, 16 and 2 digits. Later versions may append to
/// it.
fn parse(value: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (head, rest) = value.split_at_checked(55)?;
    let version = hex(&head[..2])?;
    let dashes = [2, 35, 52].iter().all(|&place| head[place] == b'-');
    let length = rest.is_empty() || (version > 0 && rest[0] == b'-');
    let trace_id = TraceId::from(hex(&head[3..35])?);
    let span_id = SpanId::from(u64::try_from(hex(&head[36..52])?).ok()?);
    let flags = TraceFlags::new(u8::try_from(hex(&head[53..])?).ok()?) & TraceFlags::SAMPLED;
    let valid = version != 0xff && dashes && length && trace_id != TraceId::INVALID && span_id != SpanId::INVALID;
    valid.then_some((trace_id, span_id, flags))
}

/// A number of at most 32 lower-case hexadecimal digits.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests;
