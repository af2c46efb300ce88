//! What is carried between a tenant and its host (syncer section 1). Fields marked † there may be set by a class only.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;

use crate::{LabelSelector, schema};

optional! {
    /// Sync.
    pub struct Sync {
        /// False: nothing is carried.
        pub enabled: bool,
        /// Share of the queue and of the host's request window; set by a class only.
        #[schemars(range(min = 1, max = 100))]
        pub weight: i32,
        /// From the tenant to its host.
        pub to_host: ToHost,
        /// From the host to the tenant.
        pub from_host: FromHost,
    }
}

optional! {
    /// From the tenant to its host.
    pub struct ToHost {
        /// Pods.
        pub pods: SyncPods,
        /// Services.
        pub services: Switch,
        /// Endpoint slices.
        pub endpoint_slices: Switch,
        /// Volume claims.
        pub persistent_volume_claims: Switch,
        /// Network policies.
        pub network_policies: Switch,
        /// ConfigMaps.
        pub config_maps: SyncData,
        /// Secrets.
        pub secrets: SyncData,
    }
}

optional! {
    /// A kind that is carried or not.
    pub struct Switch {
        /// Whether it is carried.
        pub enabled: bool,
    }
}

words! {
    /// What `hostname -f` says in a pod.
    pub enum Fqdn {
        /// Alias with a namespace each, else Exact.
        Auto,
        /// The tenant's name is an alias of the host's.
        Alias,
        /// The tenant's name is written into the pod's hosts file.
        Exact,
    }
}

words! {
    /// Whether containers that host admission added show in tenant status.
    pub enum Injected {
        /// They do not.
        Hide,
        /// They do.
        Show,
    }
}

optional! {
    /// Pods.
    pub struct SyncPods {
        /// False: a control plane only.
        pub enabled: bool,
        /// What `hostname -f` says.
        pub fqdn: Fqdn,
        /// Longest life of a ServiceAccount token; class only, 10m to 24h.
        #[serde(rename = "tokenMaxTTL")]
        #[schemars(schema_with = "schema::duration")]
        pub token_max_ttl: String,
        /// Containers that host admission added.
        pub injected: Injected,
        /// Image prefixes to replace; class only.
        #[schemars(length(max = 64))]
        pub images: Vec<ImageRule>,
        /// Pull secrets of the host, copied into each workload namespace; class only.
        #[schemars(length(max = 8))]
        pub pull_secrets: Vec<NamespacedName>,
        /// Added to each host pod; class only.
        #[schemars(schema_with = "schema::tolerations")]
        pub tolerations: Vec<Toleration>,
        /// Added to each host pod; class only.
        #[schemars(schema_with = "schema::labels")]
        pub node_selector: BTreeMap<String, String>,
        /// Forced when set; class only.
        #[schemars(length(max = 253))]
        pub runtime_class_name: String,
        /// Host class of pods without a carried one; class only.
        #[schemars(length(max = 253))]
        pub priority_class_name: String,
    }
}

optional! {
    /// One image prefix and what takes its place.
    pub struct ImageRule {
        /// Prefix of the reference.
        #[schemars(length(max = 253))]
        pub from: String,
        /// Its replacement.
        #[schemars(length(max = 253))]
        pub to: String,
    }
}

optional! {
    /// An object by namespace and name.
    pub struct NamespacedName {
        /// Namespace.
        #[schemars(length(max = 63))]
        pub namespace: String,
        /// Name.
        #[schemars(length(max = 253))]
        pub name: String,
    }
}

words! {
    /// Which objects of a kind are carried.
    pub enum SyncScope {
        /// Those that carried pods refer to.
        Referenced,
        /// Those that the selector matches.
        All,
    }
}

optional! {
    /// ConfigMaps or Secrets.
    pub struct SyncData {
        /// Whether they are carried.
        pub enabled: bool,
        /// Which of them.
        pub scope: SyncScope,
        /// Selects among all of them.
        #[schemars(schema_with = "schema::selector")]
        pub selector: LabelSelector,
    }
}

optional! {
    /// From the host to the tenant.
    pub struct FromHost {
        /// Events of carried pods.
        pub events: SyncEvents,
        /// Nodes.
        pub nodes: SyncNodes,
        /// Storage classes.
        pub storage_classes: SyncClasses,
    }
}

optional! {
    /// Events.
    pub struct SyncEvents {
        /// Whether they are carried.
        pub enabled: bool,
        /// Events per second; class only.
        #[schemars(range(min = 1, max = 1000))]
        pub per_second: i32,
    }
}

words! {
    /// How nodes appear in the tenant.
    pub enum NodeMode {
        /// A made-up node per host node that runs its pods.
        Synthetic,
    }
}

words! {
    /// Which addresses a tenant's node shows.
    pub enum NodeAddresses {
        /// Its host name.
        Hostname,
    }
}

optional! {
    /// Nodes.
    pub struct SyncNodes {
        /// How they appear.
        pub mode: NodeMode,
        /// Host nodes that may appear; null: those in use.
        #[schemars(schema_with = "schema::selector")]
        pub selector: LabelSelector,
        /// Prefixes of labels that are shown.
        #[schemars(schema_with = "schema::names")]
        pub labels: Vec<String>,
        /// Whether images are listed.
        pub images: bool,
        /// Which addresses are shown.
        pub addresses: NodeAddresses,
    }
}

optional! {
    /// Classes of the host that the tenant sees.
    pub struct SyncClasses {
        /// Whether any are shown.
        pub enabled: bool,
        /// Which.
        #[schemars(schema_with = "schema::selector")]
        pub selector: LabelSelector,
    }
}
