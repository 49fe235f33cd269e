//! The threads that serve connections: a single-threaded runtime for each core. Each connection stays on one of them
//! until it ends.
//!
//! Replaces one multi-threaded runtime of tokio. With that runtime a call costs 7 to 44 % more processor time on two
//! cores. Over four connections or more the threads serve 1.7 to 1.9 times the calls, over one connection as many
//! (`cargo bench --bench load -- --against PATH`, with a program on one runtime).

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::{runtime, sync::oneshot};

/// How many connections may read before their calls process the read bytes. Only then do these bytes count as held, and
/// each connection may bring as many as its window.
const CONNECTIONS_PER_TURN: usize = 64;

/// The threads. They end when this value is dropped.
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    runtime: runtime::Handle,
    /// Connections that it serves.
    connections: Arc<AtomicUsize>,
    /// The drop of this value ends the thread and everything that runs on it.
    _stop: oneshot::Sender<()>,
}

impl Workers {
    /// Starts one thread for each core that the process may use.
    ///
    /// # Errors
    /// If the system cannot start a thread.
    pub(super) fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        (0..count).map(|number| Worker::start(&format!("worker-{number}"))).collect::<io::Result<_>>().map(Self)
    }

    /// Starts one thread of this name.
    ///
    /// # Errors
    /// If the system cannot start the thread.
    pub(super) fn start_one(name: &str) -> io::Result<Self> {
        Ok(Self(vec![Worker::start(name)?]))
    }

    /// Runs `connection` on the thread that has the fewest connections.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let Some(worker) = self.0.iter().min_by_key(|worker| worker.connections.load(Ordering::Relaxed)) else {
            return;
        };
        let counted = Counted::of(&worker.connections);
        worker.runtime.spawn(async move {
            let _counted = counted;
            connection.await;
        });
    }
}

impl Worker {
    fn start(name: &str) -> io::Result<Self> {
        let runtime =
            runtime::Builder::new_current_thread().enable_all().max_io_events_per_tick(CONNECTIONS_PER_TURN).build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { runtime: handle, connections: Arc::default(), _stop: stop })
    }
}

/// Counts one connection while this value lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn of(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
