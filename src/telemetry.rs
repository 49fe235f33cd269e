//! What operators see of the calls: metrics, one log event for each call, and trace spans. They never hold a payload, a
//! user id or a secret.

use std::{sync::Arc, time::Duration};

pub mod call;
pub mod logs;
pub mod method;
pub mod metrics;
pub mod traces;

use metrics::{Metrics, Reading};
use traces::Tracer;

/// Takes the records of calls.
pub struct Telemetry {
    /// The metrics of this process.
    pub metrics: Metrics,
    tracer: Option<Tracer>,
}

impl Telemetry {
    /// Telemetry with new metrics, and with spans if there is a tracer.
    pub fn new(tracer: Option<Tracer>) -> Arc<Self> {
        let metrics = Metrics::new();
        if let Some(tracer) = &tracer {
            metrics.observe(Reading::SpansLost, tracer.lost());
        }
        Arc::new(Self { metrics, tracer })
    }

    /// Exports the waiting spans. Blocks for at most `bound`.
    pub fn shutdown(&self, bound: Duration) {
        if let Some(tracer) = &self.tracer {
            tracer.shutdown(bound);
        }
    }
}
