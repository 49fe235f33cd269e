//! What is served while its files change: read, checked and swapped as a whole; a broken file changes nothing.
//!
//! Content counts, not times or names of files: swapped symlinks of mounted volumes are seen, a mere `touch` is not.

use std::{
    fmt, io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use futures_util::{Stream, StreamExt, stream};
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{ReadFile, Reading, problem::Problem};

/// How often files are looked at: short beside the minute that Kubernetes takes to bring a change to a volume, and
/// reading some hundred small files that often costs next to nothing.
pub const POLL: Duration = Duration::from_secs(5);
/// For how long changed files must stay as they are: a file may be half written, a key be there before its certificate.
const SETTLE: Duration = Duration::from_millis(200);
/// How often at most that is waited for; files that change for longer count as they were read last.
const SETTLE_ROUNDS: usize = 5;

/// What a look at the files of one source found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What is served is what the files hold.
    Unchanged,
    /// What the files hold is served from now on; with warnings.
    Applied(Vec<Problem>),
    /// The files have changed and cannot be used, for this reason; what was served before still is.
    Refused(String),
    /// As before: the files are refused, for this reason that was told already.
    StillRefused(String),
}

/// Something that is served from files.
pub trait Source: Send + Sync {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Reads the files and, where they have changed and are good, serves what they hold from now on.
    ///
    /// Blocks: reads files, and waits up to a second until changed ones stay as they are.
    fn check(&self) -> Outcome;
}

type Load<T> = dyn Fn(&ReadFile<'_>) -> Result<(T, Vec<Problem>), String> + Send + Sync;

/// A `T` that is served from files. Whoever holds one keeps it, whatever becomes of the files.
pub struct Reloaded<T> {
    name: &'static str,
    served: ArcSwap<T>,
    load: Box<Load<T>>,
    last: Mutex<Last>,
}

/// The last reading, and what was wrong with it.
struct Last {
    reading: Reading,
    refused: Option<String>,
}

impl<T> Reloaded<T> {
    /// Loads what `name` serves first, with its warnings. `load` reads files through its argument and in no other way;
    /// what else it depends on counts as unchanging.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn load<E: fmt::Display>(
        name: &'static str,
        load: impl Fn(&ReadFile<'_>) -> Result<(T, Vec<Problem>), E> + Send + Sync + 'static,
    ) -> Result<(Self, Vec<Problem>), E> {
        let (loaded, reading) = Reading::of(&load);
        let (first, warnings) = loaded?;
        let reloaded = Self {
            name,
            served: ArcSwap::from_pointee(first),
            load: Box::new(move |read| load(read).map_err(|error| error.to_string())),
            last: Mutex::new(Last { reading, refused: None }),
        };
        Ok((reloaded, warnings))
    }

    /// What is served now. For a call that waits, clone the `Arc` in it: few guards at a time are cheap.
    pub fn current(&self) -> Guard<Arc<T>> {
        self.served.load()
    }
}

impl<T: Send + Sync> Source for Reloaded<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self) -> Outcome {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // What is refused is loaded anew each time: a certificate may have become valid.
        if last.refused.is_none() && last.reading.is_current() {
            return Outcome::Unchanged;
        }
        let (mut loaded, mut reading) = Reading::of(&self.load);
        for _ in 0..SETTLE_ROUNDS {
            if reading.is_same(&last.reading) {
                break;
            }
            thread::sleep(SETTLE);
            if reading.is_current() {
                break;
            }
            (loaded, reading) = Reading::of(&self.load);
        }
        let same = reading.is_same(&last.reading);
        let before = std::mem::replace(&mut *last, Last { reading, refused: loaded.as_ref().err().cloned() });
        match loaded {
            // Changed and changed back.
            Ok(_) if same && before.refused.is_none() => Outcome::Unchanged,
            Ok((value, warnings)) => {
                self.served.store(Arc::new(value));
                Outcome::Applied(warnings)
            }
            Err(problem) if same && before.refused.as_ref() == Some(&problem) => Outcome::StillRefused(problem),
            Err(problem) => Outcome::Refused(problem),
        }
    }
}

/// Each SIGHUP from now on, which ends the process no more.
///
/// # Errors
/// Where the signal cannot be listened to.
pub fn hangups() -> io::Result<impl Stream<Item = ()>> {
    let mut hangups = signal(SignalKind::hangup())?;
    Ok(stream::poll_fn(move |context| hangups.poll_recv(context)))
}

/// Checks all `sources` each time that `every` has passed and at each of `hangups`, logs what is new, and hands each
/// outcome with its source's name to `report`. Never ends.
pub async fn watch(
    sources: Vec<Arc<dyn Source>>,
    hangups: impl Stream<Item = ()>,
    every: Duration,
    report: impl Fn(&'static str, &Outcome),
) {
    let mut hangups = pin!(hangups.fuse());
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = select! {
            Some(()) = hangups.next() => true,
            _ = ticks.tick() => false,
        };
        for source in &sources {
            let checked = Arc::clone(source);
            let outcome = spawn_blocking(move || checked.check())
                .await
                .unwrap_or_else(|_| Outcome::Refused("the check broke off: a fault of this program".into()));
            log(source.name(), &outcome, asked);
            report(source.name(), &outcome);
        }
    }
}

/// Logs what is new; where somebody `asked` by a signal, what is not, too.
fn log(source: &'static str, outcome: &Outcome, asked: bool) {
    match outcome {
        Outcome::Unchanged if asked => tracing::info!(source, "files unchanged"),
        Outcome::StillRefused(problem) if !asked => tracing::debug!(source, "files still refused: {problem}"),
        Outcome::Unchanged => {}
        Outcome::Applied(warnings) => {
            tracing::info!(source, "reloaded");
            for warning in warnings {
                tracing::warn!(source, line = warning.line, "{}", warning.text);
            }
        }
        Outcome::Refused(problem) | Outcome::StillRefused(problem) => {
            tracing::error!(source, "not reloaded, what was served before still is: {problem}");
        }
    }
}

#[cfg(test)]
mod tests;
