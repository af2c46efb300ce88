//! The inventory as the engine sees it: members, their tree, their capacity with its age, errors kept inside.
//!
//! **Guarantee**: missing capacity is [`Capacity::Unknown`] with its reason, never zero.
//! **Assumption**: member ids are unique; of two equal ids the engine uses the one that sorts first.

use super::{Millis, Resources};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// A member's id: its key everywhere (`tk3v2q5x2m7a`, or the UID a real member reported).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub Arc<str>);

impl From<&str> for MemberId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Namespace and name of a member's ClusterProfile.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MemberName {
    /// Namespace on the hub.
    pub namespace: Arc<str>,
    /// Name of the ClusterProfile.
    pub name: Arc<str>,
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

/// Everything the inventory knows, as one value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// All members and the hosts below them, in any order.
    pub members: Vec<Arc<Member>>,
}

impl Snapshot {
    /// The members that a Placement in `namespace` sees: those its namespace owns and those of the cluster sets
    /// granted to it (inventory CS5). `None` is a ClusterPlacement, which sees all. Nodes that are no members are
    /// never seen.
    pub fn visible_to<'a>(
        &'a self,
        namespace: Option<&'a str>,
        grants: &'a [String],
    ) -> impl Iterator<Item = &'a Arc<Member>> + 'a {
        self.members.iter().filter(move |m| m.visible_to(namespace, grants))
    }
}

/// One cluster: a member, or a host that only carries members.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Member {
    /// Key everywhere.
    pub id: MemberId,
    /// Its ClusterProfile.
    pub name: MemberName,
    /// The namespace that owns it (`skerry.dev/owner-namespace`); none for a real member of the platform.
    pub owner_namespace: Option<String>,
    /// Its cluster set.
    pub cluster_set: Option<String>,
    /// A node of the capacity tree that is no member (a host without a ClusterProfile): never picked, never seen.
    pub host_only: bool,
    /// Whether it is a virtual cluster.
    pub is_virtual: bool,
    /// Whether its nodes are simulated.
    pub simulated: bool,
    /// Labels of the ClusterProfile.
    pub labels: BTreeMap<String, String>,
    /// Properties of the ClusterProfile.
    pub properties: BTreeMap<String, String>,
    /// Kubernetes version, `v1.36.1`.
    pub version: String,
    /// Hosts below it: none for a real member, one for a virtual one. With several, a promise debits each of them,
    /// the safe side, and the first names its root.
    pub parents: Vec<MemberId>,
    /// Verdict of the inventory.
    pub health: Health,
    /// Falls from Healthy in the last 24 hours.
    pub falls: u32,
    /// Cordoned (`spec.unschedulable`): no new picks, nothing moves.
    pub cordoned: bool,
    /// Its leave has begun to empty it: no new picks, bindings are drained.
    pub leaving: bool,
    /// Taints of its report.
    pub taints: Vec<Taint>,
    /// Served kinds; `None` while they have not been read, which refuses nobody.
    pub apis: Option<Vec<Api>>,
    /// Capacity with its age.
    pub report: Report,
    /// Nodes that are ready and not cordoned: what a DaemonSet runs on.
    pub schedulable_nodes: u32,
    /// Nodes that are ready.
    pub ready_nodes: u32,
    /// Nodes per instance type.
    pub instance_types: BTreeMap<String, u32>,
    /// Prices, where known.
    pub price: Option<Price>,
}

impl Member {
    /// See [`Snapshot::visible_to`].
    pub fn visible_to(&self, namespace: Option<&str>, grants: &[String]) -> bool {
        if self.host_only {
            return false;
        }
        let Some(namespace) = namespace else { return true };
        self.owner_namespace.as_deref() == Some(namespace)
            || self.cluster_set.as_ref().is_some_and(|set| grants.contains(set))
    }
}

/// The inventory's verdict on a member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Health {
    /// Reachable and answering.
    #[default]
    Healthy,
    /// Its host is down.
    HostDown,
    /// The hub cannot reach it; its work may run on.
    LinkLost,
    /// Its API server does not answer; its pods run on.
    ControlPlaneDown,
    /// Not decided.
    Unknown,
}

/// A taint of a member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value, may be empty.
    #[serde(default)]
    pub value: String,
    /// Effect.
    pub effect: TaintEffect,
    /// When it was set, by the inventory's clock.
    #[serde(default)]
    pub time_added: Millis,
}

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaintEffect {
    /// No new picks.
    NoSchedule,
    /// Lowers the rank.
    PreferNoSchedule,
    /// No new picks; eviction comes with stage S2.
    NoExecute,
}

/// Kinds that a member serves in one group version.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Api {
    /// `apps/v1`, `v1`.
    pub group_version: String,
    /// Kinds.
    pub kinds: BTreeSet<String>,
}

/// Decimal prices of a member, as text (no float enters the engine).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// Currency code.
    pub currency: String,
    /// One core for an hour.
    pub cpu_hour: String,
    /// One GiB of memory for an hour.
    pub gib_hour: String,
}

/// A capacity report with its age.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// Hub time at which the report was received.
    pub observed: Millis,
    /// Hub time of the last heartbeat.
    pub heartbeat: Millis,
    /// Interval at which reports or heartbeats are due; 0 = never stale (the collector lives in this process).
    pub interval: Millis,
    /// What it says.
    pub capacity: Capacity,
}

/// Capacity, or why it is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Capacity {
    /// Figures were reported.
    Known(Figures),
    /// None were, for this reason.
    Unknown(String),
}

impl Default for Capacity {
    fn default() -> Self {
        Self::Unknown("NoReport".to_owned())
    }
}

/// Capacity figures of one node of the tree, without the engine's own promises.
///
/// On a root (no parents) a resource missing from `ceiling` is not there at all, but for `pods`, which is unbounded
/// then. On a virtual member it is unbounded: its host still bounds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Figures {
    /// Sum over the nodes.
    pub allocatable: Resources,
    /// What tenants and placed work may use: `shared` of a host (lend % of allocatable minus pods of nobody's), the
    /// quota of a virtual cluster.
    pub ceiling: Resources,
    /// Requests of tenants' and placed pods that run there now; quota in use.
    pub used: Resources,
    /// Groups of alike nodes; none on shared virtual clusters, which run on their host's.
    pub shapes: Vec<NodeShape>,
    /// Requests of the pods that carry a binding label, in this very report.
    pub seen: Vec<Seen>,
}

/// `count` nodes, each with at least `free` left.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeShape {
    /// Attributes by name: zone, arch, os, accelerator, pool. A missing one is unknown and refuses nobody.
    pub attributes: BTreeMap<String, String>,
    /// Free on each of them: the minimum of the group in every resource.
    pub free: Resources,
    /// How many.
    pub count: u32,
}

/// Requests of pods labelled with one binding, as one node's report counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The member whose pods they are: the node itself, or a tenant on it. Labels of others never count.
    pub member: MemberId,
    /// Value of the label `skerry.dev/binding`.
    pub label: String,
    /// Sum of their requests.
    pub requests: Resources,
}
