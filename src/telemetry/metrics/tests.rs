//! Tests the text that a scraper gets: its form, its names, and the place of each count.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use opentelemetry::trace::TraceId;
use tonic::Code;

use super::*;
use crate::{
    codec::{Deviation, Deviations, profile::Scheme, url::Leg},
    proto::ErrorReason,
};

/// The metrics with every name in use.
fn full() -> Metrics {
    let metrics = Metrics::new();
    metrics.started(Method::DecodeRedirect);
    metrics.ended(Ended {
        method: Method::DecodeRedirect,
        code: Code::InvalidArgument,
        duration: Duration::from_micros(300),
        reason: Some(ErrorReason::Undecipherable),
        scheme: Some(Scheme::Pbkdf2),
        caller: Some(&"lending-backend".into()),
        trace: Some(TraceId::from(0xabc)),
    });
    metrics.derivation_waited(Duration::from_millis(30));
    let pairing = metrics.pairing("fiu@\"quoted\"", "aa\\back");
    pairing.decoded(Leg::Request, Outcome::Undecipherable);
    let mut deviations = Deviations::default();
    deviations.note(Deviation::PlusAsSpace, "fi");
    deviations.note(Deviation::StatusMismatch, "status");
    pairing.deviated(&deviations);
    pairing.date_skew(TimeDelta::seconds(-20));
    pairing.date_skew(TimeDelta::days(300_000));
    pairing.secret("2026-11").count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    metrics.reloaded(Source::Keyring, false);
    metrics.failing(Source::Keyring, true);
    metrics.connection_opened();
    metrics.connection_opened();
    metrics.connection_closed(Cause::Age);
    for (number, reading) in (7..).zip([
        Reading::Derivations,
        Reading::DerivationsRefused,
        Reading::DerivationQueue,
        Reading::DerivedKeys,
        Reading::FailureBudgetSpent,
        Reading::FailureBudgetRefused,
        Reading::OpenedMemoryFull,
        Reading::LogLinesDropped,
        Reading::CertificateExpiry,
        Reading::ClientCaExpiry,
        Reading::SpansLost,
        Reading::Ready,
        Reading::Draining,
        Reading::MaxConnections,
        Reading::Calls,
        Reading::MaxCalls,
        Reading::DerivationQueueLimit,
        Reading::KdfThreads,
    ]) {
        metrics.observe(reading, move || number);
    }
    metrics
}

/// The samples of a text by name and labels. Checks that the format allows every line.
fn parse(text: &str) -> BTreeMap<String, f64> {
    let body = text.strip_suffix("# EOF\n").expect("an end");
    let (mut samples, mut families, mut current) = (BTreeMap::new(), BTreeSet::new(), String::new());
    let mut helped = String::new();
    for line in body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a help text");
            assert!(text.ends_with('.') && !text.ends_with(".."), "{line}");
            name.clone_into(&mut helped);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type");
            assert_eq!(name, helped, "the help comes first");
            assert!(["counter", "gauge", "histogram", "info"].contains(&kind), "{line}");
            assert!(families.insert(name.to_owned()), "{name} twice");
            name.clone_into(&mut current);
            current.push_str(match kind {
                "counter" => "_total",
                "info" => "_info",
                "histogram" => "_",
                _ => "",
            });
        } else {
            let (sample, exemplar) = line.split_once(" # ").map_or((line, None), |(sample, rest)| (sample, Some(rest)));
            assert!(exemplar.is_none_or(|exemplar| exemplar.starts_with("{trace_id=\"")), "{line}");
            let (key, value) = sample.rsplit_once(' ').expect("a value");
            let name = key.split('{').next().expect("a name");
            assert!(if current.ends_with('_') { name.starts_with(&current) } else { name == current }, "{line}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{line}");
            assert!(key == name || key.ends_with("\"}"), "{line}");
            assert!(samples.insert(key.to_owned(), value.parse().expect("a number")).is_none(), "{key} twice");
        }
    }
    samples
}

