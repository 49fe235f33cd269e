//! The memory that all replicas share: Redis 7 or Valkey, asked twice for each decryption.
//!
//! **Nothing in clear.** Keys and values are hashes, counts and times: no payload, user id, URL or secret. The two keys of a
//! message share a hash slot of a cluster, that of its pairing and date, and expire by themselves.
//!
//! **Atomic.** Each step is one script and one round trip (`reserve.lua`, `resolve.lua`, `release.lua`). A step that is
//! repeated on another connection changes nothing twice.
//!
//! **Few connections.** Each thread that serves calls has one, and its calls are pipelined over it.
//!
//! **Outage.** A step has a time limit. What passes it, fails, or answers garbage takes the connection down; a task makes a
//! new one and proves with a write that the store serves before calls use it. Calls that cannot go on without the store
//! wait for that within their limit, the others go on at once with the memory of the process. The end of a decryption whose
//! answer was lost is told to the store again in the background, so that it neither charges what did not fail nor remembers
//! an opening that the caller was not told.

use std::{
    path::PathBuf,
    sync::{
        Arc, LazyLock, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta};
use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};
use sha2::{Digest, Sha256};
use tokio::{sync::Semaphore, time};

use super::{DATE_BUDGET, Ended, Opening, Outcome, Subject, last_block};

mod address;
mod counts;
mod link;

pub use address::BadStore;
pub use counts::{Answer, BOUNDS, Counts, Operation};

use address::{Address, Connection};
use link::{Link, Shared, State};

/// What the names of all keys begin with.
const PREFIX: &str = "aar:";
/// How long a message is remembered whose date never ends, after it was last seen.
const ENDLESS: TimeDelta = TimeDelta::days(30);
/// Ends of decryptions that are told again at the same time; more are left to expire.
const AFTERMATHS: usize = 1024;
/// How long they may take: afterwards the store has charged what was not resolved.
const AFTERMATH: Duration = Duration::from_secs(5);
/// Between two questions whether a reservation can be had: at first, and at most.
const WAIT: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(20)];

/// Where the shared store is, and what to do without it.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// `redis://…`; several name nodes of a cluster or Sentinels.
    pub urls: Vec<String>,
    /// The file of its password.
    pub password: Option<PathBuf>,
    /// How long an answer may take.
    pub limit: Duration,
    /// Whether messages are refused while it does not answer; else each replica remembers for itself.
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
    /// Whether it may have done what it was asked.
    asked: bool,
}

/// Why nothing was reserved.
pub(super) enum Unreserved {
    Spent,
    Silent,
}

/// The two keys of a message.
#[derive(Clone)]
struct Names {
    date: String,
    block: String,
}

/// A failure that is reserved in the store. Dropped without an end, it is given back.
pub(super) struct Reservation {
    store: Arc<Store>,
    names: Names,
    token: [u8; 12],
    /// How long the keys live, in milliseconds.
    life: i64,
    after: After,
}

/// What the store must be told once this is dropped.
enum After {
    Nothing,
    /// That nothing failed.
    GiveBack,
    /// That the message failed.
    Charge,
    /// That nothing failed and nothing was opened in this call.
    Forget([u8; 12]),
}

/// A script and the hash under which the store knows it once it has run.
struct Script {
    text: &'static str,
    hash: String,
}

