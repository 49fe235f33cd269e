//! One connection to the store that many calls share, and the task that keeps it: it connects, proves that the store
//! runs every command of the scripts, and does so again when calls lose the connection.
//!
//! A connection is made anew at once if the lost one was good. Else there is a pause, so that a store that passes the
//! proof and then answers wrongly is not asked for thousands of connections a second. Such a store counts as up only
//! after a right answer to a call.
//!
//! Replaces `redis::aio::ConnectionManager`. That makes a new connection when a call meets a broken one, and knows no other
//! fault: it asks a store again that hangs, gives wrong answers or takes no writes, and a store that no call asks is
//! never asked.

use std::{
    convert::Infallible,
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    cluster::Place,
    connect::{CONNECT, Connection},
    fault::{Fault, shown},
    script,
    shared::Shared,
};

/// The pause after a failure. It is doubled after each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// The longest pause: when the store is back, a replica notices at most this much later.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// A connection that lasted at least this long counts as good.
const SOUND: Duration = Duration::from_secs(1);
/// After this time without an answer to a call the store is asked for its proof again.
const IDLE: Duration = Duration::from_secs(1);
/// The most slots of a node in which it is asked for its proof. One that is just moving proves nothing.
const SLOTS: usize = 3;
/// How long a connection must last without a call if the last one passed the proof and then gave wrong answers only.
const DOUBT: Duration = Duration::from_mins(1);

/// The most messages of a thread that a store is asked about at the same time. The others wait for their turn. If all were
/// asked at once, thousands of calls would wait for each other in the store, and its time limit would count this as an
/// outage.
const TURNS: usize = 128;

/// A connection and its state.
pub(super) struct Link {
    turns: Arc<Semaphore>,
    state: watch::Sender<State>,
    keeper: OnceLock<AbortHandle>,
    /// The latest connection that gave a call a right answer.
    answered: watch::Sender<Generation>,
    /// Whether a call has got a right answer since the store was last asked for its proof.
    heard: AtomicBool,
    lost: Mutex<Lost>,
}

