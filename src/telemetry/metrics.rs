//! The metrics for Prometheus: the `grpc_server_*` names that dashboards know, and our own under `aa_redirect_`. The
//! interface and the keyring limit the labels.
//!
//! Counting a call takes a few atomic additions on counters that exist from the start.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding,
    metrics::{counter::Counter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

use super::method::Method;

mod calls;
mod exemplars;
mod histogram;
mod keyring;
mod labels;
mod pairings;
mod process;
mod readings;
mod store;
mod text;

use calls::Calls;
pub(super) use calls::Ended;
use histogram::{HANDLING, Histogram};
use labels::{Counters, Labels};
use pairings::Pairings;
pub(super) use pairings::{Outcome, PairingCounts, SecretUses};
pub use readings::Reading;
use readings::Readings;
pub use store::StoreReading;
pub use text::Format;

/// Files that are reloaded while the server runs.
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
    /// It reached its age.
    Age,
    /// There were too many connections, or this one held the most memory.
    Cap,
    /// The server shut down.
    Drain,
    /// The handshake of TLS or HTTP/2 failed.
    Handshake,
    /// The connection failed.
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

/// The metrics of one server.
pub struct Metrics {
    registry: Registry,
    calls: Calls,
    pairings: Pairings,
    readings: Readings,
    derivation_wait: Histogram,
    store: Arc<store::Store>,
    keyring: Arc<keyring::Fingerprint>,
    /// In the order of [`Source::ALL`].
    reloads: Vec<ReloadCounts>,
    sources_checked: Family<Labels<1>, Gauge>,
    connections: Gauge,
    connections_opened: Counter,
    /// In the order of [`Cause::ALL`].
    connections_closed: Vec<Counter>,
}

struct ReloadCounts {
    applied: Counter,
    refused: Counter,
    failing: Gauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::default();
        let calls = Calls::register(&mut registry);
        registry.register_collector(Box::new(process::Process::new()));

        let own = registry.sub_registry_with_prefix("aa_redirect");
        own.register("build", "The running version", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let pairings = Pairings::default();
        pairings.register(own);
        let readings = Readings::default();
        own.register_collector(Box::new(readings.clone()));
        let derivation_wait = Histogram::new(&HANDLING);
        let help = "Time for which a PBKDF2 derivation waited for a thread";
        own.register("derivation_wait_seconds", help, derivation_wait.clone());
        let store = Arc::<store::Store>::default();
        own.register_collector(Box::new(Arc::clone(&store)));
        let keyring = Arc::<keyring::Fingerprint>::default();
        own.register_collector(Box::new(Arc::clone(&keyring)));
        let reloads = register_reloads(own);

        let (connections, connections_opened) = (Gauge::default(), Counter::default());
        own.register("connections", "Open connections", connections.clone());
        // Named `connections_accepted`, since a counter `connections` would have the same family name as the gauge.
        own.register("connections_accepted", "Connections accepted", connections_opened.clone());
        let sources_checked = Family::<Labels<1>, Gauge>::default();
        own.register(
            "source_checked_timestamp_seconds",
            "When the latest check of the files ended, in seconds of the Unix epoch",
            sources_checked.clone(),
        );
        let closed = Counters::<1>::default();
        own.register("connections_closed", "Connections ended, by cause", closed.clone());
        let connections_closed = Cause::ALL.map(|(_, cause)| closed.get_or_create_owned(&[("cause", cause)])).into();
        Self {
            registry,
            calls,
            pairings,
            readings,
            derivation_wait,
            store,
            keyring,
            reloads,
            sources_checked,
            connections,
            connections_opened,
            connections_closed,
        }
    }

    /// All metrics in a text form.
    #[expect(clippy::expect_used, reason = "writing to a string does not fail")]
    pub fn text(&self, format: Format) -> String {
        let mut all = String::new();
        encoding::text::encode(&mut all, &self.registry).expect("writing to a string does not fail");
        // The format forbids the sum of a histogram with bounds below zero, because such a sum could fall.
        let lines = all.split_inclusive('\n').filter(|line| !line.starts_with("aa_redirect_date_skew_seconds_sum"));
        let page: String = lines.collect();
        // With thousands of pairings each of these texts has megabytes.
        drop(all);
        let mut text = match format {
            Format::Plain => text::plain(&page),
            Format::OpenMetrics => self.calls.with_exemplars(&page),
        };
        text.shrink_to_fit();
        text
    }

    /// Sets the source of this value. A value without a source is left out of the metrics.
    pub fn observe(&self, reading: Reading, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.readings.set(reading, read);
    }

    /// Counts a PBKDF2 derivation that waited this long for a thread.
    pub fn derivation_waited(&self, wait: Duration) {
        self.derivation_wait.observe(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX));
    }

    /// Shows all pairings as one, with `*` for their ids: thousands of them are too many series.
    pub fn merge_pairings(&self) {
        self.pairings.merge();
    }

    /// Sets the source of the fingerprint of the current keyring.
    pub fn observe_keyring(&self, read: impl Fn() -> String + Send + Sync + 'static) {
        self.keyring.observe(Box::new(read));
    }

    /// Sets the source of the counts of the shared store. Without a source they are left out of the metrics.
    pub fn observe_store(&self, read: impl Fn() -> StoreReading + Send + Sync + 'static) {
        self.store.observe(Box::new(read));
    }

    /// Counts a reload: applied, or refused if `applied` is false. After a refused reload the old content stays.
    pub fn reloaded(&self, source: Source, applied: bool) {
        let counts = &self.reloads[source as usize];
        if applied { &counts.applied } else { &counts.refused }.inc();
    }

    /// Notes the second of the Unix epoch at which a check of the files ended, with any result. A source that is not in
    /// use has no such series, so that an alert on old times stays quiet.
    pub fn checked(&self, source: Source, at: i64) {
        let (_, name) = Source::ALL[source as usize];
        self.sources_checked.get_or_create_owned(&[("source", name)]).set(at);
    }

    /// Notes whether the current files of a source are refused.
    pub fn failing(&self, source: Source, failing: bool) {
        self.reloads[source as usize].failing.set(failing.into());
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
        self.calls.started(method);
    }

    pub(super) fn ended(&self, call: Ended<'_>) {
        self.calls.ended(call);
    }

    /// The counts of a pairing that the keyring holds.
    pub(super) fn pairing(&self, fiu: &str, aa: &str) -> Arc<PairingCounts> {
        self.pairings.of(fiu, aa)
    }
}

fn register_reloads(registry: &mut Registry) -> Vec<ReloadCounts> {
    let reloads = Counters::<2>::default();
    registry.register("reloads", "Reloads of files, by outcome", reloads.clone());
    let failing = Family::<Labels<1>, Gauge>::default();
    registry.register("reload_failing", "1 while the files cannot be used or do not answer", failing.clone());
    let counts = |(_, source): (Source, &'static str)| ReloadCounts {
        applied: reloads.get_or_create_owned(&[("source", source), ("outcome", "applied")]),
        refused: reloads.get_or_create_owned(&[("source", source), ("outcome", "refused")]),
        failing: failing.get_or_create_owned(&[("source", source)]),
    };
    Source::ALL.map(counts).into()
}

#[cfg(test)]
mod tests;
