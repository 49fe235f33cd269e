//! Which node of a cluster has which messages, and a task that keeps this map.
//!
//! Replaces the cluster connection of the `redis` crate. That is one driver for all nodes: while it looks for a node
//! that is gone, it answers for no other, and it closes nothing for one node alone. Here each node has links of its
//! own, so a node that is stopped, full or gone stops its own messages only (`tests/interop/store/cluster.rs` measures
//! it with a cluster of three).
//!
//! Source: the Redis Cluster Specification (`CLUSTER SLOTS`, `MOVED`, `ASK`, hash tags).

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crc16::{State, XMODEM};
use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
};

/// The number of slots of a cluster.
const SLOTS: u16 = 16_384;
/// The least time between two questions for the map.
pub(super) const PACE: Duration = Duration::from_millis(100);
/// How long after a call was given up the messages of a slot count as moving.
const MOVING: Duration = Duration::from_secs(2);
/// The most tags that are tried to find one in a slot of a node: a thousand times the slots.
const MAX_TAGS: u32 = 1 << 24;

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// The whole store: one server, or the master that Sentinel names.
    Whole,
    /// One node of a cluster.
    Node(Node),
}

impl Place {
    /// The node, as the log names it; `None` for the whole store.
    pub(super) fn node(&self) -> Option<String> {
        match self {
            Self::Whole => None,
            Self::Node(node) => Some(node.to_string()),
        }
    }
}

/// The address of a node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    pub(super) host: Arc<str>,
    pub(super) port: u16,
}

/// What a store's answer asks for instead of an answer.
pub(super) enum Redirect {
    /// To ask this node, after the command `ASKING` if the slot is moving to it.
    To(Node, bool),
    /// To ask again: a slot is moving, or no node has it now.
    Again,
}

/// The owners of all slots.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Map {
    /// The slots of each owner, in order.
    ranges: Vec<Range>,
    /// Followers, which become owners when one fails.
    followers: Vec<Node>,
}

#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: u16,
    last: u16,
    owner: Node,
}

/// The map of a cluster, as far as it is known.
pub(super) struct Cluster {
    pub(super) map: watch::Sender<Option<Arc<Map>>>,
    /// Whether the last question for the map failed.
    pub(super) failed: AtomicBool,
    /// When a call was last given up because its messages are moving.
    moving: Mutex<Option<Instant>>,
    /// Told when the map is wrong.
    pub(super) stale: Notify,
    pub(super) watcher: OnceLock<AbortHandle>,
}

/// The slot of a key with this hash tag.
pub(super) fn slot(tag: &str) -> u16 {
    State::<XMODEM>::calculate(tag.as_bytes()) % SLOTS
}

impl Cluster {
    pub(super) fn new() -> Self {
        let failed = AtomicBool::new(false);
        Self {
            map: watch::Sender::new(None),
            failed,
            moving: Mutex::default(),
            stale: Notify::new(),
            watcher: OnceLock::new(),
        }
    }

    /// The node that has the messages with this tag.
    pub(super) fn owner(&self, tag: &str) -> Option<Node> {
        self.map.borrow().as_ref()?.owner(slot(tag)).cloned()
    }

    /// Whether this node has messages.
    pub(super) fn has(&self, node: &Node) -> bool {
        self.map.borrow().as_ref().is_some_and(|map| map.has(node))
    }

    /// Whether a message without a known owner need not wait for one.
    pub(super) fn is_down(&self) -> bool {
        self.failed.load(Relaxed) || self.map.borrow().is_some()
    }

    /// A call was given up because its messages are moving.
    pub(super) fn note_moving(&self) {
        *self.moving.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.stale.notify_one();
    }

