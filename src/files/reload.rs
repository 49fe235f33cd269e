//! Reloads everything that is served from files. Each source is read, checked and replaced as a whole. A broken file
//! changes nothing.
//!
//! Only the content of a file counts, not its time or name. So a swapped symlink of a mounted volume is noticed, and
//! `touch` is ignored.

use std::{
    fmt,
    future::ready,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use arc_swap::{ArcSwap, Guard};
use futures_util::{
    Stream, StreamExt,
    future::{join, join_all},
    stream,
};
use tokio::{
    select,
    signal::unix::{SignalKind, signal},
    sync::watch::{self, Receiver},
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};

use super::{ReadFile, Reading, problem::Problem};

/// How often files are checked: short compared with the minute that Kubernetes takes to update a volume, and cheap for
/// hundreds of small files.
pub const POLL: Duration = Duration::from_secs(5);
/// How long changed files must stay unchanged: a file may be half written, or a key may come before its certificate.
const SETTLE: Duration = Duration::from_millis(200);
/// How long a check of one source may take before it is reported: a network mount that hangs never answers.
pub const TIME_LIMIT: Duration = Duration::from_secs(30);
/// The most such waits. If files change for longer, their last read content counts.
const SETTLE_ROUNDS: usize = 5;

/// What a check of the files of one source found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The files have not changed.
    Unchanged,
    /// The new content is served from now on, with these warnings.
    Applied(Vec<Problem>),
    /// The files have changed and cannot be used, for this reason. The old content is still served.
    Refused(String),
    /// The files are still refused, for this reason, which was reported before.
    StillRefused(String),
    /// The check takes longer than the time limit. Another outcome follows if it ever ends.
    Late,
}

/// Something that is served from files.
pub trait Source: Send + Sync {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Reads the files. If they have changed and are good, serves their content from now on.
    ///
    /// Blocks: reads files, and waits up to a second until changed files stay unchanged.
    fn check(&self) -> Outcome;
}

type Load<T> = dyn Fn(&ReadFile<'_>) -> Result<(T, Vec<Problem>), String> + Send + Sync;

/// A `T` that is served from files. A holder of one `T` keeps it, even if the files change.
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
    /// Loads the first content of `name`, with its warnings. `load` must read files only through its argument.
    /// Everything else that it depends on counts as constant.
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

    /// The files that were read last, in that order.
    pub fn files(&self) -> Vec<PathBuf> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.reading.files().map(PathBuf::from).collect()
    }

    /// What is served now. A call that waits should clone the `Arc` in it: only a few guards at a time are cheap.
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
        // Refused files are loaded again each time: a certificate may have become valid.
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
            // The files changed, and then changed back.
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

/// Each SIGHUP from now on. The signal no longer ends the process.
///
/// # Errors
/// If the system cannot deliver the signal.
pub fn hangups() -> io::Result<impl Stream<Item = ()>> {
    let mut hangups = signal(SignalKind::hangup())?;
    Ok(stream::poll_fn(move |context| hangups.poll_recv(context)))
}

/// Checks each of `sources` after every `every` and at each of `hangups`, and logs what is new. It gives each outcome
/// with its source's name to `report`. A check that takes longer than `limit` is [`Outcome::Late`]. No source waits for
/// another. Never ends.
pub async fn watch(
    sources: Vec<Arc<dyn Source>>,
    hangups: impl Stream<Item = ()>,
    [every, limit]: [Duration; 2],
    report: impl Fn(&'static str, &Outcome),
) {
    let asked = watch::Sender::new(());
    let each = sources.into_iter().map(|source| watch_one(source, asked.subscribe(), [every, limit], &report));
    let asking = hangups.for_each(|()| {
        asked.send_replace(());
        ready(())
    });
    join(join_all(each), asking).await;
}

async fn watch_one(
    source: Arc<dyn Source>,
    mut asked: Receiver<()>,
    [every, limit]: [Duration; 2],
    report: &impl Fn(&'static str, &Outcome),
) {
    let mut ticks = interval_at(Instant::now() + every, every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = select! {
            Ok(()) = asked.changed() => true,
            _ = ticks.tick() => false,
        };
        let checked = Arc::clone(&source);
        let mut check = spawn_blocking(move || checked.check());
        let tell = |outcome: &Outcome| {
            log(source.name(), outcome, asked);
            report(source.name(), outcome);
        };
        let checked = match timeout(limit, &mut check).await {
            Ok(checked) => checked,
            Err(_) => {
                tell(&Outcome::Late);
                // A second check would only wait too.
                check.await
            }
        };
        tell(&checked.unwrap_or_else(|_| Outcome::Refused("the check panicked: a bug of this program".into())));
    }
}

/// Logs what is new. If an operator `asked` with a signal, also logs what is unchanged.
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
            tracing::error!(source, "not reloaded, the old content is still served: {problem}");
        }
        Outcome::Late => {
            tracing::error!(source, "not checked, the old content is still served: the files do not answer");
        }
    }
}

#[cfg(test)]
mod tests;
