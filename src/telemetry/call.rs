//! The record of one call: made at its start, filled while it runs, and written once at its end to metrics, log and
//! spans.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use chrono::TimeDelta;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    KeyValue,
    trace::{SpanContext, TraceId},
};
use tonic::Code;

use super::{
    Telemetry,
    logs::CALL,
    method::{Method, code_names},
    metrics::{Ended, Outcome, PairingCounts, SecretUses},
    traces,
};
use crate::{
    codec::{Deviation, Deviations, profile::Scheme, url::Leg},
    proto::ErrorReason,
};

/// The header that carries the request id, both ways.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The most characters of a request id.
const MAX_REQUEST_ID: usize = 64;

/// One call. If it is dropped before its end, it counts as cancelled: the caller has gone.
///
/// It can be shared: every layer notes what it knows through `&self`.
pub struct Call {
    telemetry: Arc<Telemetry>,
    method: Method,
    request_id: HeaderValue,
    parent: Option<SpanContext>,
    begin: Instant,
    notes: Mutex<Notes>,
    ended: AtomicBool,
}

#[derive(Default)]
struct Notes {
    caller: Option<Arc<str>>,
    presented: Option<String>,
    pairing: Option<Arc<PairingCounts>>,
    scheme: Option<Scheme>,
    secret: Option<Arc<SecretUses>>,
    reason: Option<ErrorReason>,
    deviations: Deviations,
}

impl Call {
    /// A call that begins now, with the request's headers and `:path`.
    pub fn begin(telemetry: &Arc<Telemetry>, headers: &HeaderMap, path: &str) -> Self {
        let method = Method::of_path(path);
        telemetry.metrics.started(method);
        Self {
            telemetry: Arc::clone(telemetry),
            method,
            request_id: request_id(headers),
            parent: traces::parent(headers),
            begin: Instant::now(),
            notes: Mutex::default(),
            ended: AtomicBool::new(false),
        }
    }

    /// The method that is called.
    pub fn method(&self) -> Method {
        self.method
    }

    /// When the call began.
    pub fn begin_time(&self) -> Instant {
        self.begin
    }

    /// The value of [`REQUEST_ID`] for the answer: the caller's if it is `[A-Za-z0-9._-]{1,64}`, else a new one.
    pub fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    /// Notes the caller, by its name in the callers file.
    pub fn note_caller(&self, name: &Arc<str>) {
        self.note(|notes| notes.caller = Some(Arc::clone(name)));
    }

    /// Notes the identity that an unknown caller presented, in the form of the callers file.
    pub fn note_presented(&self, presented: Option<String>) {
        self.note(|notes| notes.presented = presented);
    }

    /// Notes the pairing. Only a pairing of the keyring: its ids become labels and go to the log, and the ids that a
    /// message brings can be forged.
    pub fn note_pairing(&self, fiu: &str, aa: &str, scheme: Scheme) {
        let counts = self.telemetry.metrics.pairing(fiu, aa);
        self.note(|notes| {
            notes.pairing = Some(counts);
            notes.scheme = Some(scheme);
        });
    }

    /// Counts the age (now minus the date) of a message whose pairing was noted.
    pub fn note_date_skew(&self, skew: TimeDelta) {
        self.note(|notes| {
            if let Some(pairing) = &notes.pairing {
                pairing.date_skew(skew);
            }
        });
    }

    /// Notes which secret of the noted pairing opened a message, and the repairs that the message needed.
    pub fn note_opened(&self, secret_id: &str, deviations: &Deviations) {
        self.note(|notes| {
            notes.secret = notes.pairing.as_ref().map(|pairing| pairing.secret(secret_id));
            notes.deviations.clone_from(deviations);
        });
    }

    /// Notes why the call is refused.
    pub fn note_refused(&self, reason: ErrorReason) {
        self.note(|notes| notes.reason = Some(reason));
    }

