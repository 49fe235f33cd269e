//! Whether the store answers, for the log and metrics: one line at each change of each part, and no flapping. While a part
//! stays down, another line tells of a problem that asks for something else.
//!
//! A part is the whole store, or a node of a cluster. A part is down while one of its links is. A link that is back
//! reports this only after all links have been quiet for a moment: while a store stops and goes on, the threads notice
//! it at different times.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{cluster::Place, fault::advice};

/// How long no link of a part may have failed before the part counts as up again.
const QUIET: Duration = Duration::from_millis(300);

/// The least time between two lines about the problems of a part that stays down.
const PAUSE: Duration = Duration::from_secs(10);

/// The state of all parts.
pub(super) struct Status {
    /// What replicas do without the store, as a text for the log.
    meanwhile: &'static str,
    parts: Mutex<HashMap<Place, Part>>,
    up: AtomicBool,
}

/// The state of a part.
#[derive(Default)]
struct Part {
    /// The threads whose links are down.
    down: HashSet<usize>,
    /// What the log says; `None` until a link has reported.
    is_up: Option<bool>,
    /// What the last line of the log said to do, if anything, and when.
    told: Option<(Option<&'static str>, Instant)>,
    failed: Option<Instant>,
}

impl Status {
    pub(super) fn new(meanwhile: &'static str) -> Self {
        Self { meanwhile, parts: Mutex::default(), up: AtomicBool::new(false) }
    }

    /// Whether all parts answer, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        self.up.load(Relaxed)
    }

    /// Notes the new state of the link of a thread, and logs it if the state of the part changes.
    pub(super) fn report(&self, thread: usize, place: &Place, problem: Option<&str>) {
        let mut parts = self.parts();
        let part = parts.entry(place.clone()).or_default();
        if problem.is_some() {
            part.down.insert(thread);
            part.failed = Some(Instant::now());
        } else {
            part.down.remove(&thread);
        }
        let is_up = part.down.is_empty();
        let changes = part.is_up.replace(is_up) != Some(is_up);
        let advice = problem.and_then(advice);
        let is_other = advice.is_some() && part.told.is_some_and(|(told, at)| told != advice && at.elapsed() > PAUSE);
        if changes || is_other {
            part.told = Some((advice, Instant::now()));
        }
        self.note(&parts);
        if changes {
            self.tell(place, is_up, problem.unwrap_or_default());
        } else if is_other {
            let node = place.node();
            tracing::warn!(node, problem, "the shared store is still down, and now has another problem");
        }
    }

    /// Forgets a part: the node has left the cluster, or has no messages any longer.
    pub(super) fn forget(&self, place: &Place) {
        let mut parts = self.parts();
        let part = parts.remove(place);
        self.note(&parts);
        if let (Some(Part { is_up: Some(false), .. }), Place::Node(node)) = (part, place) {
            tracing::info!(%node, "a node of the shared store no longer has messages");
        }
    }

    /// Waits until no link of the part has failed for a moment.
    pub(super) async fn quiet(&self, place: &Place) {
        loop {
            let until = self.parts().get(place).and_then(|part| part.failed).map(|failed| failed + QUIET);
            match until {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return,
            }
        }
    }

    fn note(&self, parts: &HashMap<Place, Part>) {
        self.up.store(!parts.is_empty() && parts.values().all(|part| part.down.is_empty()), Relaxed);
    }

    fn tell(&self, place: &Place, is_up: bool, problem: &str) {
        let meanwhile = self.meanwhile;
        match (place, is_up) {
            (Place::Whole, true) => tracing::info!("the shared store answers"),
            (Place::Whole, false) => tracing::warn!(problem, meanwhile, "the shared store does not answer"),
            (Place::Node(node), true) => tracing::info!(%node, "a node of the shared store answers"),
            (Place::Node(node), false) => {
                tracing::warn!(
                    %node,
                    problem,
                    meanwhile,
                    "a node of the shared store does not answer: this concerns its messages only"
                );
            }
        }
    }

    fn parts(&self) -> MutexGuard<'_, HashMap<Place, Part>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
