//! Tests what the record of a call shows, and what it hides.

use http::header::HeaderName;
use serde_json::{Map, Value};
use tracing::level_filters::LevelFilter;

use super::*;
use crate::{
    codec::Deviation,
    telemetry::{
        logs::{Format, tests::logged},
        metrics,
    },
};

const DECODE: &str = "/aa.redirect.v1.RedirectService/DecodeRedirect";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
    pairs.iter().map(pair).collect()
}

fn events(level: LevelFilter, run: impl FnOnce()) -> Vec<Map<String, Value>> {
    let log = logged(Format::Json, level, run);
    log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn begin(telemetry: &Arc<Telemetry>, path: &str) -> Call {
    Call::begin(telemetry, &HeaderMap::new(), path)
}

fn has(telemetry: &Telemetry, sample: &str) -> bool {
    telemetry.metrics.text(metrics::Format::OpenMetrics).lines().any(|line| line == sample)
}

#[test]
fn every_request_id_stays_out_of_hpacks_table() {
    let telemetry = Telemetry::new(None);
    let given = Call::begin(&telemetry, &headers(&[("x-request-id", "req-1")]), DECODE);
    assert!(given.request_id() == "req-1" && given.request_id().is_sensitive());
    assert!(begin(&telemetry, DECODE).request_id().is_sensitive());
}

#[test]
fn a_call_is_one_event_with_what_was_noted() {
    let telemetry = Telemetry::new(None);
    let events = events(LevelFilter::INFO, || {
        let headers = headers(&[
            ("x-request-id", "req-1"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ]);
        let call = Call::begin(&telemetry, &headers, DECODE);
        call.note_caller(&Arc::from("lending"));
        call.note_pairing("fiu@x", "aa@y", Scheme::Pbkdf2);
        call.note_date_skew(TimeDelta::seconds(3));
        let mut deviations = Deviations::default();
        deviations.note(Deviation::PlusAsSpace, "fi");
        deviations.note(Deviation::Whitespace, "iv");
        call.note_opened("2026-11", &deviations);
        call.end(Code::Ok);
    });
    assert_eq!(events.len(), 1);
    let event = &events[0];
    for (name, value) in [
        ("message", "call"),
        ("level", "INFO"),
        ("request_id", "req-1"),
        ("caller", "lending"),
        ("method", "DecodeRedirect"),
        ("fiu", "fiu@x"),
        ("aa", "aa@y"),
        ("code", "OK"),
        ("secret_id", "2026-11"),
        ("deviations", "PLUS_AS_SPACE,WHITESPACE"),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
    ] {
        assert_eq!(event[name], value, "{name}");
    }
    assert!(event["duration_us"].is_u64());
    let mut names: Vec<&str> = event.keys().map(String::as_str).collect();
    names.retain(|&name| name != "timestamp");
    assert_eq!(names.len(), 12, "{names:?}");

    let pairing = "fiu=\"fiu@x\",aa=\"aa@y\"";
    assert!(has(&telemetry, &format!("aa_redirect_decodes_total{{{pairing},leg=\"request\",outcome=\"opened\"}} 1")));
    assert!(has(&telemetry, &format!("aa_redirect_deviations_total{{{pairing},deviation=\"WHITESPACE\"}} 1")));
    assert!(has(&telemetry, &format!("aa_redirect_secret_uses_total{{{pairing},secret=\"2026-11\"}} 1")));
    assert!(has(&telemetry, &format!("aa_redirect_date_skew_seconds_bucket{{le=\"1.0\",{pairing}}} 0")));
    assert!(has(&telemetry, &format!("aa_redirect_date_skew_seconds_bucket{{le=\"10.0\",{pairing}}} 1")));
}

#[test]
fn unknown_fields_of_a_call_are_left_out_of_the_log() {
    let telemetry = Telemetry::new(None);
    let events = events(LevelFilter::INFO, || begin(&telemetry, DECODE).end(Code::Ok));
    for name in ["caller", "fiu", "aa", "reason", "secret_id", "deviations", "trace_id"] {
        assert!(!events[0].contains_key(name), "{name}");
    }
    assert!(
        !telemetry.metrics.text(metrics::Format::OpenMetrics).contains("aa_redirect_decodes_total{"),
        "no pairing, no label"
    );
}

#[test]
fn each_refusal_counts_as_its_outcome() {
    for (reason, code, outcome) in [
        (ErrorReason::Undecipherable, Code::InvalidArgument, "undecipherable"),
        (ErrorReason::DateExpired, Code::FailedPrecondition, "expired"),
        (ErrorReason::DateInFuture, Code::FailedPrecondition, "in_future"),
        (ErrorReason::SchemeMismatch, Code::FailedPrecondition, "scheme_mismatch"),
        (ErrorReason::Overloaded, Code::ResourceExhausted, "overloaded"),
    ] {
        let telemetry = Telemetry::new(None);
        let events = events(LevelFilter::INFO, || {
            let call = begin(&telemetry, "/aa.redirect.v1.RedirectService/DecodeCallback");
            call.note_pairing("f", "a", Scheme::Pbkdf2);
            call.note_refused(reason);
            call.end(code);
        });
        assert_eq!(events[0]["reason"], reason.as_str_name().trim_start_matches("ERROR_REASON_"));
        let sample =
            format!("aa_redirect_decodes_total{{fiu=\"f\",aa=\"a\",leg=\"callback\",outcome=\"{outcome}\"}} 1");
        assert!(has(&telemetry, &sample), "{sample}");
    }
}

#[test]
fn a_dropped_call_counts_as_cancelled_and_an_ended_call_counts_once() {
    let telemetry = Telemetry::new(None);
    let events = events(LevelFilter::INFO, || {
        drop(begin(&telemetry, DECODE));
        let call = begin(&telemetry, DECODE);
        call.end(Code::Ok);
        call.end(Code::Internal);
    });
    let codes: Vec<&Value> = events.iter().map(|event| &event["code"]).collect();
    assert_eq!(codes, ["CANCELLED", "OK"]);
    let labels = r#"grpc_type="unary",grpc_service="aa.redirect.v1.RedirectService",grpc_method="DecodeRedirect""#;
    for (code, count) in [("Canceled", 1), ("OK", 1), ("Internal", 0)] {
        assert!(
            has(&telemetry, &format!("grpc_server_handled_total{{{labels},grpc_code=\"{code}\"}} {count}")),
            "{code}"
        );
    }
    assert!(has(&telemetry, &format!("grpc_server_started_total{{{labels}}} 2")));
}

#[test]
fn probes_and_unknown_methods_log_at_debug_and_a_fault_logs_an_error() {
    let telemetry = Telemetry::new(None);
    let calls = || {
        begin(&telemetry, "/grpc.health.v1.Health/Check").end(Code::Ok);
        begin(&telemetry, "/secret/path?token=1").end(Code::Unimplemented);
        begin(&telemetry, DECODE).end(Code::Internal);
    };
    let at_info = events(LevelFilter::INFO, calls);
    assert_eq!(at_info.len(), 1);
    assert_eq!(at_info[0]["level"], "ERROR");
    let at_debug = events(LevelFilter::DEBUG, calls);
    assert_eq!(at_debug.len(), 3);
    assert_eq!(at_debug[1]["method"], "unknown", "a stranger can choose any path");
    assert!(
        !telemetry.metrics.text(metrics::Format::OpenMetrics).contains("token"),
        "it does not become a label either"
    );
}

#[test]
fn only_a_well_formed_request_id_is_accepted() {
    let telemetry = Telemetry::new(None);
    let id_for = |value: &str| {
        let call = Call::begin(&telemetry, &headers(&[("x-request-id", value)]), DECODE);
        call.request_id().to_str().unwrap().to_owned()
    };
    let longest = "x".repeat(64);
    for taken in ["a", "0190-a_B.9", &longest] {
        assert_eq!(id_for(taken), taken);
    }
    let too_long = "x".repeat(65);
    for refused in ["", "a b", "a\"b", "a/b", "ü", "a\tb", &too_long] {
        let id = id_for(refused);
        assert_eq!(id.len(), 32, "{refused:?} gave {id}");
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    assert_ne!(id_for(""), id_for(""));
}
