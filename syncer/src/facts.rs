//! What translators know besides the object: one value with an epoch (EN8).

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use skerry_kit::isolation::NetworkIsolation;

use crate::{
    kinds::policy::Policies,
    mapping::{HostName, Mapping, MetadataRules},
    settings::{HostPolicy, Settings},
};

/// Everything a translator may look at for one tenant on one host.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Rises when anything below changes.
    pub epoch: u64,
    /// Names and proof.
    pub mapping: Mapping,
    /// `spec.sync`.
    pub settings: Arc<Settings>,
    /// The class's host policy.
    pub policy: Arc<HostPolicy>,
    /// Metadata rules of the policy.
    pub rules: MetadataRules,
    /// Level of `podSecurity.enforce`.
    pub pod_security: crate::kinds::pod::Level,
    /// Addresses and names of the tenant's cluster.
    pub network: Arc<Network>,
    /// Namespaces of the tenant, by name.
    pub namespaces: Arc<BTreeMap<Arc<str>, NamespaceFact>>,
    /// What the host offers.
    pub host: Arc<HostFacts>,
    /// Skerry's own image, for what it runs in tenants' pods (PO30); `None`: it was not told.
    pub image: Option<Arc<str>>,
    /// Nodes in the tenant's view.
    pub visible_nodes: Arc<std::collections::BTreeSet<String>>,
    /// Nodes in the tenant's view that it cordoned (NO4).
    pub cordoned: Arc<Vec<String>>,
    /// Whether tenant and host agree on Service addresses (SV1); else the tenant's are its own (Mirrored).
    pub services_agreed: bool,
    /// What the network policy says about addresses.
    pub isolation: Arc<IsolationFacts>,
    /// What bounds the tenant's network; `None` with mode `Off`.
    pub bounds: Option<Arc<NetworkIsolation>>,
    /// Address and port of the tenant's DNS behind its Service.
    pub dns_endpoint: Option<(String, u16)>,
    /// Policies of the tenant that lie on the host, by namespace (KI6).
    pub policies: Arc<Policies>,
    /// Addresses of the tenant's own pods and Services on the host.
    pub own_addresses: Arc<std::collections::BTreeSet<String>>,
    /// Addresses of other tenants' pods on the host.
    pub foreign_addresses: Arc<std::collections::BTreeSet<String>>,
}

/// `networkPolicy` as far as addresses are judged by it (KI1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IsolationFacts {
    /// Mode `Isolated`.
    pub isolated: bool,
    /// Denied CIDRs.
    pub denied: Vec<String>,
    /// Exceptions.
    pub allowed: Vec<String>,
}

/// Addresses and names of a tenant's cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Network {
    /// `cluster.local`, or what the tenant asked for.
    pub cluster_domain: String,
    /// Addresses of the host's front door (KI13); none: no `kubernetes` alias is written.
    pub front_door: Vec<String>,
    /// Port of the front door.
    pub port: u16,
    /// Addresses and ports behind it.
    pub endpoints: Vec<(String, u16)>,
    /// Value of `KUBERNETES_SERVICE_HOST`; empty: `kubernetes.default.svc`.
    pub api_host: String,
    /// The tenant's CA bundle, as in `kube-root-ca.crt`.
    pub ca_bundle: String,
    /// Who answers DNS for the tenant's pods.
    pub dns: DnsMode,
    /// `dns.mode` asks for more than is served here: pods keep the host's policy and are told so.
    pub dns_pending: bool,
}

/// Who answers DNS for a tenant's pods (PO31).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DnsMode {
    /// The host, by the pod's own policy.
    #[default]
    Host,
    /// The tenant's DNS at these addresses.
    Tenant(Vec<String>),
    /// Nobody: the user's configuration alone.
    None,
}

/// A namespace of the tenant.
#[derive(Clone, Debug, PartialEq)]
pub struct NamespaceFact {
    /// UID: a namespace made again is another.
    pub uid: Arc<str>,
    /// Labels, as a tree.
    pub labels: Arc<Value>,
    /// UID of its host namespace, once that is there: the owner of host pods.
    pub host_uid: Option<Arc<str>>,
    /// Labelled as a template (EN30).
    pub template: bool,
    /// Being deleted.
    pub deleting: bool,
}

/// What a host offers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostFacts {
    /// Minor version, as 36.
    pub minor: u32,
    /// Fields that its schema lacks, as `PodSpec.hostUsers` (EN5); empty when all of ours are there.
    pub missing: Vec<String>,
    /// Storage classes that tenants see.
    pub storage_classes: BTreeMap<String, Value>,
    /// The default one.
    pub default_class: Option<String>,
    /// Addresses of nodes.
    pub node_addresses: std::collections::BTreeSet<String>,
    /// Addresses of its own DNS, as pods see it.
    pub dns: Vec<String>,
    /// Whether the host is simulated: it runs no containers.
    pub simulated: bool,
}

impl Facts {
    /// Host namespace of a tenant namespace that exists.
    pub fn host_namespace(&self, name: &str) -> Option<HostName> {
        self.namespaces.get(name).map(|fact| self.mapping.namespace(name, &fact.uid))
    }

    /// UID of a tenant namespace; empty when it is gone.
    pub fn namespace_uid(&self, name: &str) -> &str {
        self.namespaces.get(name).map(|fact| fact.uid.as_ref()).unwrap_or_default()
    }

    /// Host name of an object of the tenant.
    pub fn host_name(&self, kind: crate::kind::Kind, namespace: &str, name: &str) -> HostName {
        self.mapping.name(kind, namespace, self.namespace_uid(namespace), name)
    }

    /// Whether the host has a field of its schema.
    pub fn host_has(&self, field: &str) -> bool {
        !self.host.missing.iter().any(|missing| missing == field)
    }
}

impl Network {
    /// The name under which pods find their tenant's API server.
    pub fn api_host(&self) -> &str {
        if self.api_host.is_empty() { "kubernetes.default.svc" } else { &self.api_host }
    }
}
