//! Values that other modules count and the metrics show.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// A value that another module counts. It is read when the metrics are requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// PBKDF2 keys derived.
    Derivations,
    /// Derivations refused because the queue had no room.
    DerivationsRefused,
    /// Waiting derivations.
    DerivationQueue,
    /// Derivations that may wait.
    DerivationQueueLimit,
    /// Threads that derive.
    KdfThreads,
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
    /// Spans that were not exported.
    SpansLost,
    /// End of the served certificate, in seconds of the Unix epoch.
    CertificateExpiry,
    /// End of the client CA that ends first, in seconds of the Unix epoch.
    ClientCaExpiry,
    /// Whether calls are served.
    Ready,
    /// Whether the server is shutting down.
    Draining,
    /// Connections that may be open.
    MaxConnections,
    /// Calls of the redirect service in work.
    Calls,
    /// Calls of the redirect service that may be in work.
    MaxCalls,
}

impl Reading {
    /// Name, help and type of each, in the order of the enum.
    const ALL: [(&'static str, &'static str, MetricType); 18] = [
        ("derivations", "PBKDF2 keys derived.", MetricType::Counter),
        ("derivations_refused", "Derivations refused because the queue had no room.", MetricType::Counter),
        ("derivation_queue", "Derivations that wait.", MetricType::Gauge),
        ("derivation_queue_limit", "Derivations that may wait.", MetricType::Gauge),
        ("kdf_threads", "Threads that derive PBKDF2 keys.", MetricType::Gauge),
        ("derived_keys", "PBKDF2 keys remembered.", MetricType::Gauge),
        ("failure_budget_spent", "Failure budgets that were used up.", MetricType::Counter),
        ("failure_budget_refused", "Messages refused because their budget was used up.", MetricType::Counter),
        (
            "opened_memory_full",
            "Messages not opened because the memory of first openings was full.",
            MetricType::Counter,
        ),
        ("log_lines_dropped", "Log lines dropped because nobody read the log in time.", MetricType::Counter),
        ("spans_lost", "Trace spans that were not exported.", MetricType::Counter),
        (
            "certificate_expiry_timestamp_seconds",
            "End of the served certificate, in seconds of the Unix epoch.",
            MetricType::Gauge,
        ),
        (
            "client_ca_expiry_timestamp_seconds",
            "End of the client CA that ends first, in seconds of the Unix epoch.",
            MetricType::Gauge,
        ),
        ("ready", "1 while calls are served and no shutdown has begun.", MetricType::Gauge),
        ("draining", "1 from the beginning of a shutdown.", MetricType::Gauge),
        ("max_connections", "Connections that may be open.", MetricType::Gauge),
        ("calls", "Calls of the redirect service in work.", MetricType::Gauge),
        ("max_calls", "Calls of the redirect service that may be in work.", MetricType::Gauge),
    ];
}

type Read = Box<dyn Fn() -> u64 + Send + Sync>;

/// The source of each reading. A reading without a source is left out of the page.
#[derive(Clone, Default)]
pub(super) struct Readings(Arc<[OnceLock<Read>; Reading::ALL.len()]>);

impl Readings {
    /// Sets the source of this value. A second source for the same value changes nothing.
    pub(super) fn set(&self, reading: Reading, read: impl Fn() -> u64 + Send + Sync + 'static) {
        let _ = self.0[reading as usize].set(Box::new(read));
    }
}

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
