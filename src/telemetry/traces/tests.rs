//! Spans as a collector gets them, over a real connection.

use std::sync::mpsc;

use http::HeaderValue;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::any_value::Value,
    trace::v1::Span as Exported,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tonic::{Code, Request, Response};

use super::*;
use crate::{
    codec::profile::Scheme,
    proto::ErrorReason,
    telemetry::{Telemetry, call::Call, metrics::Format},
};

const PATH: &str = "/aa.redirect.v1.RedirectService/DecodeRedirect";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const LONG: Duration = Duration::from_secs(30);

struct Collector(mpsc::Sender<ExportTraceServiceRequest>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.send(request.into_inner()).unwrap();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A tracer with these variables.
fn tracer(variables: &[(&str, &str)]) -> Result<Option<Tracer>, BadTracing> {
    let find = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Tracer::from_variables(&find)
}

/// A tracer to `endpoint`.
fn to(endpoint: &str) -> Tracer {
    tracer(&[("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)]).unwrap().unwrap()
}

/// The resource attributes and spans that reach a collector while `calls` runs.
fn exported(calls: impl FnOnce(&Arc<Telemetry>)) -> (Vec<String>, Vec<Exported>) {
    exported_over(None, calls)
}

/// A certificate for `localhost`, which is its own CA, and its key.
fn certificate() -> (TlsAcceptor, tempfile::NamedTempFile) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), made.cert.pem()).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), file)
}

fn exported_over(
    tls: Option<(TlsAcceptor, &str)>,
    calls: impl FnOnce(&Arc<Telemetry>),
) -> (Vec<String>, Vec<Exported>) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let (acceptor, ca) = tls.unzip();
    let scheme = if acceptor.is_some() { "https" } else { "http" };
    let endpoint = format!("{scheme}://localhost:{}", listener.local_addr().unwrap().port());
    let (collector, requests) = mpsc::channel();
    runtime.spawn(async move {
        let service = TowerToHyperService::new(TraceServiceServer::new(Collector(collector)));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (service, acceptor) = (service.clone(), acceptor.clone());
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new()).http2_only();
                match acceptor {
                    None => builder.serve_connection(TokioIo::new(stream), service).await,
                    Some(acceptor) => {
                        let stream = acceptor.accept(stream).await.unwrap();
                        builder.serve_connection(TokioIo::new(stream), service).await
                    }
                }
            });
        }
    });
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_EXPORTER_OTLP_CERTIFICATE", ca.unwrap_or(""))];
    let telemetry = Telemetry::new(tracer(&variables).unwrap());
    calls(&telemetry);
    telemetry.shutdown(LONG);
    runtime.shutdown_background();
    let resources: Vec<_> = requests.try_iter().flat_map(|request| request.resource_spans).collect();
    let of_resource =
        |value: &opentelemetry_proto::tonic::common::v1::KeyValue| format!("{}={}", value.key, text(value));
    let names = resources.iter().flat_map(|all| all.resource.iter().flat_map(|one| &one.attributes)).map(of_resource);
    let names = names.collect();
    let spans = resources.into_iter().flat_map(|all| all.scope_spans).flat_map(|scope| scope.spans).collect();
    (names, spans)
}

fn text(value: &opentelemetry_proto::tonic::common::v1::KeyValue) -> String {
    match value.value.as_ref().and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn headers(traceparent: &str) -> HeaderMap {
    [("traceparent", traceparent), ("x-request-id", "req-1")]
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap()))
        .into_iter()
        .collect()
}

#[test]
fn a_sampled_call_is_one_span_below_its_callers() {
    let (resource, spans) = exported(|telemetry| {
        let call = Call::begin(telemetry, &headers(&format!("00-{TRACE}-b7ad6b7169203331-01")), PATH);
        call.note_caller(&"lending-backend".into());
        call.note_pairing("fiu@x", "aa@y", Scheme::Pbkdf2);
        call.note_refused(ErrorReason::Overloaded);
        call.end(Code::ResourceExhausted);
        assert_eq!(telemetry.metrics.text(Format::OpenMetrics).matches(TRACE).count(), 1, "it is an exemplar");
    });
    assert!(resource.contains(&"service.name=aa-redirect".to_owned()), "{resource:?}");
    assert!(resource.contains(&format!("service.version={}", env!("CARGO_PKG_VERSION"))), "{resource:?}");
    assert!(resource.iter().any(|attribute| attribute.starts_with("service.instance.id=")), "{resource:?}");
    assert_eq!(spans.len(), 1);
    let span = &spans[0];
    assert_eq!(span.name, "aa.redirect.v1.RedirectService/DecodeRedirect");
    assert_eq!(span.kind, 2, "a server's");
    assert_eq!(TraceId::from_bytes(span.trace_id.clone().try_into().unwrap()).to_string(), TRACE);
    assert_eq!(SpanId::from_bytes(span.parent_span_id.clone().try_into().unwrap()).to_string(), "b7ad6b7169203331");
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano && span.start_time_unix_nano > 0);
    let attributes: Vec<String> =
        span.attributes.iter().map(|attribute| format!("{}={}", attribute.key, text(attribute))).collect();
    assert_eq!(
        attributes,
        [
            "rpc.system=grpc",
            "rpc.service=aa.redirect.v1.RedirectService",
            "rpc.method=DecodeRedirect",
            "rpc.grpc.status_code=8",
            "aa_redirect.request_id=req-1",
            "aa_redirect.reason=OVERLOADED",
            "aa_redirect.caller=lending-backend",
            "aa_redirect.fiu=fiu@x",
            "aa_redirect.aa=aa@y",
        ]
    );
}

