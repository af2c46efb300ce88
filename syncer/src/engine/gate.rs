//! Addresses of Services from the host, before the tenant's object is stored (SV1, apiserver T4–T7).

use std::{sync::Arc, sync::atomic::Ordering};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use skerry_api::labels;

use super::{
    SyncerHandle,
    cache::Side,
    carry::{Pass, StepError},
    decide::HostSide,
    dns::shown,
    model::Key,
    namespaces, sources,
    state::Tenant,
};
use crate::{
    kind::Kind,
    kinds::{Translator, service::ServiceTranslator},
    object::{Fields, HostObj, TenantObj, entry, items},
    refusal::Refusal,
    wire::WireError,
};

/// What the host gave a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// `spec.clusterIPs`.
    pub cluster_ips: Vec<String>,
    /// Node ports, as (port, protocol, nodePort).
    pub node_ports: Vec<(u16, String, u16)>,
    /// `spec.healthCheckNodePort`.
    pub health_check_node_port: Option<u16>,
}

/// Why a Service got no addresses.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum ReserveError {
    /// The tenant is not served here, or not carried: its own allocator serves.
    #[error("no host is attached")]
    NoHost,
    /// The host does not answer.
    #[error("the host did not answer")]
    Unavailable,
    /// The class, the namespace or the host refuses; in the tenant's words.
    #[error("{0}")]
    Refused(Refusal),
}

impl SyncerHandle {
    fn tenant(&self, id: &str) -> Result<Arc<Tenant>, ReserveError> {
        let Some(tenant) = self.engine.tenants.read().get(id).cloned() else {
            return Err(if self.engine.awaits(id) {
                ReserveError::Unavailable
            } else {
                ReserveError::NoHost
            });
        };
        let entry = tenant.entry();
        if !entry.effective.settings.enabled || !entry.effective.settings.to_host.services.enabled {
            return Err(ReserveError::NoHost);
        }
        if !tenant.host.ready.load(Ordering::Acquire) {
            return Err(ReserveError::Unavailable);
        }
        Ok(tenant)
    }

    /// Makes the host Service of a tenant Service that is about to be stored with this UID; idempotent by it.
    pub async fn reserve(&self, tenant: &str, service: &Value) -> Result<Allocation, ReserveError> {
        let pass = Pass::new(self.engine.clone(), self.tenant(tenant)?);
        let object = TenantObj(service.clone());
        if let Some(cluster_ips) = shown::given(&pass, &object) {
            return Ok(Allocation { cluster_ips, ..Allocation::default() });
        }
        if !ServiceTranslator.wanted(&object, &pass.facts) {
            return Err(ReserveError::NoHost);
        }
        let key = Key::new(Kind::Service, object.namespace(), object.name());
        let fact = pass.facts.namespaces.get(&key.namespace).cloned();
        if fact.as_ref().is_some_and(|fact| fact.template) {
            return Err(ReserveError::NoHost);
        }
        if fact.is_none() {
            // The namespace was made a moment ago, and its event is on the way.
            let found = pass.wire.find(&Kind::Namespace.path("", &key.namespace)).await;
            let found = found.map_err(|_| ReserveError::Unavailable)?.ok_or(ReserveError::NoHost)?;
            pass.engine.tenant_seen(&pass.tenant, Kind::Namespace, TenantObj(found));
        }
        let pass = Pass::new(self.engine.clone(), pass.tenant);
        namespaces::ensure(&pass, &key.namespace).await.map_err(|_| ReserveError::Unavailable)?;
        let mut desired = ServiceTranslator.down(&object, &pass.facts).map_err(ReserveError::Refused)?;
        mark(&mut desired, object.uid());
        let path = Kind::Service.path(desired.namespace(), desired.name());
        let call = pass.host().apply_new(&path, &desired.0);
        match pass.write(Side::Host, "create", Kind::Service, call).await {
            Ok(value) => Ok(allocation(&pass.took(&key, value))),
            Err(error) if error.conflict() => {
                let found = pass.host().find(&path).await.map_err(|_| ReserveError::Unavailable)?;
                let found = HostObj(found.ok_or(ReserveError::Unavailable)?);
                let same = found.annotation(labels::ORIGIN_UID) == Some(object.uid());
                match pass.claim(&key, &found) {
                    HostSide::Ours { deleting: false } | HostSide::Older { deleting: false } if same => {
                        Ok(allocation(&pass.took(&key, found.0)))
                    }
                    HostSide::Foreign => Err(ReserveError::Refused(super::refused::taken(&object))),
                    HostSide::Collision => Err(ReserveError::Refused(super::refused::collision(&object))),
                    // An older Service of that name is still going.
                    _ => Err(ReserveError::Unavailable),
                }
            }
            Err(error) => Err(refused(&error, &object, &pass)),
        }
    }

