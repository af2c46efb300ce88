//! VirtualClusterClass (tenancy section 2): defaults, ceilings and what tenants may choose, bound to namespaces.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::LimitRangeItem;
use kube::CustomResource;

use crate::virtual_cluster::{
    ControlPlaneIsolation, Limits, ProviderType, ResourceRequests, Sync, VirtualClusterSpec,
};
use crate::{Condition, LabelSelector, Quantity, schema};

/// Condition of a class.
pub const VALID: &str = "Valid";
/// Reasons of [`VALID`].
pub mod valid {
    /// All values decode and the hosts exist.
    pub const VALID: &str = "Valid";
    /// `defaults` or `enforced` do not decode.
    pub const DEFAULTS_INVALID: &str = "DefaultsInvalid";
    /// A size is unknown or named twice.
    pub const SIZE_INVALID: &str = "SizeInvalid";
    /// No host matches.
    pub const HOSTS_EMPTY: &str = "HostsEmpty";
}
/// Finalizer of a class in use (C8).
pub const FINALIZER_IN_USE: &str = "skerry.dev/in-use";

optional! {
    /// What a platform team offers to the namespaces that it selects.
    #[derive(CustomResource)]
    #[kube(
        group = "skerry.dev",
        version = "v1alpha1",
        kind = "VirtualClusterClass",
        plural = "virtualclusterclasses",
        shortname = "vcc",
        category = "skerry",
        status = "VirtualClusterClassStatus",
        derive = "PartialEq",
        derive = "Default",
        doc = "Policy for virtual clusters: defaults, sizes, ceilings, and what tenants may choose, bound to namespaces by selector.",
        printcolumn(name = "Default", type_ = "boolean", json_path = ".spec.default"),
        printcolumn(name = "Size", type_ = "string", json_path = ".spec.defaultSize"),
        printcolumn(name = "Clusters", type_ = "integer", json_path = ".status.virtualClusters"),
        printcolumn(name = "Valid", type_ = "string", json_path = ".status.conditions[?(@.type==\"Valid\")].status"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
    )]
    pub struct VirtualClusterClassSpec {
        /// For people.
        #[schemars(length(max = 1024))]
        pub description: String,
        /// Serves requests without className in the namespaces it selects.
        pub default: bool,
        /// Namespaces that may use the class; empty: every one, absent: none.
        #[schemars(schema_with = "schema::selector")]
        pub namespace_selector: LabelSelector,
        /// Size of requests that name none.
        #[schemars(length(max = 63))]
        pub default_size: String,
        /// Sizes by name.
        #[schemars(length(max = 12), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
        pub sizes: Vec<Size>,
        /// Values that hold unless something later sets them.
        pub defaults: VirtualClusterSpec,
        /// Values that hold whatever the tenant says.
        pub enforced: VirtualClusterSpec,
        /// Paths that a tenant may set, with all below them.
        #[schemars(length(max = 128), inner(length(max = 253)))]
        pub overridable: Vec<String>,
        /// What no tenant may exceed; absent: no ceiling.
        pub ceilings: Ceilings,
        /// Sums over the tenants of one namespace.
        pub per_namespace: PerNamespace,
        /// What is offered; the first is the default.
        #[schemars(length(max = 4))]
        pub providers: Vec<Offer>,
        /// Hosts that may carry tenants, and how one is chosen.
        pub hosts: ClassHosts,
        /// What tenants' objects may reach on a host.
        pub host_policy: HostPolicy,
        /// How changes that restart control planes are rolled.
        pub rollout: Rollout,
    }
}

/// A size.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Size {
    /// Name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resources")]
    pub quota: Option<BTreeMap<String, Quantity>>,
    /// Limit ranges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::limit_range")]
    pub limit_range: Option<Vec<LimitRangeItem>>,
    /// API limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Sync settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<Sync>,
    /// Resources of control-plane pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_plane: Option<ResourceRequests>,
}

optional! {
    /// Ceilings.
    pub struct Ceilings {
        /// Of the tenant's quota.
        #[schemars(schema_with = "schema::resources")]
        pub quota: BTreeMap<String, Quantity>,
        /// Of API limits.
        pub limits: Limits,
        /// Of access.credentialTTL.
        #[serde(rename = "credentialTTL")]
        #[schemars(schema_with = "schema::duration")]
        pub credential_ttl: String,
        /// Of control-plane replicas.
        #[schemars(range(min = 1, max = 3))]
        pub control_plane_replicas: i32,
        /// Of hosts per tenant.
        #[schemars(range(min = 1, max = 5))]
        pub hosts: i32,
    }
}

optional! {
    /// Sums over one namespace.
    pub struct PerNamespace {
        /// Virtual clusters.
        #[schemars(range(min = 0))]
        pub virtual_clusters: i64,
        /// Sum of quotas.
        #[schemars(schema_with = "schema::resources")]
        pub quota: BTreeMap<String, Quantity>,
    }
}

