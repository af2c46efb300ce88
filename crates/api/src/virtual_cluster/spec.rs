//! The request.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::LimitRangeItem;
use kube::CustomResource;

use super::{Expose, Network, NetworkPolicy, Sync, VirtualClusterStatus};
use crate::{LabelSelector, Quantity, schema};

optional! {
    /// What a tenant asks for. Everything may be left out; class and built-in values fill the rest.
    #[derive(CustomResource)]
    #[kube(
        group = "skerry.dev",
        version = "v1alpha1",
        kind = "VirtualCluster",
        plural = "virtualclusters",
        shortname = "vc",
        category = "skerry",
        namespaced,
        status = "VirtualClusterStatus",
        derive = "PartialEq",
        derive = "Default",
        doc = "A Kubernetes cluster of a tenant's own: an API server view with namespaces, CRDs and RBAC of its own, whose pods run on shared hosts.",
        printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
        printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
        printcolumn(name = "Class", type_ = "string", json_path = ".status.class.name"),
        printcolumn(name = "Version", type_ = "string", json_path = ".status.controlPlane.version"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
        printcolumn(name = "Provider", type_ = "string", json_path = ".status.effective.controlPlane.type", priority = 1),
        printcolumn(name = "Host", type_ = "string", json_path = ".status.hosts[*].name", priority = 1),
        printcolumn(name = "Size", type_ = "string", json_path = ".status.class.size", priority = 1),
        printcolumn(name = "ID", type_ = "string", json_path = ".status.id", priority = 1),
        printcolumn(name = "Endpoint", type_ = "string", json_path = ".status.endpoint.url", priority = 1)
    )]
    pub struct VirtualClusterSpec {
        /// Class that governs this cluster; empty: the default class of the namespace.
        #[schemars(length(max = 253))]
        pub class_name: String,
        /// A size of that class; empty: its default size.
        #[schemars(length(max = 63))]
        pub size: String,
        /// Name for people.
        #[schemars(length(max = 64))]
        pub display_name: String,
        /// What answers as the API server.
        pub control_plane: ControlPlane,
        /// Where pods run.
        pub hosts: Hosts,
        /// Domain, service addresses and DNS of the tenant.
        pub network: Network,
        /// How the API is reached.
        pub expose: Expose,
        /// Who may use it, and for how long credentials live.
        pub access: Access,
        /// What is carried between the tenant and its host.
        pub sync: Sync,
        /// What the inventory says about this cluster.
        pub inventory: Inventory,
        /// Quota of the whole tenant.
        #[schemars(schema_with = "schema::resources")]
        pub quota: BTreeMap<String, Quantity>,
        /// Limits and defaults of containers, pods and claims in every namespace.
        #[schemars(schema_with = "schema::limit_range")]
        pub limit_range: Vec<LimitRangeItem>,
        /// Limits of the API server for this tenant.
        pub limits: Limits,
        /// Pod security levels on the host.
        pub pod_security: PodSecurity,
        /// Isolation on the host's network.
        pub network_policy: NetworkPolicy,
        /// Whether anything is written for this cluster at present.
        pub pause: Pause,
        /// What deletion does and how long it may take.
        pub deletion: Deletion,
    }
}

words! {
    /// What answers as the API server.
    pub enum ProviderType {
        /// A tenant of the embedded multi-tenant API server.
        Embedded,
        /// An existing cluster, reached by a kubeconfig.
        External,
    }
}

optional! {
    /// Control plane.
    pub struct ControlPlane {
        /// Provider; immutable.
        #[serde(rename = "type")]
        pub kind: ProviderType,
        /// Kubernetes version as v1.36 or v1.36.3; empty: the newest offered. Upwards only.
        #[schemars(length(max = 32), regex(pattern = r"^(v[0-9]+\.[0-9]+(\.[0-9]+)?)?$"))]
        pub version: String,
        /// Options of the Embedded provider.
        pub embedded: Embedded,
        /// Options of the External provider.
        pub external: External,
    }
}

words! {
    /// Whether the API server process is shared with other tenants.
    pub enum ControlPlaneIsolation {
        /// One process serves many tenants.
        Shared,
    }
}

optional! {
    /// Options of the Embedded provider.
    pub struct Embedded {
        /// Whether the API server process is shared.
        pub isolation: ControlPlaneIsolation,
        /// Store to keep the objects in, a name the class offers; empty: its first.
        #[schemars(length(max = 63))]
        pub store: String,
        /// Replicas of the process; a shared one is replicated by its store.
        #[schemars(range(min = 1, max = 3))]
        pub replicas: i32,
    }
}

