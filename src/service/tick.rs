//! Waiting for a tick that is counted from where a failure's work began, and that says nothing of when it ended.
//!
//! The runtime's own timers will not do: it sleeps for whole milliseconds from the instant at which it has nothing else
//! to do, so that it wakes later by what the work took. A thread of its own waits for instants, and is woken itself only
//! by one that comes before all others: a flood of failures costs little more than its work.

use std::{
    collections::BTreeMap,
    sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

/// More than failures of one kind and another differ in their work.
const TICK: Duration = Duration::from_millis(5);
/// Ticks are put off to a multiple of this, so that those of a flood come together.
const GRID: Duration = Duration::from_millis(1);

/// Whom to wake when.
type Alarms = BTreeMap<Instant, Vec<oneshot::Sender<()>>>;

static ALARMS: Mutex<Alarms> = Mutex::new(BTreeMap::new());
/// Told of an alarm that comes before all others.
static SOONER: Condvar = Condvar::new();
/// Where the grid begins: with the first failure, which starts the thread. None where the system gives no thread.
static BEGIN: LazyLock<Option<Instant>> =
    LazyLock::new(|| thread::Builder::new().name("ticks".into()).spawn(wake).ok().map(|_| Instant::now()));

fn alarms() -> MutexGuard<'static, Alarms> {
    ALARMS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until the next multiple of 5 ms after `begin`, and for up to a millisecond more, which depends on
/// `begin` alone. Never wakes before it.
pub(super) async fn tick_after(begin: Instant) {
    let ticks = begin.elapsed().as_nanos() / TICK.as_nanos() + 1;
    let tick = begin + TICK * u32::try_from(ticks).unwrap_or(u32::MAX);
    let Some(grid) = *BEGIN else { return tokio::time::sleep_until(tick.into()).await };
    let past = tick.duration_since(grid).as_nanos() % GRID.as_nanos();
    let tick = tick + GRID.saturating_sub(Duration::from_nanos(u64::try_from(past).unwrap_or_default()));
    let (wake, woken) = oneshot::channel();
    {
        let mut alarms = alarms();
        if alarms.first_key_value().is_none_or(|(&first, _)| tick < first) {
            SOONER.notify_one();
        }
        alarms.entry(tick).or_default().push(wake);
    }
    // The thread never ends, nor drops what it has not sent.
    let _ = woken.await;
}

/// Wakes each in its time, for as long as the process lives.
fn wake() {
    let mut waiting = alarms();
    loop {
        let (now, next) = (Instant::now(), waiting.first_key_value().map(|(&tick, _)| tick));
        waiting = match next {
            None => SOONER.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            Some(tick) if now < tick => {
                SOONER.wait_timeout(waiting, tick.duration_since(now)).unwrap_or_else(PoisonError::into_inner).0
            }
            Some(tick) => {
                let woken = waiting.remove(&tick).unwrap_or_default();
                drop(waiting);
                for wake in woken {
                    // Who was given up does not listen any more.
                    let _ = wake.send(());
                }
                alarms()
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_failure_leaves_whole_ticks_after_its_work_began() {
        for microseconds in (0..12_000).step_by(500) {
            let begin = Instant::now();
            let work = Duration::from_micros(microseconds);
            thread::sleep(work);
            tick_after(begin).await;
            let ticks = work.as_micros() / TICK.as_micros() + 1;
            assert!(begin.elapsed() >= TICK * u32::try_from(ticks).unwrap(), "{work:?}");
        }
    }

    #[tokio::test]
    async fn failures_that_began_in_any_order_each_leave_at_ticks_of_their_own() {
        let now = Instant::now();
        let began = (0..100_u64).map(|number| now + Duration::from_micros(number * 7_919 % 5_000));
        join_all(began.map(async |begin| {
            tick_after(begin).await;
            assert!(begin.elapsed() >= TICK);
        }))
        .await;
    }
}