#[test]
fn the_text_parses_line_by_line_with_each_name_once() {
    let samples = parse(&full().text(Format::OpenMetrics));
    for (key, value) in [
        ("aa_redirect_build_info{version=\"0.1.0\"}", 1.0),
        ("aa_redirect_refusals_total{method=\"DecodeRedirect\",reason=\"UNDECIPHERABLE\"}", 1.0),
        (
            r#"aa_redirect_decodes_total{fiu="fiu@\"quoted\"",aa="aa\\back",leg="request",outcome="undecipherable"}"#,
            1.0,
        ),
        (r#"aa_redirect_decodes_total{fiu="fiu@\"quoted\"",aa="aa\\back",leg="callback",outcome="opened"}"#, 0.0),
        (r#"aa_redirect_deviations_total{fiu="fiu@\"quoted\"",aa="aa\\back",deviation="PLUS_AS_SPACE"}"#, 1.0),
        (r#"aa_redirect_deviations_total{fiu="fiu@\"quoted\"",aa="aa\\back",deviation="STATUS_MISMATCH"}"#, 1.0),
        (r#"aa_redirect_secret_uses_total{fiu="fiu@\"quoted\"",aa="aa\\back",secret="2026-11"}"#, 1.0),
        (r#"aa_redirect_date_skew_seconds_bucket{le="-30.0",fiu="fiu@\"quoted\"",aa="aa\\back"}"#, 0.0),
        (r#"aa_redirect_date_skew_seconds_bucket{le="-10.0",fiu="fiu@\"quoted\"",aa="aa\\back"}"#, 1.0),
        (r#"aa_redirect_date_skew_seconds_bucket{le="300.0",fiu="fiu@\"quoted\"",aa="aa\\back"}"#, 1.0),
        (r#"aa_redirect_date_skew_seconds_count{fiu="fiu@\"quoted\"",aa="aa\\back"}"#, 2.0),
        ("aa_redirect_reloads_total{source=\"keyring\",outcome=\"refused\"}", 1.0),
        ("aa_redirect_reload_failing{source=\"keyring\"}", 1.0),
        ("aa_redirect_reload_failing{source=\"callers\"}", 0.0),
        ("aa_redirect_connections", 1.0),
        ("aa_redirect_connections_accepted_total", 2.0),
        ("aa_redirect_connections_closed_total{cause=\"age\"}", 1.0),
        ("aa_redirect_derivations_total", 7.0),
        ("aa_redirect_derivations_refused_total", 8.0),
        ("aa_redirect_derivation_queue", 9.0),
        ("aa_redirect_derived_keys", 10.0),
        ("aa_redirect_failure_budget_spent_total", 11.0),
        ("aa_redirect_failure_budget_refused_total", 12.0),
        ("aa_redirect_log_lines_dropped_total", 14.0),
        ("aa_redirect_certificate_expiry_timestamp_seconds", 15.0),
        ("aa_redirect_client_ca_expiry_timestamp_seconds", 16.0),
        ("aa_redirect_spans_lost_total", 17.0),
        ("aa_redirect_ready", 18.0),
        ("aa_redirect_draining", 19.0),
        ("aa_redirect_max_connections", 20.0),
        ("aa_redirect_calls", 21.0),
        ("aa_redirect_max_calls", 22.0),
        ("aa_redirect_derivation_queue_limit", 23.0),
        ("aa_redirect_kdf_threads", 24.0),
        ("aa_redirect_derivation_wait_seconds_bucket{le=\"0.025\"}", 0.0),
        ("aa_redirect_derivation_wait_seconds_bucket{le=\"0.05\"}", 1.0),
        (r#"aa_redirect_handling_seconds_count{method="DecodeRedirect",scheme="pbkdf2"}"#, 1.0),
        (r#"aa_redirect_handling_seconds_count{method="DecodeRedirect",scheme="hkdf-iv"}"#, 0.0),
        (
            r#"aa_redirect_caller_calls_total{caller="lending-backend",method="DecodeRedirect",grpc_code="InvalidArgument"}"#,
            1.0,
        ),
    ] {
        assert_eq!(samples.get(key), Some(&value), "{key}");
    }
    assert!(
        !samples.keys().any(|key| key.starts_with("aa_redirect_date_skew_seconds_sum")),
        "a sum of negative values could fall"
    );
}

#[test]
fn calls_have_the_names_that_dashboards_know() {
    let samples = parse(&full().text(Format::OpenMetrics));
    let labels = r#"grpc_type="unary",grpc_service="aa.redirect.v1.RedirectService",grpc_method="DecodeRedirect""#;
    for (key, value) in [
        (format!("grpc_server_started_total{{{labels}}}"), 1.0),
        (format!("grpc_server_handled_total{{{labels},grpc_code=\"InvalidArgument\"}}"), 1.0),
        (format!("grpc_server_handled_total{{{labels},grpc_code=\"OK\"}}"), 0.0),
        (format!("grpc_server_handling_seconds_count{{{labels}}}"), 1.0),
        (format!("grpc_server_handling_seconds_bucket{{le=\"0.00025\",{labels}}}"), 0.0),
        (format!("grpc_server_handling_seconds_bucket{{le=\"0.0005\",{labels}}}"), 1.0),
    ] {
        assert_eq!(samples.get(&key), Some(&value), "{key}");
    }
    let codes = samples.keys().filter(|key| key.starts_with("grpc_server_handled_total")).count();
    assert_eq!(codes, Method::ALL.len() * 17, "each method has each code from the start");
}

#[test]
fn the_process_reports_its_memory_time_and_descriptors() {
    let samples = parse(&Metrics::new().text(Format::OpenMetrics));
    for (name, least) in [
        ("process_start_time_seconds", 1e9),
        ("process_resident_memory_bytes", 1e5),
        ("process_cpu_seconds_total", 1e-6),
        ("process_open_fds", 3.0),
        ("process_max_fds", 3.0),
    ] {
        assert!(samples[name] >= least, "{name} is {}", samples[name]);
    }
}

#[test]
fn a_value_without_a_source_is_absent() {
    let samples = parse(&Metrics::new().text(Format::OpenMetrics));
    assert!(!samples.contains_key("aa_redirect_certificate_expiry_timestamp_seconds"));
}

#[test]
fn a_pairing_that_a_reload_removed_is_no_longer_a_label() {
    let metrics = Metrics::new();
    metrics.pairing("fiu", "stays").decoded(Leg::Callback, Outcome::Opened);
    metrics.pairing("fiu", "goes").decoded(Leg::Callback, Outcome::Opened);
    metrics.retain_pairings(|_, aa| aa == "stays");
    let text = metrics.text(Format::OpenMetrics);
    assert!(text.contains("aa=\"stays\"") && !text.contains("aa=\"goes\""), "{text}");
}

#[test]
fn a_reload_that_succeeds_ends_the_failure() {
    let metrics = Metrics::new();
    metrics.reloaded(Source::Callers, false);
    metrics.reloaded(Source::Callers, true);
    let samples = parse(&metrics.text(Format::OpenMetrics));
    assert!(samples["aa_redirect_reload_failing{source=\"callers\"}"].abs() < f64::EPSILON);
}

#[test]
fn every_reason_of_every_method_starts_at_0() {
    let samples = parse(&Metrics::new().text(Format::OpenMetrics));
    let refusals: Vec<_> = samples.iter().filter(|(key, _)| key.starts_with("aa_redirect_refusals_total{")).collect();
    let reasons = (1..).map_while(|number| ErrorReason::try_from(number).ok()).count();
    assert_eq!(refusals.len(), 5 * reasons);
    assert!(refusals.iter().all(|(_, value)| **value == 0.0));
    let key = "aa_redirect_refusals_total{method=\"EncodeCallback\",reason=\"OVERLOADED\"}";
    assert!(samples.contains_key(key), "{samples:?}");
}

#[test]
fn the_trace_of_a_call_stands_only_at_the_bucket_of_its_duration() {
    let page = full().text(Format::OpenMetrics);
    let marked: Vec<_> = page.lines().filter(|line| line.contains(" # ")).collect();
    let [line] = marked[..] else { panic!("{marked:?}") };
    assert!(line.starts_with("grpc_server_handling_seconds_bucket{le=\"0.0005\","), "{line}");
    assert!(line.contains("grpc_method=\"DecodeRedirect\"}"), "{line}");
    assert!(line.contains("} 1 # {trace_id=\"00000000000000000000000000000abc\"} 0.0003 "), "{line}");
    assert!(!full().text(Format::Plain).contains("trace_id"), "the plain form has no exemplars");
}

#[test]
fn the_plain_page_has_the_same_samples_under_its_own_names() {
    let (plain, open) = (full().text(Format::Plain), full().text(Format::OpenMetrics));
    assert!(plain.contains("# TYPE aa_redirect_refusals_total counter\n"), "{plain}");
    assert!(plain.contains("# TYPE aa_redirect_build_info gauge\n"), "{plain}");
    assert!(!plain.contains("# EOF"));
    let names = |page: &str| -> BTreeSet<String> {
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.split(" # ").next().unwrap().rsplit_once(' ').unwrap().0.to_owned()).collect()
    };
    assert_eq!(names(&plain), names(&open));
}

#[test]
fn merged_pairings_are_one_whose_counts_never_fall() {
    let metrics = Metrics::new();
    metrics.merge_pairings();
    for aa in ["one", "two"] {
        let pairing = metrics.pairing("fiu", aa);
        pairing.decoded(Leg::Request, Outcome::Opened);
        pairing.date_skew(TimeDelta::seconds(5));
        pairing.secret(aa).count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    metrics.retain_pairings(|_, aa| aa == "one");
    let page = metrics.text(Format::OpenMetrics);
    let samples = parse(&page);
    for (key, value) in [
        (r#"aa_redirect_decodes_total{fiu="*",aa="*",leg="request",outcome="opened"}"#, 2.0),
        (r#"aa_redirect_secret_uses_total{fiu="*",aa="*",secret="*"}"#, 2.0),
        (r#"aa_redirect_date_skew_seconds_count{fiu="*",aa="*"}"#, 2.0),
    ] {
        assert_eq!(samples.get(key), Some(&value), "{page}");
    }
    assert!(!page.contains("aa=\"one\""), "{page}");
}
