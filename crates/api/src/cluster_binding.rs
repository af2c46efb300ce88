//! ClusterBinding (placement 4.1): one placement on one member, as decided and as delivered.

use std::collections::BTreeMap;

use kube::CustomResource;

use crate::{Condition, Quantity, Time, schema};

words! {
    /// Whether the member is to have the workload.
    pub enum BindingState {
        /// It is.
        Bound,
        /// It is to lose it.
        Draining,
    }
}

words! {
    /// Why a binding came, or why it goes (B3).
    pub enum Cause {
        /// Picked.
        Selected,
        /// Picked to fill up.
        Filled,
        /// Moved by a person.
        Moved,
        /// Fewer members are wanted.
        ScaleIn,
        /// The request changed.
        SpecChanged,
        /// The member no longer matches.
        NotMatched,
        /// The member's host is down.
        HostDown,
        /// A toleration ended.
        TaintExpired,
        /// The member was drained.
        Drained,
        /// The member left.
        MemberLeft,
        /// The Placement was deleted.
        PlacementDeleted,
    }
}

words! {
    /// How far delivery is (B1).
    pub enum BindingPhase {
        /// Decided, not yet delivered.
        Decided,
        /// Being applied.
        Delivering,
        /// Applied, not yet available.
        Applied,
        /// Available.
        Available,
        /// Was available and is not now.
        Degraded,
        /// Waits for its replacement.
        Draining,
        /// Its objects are going.
        Removing,
    }
}

/// The decision, and what the rollout makes of it.
#[derive(
    CustomResource, Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "skerry.dev",
    version = "v1alpha1",
    kind = "ClusterBinding",
    plural = "clusterbindings",
    shortname = "cb",
    category = "skerry",
    namespaced,
    status = "ClusterBindingStatus",
    derive = "PartialEq",
    doc = "One placement on one member: the decision and what became of its delivery. It holds no manifests.",
    printcolumn(name = "Placement", type_ = "string", json_path = ".spec.placement.name"),
    printcolumn(name = "Member", type_ = "string", json_path = ".spec.member.name"),
    printcolumn(name = "State", type_ = "string", json_path = ".spec.state"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Cause", type_ = "string", json_path = ".spec.cause"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision", priority = 1)
)]
pub struct ClusterBindingSpec {
    /// The Placement; immutable.
    pub placement: PlacementRef,
    /// The member; immutable.
    pub member: MemberRef,
    /// Generation of the plan that decided; never falls (D11).
    #[schemars(range(min = 0))]
    pub plan_generation: i64,
    /// Whether the member is to have the workload.
    pub state: BindingState,
    /// Why.
    pub cause: Cause,
    /// Group of members it was picked from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub group: Option<String>,
    /// Replicas here of divided workloads; absent: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 20))]
    pub shares: Option<Vec<Share>>,
    /// What the ledger holds for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resources")]
    pub promise: Option<BTreeMap<String, Quantity>>,
    /// Score at the decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// Digest of the revision to deliver; written by the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub revision: Option<String>,
    /// False: decided and not yet to be delivered; written by the rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<bool>,
}

/// A Placement or ClusterPlacement.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct PlacementRef {
    /// Placement or ClusterPlacement.
    pub kind: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
}

/// A member by its ClusterProfile and id.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct MemberRef {
    /// Namespace of the ClusterProfile.
    pub namespace: String,
    /// Name of the ClusterProfile.
    pub name: String,
    /// Id of the member.
    pub id: String,
}

/// Replicas of one workload here.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Share {
    /// Workload as `apps/Deployment/web`.
    #[schemars(length(max = 400))]
    pub target: String,
    /// Replicas.
    #[schemars(range(min = 0))]
    pub replicas: i64,
}

/// Score at the decision.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Score {
    /// Weighted sum.
    pub total: i64,
    /// Rank, from 1.
    pub rank: i64,
    /// Among how many.
    pub of: i64,
}

optional! {
    /// What became of the delivery.
    pub struct ClusterBindingStatus {
        /// How far it is.
        pub phase: BindingPhase,
        /// Generation that was last looked at.
        pub observed_generation: i64,
        /// Digest of the revision there.
        #[schemars(length(max = 128))]
        pub revision: String,
        /// Replicas there.
        pub replicas: ReplicaCount,
        /// Items that fail.
        #[schemars(length(max = 20))]
        pub failing: Vec<Failing>,
        /// Items that differ from what was applied.
        #[schemars(length(max = 100))]
        pub drift: Vec<DriftItem>,
        /// Object that cannot be removed.
        #[schemars(length(max = 512))]
        pub stuck_on: String,
        /// Applied, Available, Drifted and others.
        #[schemars(schema_with = "schema::conditions")]
        pub conditions: Vec<Condition>,
    }
}

optional! {
    /// Replicas.
    pub struct ReplicaCount {
        /// Seen.
        pub seen: i64,
        /// Ready.
        pub ready: i64,
    }
}

/// An item that fails.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Failing {
    /// Object as `apps/Deployment/ns/web`.
    #[schemars(length(max = 600))]
    pub object: String,
    /// Reason.
    pub reason: String,
    /// For people.
    #[schemars(length(max = 1024))]
    pub message: String,
}

/// A field that differs from what was applied.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DriftItem {
    /// Object as `apps/Deployment/ns/web`.
    #[schemars(length(max = 600))]
    pub object: String,
    /// JSON pointer of the field.
    #[schemars(length(max = 1024))]
    pub pointer: String,
    /// What the hub says; never a Secret's value.
    #[schemars(length(max = 256))]
    pub hub: String,
    /// What the member says; never a Secret's value.
    #[schemars(length(max = 256))]
    pub member: String,
    /// A list that could only be compared whole: its server does not tell its items apart.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub coarse: bool,
    /// First seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub first_seen: Option<Time>,
    /// Last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_seen: Option<Time>,
}
