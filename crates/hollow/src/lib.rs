//! Simulated nodes, kubelets and a plain scheduler, always marked simulated.
//!
//! Runs against any API server: it makes Node objects labelled `skerry.dev/simulated`, binds pods to them by room,
//! node selectors, required node affinity and taints, and reports them Running and Ready without running anything.
//! Pods of Jobs succeed after a moment. A deleted pod ends at once.
//!
//! Guarantees: no pod is bound beyond a node's allocatable figures; only pods on simulated nodes are reported on.
//! Absent: images, networks, volumes, probes, logs. Nothing here pretends to be a real node: the label, the kubelet
//! version `…-simulated`, the container runtime `simulated://` and the one line of every log ([`NOTHING_RUNS`]) say so.

mod fit;
mod kubelet;
mod nodes;
mod resources;
mod scheduler;
mod words;

use kube::Client;
use tokio_util::sync::CancellationToken;

pub use nodes::NodeShape;
pub use words::NOTHING_RUNS;

/// A simulated host.
#[derive(Clone, Debug)]
pub struct Hollow {
    /// Prefix of node names, as `sim-0`.
    pub name: String,
    /// Number of nodes.
    pub nodes: usize,
    /// What each node offers.
    pub shape: NodeShape,
}

/// The simulation could not start.
#[derive(Debug, thiserror::Error)]
pub enum HollowError {
    /// A Node object was refused.
    #[error("node {0} could not be made")]
    Node(String, #[source] Box<kube::Error>),
}

impl Hollow {
    /// Makes the nodes, then schedules and runs pods until the token is cancelled.
    pub async fn run(self, client: Client, stop: CancellationToken) -> Result<(), HollowError> {
        nodes::make(&client, &self).await?;
        let work = async {
            tokio::join!(
                nodes::keep(&client, &self),
                scheduler::run(client.clone(), self.clone()),
                kubelet::run(client.clone(), self.clone()),
            )
        };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = work => {}
        }
        Ok(())
    }

    /// Name of the `i`-th node.
    pub fn node_name(&self, i: usize) -> String {
        format!("{}-node-{i}", self.name)
    }

    /// Whether a node is one of these.
    pub fn owns(&self, node: &str) -> bool {
        (0..self.nodes).any(|i| self.node_name(i) == node)
    }
}
