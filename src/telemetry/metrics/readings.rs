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
    /// Every reading, in the order of the page.
    const ALL: [Self; 18] = [
        Self::Derivations,
        Self::DerivationsRefused,
        Self::DerivationQueue,
        Self::DerivationQueueLimit,
        Self::KdfThreads,
        Self::DerivedKeys,
        Self::FailureBudgetSpent,
        Self::FailureBudgetRefused,
        Self::OpenedMemoryFull,
        Self::LogLinesDropped,
        Self::SpansLost,
        Self::CertificateExpiry,
        Self::ClientCaExpiry,
        Self::Ready,
        Self::Draining,
        Self::MaxConnections,
        Self::Calls,
        Self::MaxCalls,
    ];

    /// Its name without the prefix, its help and its type.
    fn described(self) -> (&'static str, &'static str, MetricType) {
        use MetricType::{Counter, Gauge};
        match self {
            Self::Derivations => ("derivations", "PBKDF2 keys derived.", Counter),
            Self::DerivationsRefused => {
                ("derivations_refused", "Derivations refused because the queue had no room.", Counter)
            }
            Self::DerivationQueue => ("derivation_queue", "Derivations that wait.", Gauge),
            Self::DerivationQueueLimit => ("derivation_queue_limit", "Derivations that may wait.", Gauge),
            Self::KdfThreads => ("kdf_threads", "Threads that derive PBKDF2 keys.", Gauge),
            Self::DerivedKeys => ("derived_keys", "PBKDF2 keys remembered.", Gauge),
            Self::FailureBudgetSpent => ("failure_budget_spent", "Failure budgets that were used up.", Counter),
            Self::FailureBudgetRefused => {
                ("failure_budget_refused", "Messages refused because their budget was used up.", Counter)
            }
            Self::OpenedMemoryFull => {
                ("opened_memory_full", "Messages not opened because the memory of first openings was full.", Counter)
            }
            Self::LogLinesDropped => {
                ("log_lines_dropped", "Log lines dropped because nobody read the log in time.", Counter)
            }
            Self::SpansLost => ("spans_lost", "Trace spans that were not exported.", Counter),
            Self::CertificateExpiry => (
                "certificate_expiry_timestamp_seconds",
                "End of the served certificate, in seconds of the Unix epoch.",
                Gauge,
            ),
            Self::ClientCaExpiry => (
                "client_ca_expiry_timestamp_seconds",
                "End of the client CA that ends first, in seconds of the Unix epoch.",
                Gauge,
            ),
            Self::Ready => ("ready", "1 while calls are served and no shutdown has begun.", Gauge),
            Self::Draining => ("draining", "1 from the beginning of a shutdown.", Gauge),
            Self::MaxConnections => ("max_connections", "Connections that may be open.", Gauge),
            Self::Calls => ("calls", "Calls of the redirect service in work.", Gauge),
            Self::MaxCalls => ("max_calls", "Calls of the redirect service that may be in work.", Gauge),
        }
    }
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
        for reading in Reading::ALL {
            let Some(read) = self.0[reading as usize].get() else { continue };
            let (name, help, metric_type) = reading.described();
            let encoder = encoder.encode_descriptor(name, help, None, metric_type)?;
            match metric_type {
                MetricType::Counter => ConstCounter::new(read()).encode(encoder)?,
                _ => ConstGauge::new(i64::try_from(read()).unwrap_or(i64::MAX)).encode(encoder)?,
            }
        }
        Ok(())
    }
}
