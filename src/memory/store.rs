//! The memory that all replicas share: Redis 7 or Valkey, asked twice for each decryption.
//!
//! **Nothing in clear.** Keys and values are hashes, counts and times: no payload, user id, URL or secret. The two keys
//! of a message share one hash slot of a cluster, which its pairing and date decide, and they expire by themselves.
//!
//! **Atomic.** Each step is one script and one round trip (`reserve.lua`, `resolve.lua`, `release.lua`). A step that is
//! repeated on another connection changes nothing twice.
//!
//! **Few connections.** Each thread that serves calls has one, and its calls are pipelined over it.
//!
//! **Outage.** A step has a time limit. If a step exceeds it, fails or gets an answer of the wrong form, the connection
//! is closed. A task makes a new one, and proves that the store runs every command of the scripts before calls use it.
//! Calls that need the store wait for it within their time limit. Other calls use the memory of the process at once. If
//! the answer to the end of a decryption was lost, the server sends that end again in the background. So the store
//! neither counts a failure that did not happen nor remembers an opening that the caller did not see.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use redis::{Cmd, Value};
use tokio::{sync::Semaphore, time};

use super::Subject;

mod address;
mod counts;
mod link;
mod reservation;
mod script;

pub use address::{BadStore, PasswordFile};
pub use counts::{Answer, BOUNDS, Counts, Operation};
pub(super) use reservation::{Reservation, Unreserved};

use address::Address;
use link::{Fault, Link, Shared, State};
use script::{Names, run};

/// The most ends of decryptions that are sent again at the same time. The others expire in the store.
const AFTERMATHS: usize = 1024;

/// Where the shared store is, and what to do if it does not answer.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// `redis://…`. Several URLs name the nodes of a cluster, or the Sentinels.
    pub urls: Vec<String>,
    /// Its password.
    pub password: Option<PasswordFile>,
    /// How long an answer may take.
    pub limit: Duration,
    /// Whether messages are refused while the store does not answer. If not, each replica uses its own memory.
    pub closed: bool,
}

/// The shared store.
pub(super) struct Store {
    shared: Arc<Shared>,
    links: Vec<Arc<Link>>,
    closed: bool,
    aftermaths: Semaphore,
    counts: Counts,
    spent: AtomicU64,
    refused: AtomicU64,
}

/// The store did not answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silent {
    /// Whether the store may still have run the script.
    asked: bool,
}

impl Store {
    pub(super) fn new(settings: StoreSettings) -> Result<Self, BadStore> {
        let StoreSettings { urls, password, limit, closed } = settings;
        let meanwhile = if closed { "decoding answers STORE_UNAVAILABLE" } else { "this replica uses its own memory" };
        let shared = Shared::new(Address::parse(&urls, password)?, limit, meanwhile);
        // One for each thread that serves calls, and one for the thread that starts the server.
        let links = thread::available_parallelism().map_or(1, usize::from) + 1;
        Ok(Self {
            shared: Arc::new(shared),
            links: (0..links).map(|_| Arc::new(Link::new())).collect(),
            closed,
            aftermaths: Semaphore::new(AFTERMATHS),
            counts: Counts::default(),
            spent: AtomicU64::default(),
            refused: AtomicU64::default(),
        })
    }

    /// Connects, so that the first call finds a connection and metrics tell whether the store answers.
    pub(super) fn start(&self) {
        self.link();
    }

    pub(super) fn is_up(&self) -> bool {
        self.shared.is_up()
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(super) fn spent(&self) -> u64 {
        self.spent.load(Relaxed)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// Whether messages of `subject` are refused while the store does not answer.
    pub(super) fn is_closed_for(&self, subject: &Subject<'_>) -> bool {
        self.closed || subject.is_kept()
    }

    /// Whether the store is down, so that calls that do not need it skip it.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.link().state(), State::Down)
    }

    /// Runs a script with `names`: by its hash, or by its text if the store does not know the hash. If this fails, the
    /// connection is dropped, and another one is tried within the time limit.
    async fn ask(
        &self,
        operation: Operation,
        names: &Names,
        commands: &[Cmd; 2],
        waits: bool,
    ) -> Result<Value, Silent> {
        let begin = Instant::now();
        let deadline = time::Instant::from_std(begin + self.shared.limit);
        let link = self.link();
        let mut asked = false;
        loop {
            let up = match link.state() {
                State::Up(generation, connection) => Some((generation, connection)),
                State::Down if !waits => None,
                State::Down | State::Connecting => time::timeout_at(deadline, link.up()).await.ok(),
            };
            let Some((generation, mut connection)) = up else {
                self.counts.note(operation, Answer::Error, begin.elapsed());
                return Err(Silent { asked });
            };
            asked = true;
            match time::timeout_at(deadline, run(&mut connection, commands)).await {
                Ok(Ok(value)) if operation.can_answer(&value) => {
                    link.note_answer(generation);
                    self.counts.note(operation, Answer::Ok, begin.elapsed());
                    return Ok(value);
                }
                Ok(Ok(_)) => link.lose(generation, names.tag(), &Fault::Wrong),
                Ok(Err(error)) => link.lose(generation, names.tag(), &Fault::Error(error)),
                Err(_) => {
                    link.lose(generation, names.tag(), &Fault::Hangs);
                    self.counts.note(operation, Answer::Timeout, begin.elapsed());
                    return Err(Silent { asked });
                }
            }
        }
    }

    /// The link of this thread.
    fn link(&self) -> &Link {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static THREAD: OnceLock<usize> = const { OnceLock::new() };
        }
        let thread = THREAD.with(|thread| *thread.get_or_init(|| THREADS.fetch_add(1, Relaxed)));
        let number = thread % self.links.len();
        let link = &self.links[number];
        link.start(number, &self.shared);
        link
    }

    /// Sends the end of a decryption to the store again, since the answer was lost. A store that stood still runs what
    /// it was asked before when it goes on, so this waits for it as long as the keys live.
    async fn aftermath(&self, operation: Operation, names: &Names, commands: &[Cmd; 2], life: Duration) {
        let Ok(_permit) = self.aftermaths.try_acquire() else { return };
        let told = async {
            loop {
                let _ = self.link().up().await;
                if self.ask(operation, names, commands, true).await.is_ok() {
                    return;
                }
                time::sleep(self.shared.limit).await;
            }
        };
        // Later there is nothing left to change.
        let _ = time::timeout(life, told).await;
    }
}
