//! The failure budget: how many messages that end in the same block, or bear the same date, may fail before such messages
//! are no longer decrypted.
//!
//! CBC without a MAC is read by whoever can ask often enough whether a changed message opens (Vaudenay, 2002), and each
//! query of a padding attack ends in the block that it reads. So failures are counted for each (pairing, date, last block)
//! and, as a coarse wall, for each (pairing, date). Both legs share the counters, as they share the key. Successes are not
//! counted.
//!
//! **Who can spend it.** The counter of a message: only he who has seen its last block. The counter of a date: anybody,
//! since the sender's id can be forged. [`DATE_BUDGET`] failures shut one date of one pairing to sound messages too: with
//! `millis`, what is written in one millisecond of each second of a minute. Every other date and pairing still opens.
//!
//! **Where counters live.** In a sketch, a fixed table in which each counter has four cells. It may stand too high
//! but never too low: nothing is evicted to make room, and a full table is one whose counters are shared. A sound message
//! is refused for others' failures only where all four of its cells are spent. With `k` spent counters among dates that end
//! in the same 512 seconds that meets (1 − e^(−4k / 524,288))⁴ of messages: one in 34,000 for 10,000 spent counters, which
//! take 320,000 failures. Cells are picked with a key of the process, so that nobody can aim at them. A table takes 4.25
//! MiB; there are two for dates near now and, once a message needs it, one for lasting dates: 12.75 MiB at most.
//!
//! **When they are forgotten.** A date near now, at most the guidelines' 180 seconds away, is counted in the 512-second
//! epoch in which it ceases to be near; its cells start anew with the epoch after the next. A date that the pairing accepts
//! for longer (`max_age_seconds` over 180, or `check_resdate = false`) is counted in the table of lasting dates too, which
//! is never cleared and decides where the date is not near. So such dates are remembered for as long as the process lives.
//! Some three million failures fill that table, and it then shuts out messages whose date is not near until a restart, but
//! none whose date is. A counter can be had twice, not more often, where a date is not near yet when it is first tried, or
//! where a reload makes the pairing accept dates for longer.
//!
//! Counters go by FIU id and AA id: a reload of the keyring leaves them as they are. They are those of one process.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use chrono::{DateTime, TimeDelta, Utc};

use crate::codec::{Envelope, cipher::BLOCK, date::Instants};

use super::Pairing;

mod sketch;

use sketch::{Counter, Sketch};

/// Failures of one (pairing, date, last block) where the keyring does not say.
pub const FAILURE_BUDGET: u32 = 32;
/// Failures of one (pairing, date), unless the keyring turns the pairing's budget off.
pub const DATE_BUDGET: u32 = 4096;

/// How far from now a date is near: the guidelines' window.
const NEAR: TimeDelta = TimeDelta::seconds(180);
/// Seconds of an epoch: more than the 420 for which a date of 15 digits is near, so that what is near ends in this epoch or
/// in the next.
const EPOCH: u64 = 512;
/// Cells of a table for (pairing, date, last block): 4 MiB.
const BLOCK_CELLS: usize = 1 << 19;
/// Cells of a table for (pairing, date): 256 KiB.
const DATE_CELLS: usize = 1 << 15;

/// The failures that a process remembers.
pub struct Budget {
    hasher: RandomState,
    /// Counters of dates near now, of even epochs and of odd ones.
    near: [Table; 2],
    /// Counters of dates that are accepted while they are not near.
    lasting: OnceLock<Table>,
    /// Held while a failure is noted, so that exactly one finds that it was the last.
    noting: Mutex<()>,
    spent: AtomicU64,
    refused: AtomicU64,
}

struct Table {
    blocks: Sketch,
    dates: Sketch,
}

/// A counter of the message is spent: it must not be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent;

/// What one message is counted under.
pub struct Account<'a> {
    budget: &'a Budget,
    pairing: &'a Pairing,
    /// None where the pairing has no budget.
    counters: Option<Counters<'a>>,
}