/// One provider that is offered.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// Provider.
    #[serde(rename = "type")]
    pub kind: ProviderType,
    /// Isolations offered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    pub isolation: Vec<ControlPlaneIsolation>,
    /// Minors offered, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 16)))]
    pub versions: Vec<String>,
    /// Stores offered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(max = 63)))]
    pub stores: Vec<String>,
}

words! {
    /// How a host is chosen.
    pub enum HostStrategy {
        /// The one with most room.
        LeastAllocated,
        /// The fullest that still has room.
        MostAllocated,
    }
}

optional! {
    /// Hosts of a class.
    pub struct ClassHosts {
        /// Selects hosts by the labels of their ClusterProfile; empty: all.
        #[schemars(schema_with = "schema::selector")]
        pub selector: LabelSelector,
        /// How one is chosen; ties by name.
        pub strategy: HostStrategy,
    }
}

words! {
    /// How restarting changes are rolled.
    pub enum RolloutMode {
        /// When the tenant edits its spec.
        InPlace,
        /// Over all tenants.
        All,
    }
}

optional! {
    /// Rollout of changes that restart control planes.
    pub struct Rollout {
        /// When.
        pub mode: RolloutMode,
        /// How many at once.
        #[schemars(range(min = 1, max = 1000))]
        pub max_concurrent: i32,
    }
}

words! {
    /// Whether pods run in user namespaces.
    pub enum UserNamespaces {
        /// As the pod says.
        Optional,
        /// Always.
        Required,
    }
}

words! {
    /// What becomes of a pod that names its node.
    pub enum NodeNamePolicy {
        /// The name becomes an affinity.
        Affinity,
        /// The pod is refused.
        Refuse,
    }
}

optional! {
    /// What tenants' objects may reach on a host (syncer section 1).
    pub struct HostPolicy {
        /// Volume types.
        #[schemars(schema_with = "schema::names")]
        pub volumes: Vec<String>,
        /// Inline CSI drivers by exact name.
        #[schemars(schema_with = "schema::names")]
        pub csi_drivers: Vec<String>,
        /// Paths of the host; needs hostPath in volumes.
        #[schemars(length(max = 16))]
        pub host_paths: Vec<HostPath>,
        /// Host namespaces a pod may join: network, pid, ipc.
        #[schemars(schema_with = "schema::names")]
        pub host_namespaces: Vec<String>,
        /// Host ports.
        #[schemars(length(max = 8))]
        pub host_ports: Vec<PortRange>,
        /// Whether pods run in user namespaces.
        pub user_namespaces: UserNamespaces,
        /// Host schedulers that a pod may name.
        #[schemars(schema_with = "schema::names")]
        pub schedulers: Vec<String>,
        /// What becomes of a pod that names its node.
        pub node_name: NodeNamePolicy,
        /// External addresses of Services, as CIDRs; empty: none.
        #[serde(rename = "externalIPs")]
        #[schemars(schema_with = "schema::names")]
        pub external_ips: Vec<String>,
        /// Load-balancer classes; empty: the host's default only.
        #[schemars(schema_with = "schema::names")]
        pub load_balancer_classes: Vec<String>,
        /// Patterns of host names that ingresses may claim; empty: any.
        #[schemars(schema_with = "schema::names")]
        pub ingress_hosts: Vec<String>,
        /// Label and annotation keys that are kept back or let through.
        pub metadata: MetadataPolicy,
        /// Annotation keys that a carried ServiceAccount may keep.
        #[schemars(schema_with = "schema::names")]
        pub service_account_annotations: Vec<String>,
        /// What of the host tenants may see, as services:namespace/name or services:namespace/*.
        #[schemars(length(max = 64), inner(length(max = 317)))]
        pub imports: Vec<String>,
    }
}

optional! {
    /// A path of the host.
    pub struct HostPath {
        /// Prefix.
        #[schemars(length(max = 253))]
        pub prefix: String,
        /// Whether it may only be read.
        pub read_only: bool,
    }
}

/// A range of ports.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct PortRange {
    /// First.
    #[schemars(range(min = 1, max = 65535))]
    pub min: i32,
    /// Last.
    #[schemars(range(min = 1, max = 65535))]
    pub max: i32,
}

optional! {
    /// Key prefixes on top of the built-in list.
    pub struct MetadataPolicy {
        /// Kept back.
        #[schemars(schema_with = "schema::names")]
        pub deny: Vec<String>,
        /// Let through.
        #[schemars(schema_with = "schema::names")]
        pub allow: Vec<String>,
    }
}

optional! {
    /// Status of a class.
    pub struct VirtualClusterClassStatus {
        /// Generation that was last looked at.
        pub observed_generation: i64,
        /// Valid.
        #[schemars(schema_with = "schema::conditions")]
        pub conditions: Vec<Condition>,
        /// Virtual clusters that use it.
        pub virtual_clusters: i64,
        /// Namespaces that it selects.
        pub namespaces: i64,
    }
}
