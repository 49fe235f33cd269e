//! Derives PBKDF2 keys away from async threads: a bounded queue, threads that derive several keys in one run of a
//! vector kernel, and a cache of derived keys.
//!
//! A derivation takes milliseconds of a core, so it would stall an async thread.

use std::{
    collections::HashMap,
    sync::{
        Arc, Condvar, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use pbkdf2_lanes::{Input, Kernels};
use quick_cache::sync::Cache;
use tokio::{sync::oneshot, time::timeout_at};
use zeroize::Zeroizing;

use crate::{
    codec::kdf::{Key, PBKDF2_ROUNDS},
    keyring::{Keyring, Pairing, Secret},
};

mod pace;
mod queue;

use pace::Pace;
use queue::Queue;

/// The most derivations that wait: about four seconds of one thread, more than most callers wait.
pub const QUEUE: usize = 1024;
/// The most keys in the cache: more than one minute of one thread's work, in half a megabyte.
const CACHE: usize = 8192;
/// The longest time in the cache, for every window.
const MAX_REMEMBERED: Duration = Duration::from_mins(10);
/// How often the cache is searched for keys whose window has passed.
const SWEEP: Duration = Duration::from_secs(10);
/// The lowest priority: calls of the other scheme find a core at once.
const NICENESS: i32 = 10;
/// The time that a call still needs after its key is derived: to decrypt, to wait for a tick of 5 ms, and to answer.
const REST: Duration = Duration::from_millis(10);
/// The shortest time after which a caller should try again.
const LEAST_RETRY: Duration = Duration::from_millis(5);

/// A fixed set of threads that derive keys, and the cache of those keys.
pub struct KdfPool {
    shared: Arc<Shared>,
    keys: Arc<Cache<Name, Remembered>>,
    /// An estimate of when the derivations that callers wait for will be done.
    expected: Mutex<HashMap<Name, Instant>>,
    /// The lowest serial of a secret whose keys are kept.
    oldest: AtomicU64,
    /// For each secret: the start of the latest date whose key was requested ahead, in milliseconds of the Unix epoch.
    ahead: Mutex<HashMap<u64, i64>>,
}

/// A derived key: the serial of its secret, and its date.
type Name = (u64, String);

struct Shared {
    waiting: Mutex<Queue<Job>>,
    arrived: Condvar,
    kernels: Kernels,
    threads: u32,
    /// Threads that wait for a job. Changed only under the lock of the queue.
    idle: AtomicUsize,
    pace: Pace,
    /// Keys derived so far.
    derivations: AtomicU64,
    refused: AtomicU64,
    on_wait: OnceLock<OnWait>,
}

/// Is called with the time for which a derivation waited.
type OnWait = Box<dyn Fn(Duration) + Send + Sync>;

struct Job {
    pairing: Arc<Pairing>,
    secret: usize,
    date: String,
    queued: Instant,
    /// When the key must be derived to be useful; `None` if it is always useful.
    by: Option<Instant>,
    reply: oneshot::Sender<Key>,
}

#[derive(Clone)]
struct Remembered {
    key: Key,
    until: Instant,
}

/// The queue has no room, or the key would come too late. After this time there is room, or a key comes in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overloaded(pub Duration);

impl KdfPool {
    /// A pool of `threads` (at least one) with the kernels of this processor.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub fn new(threads: u32) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let kernels = Kernels::best();
        for kernel in kernels.faulty() {
            tracing::error!(kernel = kernel.name(), "a kernel disagrees with the library and is not used");
        }
        let pace = Pace::measure(&kernels);
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Queue::new(QUEUE)),
            arrived: Condvar::new(),
            kernels,
            threads,
            idle: AtomicUsize::new(0),
            pace,
            derivations: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            on_wait: OnceLock::new(),
        });
        let keys = Arc::new(Cache::<Name, Remembered>::new(CACHE));
        for number in 0..threads {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(format!("kdf-{number}")).spawn(move || work(&shared))?;
        }
        let sweeper = Arc::downgrade(&keys);
        thread::Builder::new().name("kdf-sweep".to_owned()).spawn(move || {
            while let Some(keys) = sweeper.upgrade() {
                let now = Instant::now();
                keys.retain(|_, remembered| remembered.until > now);
                drop(keys);
                thread::sleep(SWEEP);
            }
        })?;
        Ok(Self { shared, keys, expected: Mutex::default(), oldest: AtomicU64::default(), ahead: Mutex::default() })
    }

    /// Drops the keys of secrets that were loaded before those of `keyring`. Later keys of such secrets are not kept.
    pub fn forget_before(&self, keyring: &Keyring) {
        let secrets = keyring.pairings().flat_map(|pairing| &pairing.secrets);
        // Without a secret there is no key to keep.
        let oldest = secrets.map(|secret| secret.serial).min().unwrap_or(u64::MAX);
        self.oldest.store(oldest, Ordering::Relaxed);
        self.keys.retain(|(serial, _), _| *serial >= oldest);
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).retain(|serial, _| *serial >= oldest);
    }

    /// Whether this is the first request for the key of `secret` for the shared date that begins at `begin`: true once
    /// for each date.
    pub fn is_first_ahead(&self, secret: &Secret, begin: DateTime<Utc>) -> bool {
        let begin = begin.timestamp_millis();
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = ahead.entry(secret.serial).or_insert(i64::MIN);
        let first = *latest < begin;
        *latest = begin.max(*latest);
        first
    }

    /// Sets the function that is called with the time for which each derivation waited for a thread. Only the first one
    /// is kept.
    pub fn on_wait(&self, hear: impl Fn(Duration) + Send + Sync + 'static) {
        let _ = self.shared.on_wait.set(Box::new(hear));
    }

    /// How many threads derive.
    pub fn threads(&self) -> u32 {
        self.shared.threads
    }

    /// The kernels in use, for the log.
    pub fn kernels(&self) -> String {
        self.shared.kernels.to_string()
    }

    /// How many keys have been derived since the pool began.
    pub fn derivations(&self) -> u64 {
        self.shared.derivations.load(Ordering::Relaxed)
    }

    /// How many derivations wait.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// How many derivations were refused since the pool began, because the queue had no room or they would have come
    /// too late.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// How many keys are in the cache.
    pub fn remembered(&self) -> usize {
        self.keys.len()
    }

    /// The PBKDF2 key of one of the pairing's secrets for `date`, for a call that ends at `deadline`. Simultaneous and
    /// later requests share one derivation. If every caller has gone before its turn, the key is not derived.
    ///
    /// # Errors
    /// At once if the queue has no room or the key would come too late; later if the job had to make room for another
    /// pairing, or its turn came too late. If a thread is free and no job is ahead, a derivation is never refused, and
    /// its time is measured again.
    pub async fn derive(
        &self,
        pairing: &Arc<Pairing>,
        secret: usize,
        date: &str,
        deadline: Option<Instant>,
    ) -> Result<Key, Overloaded> {
        let name = (pairing.secrets[secret].serial, date.to_owned());
        if let Some(remembered) = self.keys.get(&name) {
            return Ok(remembered.key);
        }
        let by = deadline.map(|deadline| deadline.checked_sub(REST).unwrap_or(deadline));
        self.check_expected(&name, by)?;
        let remembered = self.keys.get_or_insert_async(&name, async {
            let (reply, key) = oneshot::channel();
            let (owned, date) = (Arc::clone(pairing), date.to_owned());
            let (end, by) =
                self.shared.enqueue(Job { pairing: owned, secret, date, queued: Instant::now(), by, reply })?;
            let _expected = Expected::insert(&self.expected, &name, end);
            // A job without room is dropped, and its reply with it.
            let key = in_time(by, key).await.ok_or_else(|| self.shared.overloaded())?;
            let now = Instant::now();
            // In the meantime a reload may have dropped the secret: the next search of the cache removes the key.
            let lasts = pairing.secrets[secret].serial >= self.oldest.load(Ordering::Relaxed);
            Ok(Remembered { key, until: if lasts { now + lifetime(pairing) } else { now } })
        });
        remembered.await.map(|remembered| remembered.key)
    }

    /// Whether the key, if others wait for it already, comes in time for this caller too.
    fn check_expected(&self, name: &Name, by: Option<Instant>) -> Result<(), Overloaded> {
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        match (expected, by) {
            (Some(end), Some(by)) if by < end => Err(self.shared.refuse(end.saturating_duration_since(by))),
            _ => Ok(()),
        }
    }
}

