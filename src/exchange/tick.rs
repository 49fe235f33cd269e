//! Waits for a tick that counts from the beginning of a failure's work, and so hides when the work ended.
//!
//! Replaces `tokio::time::sleep_until`: that timer sleeps for whole milliseconds from the instant at which the runtime
//! has nothing else to do, so it wakes later by the time of the work, and its answers tell causes apart (|t| 4.4 to 4.8
//! over 3,000 calls of 8 KB, `cargo bench --bench timing`; at most 3.2 with this thread). A separate thread waits for
//! instants, and a new alarm wakes it only if it is earlier than all others: many failures at once cost little more
//! than their work.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

/// More than the difference in work between any two kinds of failure.
const TICK: Duration = Duration::from_millis(5);
/// Ticks are delayed to a multiple of this time, so that many failures share one wake-up.
const GRID: Duration = Duration::from_millis(1);
/// The longest sleep of the thread, so that it ends soon after its owner.
const NAP: Duration = Duration::from_secs(1);

/// A clock that failures wait for. Its thread starts with the first failure and ends with the clock.
#[derive(Default)]
pub(super) struct Ticks {
    alarms: Arc<Alarms>,
    /// The instant at which the grid begins; `None` inside if the system cannot start a thread.
    begin: OnceLock<Option<Instant>>,
}

#[derive(Default)]
struct Alarms {
    /// The alarms: the waiters to wake at each instant.
    waiting: Mutex<BTreeMap<Instant, Vec<oneshot::Sender<()>>>>,
    /// Notified of an alarm that is earlier than all others.
    sooner: Condvar,
}

impl Ticks {
    /// Waits until the next multiple of 5 ms after `begin`, and for up to a millisecond more, which depends on
    /// `begin` alone. Never wakes before it.
    pub(super) async fn after(&self, begin: Instant) {
        let ticks = begin.elapsed().as_nanos() / TICK.as_nanos() + 1;
        let tick = begin + TICK * u32::try_from(ticks).unwrap_or(u32::MAX);
        let Some(grid) = self.grid() else { return tokio::time::sleep_until(tick.into()).await };
        // The remainder is below a million nanoseconds.
        let past = tick.saturating_duration_since(grid).as_nanos() % GRID.as_nanos();
        let tick = tick + Duration::from_nanos_u128(GRID.as_nanos() - past);
        let (wake, woken) = oneshot::channel();
        {
            let mut waiting = self.alarms.lock();
            if waiting.first_key_value().is_none_or(|(&first, _)| tick < first) {
                self.alarms.sooner.notify_one();
            }
            waiting.entry(tick).or_default().push(wake);
        }
        // The thread outlives this borrow, and drops nothing that it has not sent.
        drop(woken.await);
    }

    fn grid(&self) -> Option<Instant> {
        *self.begin.get_or_init(|| {
            let alarms = Arc::downgrade(&self.alarms);
            let spawned = thread::Builder::new().name("ticks".into()).spawn(move || wake(&alarms));
            spawned.ok().map(|_| Instant::now())
        })
    }
}

impl Alarms {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Instant, Vec<oneshot::Sender<()>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the waiters whose time has come. If there are none, sleeps until the first alarm, or until an earlier one
    /// is set.
    fn turn(&self) {
        let mut waiting = self.lock();
        let now = Instant::now();
        match waiting.first_entry() {
            Some(first) if *first.key() <= now => {
                let woken = first.remove();
                drop(waiting);
                for wake in woken {
                    // The receiver may be gone, because the call ended.
                    let _ = wake.send(());
                }
            }
            first => {
                let nap = first.map_or(NAP, |first| first.key().duration_since(now).min(NAP));
                drop(self.sooner.wait_timeout(waiting, nap).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }
}

/// Wakes each waiter at its time, until the clock is dropped.
fn wake(alarms: &Weak<Alarms>) {
    while let Some(alarms) = alarms.upgrade() {
        alarms.turn();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_failure_leaves_whole_ticks_after_its_work_began() {
        let clock = Ticks::default();
        for microseconds in (0..12_000).step_by(500) {
            let begin = Instant::now();
            let work = Duration::from_micros(microseconds);
            thread::sleep(work);
            clock.after(begin).await;
            let ticks = work.as_micros() / TICK.as_micros() + 1;
            assert!(begin.elapsed() >= TICK * u32::try_from(ticks).unwrap(), "{work:?}");
        }
    }

    #[tokio::test]
    async fn failures_that_began_in_any_order_each_leave_at_their_own_tick() {
        let clock = Ticks::default();
        let now = Instant::now();
        let began = (0..100_u64).map(|number| now + Duration::from_micros(number * 7_919 % 5_000));
        join_all(began.map(async |begin| {
            clock.after(begin).await;
            assert!(begin.elapsed() >= TICK);
        }))
        .await;
    }
}