    /// Follows a change of type or ports of a stored Service.
    pub async fn update(&self, tenant: &str, service: &Value) -> Result<Allocation, ReserveError> {
        let pass = Pass::new(self.engine.clone(), self.tenant(tenant)?);
        let object = TenantObj(service.clone());
        let key = Key::new(Kind::Service, object.namespace(), object.name());
        let Some(host) = pass.host_object(&key, true).await.map_err(|_| ReserveError::Unavailable)? else {
            return self.reserve(tenant, service).await;
        };
        if !matches!(pass.claim(&key, &host), HostSide::Ours { .. }) {
            return Err(ReserveError::Refused(super::refused::taken(&object)));
        }
        let mut desired = ServiceTranslator.down(&object, &pass.facts).map_err(ReserveError::Refused)?;
        if host.annotation(labels::PENDING).is_some() {
            mark(&mut desired, object.uid());
        }
        let path = Kind::Service.path(host.namespace(), host.name());
        let call = pass.host().apply_to(&path, host.uid(), &desired.0);
        match pass.write(Side::Host, "apply", Kind::Service, call).await {
            Ok(value) => Ok(allocation(&pass.took(&key, value))),
            Err(error) => Err(refused(&error, &object, &pass)),
        }
    }

    /// Gives back what was reserved for a Service that was not stored.
    pub async fn release(&self, tenant: &str, uid: &str) -> Result<(), ReserveError> {
        let pass = Pass::new(self.engine.clone(), self.tenant(tenant)?);
        let mut found = Vec::new();
        let selector = pass.tenant.entry().selector();
        sources::list(pass.host(), Kind::Service, &selector, |item| {
            let object = HostObj(item);
            if object.annotation(labels::PENDING) == Some(uid)
                && object.annotation(labels::ORIGIN_UID) == Some(uid)
            {
                found.push(object);
            }
        })
        .await
        .map_err(|_| ReserveError::Unavailable)?;
        for object in found.iter().filter(|object| pass.facts.mapping.marked(object)) {
            let path = Kind::Service.path(object.namespace(), object.name());
            let call = pass.host().delete(&path, object.uid(), None);
            let deleted = pass.write(Side::Host, "delete", Kind::Service, call).await;
            deleted.map_err(|_| ReserveError::Unavailable)?;
        }
        Ok(())
    }
}

/// Marks a Service as reserved and not stored (T5).
fn mark(desired: &mut HostObj, uid: &str) {
    if let Some(map) = desired.0.as_object_mut() {
        let meta = entry(map, "metadata");
        entry(meta, "annotations").insert(labels::PENDING.to_owned(), Value::from(uid));
    }
}

fn refused(error: &WireError, object: &TenantObj, pass: &Pass) -> ReserveError {
    match error {
        WireError::Status { code, message, .. } if (400..500).contains(code) && *code != 429 => {
            let host = HostObj(Value::Null);
            let message = crate::kinds::pod::scrub(message, object, &host, &pass.facts);
            ReserveError::Refused(Refusal::new(crate::refusal::Reason::HostAdmissionDenied, message))
        }
        _ => ReserveError::Unavailable,
    }
}

impl From<StepError> for ReserveError {
    fn from(_: StepError) -> Self {
        ReserveError::Unavailable
    }
}

fn allocation(host: &HostObj) -> Allocation {
    let texts =
        |pointer: &str| items(&host.0, pointer).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let port = |value: Option<&Value>| {
        value.and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0)
    };
    let node_ports = items(&host.0, "/spec/ports").iter().filter_map(|p| {
        let protocol = p.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
        Some((port(p.get("port"))?, protocol.to_owned(), port(p.get("nodePort"))?))
    });
    Allocation {
        cluster_ips: texts("/spec/clusterIPs"),
        node_ports: node_ports.collect(),
        health_check_node_port: port(host.0.pointer("/spec/healthCheckNodePort")),
    }
}
