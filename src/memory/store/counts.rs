//! Counts the operations of the store in plain counters, which metrics read.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// An operation of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reserves a failure.
    Reserve,
    /// Notes the outcome of a decryption.
    Resolve,
    /// Gives back the reservation of a call that was given up, and forgets its opening; or confirms an opening.
    Release,
}

/// The outcome of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// An answer.
    Ok,
    /// No answer in time.
    Timeout,
    /// An error, or no connection.
    Error,
}

impl Operation {
    /// All values, each with its name.
    pub const ALL: [(Self, &'static str); 3] =
        [(Self::Reserve, "reserve"), (Self::Resolve, "resolve"), (Self::Release, "release")];
}

impl Answer {
    /// All values, each with its name.
    pub const ALL: [(Self, &'static str); 3] = [(Self::Ok, "ok"), (Self::Timeout, "timeout"), (Self::Error, "error")];
}

/// Upper bounds of the times that are counted, in microseconds.
pub const BOUNDS: [u64; 10] = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000];

/// The counters.
#[derive(Debug, Default)]
pub struct Counts {
    answers: [[AtomicU64; 3]; 3],
    /// By the first of [`BOUNDS`] that is at least the time. The last counter is for longer times.
    times: [AtomicU64; BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl Counts {
    pub(super) fn note(&self, operation: Operation, answer: Answer, time: Duration) {
        self.answers[operation as usize][answer as usize].fetch_add(1, Relaxed);
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bound = BOUNDS.iter().position(|&bound| microseconds <= bound).unwrap_or(BOUNDS.len());
        self.times[bound].fetch_add(1, Relaxed);
        self.microseconds.fetch_add(microseconds, Relaxed);
    }

    /// How often an operation had this outcome.
    pub fn answers(&self, operation: Operation, answer: Answer) -> u64 {
        self.answers[operation as usize][answer as usize].load(Relaxed)
    }

    /// How many operations took up to each of [`BOUNDS`] and longer than the bound before it; the last ones took
    /// longer.
    pub fn times(&self) -> [u64; BOUNDS.len() + 1] {
        self.times.each_ref().map(|count| count.load(Relaxed))
    }

    /// The sum of the times of all operations.
    pub fn total(&self) -> Duration {
        Duration::from_micros(self.microseconds.load(Relaxed))
    }
}