#[test]
fn an_https_collector_gets_spans_from_an_exporter_that_trusts_its_ca() {
    let (acceptor, ca) = certificate();
    let (_, spans) = exported_over(Some((acceptor, ca.path().to_str().unwrap())), |telemetry| {
        Call::begin(telemetry, &HeaderMap::new(), PATH).end(Code::Ok);
    });
    assert_eq!(spans.len(), 1);
    let ((acceptor, _), (_, other)) = (certificate(), certificate());
    let (_, spans) = exported_over(Some((acceptor, other.path().to_str().unwrap())), |telemetry| {
        Call::begin(telemetry, &HeaderMap::new(), PATH).end(Code::Ok);
    });
    assert_eq!(spans.len(), 0, "another CA");
}

#[test]
fn the_caller_decides_on_sampling_and_a_malformed_traceparent_is_ignored() {
    let (_, spans) = exported(|telemetry| {
        Call::begin(telemetry, &headers(&format!("00-{TRACE}-b7ad6b7169203331-00")), PATH).end(Code::Ok);
        Call::begin(telemetry, &headers("00-0-0-01"), PATH).end(Code::Ok);
        Call::begin(telemetry, &HeaderMap::new(), PATH).end(Code::Internal);
        Call::begin(telemetry, &HeaderMap::new(), "/grpc.health.v1.Health/Check").end(Code::Ok);
    });
    let roots: Vec<i32> = spans
        .iter()
        .map(|span| {
            assert!(span.parent_span_id.is_empty(), "it begins a trace");
            span.status.as_ref().map(|status| status.code).unwrap_or_default()
        })
        .collect();
    assert_eq!(roots, [0, 2], "the second is the server's fault");
}

#[test]
fn an_absent_collector_delays_no_call() {
    // A port that was bound and closed again: nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let telemetry = Telemetry::new(Some(to(&format!("http://{free}"))));
    for _ in 0..10_000 {
        Call::begin(&telemetry, &HeaderMap::new(), PATH).end(Code::Ok);
    }
    // No span is ever exported. Some spans still wait; all others had no room.

    let lost = lost(&telemetry);
    assert!((1.0..=10_000.0).contains(&lost), "{lost}");
    telemetry.shutdown(LONG);
    assert!((self::lost(&telemetry) - 10_000.0).abs() < f64::EPSILON, "in the end all spans are lost");
}

fn lost(telemetry: &Telemetry) -> f64 {
    let page = telemetry.metrics.text(Format::Plain);
    let line = page.lines().find_map(|line| line.strip_prefix("aa_redirect_spans_lost_total "));
    line.expect("the counter").parse().unwrap()
}

#[tokio::test]
async fn a_tracer_may_be_dropped_within_async_code() {
    drop(to("http://127.0.0.1:1"));
}

#[test]
fn an_endpoint_that_cannot_be_used_is_refused() {
    assert!(tracer(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "no url")]).is_err());
    let missing =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:1"), ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/file")];
    let error = tracer(&missing).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE: /no/file cannot be read"), "{error}");
}

#[test]
fn without_an_endpoint_nothing_is_exported() {
    assert!(tracer(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).unwrap().is_none());
}

#[test]
fn traceparent_is_read_by_the_rules_of_w3c() {
    let good = format!("00-{TRACE}-b7ad6b7169203331-01");
    let context = parent(&headers(&good)).unwrap();
    assert_eq!(context.trace_id().to_string(), TRACE);
    assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
    assert!(context.is_sampled() && context.is_remote());
    let later = format!("cc-{TRACE}-b7ad6b7169203331-08-what-the-future-will-be-like");
    assert!(!parent(&headers(&later)).unwrap().is_sampled());
    for bad in [
        String::new(),
        good.to_uppercase(),
        good.replace("00-", "ff-"),
        format!("{good}-more"),
        format!("{good} "),
        good[..54].to_owned(),
        good.replace(TRACE, &"0".repeat(32)),
        good.replace("b7ad6b7169203331", &"0".repeat(16)),
        good.replace('-', "_"),
        good.replace("b7ad", "g7ad"),
        later.replace("-what", ".what"),
    ] {
        assert!(parent(&headers(&bad)).is_none(), "{bad}");
    }
    let mut two = headers(&good);
    two.append("traceparent", HeaderValue::from_str(&good).unwrap());
    assert!(parent(&two).is_none(), "which of them?");
}
