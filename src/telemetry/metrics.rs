//! The metrics for Prometheus: the `grpc_server_*` names that dashboards know, and our own under `aa_redirect_`. The
//! interface and the keyring limit the labels.
//!
//! To count a call takes a few atomic additions on counters that exist from the start.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, text},
    metrics::{
        MetricType,
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::{ConstGauge, Gauge},
        info::Info,
    },
    registry::Registry,
};
use tonic::Code;

use super::method::{Method, code_names};
use crate::proto::ErrorReason;

mod histogram;
mod pairings;
mod process;

use histogram::Histogram;
use pairings::Pairings;
pub(super) use pairings::{Outcome, PairingCounts, SecretUses};

/// The content type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000 * MICROSECOND;

/// From calls without a key derivation, which take about 20 µs, to deadlines.
const HANDLING: [i64; 16] = [
    100 * MICROSECOND,
    250 * MICROSECOND,
    500 * MICROSECOND,
    MILLISECOND,
    2_500 * MICROSECOND,
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    1_000 * MILLISECOND,
    2_500 * MILLISECOND,
    5_000 * MILLISECOND,
    10_000 * MILLISECOND,
];

/// What is reloaded while the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Source {
    Keyring,
    Callers,
    Certificates,
}

impl Source {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Keyring, "keyring"), (Self::Callers, "callers"), (Self::Certificates, "certificates")];
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The peer closed it.
    Peer,
    /// It was old.
    Age,
    /// There were too many connections, or this one held the most memory.
    Cap,
    /// The server shut down.
    Drain,
    /// The handshake of TLS or HTTP/2 failed.
    Handshake,
    /// It failed.
    Error,
}

impl Cause {
    const ALL: [(Self, &'static str); 6] = [
        (Self::Peer, "peer"),
        (Self::Age, "age"),
        (Self::Cap, "cap"),
        (Self::Drain, "drain"),
        (Self::Handshake, "handshake"),
        (Self::Error, "error"),
    ];
}

/// A value that another module counts. It is read when the metrics are requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// PBKDF2 keys derived.
    Derivations,
    /// Derivations refused because the queue had no room.
    DerivationsRefused,
    /// Waiting derivations.
    DerivationQueue,
    /// PBKDF2 keys in the cache.
    DerivedKeys,
    /// Failure budgets that were used up.
    FailureBudgetSpent,
    /// Messages refused because their budget was used up.
    FailureBudgetRefused,
    /// Messages not opened because the memory of first openings was full.
    OpenedMemoryFull,
    /// Log lines that had no room.
    LogLinesDropped,
    /// End of the served certificate, in seconds of the Unix epoch.
    CertificateExpiry,
}

impl Reading {
    /// Name, help and type of each, in the order of the enum.
    const ALL: [(&'static str, &'static str, MetricType); 9] = [
        ("derivations", "PBKDF2 keys derived.", MetricType::Counter),
        ("derivations_refused", "Derivations refused because the queue had no room.", MetricType::Counter),
        ("derivation_queue", "Derivations that wait.", MetricType::Gauge),
        ("derived_keys", "PBKDF2 keys remembered.", MetricType::Gauge),
        ("failure_budget_spent", "Failure budgets that were used up.", MetricType::Counter),
        ("failure_budget_refused", "Messages refused because their budget was used up.", MetricType::Counter),
        (
            "opened_memory_full",
            "Messages not opened because the memory of first openings was full.",
            MetricType::Counter,
        ),
        ("log_lines_dropped", "Log lines dropped because nobody read the log in time.", MetricType::Counter),
        (
            "certificate_expiry_timestamp_seconds",
            "End of the served certificate, in seconds of the Unix epoch.",
            MetricType::Gauge,
        ),
    ];
}

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;

/// The metrics of one server.
pub struct Metrics {
    registry: Registry,
    /// In the order of [`Method::ALL`].
    calls: Vec<CallCounts>,
    refusals: Counters<2>,
    pairings: Pairings,
    readings: Arc<Readings>,
    /// In the order of [`Source::ALL`].
    reloads: Vec<ReloadCounts>,
    connections: Gauge,
    connections_opened: Counter,
    /// In the order of [`Cause::ALL`].
    connections_closed: Vec<Counter>,
}

/// The counts of one method.
struct CallCounts {
    started: Counter,
    /// By code.
    handled: Vec<Counter>,
    handling: Histogram,
}

struct ReloadCounts {
    applied: Counter,
    refused: Counter,
    failing: Gauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::default();
        let calls = register_calls(&mut registry);
        registry.register_collector(Box::new(process::Process::new()));

        let own = registry.sub_registry_with_prefix("aa_redirect");
        own.register("build", "The running version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let refusals = Counters::<2>::default();
        own.register("refusals", "Calls refused, by method and reason", refusals.clone());
        let pairings = Pairings::default();
        pairings.register(own);
        let readings = Arc::new(Readings::default());
        own.register_collector(Box::new(Arc::clone(&readings)));
        let reloads = register_reloads(own);

        let (connections, connections_opened) = (Gauge::default(), Counter::default());
        own.register("connections", "Open connections", connections.clone());
        // Named `connections_accepted`, since a counter `connections` would have the same family name as the gauge.
        own.register("connections_accepted", "Connections accepted", connections_opened.clone());
        let closed = Counters::<1>::default();
        own.register("connections_closed", "Connections ended, by cause", closed.clone());
        let connections_closed = Cause::ALL.map(|(_, cause)| closed.get_or_create_owned(&[("cause", cause)])).into();
        Self {
            registry,
            calls,
            refusals,
            pairings,
            readings,
            reloads,
            connections,
            connections_opened,
            connections_closed,
        }
    }