struct Counters<'a> {
    /// Of the last block and of the date.
    deciding: [Counter<'a>; 2],
    /// The same two among lasting dates, for the time when the date is no longer near.
    lasting: Option<[Counter<'a>; 2]>,
}

/// A message that is being decrypted. Dropped, it is a failure.
#[must_use = "dropped, it is a failure"]
pub struct Attempt<'a> {
    account: &'a Account<'a>,
    succeeded: bool,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
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
    /// How many counters have been spent since the process began.
    pub fn spent(&self) -> u64 {
        self.spent.load(Relaxed)
    }

    /// How many messages were not decrypted because a counter was spent, since the process began.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// The account of a message of `pairing` that is accepted `now`; `instants` are those of its date.
    pub fn account<'a>(
        &'a self,
        pairing: &'a Pairing,
        envelope: &Envelope,
        instants: &Instants,
        now: DateTime<Utc>,
    ) -> Account<'a> {
        let counters = (pairing.failure_budget > 0).then(|| self.counters(pairing, envelope, instants, now));
        Account { budget: self, pairing, counters }
    }

    fn counters(
        &self,
        pairing: &Pairing,
        envelope: &Envelope,
        instants: &Instants,
        now: DateTime<Utc>,
    ) -> Counters<'_> {
        // The characters, since they are the salt: other digits for the same instant give another key.
        let date = self.hasher.hash_one((&pairing.fiu, &pairing.aa, envelope.date.text()));
        let block = self.hasher.hash_one((date, envelope.ciphertext.last_chunk::<BLOCK>()));
        let limit = pairing.failure_budget;
        let lasting = || self.lasting.get_or_init(Table::new).counters(block, date, limit, 1);
        let end = instants.last + NEAR;
        if now > end || now < instants.first - NEAR {
            return Counters { deciding: lasting(), lasting: None };
        }
        let epoch = 1 + u64::try_from(end.timestamp()).unwrap_or_default() / EPOCH;
        let table = &self.near[usize::from(!epoch.is_multiple_of(2))];
        let outlasts = pairing.conventions.max_age > NEAR || !pairing.conventions.check_resdate;
        Counters { deciding: table.counters(block, date, limit, epoch), lasting: outlasts.then(lasting) }
    }
}

impl Counters<'_> {
    fn all(&self) -> impl Iterator<Item = &Counter<'_>> {
        self.deciding.iter().chain(self.lasting.iter().flatten())
    }
}

impl Account<'_> {
    /// Whether the message may still be decrypted: asked before any work is done for it.
    ///
    /// # Errors
    /// Where a counter of it is spent; the refusal is counted.
    pub fn check(&self) -> Result<(), Spent> {
        let Some(counters) = &self.counters else { return Ok(()) };
        if counters.deciding.iter().any(Counter::is_spent) {
            self.budget.refused.fetch_add(1, Relaxed);
            return Err(Spent);
        }
        Ok(())
    }

    /// Begins the decryption. An attempt is charged until it has succeeded, so that calls that come at once cannot all pass
    /// before the first has failed; and where attempts that still run hold the rest of the budget, this waits for what
    /// becomes of them, so that they keep no sound message out. No `await` may stand between this and the end of the
    /// attempt: they then last microseconds, and a call that is given up holds none.
    ///
    /// # Errors
    /// Where a counter of it is spent; the refusal is counted.
    pub async fn begin(&self) -> Result<Attempt<'_>, Spent> {
        loop {
            self.check()?;
            let Some(counters) = &self.counters else { break };
            counters.all().for_each(Counter::begin);
            // Of any that begin at once, the last one sees all others in each of its cells: no more get through than the
            // budget has left.
            if !counters.deciding.iter().any(Counter::is_overdrawn) {
                break;
            }
            counters.all().for_each(Counter::give_back);
            tokio::task::yield_now().await;
        }
        Ok(Attempt { account: self, succeeded: false })
    }

    fn note_failure(&self, counters: &Counters<'_>) {
        let noting = self.budget.noting.lock().unwrap_or_else(PoisonError::into_inner);
        let before = counters.deciding.each_ref().map(Counter::is_spent);
        counters.all().for_each(Counter::fail);
        let after = counters.deciding.each_ref().map(Counter::is_spent);
        drop(noting);
        for (at, of) in ["message", "date"].into_iter().enumerate() {
            if after[at] && !before[at] {
                self.budget.spent.fetch_add(1, Relaxed);
                let Pairing { fiu, aa, .. } = self.pairing;
                tracing::warn!(fiu, aa, of, "a failure budget is spent: messages under it are not decrypted any more");
            }
        }
    }
}

