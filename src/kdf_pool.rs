//! PBKDF2 on threads of its own, behind a bounded queue: a derivation takes milliseconds and would stall an async thread.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    codec::{kdf::Key, profile::Scheme},
    keyring::Pairing,
};

/// Derivations that may wait: some ten seconds of one thread, more than any caller waits for.
const QUEUE: usize = 1024;

/// A fixed set of threads that derive keys.
pub struct KdfPool {
    queue: SyncSender<Job>,
    threads: u32,
    /// What the latest derivation took, in microseconds.
    latest: Arc<AtomicU64>,
}

struct Job {
    pairing: Arc<Pairing>,
    secret: usize,
    date: String,
    reply: oneshot::Sender<Key>,
}

/// Why no key was derived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Underived {
    /// The queue is full; it will have room for most of its length after this time.
    Overloaded(Duration),
    /// The pool has ended.
    Ended,
}

impl KdfPool {
    /// A pool of `threads`, at least one.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn new(threads: u32) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let latest = Arc::new(AtomicU64::new(0));
        let threads = threads.max(1);
        for number in 0..threads {
            let (jobs, latest) = (Arc::clone(&jobs), Arc::clone(&latest));
            thread::Builder::new().name(format!("kdf-{number}")).spawn(move || work(&jobs, &latest))?;
        }
        Ok(Self { queue, threads, latest })
    }

    /// The PBKDF2 key of one of the pairing's secrets for `date`. Dropped before it starts where the caller has gone.
    ///
    /// # Errors
    /// Where the queue is full, at once.
    pub async fn derive(&self, pairing: &Arc<Pairing>, secret: usize, date: &str) -> Result<Key, Underived> {
        let (reply, key) = oneshot::channel();
        let job = Job { pairing: Arc::clone(pairing), secret, date: date.to_owned(), reply };
        self.queue.try_send(job).map_err(|_| Underived::Overloaded(self.wait()))?;
        key.await.map_err(|_| Underived::Ended)
    }

    /// How long a full queue takes.
    fn wait(&self) -> Duration {
        let derivation = Duration::from_micros(self.latest.load(Ordering::Relaxed));
        derivation * u32::try_from(QUEUE).unwrap_or(u32::MAX) / self.threads
    }
}

fn work(jobs: &Mutex<Receiver<Job>>, latest: &AtomicU64) {
    loop {
        // Only receiving happens under the lock, and it does not panic.
        let received = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = received else { return };
        if job.reply.is_closed() {
            continue;
        }
        let begin = Instant::now();
        let key = job.pairing.secrets[job.secret].derive(Scheme::Pbkdf2, &job.date);
        latest.store(u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        // A caller that has gone meanwhile needs no key.
        let _ = job.reply.send(key);
    }
}
