//! What the composition gives the syncer: tenants, hosts, and where tenants' objects come from.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;
use skerry_api::labels;
use skerry_kit::isolation::{NetworkIsolation, PodSecurity};

use crate::{
    dns::DnsSpec,
    facts::{DnsMode, IsolationFacts, Network},
    kinds::pod::Level,
    mapping::Mapping,
    settings::{HostPolicy, Settings, part},
};

/// How a tenant's objects are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By the wildcard watches of the embedded server (EN2).
    Embedded,
    /// By watches of its own (EN3).
    Own,
}

/// A tenant to serve.
#[derive(Clone)]
pub struct TenantEntry {
    /// `status.id` of the VirtualCluster.
    pub id: Arc<str>,
    /// The VirtualCluster itself.
    pub owner: Owner,
    /// What is in force, read from its effective spec.
    pub effective: Arc<Effective>,
    /// Name of its host, an entry of the hosts' list.
    pub host: Arc<str>,
    /// Its API server, with a system identity.
    pub client: kube::Client,
    /// How it is watched.
    pub reach: Reach,
    /// Addresses and names of its cluster.
    pub network: Network,
    /// Whether its API server calls the Service gate, so that addresses agree (SV1).
    pub services_agreed: bool,
}

/// The VirtualCluster of a tenant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owner {
    /// Its hub namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID: part of every proof.
    pub uid: String,
    /// Its generation, for `observedGeneration`.
    pub generation: i64,
    /// `status.sync.identity`: UID of the tenant's `kube-system`, as first seen (EN6).
    pub identity: String,
    /// Annotation `skerry.dev/accept-tenant` (EN6).
    pub accept_tenant: String,
    /// Annotation `skerry.dev/confirm-delete` (EN12).
    pub confirm_delete: Option<usize>,
    /// The step DrainSyncer is due: host objects go (D6).
    pub draining: bool,
    /// `status.conditions` as last read, so that transition times stay.
    pub conditions: Vec<Value>,
}

/// The effective spec, as far as the syncer reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// `spec.sync`.
    pub settings: Arc<Settings>,
    /// The class's host policy.
    pub policy: Arc<HostPolicy>,
    /// `spec.quota`.
    pub quota: BTreeMap<String, String>,
    /// `spec.limitRange`.
    pub limit_range: Vec<Value>,
    /// `spec.podSecurity`.
    pub pod_security: PodSecurity,
    /// `spec.networkPolicy`, `None` with mode Off.
    pub isolation: Option<NetworkIsolation>,
    /// `spec.pause.mode` is not None.
    pub paused: bool,
    /// `spec.deletion.volumes` is Retain.
    pub retain_volumes: bool,
    /// Name of the class.
    pub class: String,
    /// `spec.network.clusterDomain`.
    pub cluster_domain: String,
    /// `spec.network.dns`.
    pub dns: DnsSpec,
}

