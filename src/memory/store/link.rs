//! One connection to the store that many calls share, and the task that keeps it: it connects, proves with a write that
//! the store serves, and does so again when calls lose the connection.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use redis::{Cmd, RedisResult, Value};
use tokio::{
    sync::watch,
    task::AbortHandle,
    time::{sleep, timeout},
};

use super::address::{Address, Connection};

/// The pause after a failure. It is doubled after each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause: when the store is back, a replica notices at most this much later.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// A connection that lasted at least this long counts as good.
const SOUND: Duration = Duration::from_secs(1);

/// A connection and its state.
pub(super) struct Link {
    state: watch::Sender<State>,
    keeper: OnceLock<AbortHandle>,
    /// Why calls lost the connection, and the tag of the message that was sent at that time.
    lost: Mutex<(String, String)>,
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
        Self { state: watch::Sender::new(State::Connecting), keeper: OnceLock::new(), lost: Mutex::default() }
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

    /// A call with `tag` lost this connection. If the store `hangs`, it is down at once; else a new connection may
    /// help.
    pub(super) fn lose(&self, generation: Generation, tag: &str, problem: &str, hangs: bool) {
        self.state.send_if_modified(|state| {
            let is_current = matches!(state, State::Up(current, _) if *current == generation);
            if is_current {
                *state = if hangs { State::Down } else { State::Connecting };
                *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = (problem.to_owned(), tag.to_owned());
            }
            is_current
        });
    }

    async fn keep(&self, number: usize, shared: &Shared) {
        let mut pause = FIRST_PAUSE;
        for generation in 1.. {
            match self.connect(shared).await {
                Ok(connection) => {
                    self.state.send_replace(State::Up(generation, connection));
                    shared.report(number, None);
                    let since = Instant::now();
                    let mut states = self.state.subscribe();
                    // The sender is a field of this value, so it is still there.
                    let _ = states.wait_for(|state| !matches!(state, State::Up(..))).await;
                    if since.elapsed() > SOUND {
                        pause = FIRST_PAUSE;
                    }
                    if matches!(self.state(), State::Connecting) {
                        continue;
                    }
                    let problem = self.lost.lock().unwrap_or_else(PoisonError::into_inner).0.clone();
                    shared.report(number, Some(&problem));
                }
                Err(problem) => {
                    self.state.send_replace(State::Down);
                    shared.report(number, Some(&problem));
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A connection over which the store has written.
    async fn connect(&self, shared: &Shared) -> Result<Connection, String> {
        let connecting = timeout(super::address::CONNECT, shared.address.connect()).await;
        let mut connection =
            connecting.map_err(|_| "no connection in time".to_owned())?.map_err(|error| error.to_string())?;
        // The write uses the tag of the message that lost the last connection: in a cluster another node may still
        // serve.
        let tag = self.lost.lock().unwrap_or_else(PoisonError::into_inner).1.clone();
        let mut probe = redis::cmd("EVAL");
        let probe = probe.arg("redis.call('HSET', KEYS[1], 'p', '') return redis.call('PEXPIRE', KEYS[1], 1000)");
        let probe = probe.arg(1).arg(format!("{}{{{tag}}}:probe", super::script::PREFIX));
        match timeout(shared.limit, connection.query(probe)).await {
            Ok(Ok(Value::Int(1))) => Ok(connection),
            Ok(Ok(_)) => Err("an answer that a correct store never gives".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }
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
