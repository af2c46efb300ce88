//! What is known about a VirtualCluster. Each field has one writer.

use super::{ControlPlane, VirtualClusterSpec};
use crate::{Condition, Time, schema};

words! {
    /// One word for people; programs read conditions.
    pub enum Phase {
        /// Not looked at yet, or refused.
        Pending,
        /// Being made.
        Provisioning,
        /// Usable.
        Ready,
        /// Was ready and is not now.
        Degraded,
        /// Paused by its owner.
        Paused,
        /// Going.
        Deleting,
        /// Cannot become ready without a change.
        Failed,
    }
}

optional! {
    /// Status of a VirtualCluster.
    pub struct VirtualClusterStatus {
        /// Id, from the object's UID; every key and host name derives from it.
        #[schemars(length(max = 12))]
        pub id: String,
        /// One word for people.
        pub phase: Phase,
        /// Provisioned, ControlPlaneReady, Synced, Registered, Ready.
        #[schemars(schema_with = "schema::conditions")]
        pub conditions: Vec<Condition>,
        /// Generation that was last looked at.
        pub observed_generation: i64,
        /// Class and size in force.
        pub class: ClassInForce,
        /// What is in force: spec shape after the merge.
        pub effective: VirtualClusterSpec,
        /// Where values in force come from.
        #[schemars(length(max = 64))]
        pub origins: Vec<Origin>,
        /// Accepted and not yet in force.
        #[schemars(length(max = 64))]
        pub pending: Vec<PendingChange>,
        /// Control plane as it is.
        pub control_plane: ControlPlaneStatus,
        /// Where the API answers.
        pub endpoint: Endpoint,
        /// Credentials as published.
        pub credentials: Credentials,
        /// Hosts that carry pods.
        #[schemars(length(max = 5))]
        pub hosts: Vec<HostStatus>,
        /// Entry in the inventory.
        pub inventory: InventoryStatus,
        /// Counters and refused objects.
        pub sync: SyncStatus,
        /// What the tenant uses.
        pub usage: Usage,
        /// Progress of deletion.
        pub deletion: DeletionStatus,
    }
}

optional! {
    /// Class in force.
    pub struct ClassInForce {
        /// Name.
        pub name: String,
        /// Generation of the class that was merged.
        pub generation: i64,
        /// Size.
        pub size: String,
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Origin {
    /// Path in `effective`.
    pub path: String,
    /// BuiltIn, Class, Size/<name>, Spec or Enforced.
    pub from: String,
}

/// A change that is accepted and waits.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct PendingChange {
    /// Path in `effective`.
    pub path: String,
    /// The value that waits.
    pub want: String,
    /// What it waits for.
    pub why: String,
}

optional! {
    /// Control plane as it is.
    pub struct ControlPlaneStatus {
        /// Version that answers.
        pub version: String,
        /// Store that holds the objects.
        pub store: String,
        /// Shard of that store.
        pub shard: i32,
        /// Replicas that answer.
        pub ready_replicas: i32,
        /// Rises when holders of a client must rebuild it.
        pub epoch: i64,
        /// What the provider can do.
        #[schemars(schema_with = "schema::names")]
        pub capabilities: Vec<String>,
    }
}

optional! {
    /// Where the API answers.
    pub struct Endpoint {
        /// URL in kubeconfigs.
        pub url: String,
        /// Server name, where it is not the URL's.
        pub server_name: String,
        /// URL from inside the hub's network.
        #[serde(rename = "internalURL")]
        pub internal_url: String,
    }
}

optional! {
    /// Credentials as published.
    pub struct Credentials {
        /// Secret with the kubeconfig.
        pub kubeconfig_secret: String,
        /// Counts issues.
        pub generation: i64,
        /// When the credential expires.
        #[schemars(schema_with = "schema::time")]
        pub expires: Time,
        /// When the serving certificate expires.
        #[schemars(schema_with = "schema::time")]
        pub serving_expires: Time,
        /// When the CA expires.
        #[schemars(schema_with = "schema::time")]
        pub ca_expires: Time,
        /// SHA-256 of the CA bundle.
        #[serde(rename = "caSHA256")]
        pub ca_sha256: String,
    }
}

words! {
    /// State of a host for one tenant.
    pub enum HostState {
        /// Being prepared.
        Joining,
        /// In use.
        Active,
        /// Being emptied.
        Draining,
        /// Not answering.
        Unreachable,
    }
}

/// A host that carries pods.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct HostStatus {
    /// ClusterProfile of the host.
    pub name: String,
    /// Its state for this tenant.
    pub state: HostState,
    /// Namespaces there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<i64>,
}

