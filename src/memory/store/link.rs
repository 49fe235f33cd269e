//! One connection to the store that many calls share, and the task that keeps it: it connects, proves that the store
//! runs every command of the scripts, and does so again when calls lose the connection.
//!
//! A connection is made anew at once if the lost one was good. Else there is a pause, so that a store that passes the
//! proof and then answers wrongly is not asked for thousands of connections a second.

use std::{
    collections::HashSet,
    fmt,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use redis::{Cmd, RedisError, RedisResult, Value};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::{
    address::{Address, Connection},
    script,
};

/// The pause after a failure. It is doubled after each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause: when the store is back, a replica notices at most this much later.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// A connection that lasted at least this long counts as good.
const SOUND: Duration = Duration::from_secs(1);
/// The most characters of what a store says that reach the log.
const MAX_PROBLEM: usize = 200;

/// A connection and its state.
pub(super) struct Link {
    state: watch::Sender<State>,
    keeper: OnceLock<AbortHandle>,
    /// The latest connection that gave a call a right answer.
    answered: AtomicU64,
    lost: Mutex<Lost>,
}

/// How calls lost the connection.
#[derive(Default)]
struct Lost {
    problem: String,
    /// The tag of the message that was sent at that time.
    tag: String,
    /// Whether it only broke: the store gave no wrong answer.
    broke: bool,
}

/// What went wrong with a connection.
pub(super) enum Fault {
    /// No answer in time.
    Hangs,
    /// It ended, or the store answered with an error.
    Error(RedisError),
    /// An answer that a correct store never gives.
    Wrong,
}

#[derive(Clone)]
pub(super) enum State {
    /// A new connection is being made, and calls wait for it within their time limit.
    Connecting,
    /// The store does not answer.
    Down,
    /// Calls use this connection.
    Up(Generation, Connection),
}

/// Distinguishes a connection from earlier ones.
pub(super) type Generation = u64;

/// What all links of a store share.
pub(super) struct Shared {
    pub(super) address: Address,
    /// How long an answer may take.
    pub(super) limit: Duration,
    /// What replicas do without the store, as a text for the log.
    pub(super) meanwhile: &'static str,
    /// How many links are down; `None` until the first one has reported.
    down: Mutex<Option<HashSet<usize>>>,
    up: AtomicBool,
}

impl Shared {
    pub(super) fn new(address: Address, limit: Duration, meanwhile: &'static str) -> Self {
        Self { address, limit, meanwhile, down: Mutex::default(), up: AtomicBool::new(false) }
    }

    /// Whether the store answers, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// Notes the new state of a link, and logs when the state of all links together changes.
    fn report(&self, link: usize, problem: Option<&str>) {
        let mut known = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = known.is_none();
        let down = known.get_or_insert_default();
        match problem {
            None => down.remove(&link),
            Some(_) => down.insert(link),
        };
        let is_up = down.is_empty();
        if self.up.swap(is_up, Relaxed) == is_up && !is_first {
            return;
        }
        match problem {
            None => tracing::info!("the shared store answers"),
            Some(problem) => {
                let meanwhile = self.meanwhile;
                tracing::warn!(problem, meanwhile, "the shared store does not answer");
            }
        }
    }
}

impl Link {
    pub(super) fn new() -> Self {
        Self {
            state: watch::Sender::new(State::Connecting),
            keeper: OnceLock::new(),
            answered: AtomicU64::default(),
            lost: Mutex::default(),
        }
    }

    /// Starts the task that keeps the connection, on the runtime of the first caller. Other callers of this thread then
    /// need not wake another thread.
    pub(super) fn start(self: &Arc<Self>, number: usize, shared: &Arc<Shared>) {
        self.keeper.get_or_init(|| {
            let (link, shared) = (Arc::clone(self), Arc::clone(shared));
            tokio::spawn(async move { link.keep(number, &shared).await }).abort_handle()
        });
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits until the link is up, without a time limit.
    pub(super) async fn up(&self) -> (Generation, Connection) {
        let mut states = self.state.subscribe();
        loop {
            if let State::Up(generation, connection) = &*states.borrow_and_update() {
                return (*generation, connection.clone());
            }
            // The sender is a field of this value, so it is still there.
            let _ = states.changed().await;
        }
    }

    /// A call got a right answer over this connection.
    pub(super) fn note_answer(&self, generation: Generation) {
        self.answered.store(generation, Relaxed);
    }

    /// A call with `tag` lost this connection. If the store hangs, it is down at once; else a new connection may help.
    pub(super) fn lose(&self, generation: Generation, tag: &str, fault: &Fault) {
        self.state.send_if_modified(|state| {
            let is_current = matches!(state, State::Up(current, _) if *current == generation);
            if is_current {
                *state = if matches!(fault, Fault::Hangs) { State::Down } else { State::Connecting };
                let broke = matches!(fault, Fault::Error(error) if error.is_io_error());
                *self.lost() = Lost { problem: fault.to_string(), tag: tag.to_owned(), broke };
            }
            is_current
        });
    }

    fn lost(&self) -> MutexGuard<'_, Lost> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn keep(&self, number: usize, shared: &Shared) {
        let mut pause = FIRST_PAUSE;
        // Whether the last connection was good, so that the store counts as up when the next one is made.
        let mut good = true;
        for generation in 1.. {
            let problem = match self.connect(shared).await {
                Ok(connection) => {
                    self.state.send_replace(State::Up(generation, connection));
                    let lasted = self.serve(number, shared, good).await;
                    let is_hanging = matches!(self.state(), State::Down);
                    let answered = self.answered.load(Relaxed) == generation;
                    let Lost { problem, broke, .. } = &*self.lost();
                    good = lasted || (answered && *broke);
                    if lasted {
                        pause = FIRST_PAUSE;
                    }
                    if good && !is_hanging {
                        continue;
                    }
                    problem.clone()
                }
                Err(problem) => problem,
            };
            self.state.send_replace(State::Down);
            shared.report(number, Some(&problem));
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits until calls lose the connection, and reports that the store answers: at once if it is `trusted`, else when
    /// the connection has lasted. Returns whether it has lasted.
    async fn serve(&self, number: usize, shared: &Shared, trusted: bool) -> bool {
        if trusted {
            shared.report(number, None);
        }
        let mut states = self.state.subscribe();
        // The sender is a field of this value, so it is still there.
        let mut lost = pin!(states.wait_for(|state| !matches!(state, State::Up(..))));
        if timeout(SOUND, &mut lost).await.is_ok() {
            return false;
        }
        shared.report(number, None);
        let _ = lost.await;
        true
    }

    /// A connection over which the store has run every command of the scripts.
    async fn connect(&self, shared: &Shared) -> Result<Connection, String> {
        let connecting = timeout(super::address::CONNECT, shared.address.connect()).await;
        let connecting = connecting.map_err(|_| "no connection in time".to_owned())?;
        let mut connection = connecting.map_err(|error| shown(&error.to_string()))?;
        // The proof uses the tag of the message that lost the last connection: in a cluster another node may still
        // serve.
        let proof = script::proof(&self.lost().tag);
        let fault = match timeout(shared.limit, script::run(&mut connection, &proof)).await {
            Ok(Ok(Value::Int(1))) => return Ok(connection),
            Ok(Ok(_)) => Fault::Wrong,
            Ok(Err(error)) => Fault::Error(error),
            Err(_) => Fault::Hangs,
        };
        Err(fault.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hangs => f.write_str("no answer in time"),
            Self::Error(error) => f.write_str(&shown(&error.to_string())),
            Self::Wrong => f.write_str("an answer that a correct store never gives"),
        }
    }
}

/// The beginning of what a store says, as one line.
fn shown(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).take(MAX_PROBLEM).collect()
}

impl Drop for super::Store {
    fn drop(&mut self) {
        for keeper in self.links.iter().filter_map(|link| link.keeper.get()) {
            keeper.abort();
        }
    }
}

impl Connection {
    pub(super) async fn query(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }
}
