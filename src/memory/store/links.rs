//! The links of all threads, which of them a message takes, and the task that keeps the map of a cluster.
//!
//! Each thread that serves calls has one link to each place, made when the first message needs it. The thread that
//! starts the server has links to all nodes of a cluster, so that the metric tells of each node.

use std::{
    cell::OnceCell,
    collections::HashMap,
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::time::sleep;

use super::{
    cluster::{Cluster, Node, PACE, Place},
    connect::Connection,
    link::{Generation, Link, State},
    shared::Shared,
};

/// What the log says while calls are given up because their messages are moving.
const MOVING: &str = "a slot of the cluster is moving, and Redis answers nothing about its new messages meanwhile (TRYAGAIN): \
                      end the move, for example with redis-cli --cluster fix";

/// The links, and what they share.
pub(super) struct Links {
    pub(super) shared: Shared,
    /// The links of each thread.
    threads: Vec<Mutex<HashMap<Place, Arc<Link>>>>,
}

/// A connection, and the link that it belongs to.
pub(super) type Up = (Arc<Link>, Generation, Connection);

impl Links {
    pub(super) fn new(shared: Shared) -> Self {
        // One for each thread that serves calls, and one for the thread that starts the server.
        let threads = thread::available_parallelism().map_or(1, usize::from) + 1;
        Self { shared, threads: (0..threads).map(|_| Mutex::default()).collect() }
    }

    /// Starts what needs no message.
    pub(super) fn start(self: &Arc<Self>) {
        match &self.shared.cluster {
            Some(cluster) => self.watch(cluster),
            None => drop(self.link(self.thread(), &Place::Whole, "")),
        }
    }

    /// The state of the link that the messages with `tag` take, or of the link to where an answer redirects them.
    pub(super) fn state(self: &Arc<Self>, tag: &str, to: Option<&Node>) -> (State, Option<Arc<Link>>) {
        match self.route(tag, to) {
            Some(link) => (link.state(), Some(link)),
            None if self.shared.cluster.as_ref().is_some_and(Cluster::is_down) => (State::Down, None),
            None => (State::Connecting, None),
        }
    }

    /// Waits until the link is up that the messages with `tag` take, without a time limit.
    pub(super) async fn up(self: &Arc<Self>, tag: &str, mut to: Option<Node>) -> Up {
        loop {
            let mut maps = self.shared.cluster.as_ref().map(|cluster| cluster.map.subscribe());
            let changed = async {
                match &mut maps {
                    // The sender lives as long as this value.
                    Some(maps) => drop(maps.changed().await),
                    None => pending().await,
                }
            };
            let Some(link) = self.route(tag, to.as_ref()) else {
                changed.await;
                continue;
            };
            tokio::select! {
                (generation, connection) = link.up() => return (link, generation, connection),
                () = changed => to = None,
            }
        }
    }

    /// The link that the messages with `tag` take, or the link to where an answer redirects them.
    pub(super) fn route(self: &Arc<Self>, tag: &str, to: Option<&Node>) -> Option<Arc<Link>> {
        let Some(cluster) = &self.shared.cluster else { return Some(self.link(self.thread(), &Place::Whole, tag)) };
        self.watch(cluster);
        let node = to.cloned().or_else(|| cluster.owner(tag))?;
        Some(self.link(self.thread(), &Place::Node(node), tag))
    }

    /// The number of this thread.
    fn thread(&self) -> usize {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static THREAD: OnceCell<usize> = const { OnceCell::new() };
        }
        THREAD.with(|thread| *thread.get_or_init(|| THREADS.fetch_add(1, Relaxed))) % self.threads.len()
    }

    /// The link of a thread to a place. The task that keeps it runs on the runtime of the first caller, so that other
    /// callers of this thread need not wake another thread.
    fn link(self: &Arc<Self>, thread: usize, place: &Place, tag: &str) -> Arc<Link> {
        let mut links = self.of(thread);
        if let Some(link) = links.get(place) {
            return Arc::clone(link);
        }
        let link = Arc::new(Link::new(tag));
        links.insert(place.clone(), Arc::clone(&link));
        let (all, kept, place) = (Arc::clone(self), Arc::clone(&link), place.clone());
        let is_named =
            matches!((&self.shared.cluster, &place), (Some(cluster), Place::Node(node)) if cluster.has(node));
        let keeper = tokio::spawn(async move {
            tokio::select! {
                () = kept.keep(thread, &place, &all.shared) => {}
                () = all.left(&place, is_named) => {
                    all.of(thread).remove(&place);
                    all.shared.status.forget(&place);
                }
            }
        });
        link.kept_by(keeper.abort_handle());
        link
    }

    fn of(&self, thread: usize) -> MutexGuard<'_, HashMap<Place, Arc<Link>>> {
        self.threads[thread].lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn left(&self, place: &Place, is_named: bool) {
        match (&self.shared.cluster, place) {
            (Some(cluster), Place::Node(node)) => cluster.left(node, is_named).await,
            _ => pending().await,
        }
    }

    /// Starts the task that keeps the map.
    fn watch(self: &Arc<Self>, cluster: &Cluster) {
        cluster.watcher.get_or_init(|| {
            let (all, thread) = (Arc::clone(self), self.thread());
            tokio::spawn(async move { all.keep_map(thread).await }).abort_handle()
        });
    }

    async fn keep_map(self: Arc<Self>, thread: usize) {
        let Some(cluster) = &self.shared.cluster else { return };
        let mut problem = None;
        loop {
            let told = self.shared.ask_for_map(cluster).await;
            cluster.failed.store(told.is_err(), Relaxed);
            let new = match told {
                Ok(map) if map.is_whole() && cluster.is_moving() => Some(MOVING.to_owned()),
                Ok(map) if map.is_whole() => None,
                Ok(_) => Some("the cluster has no owner for some messages: see CLUSTER INFO on its nodes".to_owned()),
                Err(problem) => Some(problem),
            };
            if new.is_some() || problem.is_some() {
                self.shared.status.report(thread, &Place::Whole, new.as_deref());
            }
            problem = new;
            let owners = cluster.map.borrow().as_ref().map(|map| map.owners());
            for node in owners.into_iter().flatten() {
                self.link(thread, &Place::Node(node), "");
            }
            let pause = if problem.is_some() { 4 * PACE } else { Duration::MAX };
            tokio::select! {
                () = cluster.stale.notified() => {}
                () = sleep(pause) => {}
            }
            sleep(PACE).await;
        }
    }
}

impl Drop for super::Store {
    fn drop(&mut self) {
        for thread in 0..self.links.threads.len() {
            for link in self.links.of(thread).values() {
                link.end();
            }
        }
        if let Some(watcher) = self.links.shared.cluster.as_ref().and_then(|cluster| cluster.watcher.get()) {
            watcher.abort();
        }
    }
}
