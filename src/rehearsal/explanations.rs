//! Explains messages with the diagnosis: which ones it searches for a cause, and how many at a time.
//!
//! A search ends at once if it finds the cause, and takes seconds if it does not. A page of another site can send the
//! browser here with a message that somebody has changed, and measure that time, if the browser lets it open windows:
//! without a limit it would read a message bit by bit, as with the service (see [`crate::memory`]). So messages that
//! arrive and do not open are explained only [`BURST`] times, and then one each [`PAUSE`]. A form of these pages has no
//! limit: other sites cannot send it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::Utc;
use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::{
    diagnosis::{Asked, Report, diagnose, message_in},
    exchange::Exchange,
    keyring::Served,
    keys::KdfPool,
    memory::Memory,
};

/// How many diagnoses run at a time: each has a memory of its own, of some 25 MiB.
const DIAGNOSES: usize = 2;
/// How many of them may search for a cause: that may take seconds of a core. The others take milliseconds.
const SEARCHES: usize = 1;
/// How long a page waits for its search to begin.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many messages that do not open are explained without a pause.
const BURST: u32 = 60;
/// After this time one more is explained.
const PAUSE: Duration = Duration::from_secs(5);

/// A message that is to be explained.
pub(super) struct Question {
    /// The URL, or what was pasted.
    pub(super) text: String,
    /// Only pairings of this FIU, if it is named.
    pub(super) fiu: Option<String>,
    /// Only pairings of this AA, if it is named.
    pub(super) aa: Option<String>,
}

/// Why a message is not explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unexplained {
    /// Other searches are running.
    Busy,
    /// Too many messages have not opened in a short time.
    TooMany,
    /// These pages explain nothing.
    Off,
}

/// The diagnosis, with its limits.
pub(super) struct Explanations {
    keyring: Arc<Served>,
    keys: Arc<KdfPool>,
    diagnoses: Arc<Semaphore>,
    searches: Arc<Semaphore>,
    pace: Pace,
    /// Whether messages that arrive are explained.
    pub(super) is_on: bool,
}

impl Explanations {
    pub(super) fn new(keyring: Arc<Served>, keys: Arc<KdfPool>) -> Self {
        let [diagnoses, searches] = [DIAGNOSES, SEARCHES].map(|most| Arc::new(Semaphore::new(most)));
        Self { keyring, keys, diagnoses, searches, pace: Pace::new(Instant::now()), is_on: true }
    }

    /// Everything about a message that has arrived and opened: nothing is searched.
    pub(super) async fn of_opened(&self, question: Question) -> Result<Report, Unexplained> {
        if !self.is_on {
            return Err(Unexplained::Off);
        }
        Ok(self.explain(question, ()).await)
    }

    /// Everything about a message that has arrived and did not open.
    pub(super) async fn of_refused(&self, question: Question) -> Result<Report, Unexplained> {
        if !self.is_on {
            return Err(Unexplained::Off);
        }
        if !self.pace.admits(Instant::now()) {
            return Err(Unexplained::TooMany);
        }
        self.of_pasted(question).await
    }

    /// Everything about a message in a form of these pages. Nothing of it is stored.
    #[expect(clippy::expect_used, reason = "the semaphore is never closed")]
    pub(super) async fn of_pasted(&self, question: Question) -> Result<Report, Unexplained> {
        let permit = timeout(PATIENCE, Arc::clone(&self.searches).acquire_owned()).await;
        let permit = permit.map_err(|_| Unexplained::Busy)?.expect("never closed");
        Ok(self.explain(question, permit).await)
    }

    /// The URL or query string in a text that was pasted into a form of these pages.
    pub(super) async fn message_in(&self, text: String) -> String {
        self.run((), move || message_in(&text)).await
    }

    /// The diagnosis.
    async fn explain(&self, question: Question, permit: impl Send + 'static) -> Report {
        let (keyring, keys) = (self.keyring.current().clone(), Arc::clone(&self.keys));
        let runtime = Handle::current();
        let search = move || {
            // A separate memory: a diagnosis must not count as an opening.
            let exchange = Exchange::new(keys, Arc::new(Memory::default()));
            let Question { text, fiu, aa } = question;
            let asked = Asked { text: &text, fiu: fiu.as_deref(), aa: aa.as_deref(), now: Utc::now() };
            runtime.block_on(diagnose(&exchange, &keyring, asked))
        };
        self.run(permit, search).await
    }

    /// Runs `work` on a thread where it may take long. It holds `permit` to its end, also if nobody waits for it any
    /// longer.
    #[expect(clippy::expect_used, reason = "the semaphore is never closed, and a panic of the diagnosis is a bug")]
    async fn run<T: Send + 'static>(
        &self,
        permit: impl Send + 'static,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let turn = Arc::clone(&self.diagnoses).acquire_owned().await.expect("never closed");
        let work = move || {
            let _held = (permit, turn);
            work()
        };
        spawn_blocking(work).await.expect("the diagnosis does not panic")
    }
}

/// How many messages may be explained now, and since when. governor, the library for such limits, would be one more
/// dependency in place of these lines, and no faster.
struct Pace(Mutex<(u32, Instant)>);

impl Pace {
    fn new(now: Instant) -> Self {
        Self(Mutex::new((BURST, now)))
    }

    /// Counts a message that arrives `now`. False if too many came before it.
    fn admits(&self, now: Instant) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, since) = *left;
        let more = u32::try_from((now - since).as_secs() / PAUSE.as_secs()).unwrap_or(BURST);
        let (count, since) = if more == 0 { (count, since) } else { (count.saturating_add(more).min(BURST), now) };
        *left = (count.saturating_sub(1), since);
        count > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{files::ReadFile, keyring::sandbox};

    #[tokio::test]
    async fn no_more_than_two_diagnoses_run_at_a_time() {
        let load = |_: &ReadFile<'_>| Ok::<_, String>((sandbox().map_err(|_| "no sandbox")?, Vec::new()));
        let (keyring, _) = Served::load("keyring", load).expect("the sandbox");
        let keyring = Arc::new(keyring);
        let explanations = Explanations::new(keyring, Arc::new(KdfPool::new(1).expect("threads")));
        let explanations = Arc::new(explanations);
        let ask = |text: &str| {
            let (own, text) = (Arc::clone(&explanations), text.to_owned());
            tokio::spawn(async move { own.of_opened(Question { text, fiu: None, aa: None }).await.map(|_| ()) })
        };
        let running = Arc::clone(&explanations.diagnoses).acquire_many_owned(2).await.expect("never closed");
        let third = ask("?fi=x");
        let other = Explanations::new(Arc::clone(&explanations.keyring), Arc::clone(&explanations.keys));
        for _ in 0..3 {
            assert_eq!(other.of_opened(Question { text: "?fi=x".to_owned(), fiu: None, aa: None }).await.err(), None);
        }
        assert!(!third.is_finished(), "it waits for the others");
        drop(running);
        assert_eq!(third.await.expect("no panic"), Ok(()));
    }

    #[test]
    fn messages_are_explained_up_to_a_burst_and_then_one_each_pause() {
        let begin = Instant::now();
        let pace = Pace::new(begin);
        let admitted = |count: u32, now| (0..count).filter(|_| pace.admits(now)).count();
        assert_eq!(admitted(200, begin), 60);
        assert_eq!(admitted(200, begin + PAUSE * 3), 3);
        assert_eq!(admitted(200, begin + PAUSE * 1000), 60);
    }
}
