//! Knows which connections are open, which are idle and how much memory each takes, and chooses which is told to close.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use tokio::{sync::Notify, time::sleep};
use tokio_util::sync::CancellationToken;

/// About how many bytes a call takes beside its request and answer.
const CALL: usize = 8 * 1024;
/// About how many bytes an answer takes beside its message while its peer does not take it: its stream, its task, its
/// trailers.
const ANSWER: usize = 4 * 1024;
/// The most streams (watches of health, reflection) of one connection at a time, and of all connections together.
const MAX_OWN_STREAMS: usize = 16;
const MAX_STREAMS: usize = 4096;

/// How long a reader or a call waits before it looks again whether the server holds too much: a connection that is cut
/// has gone after about as long.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// How many connections above the cap may still be closing while new ones are accepted.
pub(crate) fn excess(cap: usize) -> usize {
    (cap / 8).clamp(256, 1024)
}

/// The connections of a server.
pub(super) struct Connections {
    cap: usize,
    begin: Instant,
    /// The most bytes that may be held for all of them together.
    max_held: usize,
    /// The bytes held for all of them, also for connections that are cut and still open.
    held: AtomicUsize,
    /// The open streams of all of them.
    streams: AtomicUsize,
    open: Mutex<Open>,
    /// Notified when a connection has closed.
    closed: Notify,
}

#[derive(Default)]
struct Open {
    next: u64,
    connections: HashMap<u64, Arc<Activity>>,
    /// The numbers of the connections that have made no call yet and were not told to close, the oldest first.
    fresh: BTreeSet<u64>,
}

/// What is known of one connection's use. Its calls count their references to it, and not to [`Connections`]: all
/// processors would change that one count, and wait for each other.
struct Activity {
    connections: Arc<Connections>,
    /// The bytes held for it: 0 if no call is open and every answer has left.
    held: AtomicUsize,
    /// The part of `held` that is freed as soon as the written bytes have left for the peer.
    leaving: AtomicUsize,
    /// Whether the peer takes no bytes at the moment.
    blocked: AtomicBool,
    /// When `held` last became 0, or else when the connection was opened, in microseconds since the server's start.
    idle_since: AtomicU64,
    /// Whether it has made a call.
    called: AtomicBool,
    /// Open streams.
    streams: AtomicUsize,
    closing: Notify,
    /// Whether it was told to close.
    told: AtomicBool,
    /// Cancelled to end it at once.
    cut: CancellationToken,
}

/// A place among the open connections, given back when dropped.
pub(super) struct Place {
    number: u64,
    activity: Arc<Activity>,
}

/// A connection for which bytes are held.
#[derive(Clone)]
pub(super) struct Holder(Arc<Activity>);

/// A call of a connection. While this value lives, the connection is not idle.
pub(super) struct InCall {
    pub(super) holder: Holder,
    _call: Held,
}

/// A stream of a connection: a watch of health, or reflection.
pub(super) struct StreamPlace {
    holder: Holder,
    _held: Held,
}

/// Bytes that are held while this value lives, and then until the bytes written to the peer have left.
pub(super) struct Held {
    holder: Holder,
    count: usize,
}

/// Bytes that count as held until they are dropped.
struct HeldBytes {
    bytes: Bytes,
    _held: Held,
}

impl Activity {
    fn new(connections: Arc<Connections>) -> Self {
        Self {
            idle_since: AtomicU64::new(connections.now()),
            connections,
            held: AtomicUsize::default(),
            leaving: AtomicUsize::default(),
            blocked: AtomicBool::default(),
            called: AtomicBool::default(),
            streams: AtomicUsize::default(),
            closing: Notify::new(),
            told: AtomicBool::default(),
            cut: CancellationToken::new(),
        }
    }
}

