//! The memory that all replicas share: Redis 7 or Valkey. A call asks it before and after each decryption; without a
//! failure budget only after it.
//!
//! **Nothing in clear.** Keys and values are hashes, counts and times: no payload, user id, URL or secret. The keys of a
//! message share one hash slot of a cluster, which its pairing and date decide, and they expire by themselves.
//!
//! **Atomic.** Each step is one script and one round trip (`reserve.lua`, `resolve.lua`, `release.lua`). A step that is
//! repeated on another connection changes nothing twice.
//!
//! **Few connections.** Each thread that serves calls has one to the store, or to each node of a cluster, and its calls
//! are pipelined over it. A node that does not answer concerns its own messages only.
//!
//! **Outage.** A step has a time limit. If a step exceeds it, fails or gets an answer of the wrong form, the connection
//! is closed. A task makes a new one, and proves that the store runs every command of the scripts before calls use it.
//! Calls that need the store wait for it within their time limit. Other calls use the memory of the process at once. If
//! the answer to the end of a decryption was lost, the server sends that end again in the background. So the store
//! neither counts a failure that did not happen nor remembers an opening that the caller did not see, unless the process
//! ends before, or more than [`AFTERMATHS`] such ends wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use redis::{Cmd, Value};
use secrecy::SecretString;
use tokio::{sync::Semaphore, time};

use super::Subject;

mod address;
mod authorities;
mod cluster;
mod connect;
mod counts;
mod fault;
mod link;
mod links;
mod reservation;
mod script;
mod shared;
mod status;

pub use address::BadStore;
pub use connect::PasswordFile;
pub use counts::{Answer, BOUNDS, Counts, Operation};
pub(super) use reservation::{Reservation, Unreserved};

use cluster::{Node, Redirect};
use connect::Address;
use fault::Fault;
use link::{State, Turn};
use links::{Links, Up};
use script::{Names, run};
use shared::Shared;
use status::Status;

/// The most ends of decryptions that are sent again at the same time. The reservations of the others stay failures.
const AFTERMATHS: u32 = 1024;
/// The longest pause before the end of a decryption is sent again.
const LONGEST: Duration = Duration::from_secs(1);
/// The pause before a cluster is asked again that redirects a question a second time. It grows with each further time.
const REDIRECT_PAUSE: Duration = Duration::from_millis(2);

/// Where the shared store is, and what to do if it does not answer.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// `redis://…`. Several URLs name the nodes of a cluster, or the Sentinels. Somebody may write a password into one,
    /// which is refused and must not show.
    pub urls: Vec<SecretString>,
    /// Its password.
    pub password: Option<PasswordFile>,
    /// How long an answer may take.
    pub limit: Duration,
    /// Whether messages are refused while the store does not answer. If not, each replica uses its own memory.
    pub closed: bool,
}