    /// Writes the record with the outcome. Only the first call of this has an effect.
    pub fn end(&self, code: Code) {
        if self.ended.swap(true, Relaxed) {
            return;
        }
        let duration = self.begin.elapsed();
        let notes = std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner));
        let exported = self.export(code, duration, &notes);
        let sampled = self.parent.as_ref().filter(|parent| parent.is_sampled()).map(SpanContext::trace_id);
        // If a trace is not sampled, an exemplar of it would lead to nothing.
        self.count(code, duration, &notes, exported.or(sampled));
        let trace_id = exported.or(self.parent.as_ref().map(SpanContext::trace_id));
        self.log(code, duration, &notes, trace_id);
    }

    fn note(&self, note: impl FnOnce(&mut Notes)) {
        note(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn count(&self, code: Code, duration: Duration, notes: &Notes, trace: Option<TraceId>) {
        self.telemetry.metrics.ended(Ended {
            method: self.method,
            code,
            duration,
            reason: notes.reason,
            scheme: notes.scheme,
            caller: notes.caller.as_ref(),
            trace,
        });
        if let (Some(pairing), Some(leg), Some(outcome)) =
            (&notes.pairing, decoded_leg(self.method), outcome(code, notes))
        {
            pairing.decoded(leg, outcome);
            if outcome == Outcome::Opened {
                pairing.deviated(&notes.deviations);
                if let Some(secret) = &notes.secret {
                    secret.count.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// The trace of the span that is exported.
    fn export(&self, code: Code, duration: Duration, notes: &Notes) -> Option<TraceId> {
        let parent = self.parent.as_ref();
        // Probes would write more lines than calls.
        let tracer = self.telemetry.tracer.as_ref().filter(|_| self.method.is_redirect());
        tracer.and_then(|tracer| {
            let end = SystemTime::now();
            let attributes = || {
                let mut attributes = vec![
                    KeyValue::new("rpc.system", "grpc"),
                    KeyValue::new("rpc.service", self.method.service()),
                    KeyValue::new("rpc.method", self.method.name()),
                    KeyValue::new("rpc.grpc.status_code", code as i64),
                    KeyValue::new("aa_redirect.request_id", self.request_id_text().to_owned()),
                ];
                attributes.extend(notes.reason().map(|reason| KeyValue::new("aa_redirect.reason", reason)));
                attributes.extend(notes.caller.clone().map(|caller| KeyValue::new("aa_redirect.caller", caller)));
                if let Some(pairing) = &notes.pairing {
                    attributes.push(KeyValue::new("aa_redirect.fiu", pairing.fiu.to_string()));
                    attributes.push(KeyValue::new("aa_redirect.aa", pairing.aa.to_string()));
                }
                attributes
            };
            tracer.export(self.method.full_name(), parent, (end - duration, end), is_fault(code), attributes)
        })
    }

    fn log(&self, code: Code, duration: Duration, notes: &Notes, trace_id: Option<TraceId>) {
        // A value of `None` is left out of the line.
        macro_rules! event {
            ($level:ident) => {
                tracing::$level!(
                    target: CALL,
                    request_id = self.request_id_text(),
                    caller = notes.caller.as_deref(),
                    presented = notes.presented.as_deref(),
                    method = self.method.name(),
                    fiu = notes.pairing.as_ref().map(|pairing| &*pairing.fiu),
                    aa = notes.pairing.as_ref().map(|pairing| &*pairing.aa),
                    code = code_names(code).1,
                    reason = notes.reason(),
                    duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
                    secret_id = notes.secret.as_ref().map(|secret| &*secret.id),
                    deviations = notes.deviation_names().as_deref(),
                    trace_id = trace_id.map(tracing::field::display),
                    "call"
                )
            };
        }
        if code == Code::Internal {
            event!(error);
        } else if self.method.is_redirect() {
            event!(info);
        } else {
            event!(debug);
        }
    }

    /// The request id as text.
    #[expect(clippy::expect_used, reason = "`request_id` takes no other characters")]
    pub fn request_id_text(&self) -> &str {
        self.request_id.to_str().expect("a request id is visible ASCII")
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

impl Notes {
    fn reason(&self) -> Option<&'static str> {
        self.reason.map(|reason| reason.as_str_name().trim_start_matches("ERROR_REASON_"))
    }

    /// The names joined with commas.
    fn deviation_names(&self) -> Option<String> {
        let mut names = self.deviations.kinds().map(Deviation::name);
        names.next().map(|first| {
            names.fold(first.to_owned(), |mut all, name| {
                all.push(',');
                all.push_str(name);
                all
            })
        })
    }
}

/// The leg whose messages a method decodes.
fn decoded_leg(method: Method) -> Option<Leg> {
    match method {
        Method::DecodeRedirect => Some(Leg::Request),
        Method::DecodeCallback => Some(Leg::Callback),
        _ => None,
    }
}

/// The outcome of the message of a decoding call. `None` if the call ended before it was clear.
fn outcome(code: Code, notes: &Notes) -> Option<Outcome> {
    match notes.reason {
        None if code == Code::Ok => Some(Outcome::Opened),
        Some(ErrorReason::Undecipherable) => Some(Outcome::Undecipherable),
        Some(ErrorReason::DateExpired) => Some(Outcome::Expired),
        Some(ErrorReason::DateInFuture) => Some(Outcome::InFuture),
        Some(ErrorReason::SchemeMismatch) => Some(Outcome::SchemeMismatch),
        Some(ErrorReason::Overloaded) => Some(Outcome::Overloaded),
        _ => None,
    }
}

/// Whether the fault is the server's, by OpenTelemetry's semantic conventions for gRPC.
fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

fn request_id(headers: &HeaderMap) -> HeaderValue {
    let fits = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        let allowed = |&byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        (1..=MAX_REQUEST_ID).contains(&bytes.len()) && bytes.iter().all(allowed)
    };
    let mut id = headers.get(&REQUEST_ID).filter(fits).cloned().unwrap_or_else(fresh_request_id);
    // The id is not a secret. HPACK keeps sensitive values out of its table, and ids that never come again would fill
    // the table.
    id.set_sensitive(true);
    id
}

/// A random UUID (RFC 9562, version 4) without its hyphens.
#[expect(clippy::expect_used, reason = "hexadecimal digits are visible ASCII")]
fn fresh_request_id() -> HeaderValue {
    let mut text = [0; 32];
    let text = uuid::Builder::from_random_bytes(rand::random()).into_uuid().simple().encode_lower(&mut text);
    HeaderValue::from_str(text).expect("hexadecimal digits are a header's value")
}

#[cfg(test)]
mod tests;
