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
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::{
    codec::kdf::{Key, PBKDF2_ROUNDS},
    keyring::{Keyring, Pairing, Secret},
};

mod queue;

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

/// The assumed time of a derivation before one has been measured, in microseconds.
const FIRST_GUESS: u64 = 5_000;

/// A fixed set of threads that derive keys, and the cache of those keys.
pub struct KdfPool {
    shared: Arc<Shared>,
    /// By secret and date.
    keys: Arc<Cache<(u64, String), Remembered>>,
    /// The lowest serial of a secret whose keys are kept.
    oldest: AtomicU64,
    /// For each secret: the start of the latest date whose key was requested ahead, in milliseconds of the Unix epoch.
    ahead: Mutex<HashMap<u64, i64>>,
}

struct Shared {
    waiting: Mutex<Queue<Job>>,
    arrived: Condvar,
    kernels: Kernels,
    threads: u32,
    /// Threads that wait for a job. Changed only under the lock of the queue.
    idle: AtomicUsize,
    /// The time of the latest derivation on a thread, in microseconds.
    latest: AtomicU64,
    /// Keys derived so far.
    derivations: AtomicU64,
    refused: AtomicU64,
    on_wait: OnceLock<OnWait>,
}

/// Hears for how long a derivation waited.
type OnWait = Box<dyn Fn(Duration) + Send + Sync>;

struct Job {
    pairing: Arc<Pairing>,
    secret: usize,
    date: String,
    queued: Instant,
    reply: oneshot::Sender<Key>,
}

#[derive(Clone)]
struct Remembered {
    key: Key,
    until: Instant,
}