    /// Whether a call was given up not long ago because its messages are moving.
    pub(super) fn is_moving(&self) -> bool {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|last| last.elapsed() < MOVING)
    }

    /// What this error asks for; `None` if it is a fault. If the map is wrong, it is asked for again.
    pub(super) fn redirect(&self, error: &RedisError) -> Option<Redirect> {
        let ErrorKind::Server(kind) = error.kind() else { return None };
        let unowned = error.detail().is_some_and(|detail| detail.contains("not served"));
        if matches!(kind, ServerErrorKind::Moved | ServerErrorKind::ClusterDown) {
            self.stale.notify_one();
        }
        match kind {
            ServerErrorKind::Moved | ServerErrorKind::Ask => {
                let node = error.redirect_node().and_then(|(address, _)| Node::parse(address));
                // Without a host the node is known only by the map.
                Some(node.map_or(Redirect::Again, |node| Redirect::To(node, kind == ServerErrorKind::Ask)))
            }
            ServerErrorKind::TryAgain => Some(Redirect::Again),
            ServerErrorKind::ClusterDown if unowned => Some(Redirect::Again),
            _ => None,
        }
    }

    /// Waits until the map changes and `node` has no messages in it. A node that a map names is looked for at once.
    pub(super) async fn left(&self, node: &Node, is_named: bool) {
        let mut maps = self.map.subscribe();
        let mut waits = !is_named;
        loop {
            if waits {
                // The sender is a field of this value, so it is still there.
                let _ = maps.changed().await;
            }
            waits = true;
            if maps.borrow_and_update().as_ref().is_some_and(|map| !map.has(node)) {
                return;
            }
        }
    }
}

impl Map {
    /// The answer of a node to `CLUSTER SLOTS`. A node without a host is the one that `answered`.
    pub(super) fn parse(answer: &Value, answered: &Node) -> Option<Self> {
        let Value::Array(rows) = answer else { return None };
        let (mut ranges, mut followers) = (Vec::new(), Vec::new());
        for row in rows {
            let Value::Array(row) = row else { return None };
            let [Value::Int(first), Value::Int(last), owner, others @ ..] = &**row else { return None };
            followers.extend(others.iter().filter_map(|node| Node::told(node, answered)));
            // Nobody knows where this owner is.
            let Some(owner) = Node::told(owner, answered) else { continue };
            let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
            ranges.push(Range { first, last, owner });
        }
        ranges.sort_by_key(|range| range.first);
        let is_sound = ranges.iter().all(|range| range.first <= range.last && range.last < SLOTS)
            && ranges.is_sorted_by(|one, next| one.last < next.first);
        (is_sound && !ranges.is_empty()).then_some(Self { ranges, followers })
    }

    fn owner(&self, slot: u16) -> Option<&Node> {
        let after = self.ranges.partition_point(|range| range.first <= slot);
        let range = self.ranges.get(after.checked_sub(1)?)?;
        (slot <= range.last).then_some(&range.owner)
    }

    pub(super) fn has(&self, node: &Node) -> bool {
        self.ranges.iter().any(|range| range.owner == *node)
    }

    /// The nodes that have messages, each once.
    pub(super) fn owners(&self) -> Vec<Node> {
        let mut owners: Vec<Node> = Vec::new();
        for Range { owner, .. } in &self.ranges {
            if !owners.contains(owner) {
                owners.push(owner.clone());
            }
        }
        owners
    }

    /// All nodes that the map names.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.ranges.iter().map(|range| &range.owner).chain(&self.followers)
    }

    /// Whether every slot has an owner.
    pub(super) fn is_whole(&self) -> bool {
        self.ranges.iter().map(|range| range.last - range.first + 1).sum::<u16>() == SLOTS
    }

    /// Any tag in any slot of this node; `None` if it has no slot.
    pub(super) fn tag(&self, node: &Node) -> Option<String> {
        if !self.has(node) {
            return None;
        }
        let begin: u32 = rand::random();
        let mut tags = (0..MAX_TAGS).map(|number| begin.wrapping_add(number).to_string());
        tags.find(|tag| self.owner(slot(tag)) == Some(node))
    }
}

impl Node {
    /// The node of an address with a port; `None` without a host.
    fn parse(address: &str) -> Option<Self> {
        let (host, port) = address.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then_some(Self { host: host.into(), port: port.parse().ok()? })
    }

