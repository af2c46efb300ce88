//! ClusterReport (inventory section 4): what a member has, how it is, and how it may be used.
//!
//! `spec` is the administrator's half, `status` what was observed; both live beside the ClusterProfile of that name.

use std::collections::BTreeMap;

use kube::CustomResource;

use crate::{Condition, Quantity, Time, schema};

/// Condition types of a Report.
pub mod conditions {
    #![allow(missing_docs, reason = "the words are listed in inventory section 4 and mean what they say")]
    pub const REACHABLE: &str = "Reachable";
    pub const HEARTBEAT: &str = "Heartbeat";
    pub const CAPACITY_KNOWN: &str = "CapacityKnown";
    pub const API_COMPATIBLE: &str = "APICompatible";
    pub const ACCESS_PUBLISHED: &str = "AccessPublished";
    pub const PROPERTIES_COPIED: &str = "PropertiesCopied";
    pub const PROFILE_CONTESTED: &str = "ProfileContested";
    pub const AMBIGUOUS: &str = "Ambiguous";
    pub const INSECURE: &str = "Insecure";
}

words! {
    /// How a member is reached.
    pub enum MemberMode {
        /// A virtual cluster of this hub.
        Virtual,
        /// The hub dials it.
        Push,
    }
}

words! {
    /// What the evidence says about a member (inventory section 5).
    pub enum Verdict {
        /// It answers.
        Healthy,
        /// It answers and is not ready.
        ControlPlaneDown,
        /// It is silent, and nobody else has been asked or somebody reaches it.
        LinkLost,
        /// It is silent, and nobody reaches it.
        HostDown,
        /// The hub lost its own network.
        HubIsolated,
        /// Never observed.
        Unknown,
    }
}

/// The administrator's half.
#[derive(
    CustomResource, Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "skerry.dev",
    version = "v1alpha1",
    kind = "ClusterReport",
    plural = "clusterreports",
    shortname = "crep",
    category = "skerry",
    namespaced,
    status = "ClusterReportStatus",
    derive = "PartialEq",
    doc = "What a member of the inventory has, how it is, and how it may be used; beside the ClusterProfile of the same name.",
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode"),
    printcolumn(name = "Verdict", type_ = "string", json_path = ".status.verdict"),
    printcolumn(name = "Host", type_ = "string", json_path = ".status.parents[*].name"),
    printcolumn(name = "Nodes", type_ = "integer", json_path = ".status.nodes.ready"),
    printcolumn(name = "CPU-Free", type_ = "string", json_path = ".status.available.cpu"),
    printcolumn(name = "Memory-Free", type_ = "string", json_path = ".status.available.memory"),
    printcolumn(name = "Observed", type_ = "date", json_path = ".status.observedTime")
)]
pub struct ClusterReportSpec {
    /// How the member is reached.
    pub mode: MemberMode,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub display_name: Option<String>,
    /// Cluster set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub cluster_set: Option<String>,
    /// Credential of a Push member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<Push>,
    /// Labels of a real member's ClusterProfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: Option<BTreeMap<String, String>>,
    /// No new decisions; nothing moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unschedulable: Option<bool>,
    /// Taints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub taints: Option<Vec<Taint>>,
    /// Ceiling of what tenants may use of a host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lend: Option<Lend>,
    /// Price; absent: the parent's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// How a real member is probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe: Option<Probe>,
    /// When the Report is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportPolicy>,
    /// How long an unreachable member keeps its work, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86400))]
    pub evict_after_seconds: Option<i32>,
}

impl ClusterReport {
    /// The leave that is asked for; none: the member stays.
    pub fn leave(&self) -> Option<&Leave> {
        self.status.as_ref()?.leave.as_ref()
    }
}

/// Credential of a Push member.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// Secret in the same namespace.
    pub secret_ref: SecretRef,
    /// Context in the kubeconfig; absent: its current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub context: Option<String>,
}

/// A Secret in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct SecretRef {
    /// Name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key; absent: kubeconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub key: Option<String>,
}

words! {
    /// Effect of a taint.
    pub enum TaintEffect {
        /// No new picks.
        NoSchedule,
        /// A lower rank.
        PreferNoSchedule,
        /// Held work leaves too.
        NoExecute,
    }
}