/// The key, if it comes in time: an estimate can be wrong.
async fn in_time(by: Option<Instant>, key: oneshot::Receiver<Key>) -> Option<Key> {
    match by {
        Some(by) => timeout_at(by.into(), key).await.ok()?.ok(),
        None => key.await.ok(),
    }
}

/// Marks a derivation as running until it ends, with or without success.
struct Expected<'a> {
    all: &'a Mutex<HashMap<Name, Instant>>,
    name: &'a Name,
}

impl<'a> Expected<'a> {
    fn insert(all: &'a Mutex<HashMap<Name, Instant>>, name: &'a Name, end: Instant) -> Self {
        all.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), end);
        Self { all, name }
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(self.name);
    }
}

impl Drop for KdfPool {
    fn drop(&mut self) {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).close();
        self.shared.arrived.notify_all();
    }
}

/// How long a key of `pairing` can be needed: a date is accepted from one window before it to one window after it.
#[expect(clippy::expect_used, reason = "the keyring takes no window below a second")]
fn lifetime(pairing: &Pairing) -> Duration {
    let window = pairing.conventions.max_age * 2 + chrono::TimeDelta::seconds(60);
    window.to_std().expect("a window is positive").min(MAX_REMEMBERED)
}

impl Shared {
    /// Adds a job to the queue. Returns an estimate of when it will be done, and when it must be done.
    ///
    /// # Errors
    /// If it would be done too late.
    fn enqueue(&self, mut job: Job) -> Result<(Instant, Option<Instant>), Overloaded> {
        let owner = Arc::as_ptr(&job.pairing) as usize;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let is_late = |end: Option<Instant>| job.by.is_some_and(|by| end.is_some_and(|end| by < end));
        let mut end = self.end(&job, waiting.ahead(owner));
        if waiting.len() >= QUEUE || is_late(end) {
            waiting.retain(|job, _| !job.reply.is_closed());
            end = self.end(&job, waiting.ahead(owner));
        }
        match (end, job.by) {
            (Some(end), Some(by)) if by < end => {
                drop(waiting);
                return Err(self.refuse(end.saturating_duration_since(by)));
            }
            (Some(_), _) => {}
            (None, _) => job.by = None,
        }
        let expected = (end.unwrap_or_else(|| job.queued + self.pace.of(1)), job.by);
        let refused = waiting.push(owner, job);
        drop(waiting);
        drop(refused);
        self.arrived.notify_one();
        Ok(expected)
    }

