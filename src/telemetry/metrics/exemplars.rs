//! The latest trace of each bucket of a method's duration, for OpenMetrics. It leads from a slow bucket in a graph to a
//! trace.
//!
//! In the library only its own histogram can make exemplars, and that takes a lock that all threads share. So this file
//! writes them into the page.

use std::{
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry::trace::TraceId;

use super::histogram::HANDLING;
use crate::telemetry::method::Method;

/// A bucket for each bound, and one for values over the last bound.
const BUCKETS: usize = HANDLING.len() + 1;

pub(super) struct Exemplars([[Mutex<Option<Exemplar>>; BUCKETS]; Method::ALL.len()]);

#[derive(Clone, Copy)]
struct Exemplar {
    trace: TraceId,
    seconds: f64,
    time: SystemTime,
}

impl Exemplars {
    pub(super) fn new() -> Self {
        Self(std::array::from_fn(|_| std::array::from_fn(|_| Mutex::default())))
    }

    /// Keeps `trace` for the bucket of a call of `method` that took this time.
    #[expect(clippy::cast_precision_loss, reason = "a float is what the format has")]
    pub(super) fn note(&self, method: Method, nanoseconds: i64, trace: TraceId) {
        let bucket = HANDLING.partition_point(|&bound| bound < nanoseconds);
        let exemplar = Exemplar { trace, seconds: nanoseconds as f64 / 1e9, time: SystemTime::now() };
        // If another thread writes at this moment, its trace is equally good.
        if let Ok(mut kept) = self.0[method as usize][bucket].try_lock() {
            *kept = Some(exemplar);
        }
    }

    /// The page with the exemplars at the ends of their lines.
    pub(super) fn written_into(&self, page: &str) -> String {
        let mut text = String::with_capacity(page.len());
        for line in page.lines() {
            text.push_str(line);
            if let Some(Exemplar { trace, seconds, time }) = self.of_line(line) {
                let time = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
                // Writing to a string does not fail.
                let _ = write!(text, " # {{trace_id=\"{trace}\"}} {seconds} {time:.3}");
            }
            text.push('\n');
        }
        text
    }

    #[expect(clippy::cast_precision_loss, reason = "a float is what the format has")]
    fn of_line(&self, line: &str) -> Option<Exemplar> {
        let labels = line.strip_prefix("grpc_server_handling_seconds_bucket{")?;
        let value = |name: &str| labels.split_once(&format!("{name}=\""))?.1.split_once('"').map(|(value, _)| value);
        let (service, method, bound) = (value("grpc_service")?, value("grpc_method")?, value("le")?);
        let method = Method::ALL.into_iter().find(|known| known.service() == service && known.name() == method)?;
        let same = |&ours: &i64| bound.parse::<f64>().is_ok_and(|bound| (bound - ours as f64 / 1e9).abs() < 1e-9);
        let bucket = HANDLING.iter().position(same).unwrap_or(BUCKETS - 1);
        *self.0[method as usize][bucket].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
