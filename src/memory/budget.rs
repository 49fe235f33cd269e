//! The failure budget: how many messages with the same last block, or with the same date, may fail before such messages
//! are no longer decrypted.
//!
//! CBC without a MAC can be decrypted by anybody who can ask often enough whether a changed message opens (Vaudenay,
//! 2002), and each query of a padding attack ends in the block that it reads. So failures are counted for each
//! (pairing, date, last block), and as a second limit for each (pairing, date). Both legs share the counters, as they
//! share the key.
//!
//! **Who can use it up.** The counter of a message: only somebody who has seen its last block. The counter of a date:
//! anybody, since the sender's id can be forged. [`DATE_BUDGET`] failures lock one date of one pairing for sound
//! messages too. With `millis` that is one millisecond of each second of one minute. Every other date and pairing still
//! opens.
//!
//! **Where counters live.** In a sketch, a fixed table in which each counter has four cells. A counter may be too high
//! but never too low: nothing is evicted, and in a full table counters share cells, also those of other pairings. A
//! sound message is refused for failures of others only if all four of its cells are used up. With `k` used-up counters
//! among dates that end in the same 512 seconds, that happens to (1 − e^(−4k / 524,288))⁴ of messages: one in 34,000
//! for 10,000 counters, which take 320,000 failures. Failures with a different block each fill the table more slowly,
//! and reach small budgets first. In a simulation one message in a hundred is refused after this many of them within
//! those seconds: 8.9 million for a budget of 32, 2 million for 8, 300,000 for 2, 50,000 for 1. A key of the process
//! picks the cells, so that nobody can aim at them. A table takes 4.25 MiB. There are two for dates near now and, once
//! a message needs it, one for lasting dates: 12.75 MiB at most.
//!
//! **When they are forgotten.** A date near now, at most 180 seconds away (the window of the guidelines), is counted in
//! the 512-second epoch in which it stops being near. Its cells begin again at zero with the epoch after the next. A
//! date that the pairing accepts for longer (`max_age_seconds` over 180, or `check_resdate = false`) is also counted in
//! the table of lasting dates, which is never cleared and decides if the date is not near. So such dates are remembered
//! as long as the process lives. The price: after one million failures of such pairings (each block 32 times) or nine
//! million (each block once), the table begins to lock out sound messages whose date is not near, until a restart. It
//! never locks out one whose date is near. A budget can be granted twice, but not more often, if a date is not near yet
//! when it is first tried, or if a reload makes the pairing accept dates for longer.
//!
//! Counters belong to FIU id and AA id: a reload of the keyring does not change them. They belong to one process.

use std::sync::{
    Mutex, OnceLock, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{codec::date::Instants, keyring::Pairing};

use super::{
    sketch::{Counter, Sketch},
    tell_spent,
};

/// The most failures of one (pairing, date), unless the keyring turns off the budget of the pairing.
pub(super) const DATE_BUDGET: u32 = 4096;

/// Up to this distance from now a date is near: the window of the guidelines.
const NEAR: TimeDelta = TimeDelta::seconds(180);
/// The seconds of an epoch: more than the 420 for which a date of 15 digits is near, so that every near date ends in
/// this epoch or in the next.
const EPOCH: u64 = 512;
/// Cells of a table for (pairing, date, last block): 4 MiB.
const BLOCK_CELLS: usize = 1 << 19;
/// Cells of a table for (pairing, date): 256 KiB.
const DATE_CELLS: usize = 1 << 15;

/// The failures that a process remembers.
pub(super) struct Budget {
    /// Counters of dates near now, of even epochs and of odd ones.
    near: [Table; 2],
    /// Counters of dates that are accepted while they are not near.
    pub(super) lasting: OnceLock<Table>,
    /// Locked while a failure is recorded, so that exactly one failure finds that it was the last.
    noting: Mutex<()>,
    spent: AtomicU64,
    refused: AtomicU64,
}

pub(super) struct Table {
    blocks: Sketch,
    dates: Sketch,
}

/// A counter of the message is used up: it must not be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent;

/// The counters of one message.
pub(super) struct Account<'a> {
    budget: &'a Budget,
    pairing: &'a Pairing,
    /// `None` if the pairing has no budget.
    counters: Option<Counters<'a>>,
}

struct Counters<'a> {
    /// The counters of the last block and of the date.
    deciding: [Counter<'a>; 2],
    /// The same two among lasting dates, for the time when the date is no longer near.
    lasting: Option<[Counter<'a>; 2]>,
}

/// A message that is being decrypted. If it is dropped, it counts as a failure.
#[must_use = "dropped, it is a failure"]
pub(super) struct Attempt<'a> {
    account: &'a Account<'a>,
    given_back: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            near: [Table::new(), Table::new()],
            lasting: OnceLock::new(),
            noting: Mutex::default(),
            spent: AtomicU64::default(),
            refused: AtomicU64::default(),
        }
    }
}

