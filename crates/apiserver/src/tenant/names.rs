//! Host names and cluster domains of tenants: what a server name may be about.

use std::collections::HashMap;

use parking_lot::RwLock;
use serde_json::Value;

use super::TenantId;
use crate::config::TenantSpec;

#[derive(Default)]
struct Maps {
    hosts: HashMap<String, TenantId>,
    domains: HashMap<TenantId, String>,
}

/// Names by tenant, kept current.
#[derive(Default)]
pub struct HostNames(RwLock<Maps>);

impl HostNames {
    /// The tenant a host name belongs to.
    pub fn of_host(&self, host: &str) -> Option<TenantId> {
        self.0.read().hosts.get(host).copied()
    }

    /// Whether some tenant has this cluster domain.
    pub fn is_domain(&self, domain: &str) -> bool {
        self.0.read().domains.values().any(|d| d == domain)
    }

    /// The first name of a specification that belongs to another tenant.
    pub(super) fn taken(&self, spec: &TenantSpec) -> Option<String> {
        let maps = self.0.read();
        spec.host_names.iter().find(|name| maps.hosts.get(*name).is_some_and(|id| *id != spec.id)).cloned()
    }

    /// Takes the names of a specification.
    pub(super) fn set(&self, spec: &TenantSpec) {
        self.put(spec.id, spec.host_names.iter().cloned(), spec.cluster_domain.clone());
    }

    /// Takes the names of a stored specification.
    pub(super) fn set_stored(&self, id: TenantId, spec: &Value) {
        let hosts = spec["hostNames"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let domain = spec["clusterDomain"].as_str().unwrap_or_default();
        self.put(id, hosts.map(str::to_owned), domain.to_owned());
    }

    fn put(&self, id: TenantId, hosts: impl Iterator<Item = String>, domain: String) {
        let mut maps = self.0.write();
        maps.hosts.retain(|_, of| *of != id);
        maps.hosts.extend(hosts.map(|name| (name, id)));
        maps.domains.insert(id, domain);
    }

    /// Forgets a tenant.
    pub(super) fn remove(&self, id: TenantId) {
        let mut maps = self.0.write();
        maps.hosts.retain(|_, of| *of != id);
        maps.domains.remove(&id);
    }
}