    /// When a job with this many others ahead of it will be done; `None` if a thread is free for it. The estimate is a
    /// quarter over the measured time, since the machine also does other work.
    fn end(&self, job: &Job, ahead: usize) -> Option<Instant> {
        let is_busy = self.idle.load(Ordering::Relaxed) == 0;
        (is_busy || ahead > 0).then(|| job.queued + self.pace.wait(ahead + 1, self.threads, is_busy) * 5 / 4)
    }

    /// Refuses a derivation, until half of the waiting work is done.
    fn overloaded(&self) -> Overloaded {
        self.refuse(Duration::ZERO)
    }

    /// Refuses a derivation that would come too late by this time. Many callers may be refused at the same time, so
    /// they are told to come back when half of the waiting work is done, if that is later.
    fn refuse(&self, late: Duration) -> Overloaded {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len();
        Overloaded(late.max(self.pace.wait(waiting / 2, self.threads, false)).max(LEAST_RETRY))
    }

    /// The next jobs whose callers still wait, as many as one run of a kernel takes. `None` at the end of the pool.
    fn next(&self) -> Option<Vec<Job>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            // A job whose key would come too late is dropped, so that its caller learns of that at once.
            let now = Instant::now();
            let in_time =
                |job: &Job, ahead| job.by.is_none_or(|by| now + self.pace.wait(ahead + 1, self.threads, false) <= by);
            waiting.retain(|job, ahead| !job.reply.is_closed() && in_time(job, ahead));
            // Idle threads get their share of the waiting jobs.
            let share = waiting.len().div_ceil(1 + self.idle.load(Ordering::Relaxed));
            let most = self.kernels.batch(share).min(share);
            let mut jobs = Vec::with_capacity(most);
            while jobs.len() < most
                && let Some(job) = waiting.pop()
            {
                if !job.reply.is_closed() {
                    jobs.push(job);
                }
            }
            if !jobs.is_empty() {
                return Some(jobs);
            }
            if waiting.is_closed() {
                return None;
            }
            self.idle.fetch_add(1, Ordering::Relaxed);
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The input of the derivation for `secret` and `date`.
fn input<'a>(secret: &'a Secret, date: &'a str) -> Input<'a> {
    Input { password: secret.expose(), salt: date.as_bytes() }
}

fn work(shared: &Shared) {
    // If the system refuses, the thread keeps its priority: slower for other calls, but not wrong.
    let _ = rustix::process::nice(NICENESS);
    while let Some(jobs) = shared.next() {
        let begin = Instant::now();
        if let Some(hear) = shared.on_wait.get() {
            for job in &jobs {
                hear(begin.saturating_duration_since(job.queued));
            }
        }
        let inputs: Vec<Input<'_>> =
            jobs.iter().map(|job| input(&job.pairing.secrets[job.secret], &job.date)).collect();
        let mut keys = Zeroizing::new(vec![[0; 32]; inputs.len()]);
        shared.kernels.derive(&inputs, PBKDF2_ROUNDS, &mut keys);
        shared.derivations.fetch_add(keys.len() as u64, Ordering::Relaxed);
        shared.pace.took(jobs.len(), begin.elapsed());
        for (job, derived) in jobs.into_iter().zip(&*keys) {
            // A call that has ended needs no key.
            let _ = job.reply.send(Key::written_by(|key| *key = *derived));
        }
    }
}

#[cfg(test)]
mod tests;
