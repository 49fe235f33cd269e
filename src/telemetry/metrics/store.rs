//! The metrics of the shared store: whether it answers, how often and how fast.

use std::{fmt, sync::OnceLock};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// The counts of the store.
pub struct StoreReading {
    /// Whether the store answers.
    pub is_up: bool,
    /// How often each operation had each outcome: operation, outcome, count.
    pub operations: Vec<(&'static str, &'static str, u64)>,
    /// Upper bounds in seconds, ascending, the last one infinite; each with the number of operations that took up to
    /// this time and longer than the bound before.
    pub times: Vec<(f64, u64)>,
    /// The sum of the times of all operations, in seconds.
    pub total: f64,
}

type Read = Box<dyn Fn() -> StoreReading + Send + Sync>;

/// Reads the counts when metrics are requested.
#[derive(Default)]
pub(super) struct Store(OnceLock<Read>);

impl Store {
    pub(super) fn observe(&self, read: Read) {
        // Only the first reader is kept.
        let _ = self.0.set(read);
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Collector for Store {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(read) = self.0.get() else { return Ok(()) };
        let StoreReading { is_up, operations, times, total } = read();
        let up = encoder.encode_descriptor("store_up", "1 while the shared store answers.", None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(is_up)).encode(up)?;
        let help = "Operations of the shared store, by kind and outcome.";
        let mut family = encoder.encode_descriptor("store_operations", help, None, MetricType::Counter)?;
        for (operation, outcome, count) in operations {
            let labels = [("operation", operation), ("outcome", outcome)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        let help = "How long an operation of the shared store takes.";
        let mut histogram = encoder.encode_descriptor("store_seconds", help, None, MetricType::Histogram)?;
        let count = times.iter().map(|(_, count)| count).sum();
        histogram.encode_histogram::<NoLabelSet>(total, count, &times, None)
    }
}
