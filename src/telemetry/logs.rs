//! Log lines on standard error, as text or JSON, one for each event. No call ever waits for the reader of the log.

use std::{io, time::Duration};

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, registry::Registry};

mod line;
mod queue;

pub(super) use line::CALL;
use line::Lines;
use queue::Queue;

/// How long the end of the program waits if standard error stalls.
const FLUSH: Duration = Duration::from_secs(1);

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The running log. When it is dropped, it writes the waiting lines.
pub struct Logs {
    queue: Queue,
}

/// Starts the log of the process: events of this crate at `level` and above, those of libraries at `INFO` and above,
/// and never more than `level` allows.
///
/// # Errors
/// If the system cannot start a thread, or a log is already running.
pub fn start(format: Format, level: LevelFilter) -> io::Result<Logs> {
    let queue = Queue::start(io::stderr())?;
    tracing::subscriber::set_global_default(subscriber(format, level, queue.clone())).map_err(io::Error::other)?;
    Ok(Logs { queue })
}

impl Logs {
    /// How many lines were lost: they had no room, or standard error did not take them.
    pub fn dropped(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let queue = self.queue.clone();
        move || queue.dropped()
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.queue.close(FLUSH);
    }
}

fn subscriber(format: Format, level: LevelFilter, queue: Queue) -> impl Subscriber + Send + Sync {
    // Below INFO the libraries log frames and headers.
    let targets =
        Targets::new().with_default(level.min(LevelFilter::INFO)).with_target(env!("CARGO_CRATE_NAME"), level);
    let lines = tracing_subscriber::fmt::layer().with_writer(queue).with_target(false).log_internal_errors(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        Format::Text => {
            let lines = lines.with_ansi(false).map_event_format(|others| Lines { format, others });
            Box::new(lines.with_filter(targets))
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true).map_event_format(|others| Lines { format, others });
            Box::new(lines.with_filter(targets))
        }
    };
    tracing_subscriber::registry().with(lines)
}

#[cfg(test)]
pub(crate) mod tests;
