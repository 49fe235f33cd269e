//! The text that a scraper gets: its form, its names, and that each count has the right place.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use super::*;
use crate::codec::{Deviation, Deviations, url::Leg};

/// The metrics with every name in use.
fn full() -> Metrics {
    let metrics = Metrics::new();
    metrics.started(Method::DecodeRedirect);
    metrics.ended(Method::DecodeRedirect, Code::InvalidArgument, Duration::from_micros(300));
    metrics.refused(Method::DecodeRedirect, ErrorReason::Undecipherable);
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
            let (key, value) = line.rsplit_once(' ').expect("a value");
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
    let samples = parse(&full().text());
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
        ("aa_redirect_log_lines_dropped_total", 13.0),
        ("aa_redirect_certificate_expiry_timestamp_seconds", 14.0),
    ] {
        assert_eq!(samples.get(key), Some(&value), "{key}");
    }
    assert!(!samples.keys().any(|key| key.starts_with("aa_redirect_date_skew_seconds_sum")), "it would not only grow");
}

#[test]
fn calls_have_the_names_that_dashboards_know() {
    let samples = parse(&full().text());
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
    let samples = parse(&Metrics::new().text());
    for (name, least) in [
        ("process_start_time_seconds", 1e9),
        ("process_resident_memory_bytes", 1e5),
        ("process_cpu_seconds_total", 1e-6),
        ("process_open_fds", 3.0),
    ] {
        assert!(samples[name] >= least, "{name} is {}", samples[name]);
    }
}

#[test]
fn a_value_without_a_source_is_absent() {
    let samples = parse(&Metrics::new().text());
    assert!(!samples.contains_key("aa_redirect_certificate_expiry_timestamp_seconds"));
}

#[test]
fn a_pairing_that_a_reload_removed_leaves_the_labels() {
    let metrics = Metrics::new();
    metrics.pairing("fiu", "stays").decoded(Leg::Callback, Outcome::Opened);
    metrics.pairing("fiu", "goes").decoded(Leg::Callback, Outcome::Opened);
    metrics.retain_pairings(|_, aa| aa == "stays");
    let text = metrics.text();
    assert!(text.contains("aa=\"stays\"") && !text.contains("aa=\"goes\""), "{text}");
}

#[test]
fn a_reload_that_succeeds_ends_the_failure() {
    let metrics = Metrics::new();
    metrics.reloaded(Source::Callers, false);
    metrics.reloaded(Source::Callers, true);
    let samples = parse(&metrics.text());
    assert!(samples["aa_redirect_reload_failing{source=\"callers\"}"].abs() < f64::EPSILON);
}