impl Attempt<'_> {
    /// The message was opened: nothing is charged.
    pub fn succeed(mut self) {
        self.succeeded = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        match &self.account.counters {
            Some(counters) if self.succeeded => counters.all().for_each(Counter::give_back),
            Some(counters) => self.account.note_failure(counters),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use futures_util::{FutureExt, future::join_all};
    use zeroize::Zeroizing;

    use super::*;
    use crate::{
        codec::{Deviations, date::WireDate},
        keyring::{Keyring, file},
    };

    const DATE: &str = "211120261040756";

    /// A pairing of `fiu` with the AA `aa`, with settings added.
    fn pairing_of(fiu: &str, settings: &str) -> Arc<Pairing> {
        let text = format!(
            "[[pairing]]\nfiu = \"{fiu}\"\naa = \"aa\"\nprofile = \"iv\"\n{settings}\n\
             secrets = [{{ id = \"a\", file = \"a\" }}]"
        );
        let (keyring, _): (Keyring, _) = file::parse(&text, &|_| Ok(Zeroizing::new(b"secret".to_vec()))).unwrap();
        Arc::clone(keyring.pairings().next().unwrap())
    }

    fn pairing(settings: &str) -> Arc<Pairing> {
        pairing_of("fiu", settings)
    }

    fn instant(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn now() -> DateTime<Utc> {
        instant("2026-11-21T10:40:23.756Z")
    }

    /// The account of a message with `date` whose last block is all of `block`.
    fn account<'a>(
        budget: &'a Budget,
        pairing: &'a Pairing,
        date: &str,
        block: u32,
        now: DateTime<Utc>,
    ) -> Account<'a> {
        let date = WireDate::parse(date).unwrap();
        let instants = date.instants(pairing.conventions.date, pairing.conventions.read_date).unwrap();
        let ciphertext = [[0; 28].as_slice(), &block.to_be_bytes()].concat();
        let envelope = Envelope {
            date,
            sender: String::new(),
            requestor_type: None,
            iv: None,
            ciphertext,
            deviations: Deviations::default(),
        };
        budget.account(pairing, &envelope, &instants, now)
    }

    /// Fails so many times, or until that is refused; says how often it failed.
    fn fail(account: &Account<'_>, times: usize) -> usize {
        (0..times).map_while(|_| account.begin().now_or_never().unwrap().ok()).count()
    }

    #[test]
    fn a_spent_budget_shuts_out_its_own_last_block_date_and_pairing_only() {
        let (budget, pairing, other) = (Budget::default(), pairing(""), pairing_of("other", ""));
        assert_eq!(fail(&account(&budget, &pairing, DATE, 1, now()), 100), 32);
        assert_eq!(account(&budget, &pairing, DATE, 1, now()).check(), Err(Spent));
        assert_eq!(account(&budget, &pairing, DATE, 2, now()).check(), Ok(()));
        assert_eq!(account(&budget, &pairing, "211120261040757", 1, now()).check(), Ok(()));
        assert_eq!(account(&budget, &pairing, "21112026104023756", 1, now()).check(), Ok(()));
        assert_eq!(account(&budget, &other, DATE, 1, now()).check(), Ok(()));
        assert_eq!((budget.spent(), budget.refused()), (1, 2));
    }

    #[test]
    fn the_pairings_own_budget_counts_and_zero_is_none() {
        let budget = Budget::default();
        assert_eq!(fail(&account(&budget, &pairing("failure_budget = 1"), DATE, 1, now()), 100), 1);
        assert_eq!(fail(&account(&budget, &pairing("failure_budget = 0"), DATE, 1, now()), 10_000), 10_000);
        assert_eq!(fail(&account(&budget, &pairing("failure_budget = 9000"), DATE, 2, now()), 10_000), 4095);
    }

    #[test]
    fn a_date_is_shut_after_4096_failures_whatever_they_end_in() {
        let (budget, pairing) = (Budget::default(), pairing(""));
        for block in 0..4096 {
            assert_eq!(account(&budget, &pairing, DATE, 1_000_000, now()).check(), Ok(()), "{block}");
            assert_eq!(fail(&account(&budget, &pairing, DATE, block, now()), 1), 1);
        }
        assert_eq!(account(&budget, &pairing, DATE, 1_000_000, now()).check(), Err(Spent));
        assert_eq!(account(&budget, &pairing, "211120261040757", 1_000_000, now()).check(), Ok(()));
    }

    #[test]
    fn successes_spend_nothing() {
        let (budget, pairing) = (Budget::default(), pairing(""));
        let account = account(&budget, &pairing, DATE, 1, now());
        for _ in 0..10_000 {
            account.begin().now_or_never().unwrap().unwrap().succeed();
        }
        assert_eq!(fail(&account, 100), 32);
    }

    #[test]
    fn a_reload_of_the_keyring_forgets_nothing() {
        let budget = Budget::default();
        fail(&account(&budget, &pairing(""), DATE, 1, now()), 32);
        assert_eq!(account(&budget, &pairing("handles = [\"new\"]"), DATE, 1, now()).check(), Err(Spent));
    }

    #[test]
    fn a_spent_counter_is_remembered_while_its_date_can_be_accepted_whatever_else_fails() {
        for start in ["2026-11-21T10:37:00Z", "2026-11-21T10:39:59Z", "2026-11-21T10:44:00Z"] {
            let (budget, pairing, other) = (Budget::default(), pairing(""), pairing_of("other", ""));
            let (mut now, last) = (instant(start), instant("2026-11-21T10:44:00Z"));
            assert_eq!(fail(&account(&budget, &pairing, DATE, 1, now), 100), 32);
            let mut block = 0;
            while now <= last {
                // Others fail with every date that is near then, so that all their epochs are at work.
                for seconds in (-180..=180).step_by(20) {
                    let date = (now + TimeDelta::seconds(seconds)).format("%d%m%Y%H%M%S").to_string();
                    block += 1;
                    fail(&account(&budget, &other, &date, block, now), 32);
                }
                assert_eq!(account(&budget, &pairing, DATE, 1, now).check(), Err(Spent), "{now}");
                now += TimeDelta::seconds(1);
            }
        }
    }

    #[test]
    fn the_cells_of_a_date_that_has_gone_count_from_nothing() {
        let (budget, pairing) = (Budget::default(), pairing(""));
        // The same date text, so the same cells, as long after as makes its epoch another of the same table.
        let later = |epochs: i64| {
            let by = TimeDelta::seconds(epochs * 512);
            let date = WireDate::parse(DATE).unwrap();
            let mut instants = date.instants(pairing.conventions.date, pairing.conventions.read_date).unwrap();
            (instants.first, instants.last) = (instants.first + by, instants.last + by);
            let (sender, ciphertext) = (String::new(), vec![0; 16]);
            let (requestor_type, iv, deviations) = (None, None, Deviations::default());
            let envelope = Envelope { date, sender, requestor_type, iv, ciphertext, deviations };
            budget.account(&pairing, &envelope, &instants, now() + by)
        };
        assert_eq!(fail(&later(0), 100), 32);
        assert_eq!(fail(&later(2), 100), 32, "nothing is left of the earlier epoch");
        assert_eq!(later(2).check(), Err(Spent));
    }

    #[test]
    fn a_date_that_is_accepted_for_ever_is_remembered_for_ever() {
        for settings in ["check_resdate = false", "max_age_seconds = 1000000000"] {
            let (budget, pairing) = (Budget::default(), pairing(settings));
            assert_eq!(fail(&account(&budget, &pairing, DATE, 1, now()), 100), 32);
            for later in
                ["2026-11-21T10:43:59Z", "2026-11-21T10:44:01Z", "2026-11-22T10:00:00Z", "2056-01-01T00:00:00Z"]
            {
                let account = account(&budget, &pairing, DATE, 1, instant(later));
                assert_eq!(account.check(), Err(Spent), "{settings} {later}");
            }
        }
    }

    #[test]
    fn a_date_tried_while_it_is_far_has_one_more_budget_when_it_is_near_and_no_third() {
        let (budget, pairing) = (Budget::default(), pairing("check_resdate = false"));
        let at = |now| account(&budget, &pairing, DATE, 1, instant(now));
        assert_eq!(fail(&at("2026-11-20T00:00:00Z"), 100), 32);
        assert_eq!(fail(&at("2026-11-21T10:40:00Z"), 100), 32);
        assert_eq!(fail(&at("2026-11-22T00:00:00Z"), 100), 0);
    }

    #[test]
    fn attempts_at_once_wait_for_each_other_and_successes_keep_none_out() {
        let (budget, pairing) = (Budget::default(), pairing(""));
        let account = account(&budget, &pairing, DATE, 1, now());
        let mut running: Vec<_> = (0..32).map(|_| account.begin().now_or_never().unwrap().unwrap()).collect();
        let mut next = Box::pin(account.begin());
        assert!((&mut next).now_or_never().is_none(), "32 may fail yet");
        running.pop().unwrap().succeed();
        (&mut next).now_or_never().unwrap().unwrap().succeed();
        // The others fail: 31 of 32.
        drop((next, running));
        assert_eq!(fail(&account, 100), 1);
    }

    #[tokio::test]
    async fn what_waits_is_refused_when_those_before_it_have_failed() {
        let (budget, pairing) = (Budget::default(), pairing(""));
        let account = account(&budget, &pairing, DATE, 1, now());
        let running: Vec<_> = (0..32).map(|_| account.begin().now_or_never().unwrap().unwrap()).collect();
        let waiting = join_all((0..1000).map(|_| account.begin()));
        let (waited, ()) = tokio::join!(waiting, async { drop(running) });
        assert!(waited.iter().all(Result::is_err));
        assert_eq!((budget.spent(), budget.refused()), (1, 1000));
    }

    #[test]
    fn an_attempt_that_ends_in_a_panic_has_failed() {
        let (budget, pairing) = (Budget::default(), pairing("failure_budget = 1"));
        let account = account(&budget, &pairing, DATE, 1, now());
        let attempt = account.begin().now_or_never().unwrap().unwrap();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _attempt = attempt;
            panic!("while decrypting");
        }));
        assert!(panicked.is_err());
        assert_eq!(account.check(), Err(Spent));
    }

    /// What was logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_spent_counter_is_logged_once_with_the_pairing_and_no_more() {
        let (budget, pairing, log) = (Budget::default(), pairing(""), Log::default());
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..3 {
                fail(&account(&budget, &pairing, DATE, 1, now()), 100);
            }
        });
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("fiu=\"fiu\" aa=\"aa\" of=\"message\"") && !log.contains(DATE), "{log}");
    }
}