/// A taint of a member.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// Key.
    #[schemars(length(min = 1, max = 316))]
    pub key: String,
    /// Value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub value: Option<String>,
    /// Effect.
    pub effect: TaintEffect,
    /// Set when the taint was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub time_added: Option<Time>,
}

optional! {
    /// What tenants may use of a host.
    pub struct Lend {
        /// Share of the allocatable, in percent.
        #[schemars(range(min = 0, max = 100))]
        pub percent: i32,
        /// Ceilings by resource.
        #[schemars(schema_with = "schema::resources")]
        pub resources: BTreeMap<String, Quantity>,
    }
}

optional! {
    /// Price, as decimal texts.
    pub struct Price {
        /// Currency.
        #[schemars(length(max = 16))]
        pub currency: String,
        /// Per core and hour.
        #[schemars(regex(pattern = r"^[0-9]{1,12}(\.[0-9]{1,6})?$"))]
        pub cpu_hour: String,
        /// Per GiB and hour.
        #[schemars(regex(pattern = r"^[0-9]{1,12}(\.[0-9]{1,6})?$"))]
        pub gib_hour: String,
        /// Per unit and hour of other resources.
        #[schemars(schema_with = "schema::text_map")]
        pub extended: BTreeMap<String, String>,
        /// Per instance type and hour.
        #[schemars(length(max = 256))]
        pub instance_types: Vec<InstancePrice>,
    }
}

/// Price of one instance type.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct InstancePrice {
    /// Instance type.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Per hour.
    #[schemars(regex(pattern = r"^[0-9]{1,12}(\.[0-9]{1,6})?$"))]
    pub hour: String,
}

optional! {
    /// How a real member is probed.
    pub struct Probe {
        /// Seconds between probes.
        #[schemars(range(min = 1, max = 300))]
        pub period_seconds: i32,
        /// Seconds until one counts as failed; at most the period.
        #[schemars(range(min = 1, max = 300))]
        pub timeout_seconds: i32,
        /// Failures in a row that mean down.
        #[schemars(range(min = 1, max = 10))]
        pub failure_threshold: i32,
        /// Successes in a row that mean up.
        #[schemars(range(min = 1, max = 10))]
        pub success_threshold: i32,
    }
}

optional! {
    /// When the Report is written.
    pub struct ReportPolicy {
        /// At most this often, in seconds.
        #[schemars(range(min = 1, max = 300))]
        pub min_interval_seconds: i32,
        /// Only when a figure moved by this many percent.
        #[schemars(range(min = 0, max = 50))]
        pub change_percent: i32,
    }
}

optional! {
    /// What was observed.
    pub struct ClusterReportStatus {
        /// Id of the member.
        #[serde(rename = "memberID")]
        pub member_id: String,
        /// What the evidence says.
        pub verdict: Verdict,
        /// Member that is at fault, where the verdict is inherited.
        pub cause: String,
        /// When the figures were taken.
        #[schemars(schema_with = "schema::time")]
        pub observed_time: Time,
        /// Digest of the figures.
        pub digest: String,
        /// Manager of the ClusterProfile.
        pub profile_manager: String,
        /// Version that answers.
        pub kubernetes_version: String,
        /// Node counts.
        pub nodes: Nodes,
        /// Allocatable of all nodes.
        #[schemars(schema_with = "schema::resources")]
        pub allocatable: BTreeMap<String, Quantity>,
        /// Requests of unfinished pods.
        pub requested: Requested,
        /// What is free for new work, before the placement ledger's debits.
        #[schemars(schema_with = "schema::resources")]
        pub available: BTreeMap<String, Quantity>,
        /// Groups of like nodes with what each has at least.
        #[schemars(length(max = 256))]
        pub node_shapes: Vec<NodeShape>,
        /// Hosts of a virtual member.
        #[schemars(length(max = 5))]
        pub parents: Vec<Parent>,
        /// Quota of a virtual member.
        pub quota: QuotaStatus,
        /// APIs that it serves.
        #[schemars(length(max = 1024))]
        pub apis: Vec<ApiGroup>,
        /// Price in force.
        pub price: Price,
        /// What each source said last.
        #[schemars(length(max = 16))]
        pub evidence: Vec<Evidence>,
        /// Whether somebody else was asked about a silent member.
        pub witnessed: bool,
        /// Access of consumers.
        #[schemars(length(max = 64))]
        pub access: Vec<ConsumerAccess>,
        /// Progress of leaving.
        pub leave: Leave,
        /// Reachable, CapacityKnown and others.
        #[schemars(schema_with = "schema::conditions")]
        pub conditions: Vec<Condition>,
    }
}