static RESERVE: LazyLock<Script> = LazyLock::new(|| Script::of(include_str!("store/reserve.lua")));
static RESOLVE: LazyLock<Script> = LazyLock::new(|| Script::of(include_str!("store/resolve.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::of(include_str!("store/release.lua")));

impl Script {
    fn of(text: &'static str) -> Self {
        Self { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }
}

impl Store {
    pub(super) fn new(settings: StoreSettings) -> Result<Self, BadStore> {
        let StoreSettings { urls, password, limit, closed } = settings;
        let meanwhile =
            if closed { "decoding answers STORE_UNAVAILABLE" } else { "this replica goes on with its own memory" };
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

    /// Whether calls that can do without the store need not ask it now.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.link().state(), State::Down)
    }

    /// Reserves a failure, and waits while reservations that still run fill the budget.
    pub(super) async fn reserve(self: &Arc<Self>, subject: &Subject<'_>) -> Result<Reservation, Unreserved> {
        let life = subject.end.map_or(ENDLESS, |end| end + subject.pairing.conventions.max_age - subject.now);
        let mut reservation = Reservation {
            store: Arc::clone(self),
            names: Names::of(subject),
            token: rand::random(),
            life: life.num_milliseconds().max(1000),
            after: After::Nothing,
        };
        let budget = subject.pairing.failure_budget;
        if budget == 0 {
            return Ok(reservation);
        }
        let command = |name: &str| {
            let Reservation { names, token, life, .. } = &reservation;
            let mut command = begin(name, &RESERVE, names);
            command.arg(token).arg(budget).arg(DATE_BUDGET).arg(life);
            command
        };
        let commands = [command("EVALSHA"), command("EVAL")];
        let [mut pause, longest] = WAIT;
        let names = reservation.names.clone();
        let waits = self.is_closed_for(subject);
        loop {
            reservation.after = After::GiveBack;
            match self.ask(Operation::Reserve, &names, &commands, waits).await {
                Ok(Value::Int(0)) => {
                    reservation.after = After::Charge;
                    return Ok(reservation);
                }
                answer => {
                    if !matches!(answer, Err(Silent { asked: true })) {
                        reservation.after = After::Nothing;
                    }
                    match answer {
                        Ok(Value::Int(1)) => {}
                        Ok(Value::Int(2)) => {
                            self.refused.fetch_add(1, Relaxed);
                            return Err(Unreserved::Spent);
                        }
                        Ok(_) | Err(_) => return Err(Unreserved::Silent),
                    }
                }
            }
            time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Runs a script with `names`: by its hash, and if the store does not know that, by its text. The connection with which
    /// this fails is lost; within the time limit another one is tried.
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
                    self.counts.note(operation, Answer::Ok, begin.elapsed());
                    return Ok(value);
                }
                Ok(Ok(_)) => link.lose(generation, names.tag(), "an answer that no store gives", false),
                Ok(Err(error)) => link.lose(generation, names.tag(), &error.to_string(), false),
                Err(_) => {
                    link.lose(generation, names.tag(), "no answer in time", true);
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
}

impl Reservation {
    /// Whether the message is refused while the store does not answer.
    pub(super) fn is_closed_for(&self, subject: &Subject<'_>) -> bool {
        self.store.is_closed_for(subject)
    }

    /// Notes what became of the decryption.
    pub(super) async fn resolve(mut self, subject: &Subject<'_>, outcome: Outcome) -> Result<Ended, Silent> {
        let store = Arc::clone(&self.store);
        let closed = store.is_closed_for(subject);
        let named = subject.call.map(|call| {
            let caller = call.caller.map_or([0].to_vec(), |caller| [&[1], caller.as_bytes(), &[0]].concat());
            hash(&[&caller, call.attempt_id.as_bytes()])
        });
        let call: [u8; 12] = named.unwrap_or(self.token);
        self.after = match outcome {
            Outcome::Failed => After::Charge,
            Outcome::Opened if closed && named.is_none() => After::Forget(call),
            Outcome::Opened | Outcome::NotExpected => After::GiveBack,
        };
        let message: [u8; 16] = match outcome {
            Outcome::Failed => [0; 16],
            _ => hash(&[subject.envelope.iv.as_ref().map_or(&[], |iv| iv.as_slice()), &subject.envelope.ciphertext]),
        };
        let budget = subject.pairing.failure_budget;
        let commands = ["EVALSHA", "EVAL"].map(|name| {
            let letter = match outcome {
                Outcome::Failed => "f",
                Outcome::NotExpected => "n",
                Outcome::Opened => "o",
            };
            let mut command = begin(name, &RESOLVE, &self.names);
            command.arg(&self.token).arg(letter).arg(&message).arg(&call);
            command.arg(subject.now.timestamp_millis()).arg(self.life).arg(budget).arg(DATE_BUDGET);
            command
        });
        let answer = store.ask(Operation::Resolve, &self.names, &commands, closed).await?;
        let ended = store.ended(&answer, subject).ok_or(Silent { asked: true })?;
        self.after = After::Nothing;
        Ok(ended)
    }
}

impl Store {
    /// What an answer of `resolve.lua` says; `None` if it is none.
    fn ended(&self, answer: &Value, subject: &Subject<'_>) -> Option<Ended> {
        let Value::Array(answer) = answer else { return None };
        let [Value::Int(what), Value::Int(first), Value::Int(of_block), Value::Int(of_date)] = **answer else {
            return None;
        };
        for (spent, of) in [(of_block, "message"), (of_date, "date")] {
            if spent == 1 {
                self.spent.fetch_add(1, Relaxed);
                super::tell_spent(subject.pairing, of);
            }
        }
        if what == 1 {
            super::tell_changed(subject.pairing);
        }
        let first = || DateTime::from_timestamp_millis(first);
        Some(match what {
            0 | 1 => Ended::Failed,
            2 => Ended::NotExpected,
            3 => Ended::Opened(Opening { reopened: false, first: first()? }),
            4 => Ended::Opened(Opening { reopened: true, first: first()? }),
            _ => return None,
        })
    }

    /// Tells the store the end of a decryption whose answer was lost.
    async fn aftermath(&self, operation: Operation, names: &Names, commands: &[Cmd; 2]) {
        let Ok(_permit) = self.aftermaths.try_acquire() else { return };
        let told = async {
            while self.ask(operation, names, commands, true).await.is_err() {
                time::sleep(self.shared.limit).await;
            }
        };
        // In vain if it takes longer: the store has charged the reservation.
        let _ = time::timeout(AFTERMATH, told).await;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let forget: &[u8] = match &self.after {
            After::Nothing => return,
            After::GiveBack | After::Charge => &[],
            After::Forget(call) => call,
        };
        let charges = matches!(self.after, After::Charge);
        let commands = ["EVALSHA", "EVAL"].map(|name| {
            if charges {
                let mut command = begin(name, &RESOLVE, &self.names);
                // Without a budget: what the store has charged by now is not charged again.
                command.arg(&self.token).arg("f").arg("").arg("").arg(0).arg(self.life).arg(0).arg(0);
                return command;
            }
            let mut command = begin(name, &RELEASE, &self.names);
            command.arg(&self.token).arg(forget);
            command
        });
        let operation = if charges { Operation::Resolve } else { Operation::Release };
        let (store, names) = (Arc::clone(&self.store), self.names.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { store.aftermath(operation, &names, &commands).await });
        }
    }
}

impl Operation {
    /// Whether its script gives such an answer.
    fn can_answer(self, answer: &Value) -> bool {
        match (self, answer) {
            (Self::Reserve, Value::Int(0..=2)) | (Self::Release, Value::Int(0)) => true,
            (Self::Resolve, Value::Array(answer)) => {
                matches!(**answer, [Value::Int(0..=4), Value::Int(_), Value::Int(_), Value::Int(_)])
            }
            _ => false,
        }
    }
}

impl Names {
    fn of(subject: &Subject<'_>) -> Self {
        let (fiu, aa) = (subject.pairing.fiu.as_bytes(), subject.pairing.aa.as_bytes());
        let date = subject.envelope.date.text().as_bytes();
        let tag: [u8; 16] = hash(&[b"date", &[0], fiu, &[0], aa, &[0], date]);
        let block: [u8; 16] = hash(&[b"block", &[0], fiu, &[0], aa, &[0], date, &[0], last_block(subject.envelope)]);
        let date = format!("{PREFIX}{{{}}}", URL_SAFE_NO_PAD.encode(tag));
        Self { block: format!("{date}:{}", URL_SAFE_NO_PAD.encode(block)), date }
    }

    /// What picks the slot of a cluster.
    fn tag(&self) -> &str {
        self.date.trim_start_matches(PREFIX).trim_matches(['{', '}'])
    }
}

/// The first bytes of SHA-256 of all parts.
fn hash<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let all = parts.iter().fold(Sha256::new(), sha2::Digest::chain_update).finalize();
    std::array::from_fn(|at| all[at])
}

/// The beginning of `EVALSHA` or `EVAL` of a script.
fn begin(name: &str, script: &Script, names: &Names) -> Cmd {
    let mut command = redis::cmd(name);
    if name == "EVAL" {
        command.arg(script.text);
    } else {
        command.arg(&script.hash);
    }
    command.arg(2).arg(&names.date).arg(&names.block);
    command
}

async fn run(connection: &mut Connection, [by_hash, by_text]: &[Cmd; 2]) -> RedisResult<Value> {
    match connection.query(by_hash).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => connection.query(by_text).await,
        answer => answer,
    }
}