impl Effective {
    /// Reads an effective spec (or a spec where nothing is merged yet) and a class's host policy.
    pub fn read(spec: &Value, host_policy: &Value, class: &str) -> Self {
        let text = |pointer: &str, fallback: &str| {
            spec.pointer(pointer).and_then(Value::as_str).unwrap_or(fallback).to_owned()
        };
        let quota = spec.get("quota").and_then(Value::as_object).into_iter().flatten();
        let network = spec.get("networkPolicy").cloned().unwrap_or(Value::Null);
        let list = |key: &str, fallback: &[&str]| match network.get(key).and_then(Value::as_array) {
            Some(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            None => fallback.iter().map(|s| (*s).to_owned()).collect(),
        };
        let isolated = network.get("mode").and_then(Value::as_str) != Some("Off");
        let isolation = isolated.then(|| NetworkIsolation {
            public_egress: network.get("publicEgress").and_then(Value::as_bool).unwrap_or(true),
            allowed: list("allowedCIDRs", &[]),
            denied: list("deniedCIDRs", &skerry_api::virtual_cluster::DENIED_CIDRS),
            ..NetworkIsolation::default()
        });
        let policy: HostPolicy = part(Some(host_policy));
        Self {
            settings: Arc::new(part(spec.get("sync"))),
            quota: quota
                .map(|(k, v)| (k.clone(), v.as_str().map_or_else(|| v.to_string(), str::to_owned)))
                .collect(),
            limit_range: spec.get("limitRange").and_then(Value::as_array).cloned().unwrap_or_default(),
            pod_security: PodSecurity {
                enforce: text("/podSecurity/enforce", "baseline"),
                warn: text("/podSecurity/warn", "restricted"),
                audit: text("/podSecurity/audit", "restricted"),
            },
            isolation,
            paused: !matches!(text("/pause/mode", "None").as_str(), "None" | ""),
            retain_volumes: text("/deletion/volumes", "Delete") == "Retain",
            class: class.to_owned(),
            cluster_domain: text("/network/clusterDomain", "cluster.local"),
            dns: DnsSpec::read(spec.pointer("/network/dns"), &policy),
            policy: Arc::new(policy),
        }
    }

    /// Level that host pods are judged by.
    pub fn level(&self) -> Level {
        Level::of(&self.pod_security.enforce)
    }

    /// What slices are judged by.
    pub(crate) fn addresses(&self) -> IsolationFacts {
        match &self.isolation {
            Some(network) => IsolationFacts {
                isolated: true,
                denied: network.denied.clone(),
                allowed: network.allowed.clone(),
            },
            None => IsolationFacts::default(),
        }
    }
}

impl Owner {
    /// Reads a VirtualCluster.
    pub fn read(object: &Value) -> Self {
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let annotation = |key: &str| {
            object.pointer("/metadata/annotations").and_then(|a| a.get(key)).and_then(Value::as_str)
        };
        let deleting = object.pointer("/metadata/deletionTimestamp").is_some();
        Self {
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
            uid: text("/metadata/uid"),
            generation: object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default(),
            identity: text("/status/sync/identity"),
            accept_tenant: annotation("skerry.dev/accept-tenant").unwrap_or_default().to_owned(),
            confirm_delete: annotation("skerry.dev/confirm-delete").and_then(|n| n.parse().ok()),
            draining: deleting && text("/status/deletion/step") == "DrainSyncer",
            conditions: object
                .pointer("/status/conditions")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default(),
        }
    }
}

impl TenantEntry {
    /// An entry from a VirtualCluster object and its class's host policy (null: the built-in one); `None` while it
    /// has no id or no host. `network` needs front door, port and CA only; domain and DNS mode come from the spec.
    pub fn of(
        object: &Value,
        host_policy: &Value,
        client: kube::Client,
        reach: Reach,
        network: Network,
        services_agreed: bool,
    ) -> Option<Self> {
        let id = object.pointer("/status/id").and_then(Value::as_str).filter(|id| !id.is_empty())?;
        let host = object.pointer("/status/hosts/0/name").and_then(Value::as_str)?;
        let spec = object.pointer("/status/effective").or_else(|| object.get("spec"))?;
        let class = object.pointer("/status/class/name").and_then(Value::as_str).unwrap_or_default();
        let effective = Effective::read(spec, host_policy, class);
        let network = Network {
            cluster_domain: effective.cluster_domain.clone(),
            dns: if effective.dns.mode == "None" { DnsMode::None } else { network.dns },
            dns_pending: matches!(&*effective.dns.mode, "Shared" | "Dedicated"),
            ..network
        };
        Some(Self {
            id: id.into(),
            owner: Owner::read(object),
            effective: Arc::new(effective),
            host: host.into(),
            client,
            reach,
            network,
            services_agreed,
        })
    }

    /// Names and proof of this tenant.
    pub fn mapping(&self) -> Mapping {
        Mapping::new(&self.id, &self.owner.uid)
    }

    /// Whether what objects are translated by is the same.
    pub(crate) fn same_rules(&self, other: &TenantEntry) -> bool {
        self.effective == other.effective
            && self.network == other.network
            && self.services_agreed == other.services_agreed
            && self.host == other.host
    }

    /// Labels that find everything of this tenant on its host.
    pub(crate) fn selector(&self) -> String {
        format!("{}%3D{}", labels::TENANT, self.id)
    }
}

/// A host that carries tenants.
#[derive(Clone)]
pub struct HostEntry {
    /// Its name, as in `status.hosts[].name`.
    pub name: Arc<str>,
    /// Its API server.
    pub client: kube::Client,
    /// It runs no containers (architecture, invariant 11).
    pub simulated: bool,
    /// Whom the RoleBindings of workload namespaces name; `None` where the client has rights of its own.
    pub subject: Option<skerry_kit::isolation::Subject>,
}

/// An embedded API server, by a client with a system identity whose paths are the process's own (`/shards/…`).
#[derive(Clone)]
pub struct EmbeddedSource {
    /// The client.
    pub client: kube::Client,
}