/// The queue had no room. Half of the waiting work takes about this time.
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
        let shared = Arc::new(Shared {
            waiting: Mutex::new(Queue::new(QUEUE)),
            arrived: Condvar::new(),
            kernels,
            threads,
            idle: AtomicUsize::new(0),
            latest: AtomicU64::new(FIRST_GUESS),
            derivations: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            on_wait: OnceLock::new(),
        });
        let keys = Arc::new(Cache::<(u64, String), Remembered>::new(CACHE));
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
        Ok(Self { shared, keys, oldest: AtomicU64::default(), ahead: Mutex::default() })
    }

    /// Drops the keys of secrets that were loaded before those of `keyring`, and keeps no more of them.
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

    /// From now on `hear` is told for how long each derivation waited for a thread. The first one stays.
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

    /// How many derivations were refused since the pool began, because the queue had no room.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// How many keys are in the cache.
    pub fn remembered(&self) -> usize {
        self.keys.len()
    }

    /// The PBKDF2 key of one of the pairing's secrets for `date`. Simultaneous and later requests share one derivation.
    /// If every caller has gone before its turn, it is not derived at all.
    ///
    /// # Errors
    /// At once if the queue has no room; later if the job had to make room for another pairing.
    pub async fn derive(&self, pairing: &Arc<Pairing>, secret: usize, date: &str) -> Result<Key, Overloaded> {
        let name = (pairing.secrets[secret].serial, date.to_owned());
        let remembered = self.keys.get_or_insert_async(&name, async {
            let (reply, key) = oneshot::channel();
            let (owned, date) = (Arc::clone(pairing), date.to_owned());
            let job = Job { pairing: owned, secret, date, queued: Instant::now(), reply };
            self.shared.enqueue(job);
            // A job without room is dropped, and its reply with it.
            let key = key.await.map_err(|_| self.shared.overloaded())?;
            let now = Instant::now();
            // A reload may have dropped the secret meanwhile: the next search of the cache removes the key.
            let lasts = pairing.secrets[secret].serial >= self.oldest.load(Ordering::Relaxed);
            Ok(Remembered { key, until: if lasts { now + lifetime(pairing) } else { now } })
        });
        remembered.await.map(|remembered| remembered.key)
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
    fn enqueue(&self, job: Job) {
        let owner = Arc::as_ptr(&job.pairing) as usize;
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= QUEUE {
            waiting.retain(|job| !job.reply.is_closed());
        }
        let refused = waiting.push(owner, job);
        drop(waiting);
        drop(refused);
        self.arrived.notify_one();
    }

    fn overloaded(&self) -> Overloaded {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len();
        let derivation = Duration::from_micros(self.latest.load(Ordering::Relaxed));
        Overloaded(derivation * (1 + u32::try_from(waiting / 2).unwrap_or(u32::MAX)) / self.threads)
    }

    /// The next jobs whose callers still wait, as many as one run of a kernel takes. `None` at the end of the pool.
    fn next(&self) -> Option<Vec<Job>> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
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

#[expect(clippy::expect_used, reason = "a kernel has 16 lanes at most")]
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
        let took = begin.elapsed() / u32::try_from(jobs.len()).expect("no more jobs than lanes");
        shared.latest.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        for (job, derived) in jobs.into_iter().zip(&*keys) {
            // A caller that has gone needs no key.
            let _ = job.reply.send(Key::written_by(|key| *key = *derived));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, future::join_all};

    use super::*;
    use crate::{codec::kdf, keyring};

    fn pairing() -> Arc<Pairing> {
        Arc::clone(keyring::sandbox().unwrap().of_fiu("fiu@sandbox", "gamma-aa", |_| true).unwrap())
    }

    fn date(number: usize) -> String {
        format!("{number:015}")
    }

    #[tokio::test]
    async fn calls_for_one_key_share_its_derivation() {
        let (pool, pairing) = (KdfPool::new(1).unwrap(), pairing());
        let calls = (0..2 * QUEUE).map(|_| pool.derive(&pairing, 0, "060420210510756"));
        let keys: Result<Vec<Key>, Overloaded> = join_all(calls).await.into_iter().collect();
        assert_eq!(keys.unwrap().len(), 2 * QUEUE, "more than the queue holds, had each come to it");
        assert_eq!(pool.keys.len(), 1);
    }

    #[tokio::test]
    async fn the_key_is_the_librarys() {
        let (pool, pairing) = (KdfPool::new(1).unwrap(), pairing());
        let expected = kdf::pbkdf2(pairing.primary().expose(), "060420210510756");
        assert!(pool.derive(&pairing, 0, "060420210510756").await == Ok(expected));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_says_when_to_come_back() {
        let (pool, pairing) = (KdfPool::new(1).unwrap(), pairing());
        let dates: Vec<String> = (0..QUEUE + 64).map(date).collect();
        let mut calls: Vec<_> = dates.iter().map(|date| Box::pin(pool.derive(&pairing, 0, date))).collect();
        // None is waited for: what is refused is refused at the first poll.
        let refused = calls.iter_mut().filter_map(FutureExt::now_or_never).collect::<Vec<_>>();
        assert!(refused.iter().any(|answer| matches!(answer, Err(Overloaded(after)) if !after.is_zero())));
        // The callers go, their jobs with them, and there is room at once.
        drop(calls);
        assert!(pool.derive(&pairing, 0, "060420210510756").await.is_ok());
        assert!(pool.keys.len() < QUEUE / 2, "what nobody waits for is not derived");
    }

    #[tokio::test]
    async fn a_flood_at_one_pairing_leaves_room_and_turns_for_another() {
        let (pool, flooded) = (KdfPool::new(1).unwrap(), pairing());
        let other = Arc::clone(keyring::sandbox().unwrap().of_fiu("fiu@sandbox", "beta-aa", |_| true).unwrap());
        let dates: Vec<String> = (0..QUEUE + 64).map(date).collect();
        let mut flood: Vec<_> = dates.iter().map(|date| Box::pin(pool.derive(&flooded, 0, date))).collect();
        for call in &mut flood {
            let _ = call.now_or_never();
        }
        assert!(pool.derive(&other, 0, "060420210510756").await.is_ok());
        assert!(pool.keys.len() < QUEUE / 2, "its turn came before the flood's end");
    }
}