optional! {
    /// Entry in the inventory.
    pub struct InventoryStatus {
        /// Name of the ClusterProfile.
        pub cluster_profile: String,
        /// Namespace of the ClusterProfile.
        pub namespace: String,
    }
}

optional! {
    /// Counters and refused objects, by the syncer.
    pub struct SyncStatus {
        /// Naming scheme on the host.
        pub naming: String,
        /// Objects on the host.
        pub objects: i64,
        /// Objects that were refused.
        pub refused: i64,
        /// Objects in the way.
        pub conflicts: i64,
        /// UID of the tenant's kube-system namespace.
        pub identity: String,
        /// Newest refusals.
        #[schemars(length(max = 20))]
        pub problems: Vec<SyncProblem>,
    }
}

optional! {
    /// An object that is not carried, and why.
    pub struct SyncProblem {
        /// Kind.
        pub kind: String,
        /// Tenant namespace.
        pub namespace: String,
        /// Tenant name.
        pub name: String,
        /// Reason.
        pub reason: String,
        /// For people.
        pub message: String,
        /// Since when.
        #[schemars(schema_with = "schema::time")]
        pub since: Time,
    }
}

optional! {
    /// What the tenant uses.
    pub struct Usage {
        /// Objects.
        pub objects: i64,
        /// Bytes.
        #[schemars(schema_with = "schema::quantity")]
        pub bytes: crate::Quantity,
        /// Namespaces.
        pub namespaces: i64,
        /// Pods.
        pub pods: i64,
        /// Last request that counts as activity.
        #[schemars(schema_with = "schema::time")]
        pub last_activity: Time,
    }
}

words! {
    /// Steps of a deletion, in order (D2 to D8).
    pub enum DeletionStep {
        /// Leave every decision.
        EvictPlacements,
        /// Works, services and consumers' objects go.
        DrainConsumers,
        /// ServiceAccounts and Secrets, then the profile.
        RemoveProfile,
        /// Host objects go.
        DrainSyncer,
        /// Control plane objects go.
        ControlPlane,
        /// Stored objects go.
        StoreData,
    }
}

optional! {
    /// Progress of deletion.
    pub struct DeletionStatus {
        /// When it began.
        #[schemars(schema_with = "schema::time")]
        pub started_at: Time,
        /// Step at work.
        pub step: DeletionStep,
        /// When it is overdue.
        #[schemars(schema_with = "schema::time")]
        pub deadline: Time,
        /// Past the deadline.
        pub overdue: bool,
        /// What is left.
        #[schemars(length(max = 64))]
        pub remaining: Vec<Remaining>,
        /// What it waits for.
        #[schemars(schema_with = "schema::names")]
        pub blocked_on: Vec<String>,
        /// What was given up by force.
        #[schemars(schema_with = "schema::names")]
        pub abandoned: Vec<String>,
    }
}

optional! {
    /// Objects of one kind that are left on one host.
    pub struct Remaining {
        /// Host.
        pub host: String,
        /// Kind.
        pub kind: String,
        /// How many.
        pub count: i64,
        /// One of them.
        pub example: String,
    }
}

impl VirtualClusterStatus {
    /// The provider in force.
    pub fn effective_control_plane(&self) -> Option<&ControlPlane> {
        self.effective.as_ref().and_then(|e| e.control_plane.as_ref())
    }

    /// Conditions, empty if there are none yet.
    pub fn conditions(&self) -> &[Condition] {
        self.conditions.as_deref().unwrap_or_default()
    }
}