optional! {
    /// Node counts.
    pub struct Nodes {
        /// All.
        pub total: i64,
        /// Ready.
        pub ready: i64,
        /// Ready and not cordoned.
        pub schedulable: i64,
        /// Simulated.
        pub simulated: i64,
        /// By instance type.
        #[schemars(extend("maxProperties" = 64))]
        pub types: BTreeMap<String, i64>,
    }
}

optional! {
    /// Requests of unfinished pods.
    pub struct Requested {
        /// Of pods that are no tenant's.
        #[schemars(schema_with = "schema::resources")]
        pub own: BTreeMap<String, Quantity>,
        /// Of tenants' pods.
        #[schemars(schema_with = "schema::resources")]
        pub tenants: BTreeMap<String, Quantity>,
        /// Of delivered pods, by tenant and value of their binding label, as `<tenant id>/<value>`.
        #[schemars(extend("maxProperties" = 2000))]
        pub bindings: BTreeMap<String, BTreeMap<String, Quantity>>,
    }
}

optional! {
    /// A group of like nodes.
    pub struct NodeShape {
        /// Zone.
        pub zone: String,
        /// Architecture.
        pub arch: String,
        /// Operating system.
        pub os: String,
        /// Accelerator.
        pub accelerator: String,
        /// Node pool.
        pub pool: String,
        /// What each node of the group has free, at least.
        #[schemars(schema_with = "schema::resources")]
        pub free: BTreeMap<String, Quantity>,
        /// How many nodes.
        pub count: i64,
    }
}

optional! {
    /// A host of a virtual member.
    pub struct Parent {
        /// ClusterProfile.
        pub name: String,
        /// Its namespace.
        pub namespace: String,
        /// What the member can have there.
        #[schemars(schema_with = "schema::resources")]
        pub available: BTreeMap<String, Quantity>,
    }
}

optional! {
    /// Quota of a virtual member.
    pub struct QuotaStatus {
        /// Granted.
        #[schemars(schema_with = "schema::resources")]
        pub hard: BTreeMap<String, Quantity>,
        /// Used.
        #[schemars(schema_with = "schema::resources")]
        pub used: BTreeMap<String, Quantity>,
    }
}

/// Kinds of one API group and version.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiGroup {
    /// Group and version as in manifests.
    pub group_version: String,
    /// Kinds.
    pub kinds: Vec<String>,
}

/// What one source said last.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Evidence {
    /// Source.
    pub source: String,
    /// What it said.
    pub result: String,
    /// When it began to say so.
    #[schemars(schema_with = "schema::time")]
    pub time: Time,
}

optional! {
    /// Access of one consumer.
    pub struct ConsumerAccess {
        /// Consumer.
        pub consumer: String,
        /// State.
        pub state: String,
        /// Why.
        pub reason: String,
    }
}

words! {
    /// Steps of leaving, in order (inventory section 12).
    pub enum LeaveStep {
        /// No new decision.
        Cordon,
        /// No decision and no binding names it.
        Evict,
        /// No Work is left.
        Drain,
        /// Exports and imports are gone.
        Services,
        /// Consumers' objects are gone.
        ConsumerObjects,
        /// ServiceAccounts and Secrets are gone.
        Access,
        /// The profile is gone.
        Profile,
        /// The Report goes.
        Report,
    }
}

optional! {
    /// Progress of leaving.
    pub struct Leave {
        /// Step at work.
        pub step: LeaveStep,
        /// Since when.
        #[schemars(schema_with = "schema::time")]
        pub since: Time,
        /// What needs the member is skipped and written down as left behind (L1).
        pub forget: bool,
        /// What the step waits for.
        #[schemars(length(max = 512))]
        pub blocked_on: String,
        /// The same past the deadline, as `<step>/<object>`.
        #[schemars(length(max = 512))]
        pub stuck_on: String,
    }
}