impl Table {
    fn new() -> Self {
        Self { blocks: Sketch::new(BLOCK_CELLS), dates: Sketch::new(DATE_CELLS) }
    }

    /// The counters with these hashes; `limit` is that of the last block.
    fn counters(&self, block: u64, date: u64, limit: u32, epoch: u64) -> [Counter<'_>; 2] {
        [self.blocks.counter(block, epoch, limit.into()), self.dates.counter(date, epoch, DATE_BUDGET.into())]
    }
}

impl Budget {
    /// How many counters have been used up since the process began.
    pub(super) fn spent(&self) -> u64 {
        self.spent.load(Relaxed)
    }

    /// How many messages were not decrypted because a counter was used up, since the process began.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// The account of a message of `pairing` that is accepted `now`; `instants` are those of its date. The hashes are
    /// of pairing and date, and of these and the last block.
    pub(super) fn account<'a>(
        &'a self,
        pairing: &'a Pairing,
        date: u64,
        block: u64,
        instants: &Instants,
        now: DateTime<Utc>,
    ) -> Account<'a> {
        let counters = (pairing.failure_budget > 0).then(|| self.counters(pairing, date, block, instants, now));
        Account { budget: self, pairing, counters }
    }

    #[expect(clippy::expect_used, reason = "the codec reads no date before 2000")]
    fn counters(
        &self,
        pairing: &Pairing,
        date: u64,
        block: u64,
        instants: &Instants,
        now: DateTime<Utc>,
    ) -> Counters<'_> {
        let limit = pairing.failure_budget;
        let lasting = || self.lasting.get_or_init(Table::new).counters(block, date, limit, 0);
        let end = instants.last + NEAR;
        if now > end || now < instants.first - NEAR {
            return Counters { deciding: lasting(), lasting: None };
        }
        let epoch = u64::try_from(end.timestamp()).expect("a date is of 2000 or later") / EPOCH;
        let table = &self.near[usize::from(!epoch.is_multiple_of(2))];
        let outlasts = pairing.conventions.max_age > NEAR || !pairing.conventions.check_resdate;
        let deciding = table.counters(block, date, limit, epoch);
        Counters { deciding, lasting: outlasts.then(lasting) }
    }
}

impl Counters<'_> {
    fn all(&self) -> impl Iterator<Item = &Counter<'_>> {
        self.deciding.iter().chain(self.lasting.iter().flatten())
    }
}

impl Account<'_> {
    /// Whether the message may still be decrypted. Call this before any work on the message.
    ///
    /// # Errors
    /// If a counter of the message is used up. The refusal is counted.
    pub(super) fn check(&self) -> Result<(), Spent> {
        let Some(counters) = &self.counters else { return Ok(()) };
        if counters.deciding.iter().any(Counter::is_spent) {
            self.budget.refused.fetch_add(1, Relaxed);
            return Err(Spent);
        }
        Ok(())
    }

    /// Begins the decryption. An attempt counts as a failure until it has succeeded, so that simultaneous calls cannot
    /// all pass before the first one has failed. If running attempts hold the rest of the budget, this waits for their
    /// outcome, so that they do not keep a sound message out. No `await` may stand between this and the end of the
    /// attempt: attempts then last microseconds, and a call that is given up holds none.
    ///
    /// # Errors
    /// If a counter of the message is used up. The refusal is counted.
    pub(super) async fn begin(&self) -> Result<Attempt<'_>, Spent> {
        loop {
            self.check()?;
            let Some(counters) = &self.counters else { break };
            counters.all().for_each(Counter::begin);
            // If several begin at once, the last one sees all others in each of its cells. So no more of them pass than
            // the budget has left.
            if !counters.deciding.iter().any(Counter::is_overdrawn) {
                break;
            }
            counters.all().for_each(Counter::give_back);
            tokio::task::yield_now().await;
        }
        Ok(Attempt { account: self, given_back: false })
    }

    fn note_failure(&self, counters: &Counters<'_>) {
        let noting = self.budget.noting.lock().unwrap_or_else(PoisonError::into_inner);
        let before = counters.deciding.each_ref().map(Counter::is_spent);
        counters.all().for_each(|counter| counter.fail(&noting));
        let after = counters.deciding.each_ref().map(Counter::is_spent);
        drop(noting);
        for (at, of) in ["message", "date"].into_iter().enumerate() {
            if after[at] && !before[at] {
                self.budget.spent.fetch_add(1, Relaxed);
                tell_spent(self.pairing, of);
            }
        }
    }
}

impl Attempt<'_> {
    /// Ends the attempt without a failure.
    pub(super) fn give_back(mut self) {
        self.given_back = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        match &self.account.counters {
            Some(counters) if self.given_back => counters.all().for_each(Counter::give_back),
            Some(counters) => self.account.note_failure(counters),
            None => {}
        }
    }
}
