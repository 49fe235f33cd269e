//! Waiting for a tick that is counted from where a failure's work began, and that says nothing of when it ended.
//!
//! The runtime's own timers will not do: it sleeps for whole milliseconds from the instant at which it has nothing else
//! to do, so that it wakes later by what the work took. A thread of its own waits for instants.

use std::{
    collections::BTreeMap,
    sync::{
        LazyLock,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

/// More than failures of one kind and another differ in their work.
const TICK: Duration = Duration::from_millis(5);

/// When to wake whom.
type Alarm = (Instant, oneshot::Sender<()>);

/// The thread that wakes; none where the system gives none.
static ALARMS: LazyLock<Option<mpsc::Sender<Alarm>>> = LazyLock::new(|| {
    let (alarms, set) = mpsc::channel();
    thread::Builder::new().name("ticks".into()).spawn(move || wake(&set)).ok().map(|_| alarms)
});

/// Waits until the next multiple of 5 ms after `begin`. Never wakes before it.
pub(super) async fn tick_after(begin: Instant) {
    let ticks = begin.elapsed().as_nanos() / TICK.as_nanos() + 1;
    let tick = begin + TICK * u32::try_from(ticks).unwrap_or(u32::MAX);
    let (wake, woken) = oneshot::channel();
    let set = ALARMS.as_ref().is_some_and(|alarms| alarms.send((tick, wake)).is_ok());
    if !set || woken.await.is_err() {
        tokio::time::sleep_until(tick.into()).await;
    }
}

/// Wakes each in its time.
fn wake(set: &mpsc::Receiver<Alarm>) {
    // A number tells those of one instant apart.
    let (mut alarms, mut number) = (BTreeMap::<(Instant, u64), oneshot::Sender<()>>::new(), 0);
    loop {
        let alarm = match alarms.first_key_value() {
            Some((&(tick, _), _)) => set.recv_timeout(tick.saturating_duration_since(Instant::now())),
            None => set.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match alarm {
            Ok((tick, wake)) => {
                alarms.insert((tick, number), wake);
                number += 1;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        while let Some(alarm) = alarms.first_entry()
            && alarm.key().0 <= now
        {
            // Who was given up does not listen any more.
            let _ = alarm.remove().send(());
        }
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
