//! What operators see of the calls: metrics, one log event a call, trace spans. Never a payload, a user id or a secret.

use std::{sync::Arc, time::Duration};

pub mod call;
pub mod logs;
pub mod method;
pub mod metrics;
pub mod traces;

use metrics::Metrics;
use traces::Tracer;

/// Where the records of calls go.
pub struct Telemetry {
    /// The metrics of this process.
    pub metrics: Metrics,
    tracer: Option<Tracer>,
}

impl Telemetry {
    /// With fresh metrics, and spans where there is a tracer.
    pub fn new(tracer: Option<Tracer>) -> Arc<Self> {
        Arc::new(Self { metrics: Metrics::new(), tracer })
    }

    /// Exports the spans that wait; blocks for `bound` at most.
    pub fn shutdown(&self, bound: Duration) {
        if let Some(tracer) = &self.tracer {
            tracer.shutdown(bound);
        }
    }
}