    /// A node as `CLUSTER SLOTS` tells it; `None` if its host is not known.
    fn told(node: &Value, answered: &Self) -> Option<Self> {
        let Value::Array(node) = node else { return None };
        let [host, Value::Int(port), ..] = &**node else { return None };
        let host = match host {
            Value::Nil => Arc::clone(&answered.host),
            Value::BulkString(host) if host.is_empty() => Arc::clone(&answered.host),
            Value::BulkString(host) if host == b"?" => return None,
            Value::BulkString(host) => str::from_utf8(host).ok()?.into(),
            _ => return None,
        };
        Some(Self { host, port: u16::try_from(*port).ok()? })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16) -> Node {
        Node { host: "host".into(), port }
    }

    fn row(first: i64, last: i64, nodes: &[(Value, i64)]) -> Value {
        let nodes = nodes.iter().map(|(host, port)| Value::Array(vec![host.clone(), Value::Int(*port)]));
        Value::Array([Value::Int(first), Value::Int(last)].into_iter().chain(nodes).collect())
    }

    fn host(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_slot_is_that_of_the_specification() {
        assert_eq!(State::<XMODEM>::calculate(b"123456789"), 0x31C3);
        // As `CLUSTER KEYSLOT` of Redis 7.0.15 says.
        assert_eq!((slot("foo"), slot("bar"), slot("")), (12_182, 5_061, 0));
    }

    #[test]
    fn the_map_names_the_owner_of_each_slot_and_a_gap_has_none() {
        let rows = [
            row(8192, 16_383, &[(host("host"), 2), (host("host"), 3)]),
            row(0, 4095, &[(Value::Nil, 1), (host("?"), 9)]),
            row(4097, 8191, &[(host(""), 1)]),
        ];
        let map = Map::parse(&Value::Array(rows.into()), &node(7)).unwrap();
        let owners = [0, 4095, 4096, 4097, 8191, 8192, 16_383].map(|slot| map.owner(slot).map(|node| node.port));
        assert_eq!(owners, [Some(1), Some(1), None, Some(1), Some(1), Some(2), Some(2)]);
        assert!(!map.is_whole());
        assert_eq!(map.owners(), [node(1), node(2)]);
        assert_eq!(map.nodes().map(|node| node.port).collect::<Vec<_>>(), [1, 1, 2, 3]);
        for port in [1, 2] {
            let tag = map.tag(&node(port)).unwrap();
            assert_eq!(map.owner(slot(&tag)), Some(&node(port)));
        }
        assert_eq!(map.tag(&node(3)), None);
    }

    #[test]
    fn a_map_of_the_wrong_form_is_refused() {
        let good = row(0, 16_383, &[(host("host"), 1)]);
        assert!(Map::parse(&Value::Array(vec![good.clone()]), &node(1)).unwrap().is_whole());
        for wrong in [
            Value::Array(vec![]),
            Value::Int(1),
            Value::Array(vec![good.clone(), good]),
            Value::Array(vec![row(5, 4, &[(host("host"), 1)])]),
            Value::Array(vec![row(0, 16_384, &[(host("host"), 1)])]),
            Value::Array(vec![row(-1, 3, &[(host("host"), 1)])]),
            Value::Array(vec![row(0, 3, &[(host("?"), 1)])]),
            Value::Array(vec![row(0, 3, &[(host("host"), 70_000)])]),
        ] {
            assert_eq!(Map::parse(&wrong, &node(1)), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_node_is_parsed_with_any_kind_of_host() {
        assert_eq!(Node::parse("host:1"), Some(node(1)));
        assert_eq!(Node::parse("fe80::1:7"), Some(Node { host: "fe80::1".into(), port: 7 }));
        assert_eq!(Node::parse("[fe80::1]:7"), Some(Node { host: "fe80::1".into(), port: 7 }));
        assert_eq!((Node::parse(":7"), Node::parse("host"), Node::parse("host:x")), (None, None, None));
    }
}
