//! Which connections are open, which of them is idle, what each makes the server hold, and which is told to close.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Connections over the cap that may be closing while new ones are taken.
const EXCESS: usize = 1024;
/// Bytes of calls that may be held at a time: requests that arrive, and answers that peers have not taken. Ten thousand
/// usual calls at a time take less; buffers are up to twice as large as what is in them.
const MAX_HELD: usize = 128 * 1024 * 1024;
/// Bytes that a call takes beside its request and answer, about.
const CALL: usize = 4096;

/// The connections of a server.
pub(super) struct Connections {
    cap: usize,
    begin: Instant,
    /// Bytes held for all of them.
    held: AtomicUsize,
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
    /// Bytes held for it; none where no call is open and every answer was taken.
    held: AtomicUsize,
    /// When that was last so, or it was opened, in microseconds since the server's start.
    idle_since: AtomicU64,
    closing: Notify,
    /// Told to close.
    told: std::sync::atomic::AtomicBool,
    /// It ends at once.
    cut: CancellationToken,
}

/// A place among the open connections, given back when dropped.
pub(super) struct Place {
    connections: Arc<Connections>,
    number: u64,
    activity: Arc<Activity>,
}

/// A connection for which bytes are held.
#[derive(Clone)]
pub(super) struct Holder {
    connections: Arc<Connections>,
    activity: Arc<Activity>,
}

/// A call of a connection, which is not idle for as long as this lives.
pub(super) struct InCall {
    pub(super) holder: Holder,
    _call: Held,
}

/// So many bytes, held for as long as this lives.
pub(super) struct Held {
    holder: Holder,
    count: usize,
}

/// Bytes that know that they are held.
struct HeldBytes {
    bytes: Bytes,
    _held: Held,
}

impl Connections {
    pub(super) fn new(cap: usize) -> Arc<Self> {
        Arc::new(Self {
            cap,
            begin: Instant::now(),
            held: AtomicUsize::default(),
            open: Mutex::default(),
            closed: Notify::new(),
        })
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
                    (activity.held.load(Ordering::Relaxed) > 0, activity.idle_since.load(Ordering::Relaxed))
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

    /// Cuts the connection that holds the most, where those that are not cut yet hold too much: a peer that takes its
    /// answers holds little.
    fn relieve(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let held = |activity: &Arc<Activity>| activity.held.load(Ordering::Relaxed);
        let lasting = || open.connections.values().filter(|activity| !activity.cut.is_cancelled());
        if lasting().map(held).sum::<usize>() > MAX_HELD
            && let Some(most) = lasting().max_by_key(|activity| held(activity))
        {
            tracing::warn!(bytes = held(most), "a connection is cut: answers wait, and most of them for its peer");
            most.cut.cancel();
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Place {
    /// Resolves when the connection must make room for another.
    pub(super) async fn closing(&self) {
        self.activity.closing.notified().await;
    }

    /// Resolves when the connection must end at once.
    pub(super) async fn cut(&self) {
        self.activity.cut.cancelled().await;
    }

    /// For how long no call has been open and no answer been waiting; none where one is.
    pub(super) fn idle(&self) -> Option<Duration> {
        let idle = self.connections.now().saturating_sub(self.activity.idle_since.load(Ordering::Relaxed));
        (self.activity.held.load(Ordering::Relaxed) == 0).then(|| Duration::from_micros(idle))
    }

    /// Notes that a call begins.
    pub(super) fn call(&self) -> InCall {
        let holder = Holder { connections: Arc::clone(&self.connections), activity: Arc::clone(&self.activity) };
        InCall { _call: holder.take(CALL), holder }
    }
}

impl Holder {
    /// `bytes`, which count as held until the last of their clones and slices has gone: those of an answer, when the socket
    /// has taken them.
    pub(super) fn hold(&self, bytes: Bytes) -> Bytes {
        let held = self.take(bytes.len());
        Bytes::from_owner(HeldBytes { bytes, _held: held })
    }

    /// So many bytes, to begin with.
    pub(super) fn take(&self, count: usize) -> Held {
        let mut held = Held { holder: self.clone(), count: 0 };
        held.add(count);
        held
    }
}

impl Held {
    /// So many more.
    pub(super) fn add(&mut self, count: usize) {
        let Holder { connections, activity } = &self.holder;
        self.count += count;
        activity.held.fetch_add(count, Ordering::Relaxed);
        if connections.held.fetch_add(count, Ordering::Relaxed) + count > MAX_HELD {
            connections.relieve();
        }
    }
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Holder { connections, activity } = &self.holder;
        activity.idle_since.store(connections.now(), Ordering::Relaxed);
        activity.held.fetch_sub(self.count, Ordering::Relaxed);
        connections.held.fetch_sub(self.count, Ordering::Relaxed);
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
    fn at_the_limit_the_longest_idle_connection_makes_room() {
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

    #[test]
    fn above_the_memory_limit_the_connection_that_holds_the_most_is_closed() {
        let connections = Connections::new(3);
        let (small, large, other) =
            (connections.enter().unwrap(), connections.enter().unwrap(), connections.enter().unwrap());
        let hold = |place: &Place, bytes: usize| place.call().holder.take(bytes);
        let cut = |place: &Place| place.cut().now_or_never().is_some();
        let _first = hold(&large, MAX_HELD - 10_000);
        assert!(!cut(&large), "within the bound");
        let _second = hold(&small, 10_001);
        assert!(cut(&large) && !cut(&small), "the one that goes over it is not the one that holds the most");
        let third = hold(&other, MAX_HELD / 2);
        assert!(!cut(&other), "what a connection that is cut holds comes back soon");
        assert!(other.idle().is_none());
        drop(third);
        assert!(other.idle().is_some());
    }

    #[test]
    fn bytes_count_until_the_last_slice_of_them_has_gone() {
        let connections = Connections::new(1);
        let place = connections.enter().unwrap();
        let held = place.call().holder.hold(Bytes::from_static(b"answer"));
        let slice = held.slice(1..2);
        drop(held);
        assert!(place.idle().is_none());
        drop(slice);
        assert!(place.idle().is_some());
        assert_eq!(connections.held.load(Ordering::Relaxed), 0);
    }
}
