//! Network, exposure and network policy of a tenant.

use crate::schema;

/// Built-in `networkPolicy.deniedCIDRs`: networks that `publicEgress` does not include.
pub const DENIED_CIDRS: [&str; 7] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
];

optional! {
    /// Network.
    pub struct Network {
        /// DNS domain of the tenant; immutable.
        #[schemars(length(max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
        pub cluster_domain: String,
        /// Service addresses, at most one range per family; empty: the host's. Immutable.
        #[serde(rename = "serviceCIDRs")]
        #[schemars(length(max = 2), inner(length(max = 43)))]
        pub service_cidrs: Vec<String>,
        /// Names that pods resolve.
        pub dns: Dns,
    }
}

words! {
    /// Who answers the tenant's pods.
    pub enum DnsMode {
        /// One shared process for all tenants of a host.
        Shared,
        /// The host's own DNS.
        Host,
        /// Nobody.
        None,
    }
}

words! {
    /// Whether pod records are answered.
    pub enum PodRecords {
        /// Only for pods that exist.
        Verified,
        /// Never.
        Disabled,
    }
}

optional! {
    /// DNS.
    pub struct Dns {
        /// Who answers.
        pub mode: DnsMode,
        /// Resolvers for other names; empty: the host's.
        #[schemars(length(max = 4), inner(length(max = 64)))]
        pub upstream: Vec<String>,
        /// Host services that resolve, as svc.namespace; the class must allow them.
        #[schemars(length(max = 32), inner(length(max = 127)))]
        pub host_services: Vec<String>,
        /// Additional records.
        #[schemars(length(max = 64))]
        pub records: Vec<DnsRecord>,
        /// Whether pod records are answered.
        pub pod_records: PodRecords,
        /// Life of an answer in seconds.
        #[schemars(range(min = 1, max = 30))]
        pub ttl_seconds: i32,
    }
}

optional! {
    /// One additional DNS record: addresses, or an alias.
    pub struct DnsRecord {
        /// Name.
        #[schemars(length(max = 253))]
        pub name: String,
        /// Addresses.
        #[schemars(length(max = 16), inner(length(max = 45)))]
        pub addresses: Vec<String>,
        /// Alias of this name.
        #[schemars(length(max = 253))]
        pub cname: String,
    }
}

words! {
    /// How the API is reached.
    pub enum ExposeType {
        /// By the one address of all shared tenants.
        FrontDoor,
    }
}

optional! {
    /// Exposure.
    pub struct Expose {
        /// How the API is reached.
        #[serde(rename = "type")]
        pub kind: ExposeType,
        /// Additional names in the serving certificate, unique on the hub.
        #[schemars(length(max = 8), inner(length(max = 253)))]
        pub hostnames: Vec<String>,
    }
}

words! {
    /// Whether tenants are kept apart on the host's network.
    pub enum NetworkPolicyMode {
        /// Tenants reach themselves, their API and what is allowed.
        Isolated,
        /// No policy is written.
        Off,
    }
}

optional! {
    /// Network policy.
    pub struct NetworkPolicy {
        /// Whether tenants are kept apart.
        pub mode: NetworkPolicyMode,
        /// Whether pods may reach the internet.
        pub public_egress: bool,
        /// Addresses that may be reached and may come in.
        #[serde(rename = "allowedCIDRs")]
        #[schemars(length(max = 32), inner(length(max = 43)))]
        pub allowed_cidrs: Vec<String>,
        /// Addresses that publicEgress does not include.
        #[serde(rename = "deniedCIDRs")]
        #[schemars(length(max = 32), inner(length(max = 43)))]
        pub denied_cidrs: Vec<String>,
    }
}

optional! {
    /// Quota and limits that a tenant's namespaces carry, kept by name.
    pub struct ResourceRequests {
        /// Requests.
        #[schemars(schema_with = "schema::resources")]
        pub requests: std::collections::BTreeMap<String, crate::Quantity>,
        /// Limits.
        #[schemars(schema_with = "schema::resources")]
        pub limits: std::collections::BTreeMap<String, crate::Quantity>,
        /// Host priority class of the pods.
        #[schemars(length(max = 253))]
        pub priority_class_name: String,
    }
}