impl Open {
    fn make_room(&mut self) {
        if let Some(oldest) = self.fresh.pop_first() {
            if let Some(activity) = self.connections.get(&oldest) {
                activity.told.store(true, Ordering::Relaxed);
                activity.cut.cancel();
            }
            return;
        }
        let idlest = self
            .connections
            .values()
            .filter(|activity| !activity.told.load(Ordering::Relaxed))
            // The calls are compared first: a connection in use is the last one to be told to close.
            .min_by_key(|activity| {
                (activity.held.load(Ordering::Relaxed) > 0, activity.idle_since.load(Ordering::Relaxed))
            });
        if let Some(idlest) = idlest {
            idlest.told.store(true, Ordering::Relaxed);
            idlest.closing.notify_one();
        }
    }
}

impl Connections {
    /// Connections with a limit of `cap`, for which together `max_held` bytes may be held.
    pub(super) fn new(cap: usize, max_held: usize) -> Arc<Self> {
        Arc::new(Self {
            cap,
            begin: Instant::now(),
            max_held,
            held: AtomicUsize::default(),
            streams: AtomicUsize::default(),
            open: Mutex::default(),
            closed: Notify::new(),
        })
    }

    /// A place for a new connection; `None` if too many connections that were told to close are still open. At the cap,
    /// another connection makes room. The oldest one that never made a call ends at once. If there is no such
    /// connection, the one that has been idle longest is told to close.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let activity = Arc::new(Activity::new(Arc::clone(self)));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.connections.len() >= self.cap + excess(self.cap) {
            return None;
        }
        if open.connections.len() >= self.cap {
            open.make_room();
        }
        open.next += 1;
        let number = open.next;
        open.connections.insert(number, Arc::clone(&activity));
        open.fresh.insert(number);
        drop(open);
        Some(Place { number, activity })
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).connections.len()
    }

    /// Resolves when no connection is open.
    pub(super) async fn all_closed(&self) {
        loop {
            let closed = self.closed.notified();
            if self.len() == 0 {
                return;
            }
            closed.await;
        }
    }

    /// If the connections that are not cut yet hold too much, cuts the ones that hold the most, until an eighth of the
    /// limit is free. A peer that takes its answers holds little, so it stays.
    fn relieve(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let lasting = open.connections.values().filter(|activity| !activity.cut.is_cancelled());
        let mut by_held: Vec<_> = lasting.map(|activity| (activity.held.load(Ordering::Relaxed), activity)).collect();
        let mut all: usize = by_held.iter().map(|(held, _)| held).sum();
        if all <= self.max_held {
            return;
        }
        by_held.sort_unstable_by_key(|(held, _)| Reverse(*held));
        for (held, activity) in by_held {
            if all <= self.max_held - self.max_held / 8 {
                return;
            }
            tracing::warn!(
                bytes = held,
                "a connection is cut: all calls together hold too much memory, and this one holds the most"
            );
            activity.cut.cancel();
            all -= held;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Place {
    /// Resolves when the connection must make room for another one.
    pub(super) async fn closing(&self) {
        self.activity.closing.notified().await;
    }

    /// Resolves when the connection must end at once.
    pub(super) async fn cut(&self) {
        self.activity.cut.cancelled().await;
    }

    /// How long the connection has had no open call and no waiting answer; `None` if a call is open or an answer waits.
    pub(super) fn idle(&self) -> Option<Duration> {
        let idle = self.activity.connections.now().saturating_sub(self.activity.idle_since.load(Ordering::Relaxed));
        (self.activity.held.load(Ordering::Relaxed) == 0).then(|| Duration::from_micros(idle))
    }

    /// Notes that a call begins whose headers take this many bytes.
    pub(super) fn call(&self, headers: usize) -> InCall {
        if !self.activity.called.swap(true, Ordering::Relaxed) {
            let mut open = self.activity.connections.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.fresh.remove(&self.number);
        }
        let holder = self.holder();
        InCall { _call: holder.take(CALL + headers), holder }
    }

    /// This connection, as the holder of bytes.
    pub(super) fn holder(&self) -> Holder {
        Holder(Arc::clone(&self.activity))
    }

    /// Gives back the bytes that were held until answers leave, unless the peer takes no bytes. Call it right after the
    /// connection has written everything that it could.
    pub(super) fn settle(&self) {
        let activity = &self.activity;
        if activity.leaving.load(Ordering::Relaxed) == 0 || activity.blocked.load(Ordering::Relaxed) {
            return;
        }
        let left = activity.leaving.swap(0, Ordering::Relaxed);
        activity.idle_since.store(activity.connections.now(), Ordering::Relaxed);
        activity.held.fetch_sub(left, Ordering::Relaxed);
        activity.connections.held.fetch_sub(left, Ordering::Relaxed);
    }
}

impl Holder {
    /// `bytes` of an answer. They count as held until the last of their clones and slices is dropped and the socket has
    /// taken them.
    pub(super) fn hold(&self, bytes: Bytes) -> Bytes {
        let held = self.take(ANSWER + bytes.len());
        Bytes::from_owner(HeldBytes { bytes, _held: held })
    }

    /// A place among the streams, for which up to `waiting` bytes of requests may wait; `None` if this connection, or
    /// all connections together, already have the most streams.
    pub(super) fn stream(&self, waiting: usize) -> Option<StreamPlace> {
        // The stream is counted first. If there is no place, the drop of `place` takes it off the count.
        let place = StreamPlace { holder: self.clone(), _held: self.take(CALL + waiting) };
        let own = self.0.streams.fetch_add(1, Ordering::Relaxed);
        let all = self.0.connections.streams.fetch_add(1, Ordering::Relaxed);
        (own < MAX_OWN_STREAMS && all < MAX_STREAMS).then_some(place)
    }

    /// Whether all connections together hold more than they may. Connections that are cut count until they have closed.
    pub(super) fn is_full(&self) -> bool {
        self.0.connections.held.load(Ordering::Relaxed) > self.0.connections.max_held
    }

    /// Resolves when an answer may be made, that is, when the server does not hold too much. For a connection that is
    /// cut it never resolves: its calls end with it.
    ///
    /// Many requests arrive in one read. Without this, all of their answers would be made before any connection is
    /// closed.
    pub(super) async fn room(&self) {
        while self.is_full() || self.0.cut.is_cancelled() {
            sleep(PAUSE).await;
        }
    }

    /// Notes whether the peer took the last written bytes.
    pub(super) fn note_blocked(&self, blocked: bool) {
        self.0.blocked.store(blocked, Ordering::Relaxed);
    }

    /// Holds no bytes yet.
    pub(super) fn nothing(&self) -> Held {
        Held { holder: self.clone(), count: 0 }
    }

    /// Holds the first bytes.
    pub(super) fn take(&self, count: usize) -> Held {
        let mut held = self.nothing();
        held.add(count);
        held
    }
}

impl Held {
    /// Holds more bytes.
    pub(super) fn add(&mut self, count: usize) {
        let Activity { connections, held, .. } = &*self.holder.0;
        self.count += count;
        held.fetch_add(count, Ordering::Relaxed);
        if connections.held.fetch_add(count, Ordering::Relaxed) + count > connections.max_held {
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
        self.holder.0.leaving.fetch_add(self.count, Ordering::Relaxed);
    }
}

impl Drop for Activity {
    /// The connection and all its calls have ended.
    fn drop(&mut self) {
        self.connections.held.fetch_sub(*self.held.get_mut(), Ordering::Relaxed);
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let Activity { connections, streams, .. } = &*self.holder.0;
        streams.fetch_sub(1, Ordering::Relaxed);
        connections.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let connections = &self.activity.connections;
        let mut open = connections.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.connections.remove(&self.number);
        open.fresh.remove(&self.number);
        drop(open);
        connections.closed.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
