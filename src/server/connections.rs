//! Which connections are open, which of them is idle, and which is told to close.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// Connections over the cap that may be closing while new ones are taken.
const EXCESS: usize = 1024;

/// The connections of a server.
pub(super) struct Connections {
    cap: usize,
    begin: Instant,
    open: Mutex<Open>,
    /// Notified when one has closed.
    closed: Notify,
}

#[derive(Default)]
struct Open {
    next: u64,
    connections: HashMap<u64, Arc<Activity>>,
}

/// What is known of one connection's use.
#[derive(Default)]
struct Activity {
    calls: AtomicUsize,
    /// When its latest call ended, or it was opened, in milliseconds since the server's start.
    idle_since: AtomicU64,
    closing: Notify,
    /// Told to close.
    told: std::sync::atomic::AtomicBool,
}

/// A place among the open connections, given back when dropped.
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
    activity: Arc<Activity>,
}

/// A call of a connection, which is not idle for as long as this lives.
pub(super) struct InCall {
    connections: Arc<Connections>,
    activity: Arc<Activity>,
}

impl Connections {
    pub(super) fn new(cap: usize) -> Arc<Self> {
        Arc::new(Self { cap, begin: Instant::now(), open: Mutex::default(), closed: Notify::new() })
    }

    /// A place for a new connection. At the cap, the connection that has been idle for longest is told to close; none
    /// where too many of those have not closed yet.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let activity = Arc::new(Activity { idle_since: AtomicU64::new(self.now()), ..Activity::default() });
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.connections.len() >= self.cap + EXCESS {
            return None;
        }
        if open.connections.len() >= self.cap {
            let idlest = open
                .connections
                .values()
                .filter(|activity| !activity.told.load(Ordering::Relaxed))
                // Calls first: a connection in use is the last to go.
                .min_by_key(|activity| {
                    (activity.calls.load(Ordering::Relaxed) > 0, activity.idle_since.load(Ordering::Relaxed))
                });
            if let Some(idlest) = idlest {
                idlest.told.store(true, Ordering::Relaxed);
                idlest.closing.notify_one();
            }
        }
        open.next += 1;
        let number = open.next;
        open.connections.insert(number, Arc::clone(&activity));
        drop(open);
        Some(Place { connections: Arc::clone(self), number, activity })
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).connections.len()
    }

    /// Resolves when none is open.
    pub(super) async fn all_closed(&self) {
        loop {
            let closed = self.closed.notified();
            if self.len() == 0 {
                return;
            }
            closed.await;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Place {
    /// Resolves when the connection must make room for another.
    pub(super) async fn closing(&self) {
        self.activity.closing.notified().await;
    }

    /// For how long no call has been open; none where one is.
    pub(super) fn idle(&self) -> Option<Duration> {
        let idle = self.connections.now().saturating_sub(self.activity.idle_since.load(Ordering::Relaxed));
        (self.activity.calls.load(Ordering::Relaxed) == 0).then(|| Duration::from_millis(idle))
    }

    /// Notes that a call begins.
    pub(super) fn call(&self) -> InCall {
        self.activity.calls.fetch_add(1, Ordering::Relaxed);
        InCall { connections: Arc::clone(&self.connections), activity: Arc::clone(&self.activity) }
    }
}

impl Drop for InCall {
    fn drop(&mut self) {
        self.activity.idle_since.store(self.connections.now(), Ordering::Relaxed);
        self.activity.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.connections.remove(&self.number);
        drop(open);
        self.connections.closed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn at_the_cap_the_longest_idle_connection_makes_room() {
        let connections = Connections::new(2);
        let (first, second) = (connections.enter().unwrap(), connections.enter().unwrap());
        first.activity.idle_since.store(20, Ordering::Relaxed);
        second.activity.idle_since.store(10, Ordering::Relaxed);
        let third = connections.enter().unwrap();
        assert!(first.closing().now_or_never().is_none());
        assert!(second.closing().now_or_never().is_some(), "idle for longer");
        third.activity.idle_since.store(30, Ordering::Relaxed);
        let call = first.call();
        let _fourth = connections.enter().unwrap();
        assert!(first.closing().now_or_never().is_none(), "in use");
        assert!(third.closing().now_or_never().is_some());
        drop(call);
        assert!(first.idle().is_some());
    }

    #[test]
    fn connections_that_do_not_close_are_bounded() {
        let connections = Connections::new(1);
        let places: Vec<_> = std::iter::from_fn(|| connections.enter()).collect();
        assert_eq!(places.len(), 1 + EXCESS);
        drop(places);
        assert!(connections.all_closed().now_or_never().is_some());
        assert!(connections.enter().is_some());
    }
}
