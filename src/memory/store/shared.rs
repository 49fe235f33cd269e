//! What all links share: where the store is, the state of its parts, and the map of a cluster.

use std::{sync::Arc, time::Duration};

use futures_util::future::select_ok;
use rand::seq::SliceRandom;
use redis::RedisError;
use tokio::time::timeout;

use super::{
    cluster::{Cluster, Map, Node, Place, Redirect},
    connect::{Address, CONNECT, Unconnected},
    fault::shown,
    status::Status,
};

/// The most nodes that are asked for the map at the same time, so that one that hangs does not delay it.
const ASKED: usize = 3;

/// What all links share.
pub(super) struct Shared {
    pub(super) address: Address,
    /// How long an answer may take.
    pub(super) limit: Duration,
    pub(super) status: Status,
    /// `None` for another kind of store.
    pub(super) cluster: Option<Cluster>,
}

impl Shared {
    pub(super) fn new(address: Address, limit: Duration, status: Status) -> Self {
        let cluster = (!address.seeds().is_empty()).then(Cluster::new);
        Self { address, limit, status, cluster }
    }

    /// What an error asks for; `None` if it is a fault.
    pub(super) fn redirect(&self, error: &RedisError) -> Option<Redirect> {
        self.cluster.as_ref()?.redirect(error)
    }

    /// A link is down. In a cluster, another node may have its messages now.
    pub(super) fn note_down(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.stale.notify_one();
        }
    }

    /// A cluster gave no answer in time but that messages are moving.
    pub(super) fn note_moving(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.note_moving();
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.cluster.is_some()
    }

    /// A tag in a slot of this node, as far as the map tells.
    pub(super) fn tag(&self, place: &Place) -> Option<String> {
        let (Some(cluster), Place::Node(node)) = (&self.cluster, place) else { return None };
        let map = cluster.map.borrow().clone()?;
        map.tag(node)
    }

    /// Asks some nodes for the map, and takes the first answer.
    pub(super) async fn ask_for_map(&self, cluster: &Cluster) -> Result<Arc<Map>, String> {
        let known = cluster.map.borrow().clone();
        let mut nodes = self.address.seeds().to_vec();
        nodes.extend(known.iter().flat_map(|map| map.nodes()).cloned());
        nodes.sort_by(|one, other| (&one.host, one.port).cmp(&(&other.host, other.port)));
        nodes.dedup();
        nodes.shuffle(&mut rand::rng());
        let asked = nodes.into_iter().take(ASKED).map(|node| Box::pin(self.ask_node(node)));
        let (map, _) = select_ok(asked).await?;
        let map = Arc::new(map);
        cluster.map.send_if_modified(|known| {
            let changes = known.as_ref() != Some(&map);
            let owners = map.owners();
            if known.as_ref().is_none_or(|known| known.owners() != owners) {
                let nodes = owners.iter().map(Node::to_string).collect::<Vec<_>>().join(" ");
                tracing::info!(nodes, "the shared store is a cluster, and these nodes have its messages");
            }
            *known = Some(Arc::clone(&map));
            changes
        });
        Ok(map)
    }

    async fn ask_node(&self, node: Node) -> Result<Map, String> {
        let asking = async {
            let mut connection = self.address.connect(&Place::Node(node.clone())).await?;
            let answer: redis::Value = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
            Ok::<_, Unconnected>(Map::parse(&answer, &node))
        };
        let answer = timeout(CONNECT, asking).await.map_err(|_| "no connection in time".to_owned())?;
        let map = answer.map_err(|error| shown(&error.to_string()))?;
        map.ok_or_else(|| "this node of the cluster knows no owner of any message".to_owned())
    }
}