/// How calls lost the connection.
#[derive(Default)]
struct Lost {
    problem: String,
    /// The tag of the message that was sent at that time.
    tag: String,
    cause: Cause,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Cause {
    /// No answer in time.
    #[default]
    Hang,
    /// It only broke: the store gave no wrong answer.
    Break,
    /// The store gave a wrong answer, or an error.
    Answer,
}

/// How long a new connection must last, unless a call gets a right answer, until its link counts as up.
type Trial = Duration;

#[derive(Clone)]
pub(super) enum State {
    /// A new connection is being made, and calls wait for it within their time limit.
    Connecting,
    /// The store does not answer.
    Down,
    /// Calls use this connection.
    Up(Generation, Connection),
}

/// See [`Link::turn`].
pub(super) type Turn = OwnedSemaphorePermit;

/// Distinguishes a connection from earlier ones.
pub(super) type Generation = u64;

impl Link {
    /// A link for a message with `tag`.
    pub(super) fn new(tag: &str) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(TURNS)),
            state: watch::Sender::new(State::Connecting),
            keeper: OnceLock::new(),
            answered: watch::Sender::new(0),
            heard: AtomicBool::new(false),
            lost: Mutex::new(Lost { tag: tag.to_owned(), ..Lost::default() }),
        }
    }

    pub(super) fn kept_by(&self, keeper: AbortHandle) {
        self.keeper.get_or_init(|| keeper);
    }

    /// Ends the task that keeps the connection.
    pub(super) fn end(&self) {
        if let Some(keeper) = self.keeper.get() {
            keeper.abort();
        }
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(*self.state.borrow(), State::Up(..))
    }

    /// Waits for a turn to ask the store about a message. It ends when it is dropped.
    #[expect(clippy::expect_used, reason = "nothing closes it")]
    pub(super) async fn turn(&self) -> Turn {
        Arc::clone(&self.turns).acquire_owned().await.expect("the semaphore is open")
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
        self.heard.store(true, Relaxed);
        if *self.answered.borrow() != generation {
            self.answered.send_replace(generation);
        }
    }

    /// A call lost this connection. If the store hangs, it is down at once; else a new connection may help.
    pub(super) fn lose(&self, generation: Generation, tag: &str, fault: &Fault) {
        self.state.send_if_modified(|state| {
            let is_current = matches!(state, State::Up(current, _) if *current == generation);
            if is_current {
                let (next, cause) = match fault {
                    Fault::Hangs => (State::Down, Cause::Hang),
                    Fault::Error(error) if error.is_io_error() => (State::Connecting, Cause::Break),
                    Fault::Error(_) | Fault::Wrong | Fault::Moved => (State::Connecting, Cause::Answer),
                };
                *state = next;
                *self.lost() = Lost { problem: fault.to_string(), tag: tag.to_owned(), cause };
            }
            is_current
        });
    }

    fn lost(&self) -> MutexGuard<'_, Lost> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the connection of a thread to a place. Never returns.
    pub(super) async fn keep(&self, thread: usize, place: &Place, shared: &Shared) {
        let mut pause = FIRST_PAUSE;
        let mut trial = Trial::ZERO;
        for generation in 1.. {
            let problem = match self.connect(place, shared).await {
                Ok(connection) => {
                    self.state.send_replace(State::Up(generation, connection.clone()));
                    let begin = Instant::now();
                    tokio::select! {
                        biased;
                        () = self.loss() => {}
                        never = self.trust(thread, place, shared, generation, trial) => match never {},
                        never = self.watch(place, shared, generation, &connection) => match never {},
                    }
                    let lasted = begin.elapsed() >= SOUND;
                    let answered = *self.answered.borrow() == generation;
                    let Lost { problem, cause, .. } = &*self.lost();
                    trial = match cause {
                        _ if answered => Trial::ZERO,
                        Cause::Answer => DOUBT,
                        Cause::Hang | Cause::Break => SOUND,
                    };
                    if lasted && answered {
                        pause = FIRST_PAUSE;
                    }
                    let is_good = match cause {
                        Cause::Hang => false,
                        Cause::Break => lasted || answered,
                        Cause::Answer => lasted && answered,
                    };
                    if is_good {
                        continue;
                    }
                    problem.clone()
                }
                Err(problem) => {
                    // The proof shows what is wrong, so it will show when it is right again.
                    trial = Trial::ZERO;
                    problem
                }
            };
            self.state.send_replace(State::Down);
            shared.status.report(thread, place, Some(&problem));
            shared.note_down();
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits until the connection is lost.
    async fn loss(&self) {
        let mut states = self.state.subscribe();
        // The sender is a field of this value, so it is still there.
        drop(states.wait_for(|state| !matches!(state, State::Up(..))).await);
    }

    /// Reports that the store answers: after the `trial`, or when a call got a right answer.
    async fn trust(
        &self,
        thread: usize,
        place: &Place,
        shared: &Shared,
        generation: Generation,
        trial: Trial,
    ) -> Infallible {
        let mut answered = self.answered.subscribe();
        let _ = timeout(trial, answered.wait_for(|latest| *latest == generation)).await;
        shared.status.quiet(place).await;
        shared.status.report(thread, place, None);
        pending().await
    }

    /// Asks a store that no call asks, so that log and metric tell of an outage before a call meets it.
    async fn watch(
        &self,
        place: &Place,
        shared: &Shared,
        generation: Generation,
        connection: &Connection,
    ) -> Infallible {
        loop {
            sleep(IDLE).await;
            if self.heard.swap(false, Relaxed) {
                continue;
            }
            // No call waits for this, so a store that is only slow for once does not count as down.
            match self.prove(connection, place, shared, CONNECT).await {
                // The map tells where the messages of this node are.
                Ok(()) | Err(Fault::Moved) => {}
                Err(fault) => {
                    let tag = self.lost().tag.clone();
                    self.lose(generation, &tag, &fault);
                }
            }
        }
    }

    /// A connection over which the store has run every command of the scripts.
    async fn connect(&self, place: &Place, shared: &Shared) -> Result<Connection, String> {
        let connecting = timeout(CONNECT, shared.address.connect(place)).await;
        let connecting = connecting.map_err(|_| "no connection in time".to_owned())?;
        let connection = connecting.map_err(|error| shown(&error.to_string()))?;
        self.prove(&connection, place, shared, shared.limit).await.map_err(|fault| fault.to_string())?;
        Ok(connection)
    }

    /// Lets the store run every command of the scripts. Each answer must come within `limit`.
    async fn prove(
        &self,
        connection: &Connection,
        place: &Place,
        shared: &Shared,
        limit: Duration,
    ) -> Result<(), Fault> {
        for _ in 0..SLOTS {
            // A node to which the first slot is just moving is in no map yet.
            let tag = shared.tag(place).unwrap_or_else(|| self.lost().tag.clone());
            match timeout(limit, script::prove(connection, &tag, shared.is_cluster())).await {
                Ok(Ok(true)) => return Ok(()),
                Ok(Ok(false)) => return Err(Fault::Wrong),
                // The map is asked for again.
                Ok(Err(error)) if shared.redirect(&error).is_some() => {}
                Ok(Err(error)) => return Err(Fault::Error(error)),
                Err(_) => return Err(Fault::Hangs),
            }
        }
        Err(Fault::Moved)
    }
}