optional! {
    /// Options of the External provider.
    pub struct External {
        /// Secret with the kubeconfig, in the same namespace.
        pub kubeconfig_secret_ref: SecretKey,
    }
}

optional! {
    /// One key of a Secret.
    pub struct SecretKey {
        /// Name of the Secret.
        #[schemars(length(max = 253))]
        pub name: String,
        /// Key; empty: the first of value, kubeconfig, config.
        #[schemars(length(max = 253))]
        pub key: String,
    }
}

words! {
    /// How tenant namespaces become host namespaces.
    pub enum NamespaceMapping {
        /// A host namespace for each.
        PerNamespace,
    }
}

optional! {
    /// Hosts.
    pub struct Hosts {
        /// Selects among the hosts that the class allows; null: any.
        #[schemars(schema_with = "schema::selector")]
        pub selector: LabelSelector,
        /// How many hosts.
        #[schemars(range(min = 1, max = 1))]
        pub count: i32,
        /// How tenant namespaces become host namespaces; immutable.
        pub namespace_mapping: NamespaceMapping,
    }
}

optional! {
    /// Access.
    pub struct Access {
        /// Life of issued credentials, 1h to 2160h.
        #[serde(rename = "credentialTTL")]
        #[schemars(schema_with = "schema::duration")]
        pub credential_ttl: String,
    }
}

optional! {
    /// Inventory entry.
    pub struct Inventory {
        /// Cluster set; empty: the set of the hub namespace.
        #[schemars(length(max = 63), regex(pattern = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$"))]
        pub cluster_set: String,
        /// Labels of the ClusterProfile.
        #[schemars(schema_with = "schema::labels")]
        pub labels: BTreeMap<String, String>,
        /// Properties of the ClusterProfile.
        #[schemars(schema_with = "schema::text_map")]
        pub properties: BTreeMap<String, String>,
    }
}

optional! {
    /// API limits.
    pub struct Limits {
        /// Objects of all kinds.
        #[schemars(range(min = 1))]
        pub objects: i64,
        /// Bytes of all objects.
        #[schemars(schema_with = "schema::quantity")]
        pub bytes: Quantity,
        /// Namespaces.
        #[schemars(range(min = 1))]
        pub namespaces: i64,
        /// CustomResourceDefinitions.
        #[schemars(range(min = 1))]
        pub crds: i64,
        /// Open watches.
        #[schemars(range(min = 1))]
        pub watches: i64,
        /// Reading requests in flight.
        #[schemars(range(min = 1))]
        pub in_flight_reading: i64,
        /// Writing requests in flight.
        #[schemars(range(min = 1))]
        pub in_flight_mutating: i64,
    }
}

words! {
    /// A pod security level.
    #[allow(non_camel_case_types, reason = "the words of the standard are lower-case")]
    pub enum PodSecurityLevel {
        /// Anything.
        privileged,
        /// No known escalation.
        baseline,
        /// Hardened.
        restricted,
    }
}

optional! {
    /// Pod security levels.
    pub struct PodSecurity {
        /// Refused below this level.
        pub enforce: PodSecurityLevel,
        /// Warned about below this level.
        pub warn: PodSecurityLevel,
        /// Audited below this level.
        pub audit: PodSecurityLevel,
    }
}

words! {
    /// What is paused.
    pub enum PauseMode {
        /// Nothing.
        None,
        /// Nothing is written for the cluster but conditions and credentials; all runs on.
        Reconcile,
    }
}

optional! {
    /// Pause.
    pub struct Pause {
        /// What is paused.
        pub mode: PauseMode,
        /// When the pause ends by itself; null: never.
        #[schemars(schema_with = "schema::time")]
        pub until: String,
    }
}

words! {
    /// What happens to volumes at the end.
    pub enum VolumePolicy {
        /// They go with the tenant.
        Delete,
        /// They are released and listed.
        Retain,
    }
}

optional! {
    /// Deletion.
    pub struct Deletion {
        /// Refuses deletion while true.
        pub protect: bool,
        /// Past it the deletion is overdue and says so; nothing is forced. 1m to 24h.
        #[schemars(schema_with = "schema::duration")]
        pub deadline: String,
        /// What happens to volumes.
        pub volumes: VolumePolicy,
    }
}