    /// All metrics in the form of [`CONTENT_TYPE`].
    pub fn text(&self) -> String {
        let mut all = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut all, &self.registry);
        // The format allows no sum for a histogram with bounds below zero, because the sum could fall.
        all.split_inclusive('\n').filter(|line| !line.starts_with("aa_redirect_date_skew_seconds_sum")).collect()
    }

    /// From now on `read` gives this value. A value without `read` is not among the metrics.
    pub fn observe(&self, reading: Reading, read: impl Fn() -> u64 + Send + Sync + 'static) {
        // A second `read` for the same value changes nothing.
        let _ = self.readings.0[reading as usize].set(Box::new(read));
    }

    /// Counts a reload: `applied`, or refused, so that the old content stays.
    pub fn reloaded(&self, source: Source, applied: bool) {
        let counts = &self.reloads[source as usize];
        if applied { &counts.applied } else { &counts.refused }.inc();
        counts.failing.set(i64::from(!applied));
    }

    /// Drops the pairings for which `held` (FIU's id, AA's id) is false: a reload removed them.
    pub fn retain_pairings(&self, held: impl Fn(&str, &str) -> bool) {
        self.pairings.retain(held);
    }

    /// Counts a connection that was accepted.
    pub fn connection_opened(&self) {
        self.connections.inc();
        self.connections_opened.inc();
    }

    /// Counts the end of a connection that was accepted.
    pub fn connection_closed(&self, cause: Cause) {
        self.connections.dec();
        self.connections_closed[cause as usize].inc();
    }

    pub(super) fn started(&self, method: Method) {
        self.calls[method as usize].started.inc();
    }

    pub(super) fn ended(&self, method: Method, code: Code, duration: Duration) {
        let counts = &self.calls[method as usize];
        counts.handled[code as usize].inc();
        counts.handling.observe(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
    }

    pub(super) fn refused(&self, method: Method, reason: ErrorReason) {
        let reason = reason.as_str_name().trim_start_matches("ERROR_REASON_");
        self.refusals.get_or_create(&[("method", method.name()), ("reason", reason)]).inc();
    }

    /// The counts of a pairing that the keyring holds.
    pub(super) fn pairing(&self, fiu: &str, aa: &str) -> Arc<PairingCounts> {
        self.pairings.of(fiu, aa)
    }
}

fn register_calls(registry: &mut Registry) -> Vec<CallCounts> {
    let started = Counters::<3>::default();
    registry.register("grpc_server_started", "Calls begun", started.clone());
    let handled = Counters::<4>::default();
    registry.register("grpc_server_handled", "Calls ended, by code", handled.clone());
    let handling =
        Family::<Labels<3>, Histogram, fn() -> Histogram>::new_with_constructor(|| Histogram::new(&HANDLING));
    registry.register("grpc_server_handling_seconds", "Time from the start of a call to its end", handling.clone());
    let counts = |method: Method| {
        let [kind, service, name] =
            [("grpc_type", method.kind()), ("grpc_service", method.service()), ("grpc_method", method.name())];
        let of_code = |code: i32| {
            let (code, _) = code_names(Code::from_i32(code));
            handled.get_or_create_owned(&[kind, service, name, ("grpc_code", code)])
        };
        CallCounts {
            started: started.get_or_create_owned(&[kind, service, name]),
            handled: (0..=Code::Unauthenticated as i32).map(of_code).collect(),
            handling: handling.get_or_create_owned(&[kind, service, name]),
        }
    };
    Method::ALL.map(counts).into()
}

fn register_reloads(registry: &mut Registry) -> Vec<ReloadCounts> {
    let reloads = Counters::<2>::default();
    registry.register("reloads", "Reloads of files, by outcome", reloads.clone());
    let failing = Family::<Labels<1>, Gauge>::default();
    registry.register("reload_failing", "1 while the latest reload of the file was refused", failing.clone());
    let counts = |(_, source): (Source, &'static str)| ReloadCounts {
        applied: reloads.get_or_create_owned(&[("source", source), ("outcome", "applied")]),
        refused: reloads.get_or_create_owned(&[("source", source), ("outcome", "refused")]),
        failing: failing.get_or_create_owned(&[("source", source)]),
    };
    Source::ALL.map(counts).into()
}

type Read = Box<dyn Fn() -> u64 + Send + Sync>;

#[derive(Default)]
struct Readings([OnceLock<Read>; Reading::ALL.len()]);

impl fmt::Debug for Readings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readings").finish_non_exhaustive()
    }
}

impl Collector for Readings {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (read, (name, help, metric_type)) in self.0.iter().zip(Reading::ALL) {
            let Some(read) = read.get() else { continue };
            let encoder = encoder.encode_descriptor(name, help, None, metric_type)?;
            match metric_type {
                MetricType::Counter => ConstCounter::new(read()).encode(encoder)?,
                _ => ConstGauge::new(i64::try_from(read()).unwrap_or(i64::MAX)).encode(encoder)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
