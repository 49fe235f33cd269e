//! Explains messages with the diagnosis: which ones it searches for a cause, and how many at a time.
//!
//! A search ends at once if it finds the cause, and takes seconds if it does not. A page of another site can send the
//! browser here with a message that somebody has changed, and measure that time: without a limit it would read a
//! message bit by bit, as with the service (see [`crate::memory`]). So messages that arrive are explained
//! [`EXPLAINED`] times for each minute of their dates, from which their keys are derived. A form of these pages has no
//! limit: other sites cannot send it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::Utc;
use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking, time::timeout};

use crate::{
    diagnosis::{Asked, Report, diagnose, minute},
    exchange::Exchange,
    keyring::Served,
    keys::KdfPool,
    memory::Memory,
};

/// How many searches run at a time: each may take seconds of a core.
const SEARCHES: usize = 1;
/// How long a page waits for its search to begin.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many messages with dates of one minute are explained if they arrive and do not open.
const EXPLAINED: u32 = 64;
/// How many minutes are remembered.
const MINUTES: usize = 1000;

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
    /// Too many messages of this minute have not opened.
    TooMany,
    /// These pages explain nothing.
    Off,
}

/// The diagnosis, with its limits.
pub(super) struct Explanations {
    keyring: Arc<Served>,
    keys: Arc<KdfPool>,
    searches: Arc<Semaphore>,
    /// Minutes of dates, the newest last, each with the number of messages that were explained.
    minutes: Mutex<VecDeque<(String, u32)>>,
    /// Whether messages that arrive are explained.
    pub(super) is_on: bool,
}

impl Explanations {
    pub(super) fn new(keyring: Arc<Served>, keys: Arc<KdfPool>) -> Self {
        let searches = Arc::new(Semaphore::new(SEARCHES));
        Self { keyring, keys, searches, minutes: Mutex::default(), is_on: true }
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
        if !self.counts(&question.text) {
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

    /// The diagnosis. It holds `permit` to its end, also if nobody waits for it any longer.
    #[expect(clippy::expect_used, reason = "a panic of the diagnosis is a bug")]
    async fn explain(&self, question: Question, permit: impl Send + 'static) -> Report {
        let (keyring, keys) = (self.keyring.current().clone(), Arc::clone(&self.keys));
        let runtime = Handle::current();
        let search = move || {
            let _permit = permit;
            // A separate memory: a diagnosis must not count as an opening.
            let exchange = Exchange::new(keys, Arc::new(Memory::default()));
            let Question { text, fiu, aa } = question;
            let asked = Asked { text: &text, fiu: fiu.as_deref(), aa: aa.as_deref(), now: Utc::now() };
            runtime.block_on(diagnose(&exchange, &keyring, asked))
        };
        spawn_blocking(search).await.expect("the diagnosis does not panic")
    }

    /// Counts a message of its minute. False if the minute has had too many.
    fn counts(&self, text: &str) -> bool {
        // Nothing is searched in a text without the parameters of a message.
        let Some(minute) = minute(text) else { return true };
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, count)) = minutes.iter_mut().find(|(known, _)| *known == minute) {
            *count += 1;
            return *count <= EXPLAINED;
        }
        if minutes.len() == MINUTES {
            minutes.pop_front();
        }
        minutes.push_back((minute, 1));
        true
    }
}