/// The shared store.
pub(super) struct Store {
    links: Arc<Links>,
    closed: bool,
    aftermaths: Arc<Semaphore>,
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
        let meanwhile = if closed {
            "decoding answers STORE_UNAVAILABLE"
        } else {
            "this replica uses its own memory; pairings with reopen = \"refuse\" answer STORE_UNAVAILABLE"
        };
        let shared = Shared::new(Address::parse(&urls, password)?, limit, Status::new(meanwhile));
        Ok(Self {
            links: Arc::new(Links::new(shared)),
            closed,
            aftermaths: Arc::new(Semaphore::new(AFTERMATHS as usize)),
            counts: Counts::default(),
            spent: AtomicU64::default(),
            refused: AtomicU64::default(),
        })
    }

    /// Connects, so that the first call finds a connection and metrics tell whether the store answers.
    pub(super) fn start(&self) {
        self.links.start();
    }

    /// Waits until no end of a decryption is still to be sent.
    pub(super) async fn settled(&self) {
        // Nothing closes it.
        drop(self.aftermaths.acquire_many(AFTERMATHS).await);
    }

    /// Whether every part of the store answers.
    pub(super) fn is_up(&self) -> bool {
        self.links.shared.status.is_up()
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

    /// Whether the store is down for `subject`, so that a call that does not need it skips it.
    pub(super) fn is_down(&self, subject: &Subject<'_>) -> bool {
        // Only in a cluster does the message decide which part of the store it needs.
        let tag = if self.links.shared.is_cluster() { script::tag(subject) } else { String::new() };
        matches!(self.links.state(&tag, None).0, State::Down)
    }

    /// Runs a script with `names`: by its hash, or by its text if the store does not know the hash. If this fails, the
    /// connection is dropped, and another one is tried within the time limit.
    async fn ask(&self, operation: Operation, names: &Names, command: &Cmd, waits: bool) -> Result<Value, Silent> {
        let limit = self.links.shared.limit;
        let begin = Instant::now();
        let deadline = time::Instant::from_std(begin + limit);
        let (mut asked, mut redirects, mut to, mut asking) = (false, 0, None, false);
        while time::Instant::now() < deadline {
            let Some((link, generation, mut connection)) = self.up(names.tag(), to.as_ref(), waits, deadline).await
            else {
                break;
            };
            asked = true;
            let sent = Instant::now();
            let fault = match time::timeout_at(deadline, run(&mut connection, operation, command, asking)).await {
                Ok(Ok(value)) if operation.can_answer(&value) => {
                    link.note_answer(generation);
                    self.counts.note(operation, Answer::Ok, begin.elapsed());
                    return Ok(value);
                }
                Ok(Ok(_)) => Fault::Wrong,
                Ok(Err(error)) => match self.links.shared.redirect(&error) {
                    Some(redirect) => {
                        (to, asking) = match redirect {
                            Redirect::To(node, asking) => (Some(node), asking),
                            Redirect::Again => (None, false),
                        };
                        time::sleep(REDIRECT_PAUSE * redirects).await;
                        redirects += 1;
                        continue;
                    }
                    None => Fault::Error(error),
                },
                Err(_) => {
                    // Of a store that answers slowly, a question that was sent late says nothing.
                    if sent.duration_since(begin) * 10 < limit {
                        link.lose(generation, names.tag(), &Fault::Hangs);
                    }
                    self.counts.note(operation, Answer::Timeout, begin.elapsed());
                    return Err(Silent { asked });
                }
            };
            link.lose(generation, names.tag(), &fault);
            (to, asking) = (None, false);
        }
        if redirects > 0 {
            self.links.shared.note_moving();
        }
        self.counts.note(operation, Answer::Error, begin.elapsed());
        Err(Silent { asked })
    }

    /// Waits until it is the turn of the messages with `tag`. While the store is down, nothing waits.
    async fn turn(&self, tag: &str) -> Option<Turn> {
        let link = self.links.route(tag, None).filter(|link| link.is_up())?;
        Some(link.turn().await)
    }

    /// The connection that the messages with `tag` take, or one to the node that they are redirected to; `None` if it is
    /// not up in time.
    async fn up(&self, tag: &str, to: Option<&Node>, waits: bool, deadline: time::Instant) -> Option<Up> {
        match self.links.state(tag, to) {
            (State::Up(generation, connection), Some(link)) => Some((link, generation, connection)),
            (State::Down, _) if !waits => None,
            _ => time::timeout_at(deadline, self.links.up(tag, to.cloned())).await.ok(),
        }
    }

    /// Sends the end of a decryption to the store again, since the answer was lost. A store that stood still runs what
    /// it was asked before when it goes on, so this waits for it as long as the keys live.
    async fn aftermath(&self, operation: Operation, names: &Names, command: &Cmd, life: Duration) {
        let mut pause = self.links.shared.limit;
        let told = async {
            loop {
                let (link, ..) = self.links.up(names.tag(), None).await;
                let turn = link.turn().await;
                if self.ask(operation, names, command, true).await.is_ok() {
                    return;
                }
                // Others have their turn meanwhile.
                drop(turn);
                time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
        };
        // Later there is nothing left to change.
        let _ = time::timeout(life, told).await;
    }
}
