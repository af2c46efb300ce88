//! `kube-system/kube-dns` in the tenant (DN4): the Service by which tools find a cluster's DNS shows where the pods of this
//! one ask. It is written here and never carried; one that the tenant made itself is the tenant's.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{
    cache::Side,
    carry::{Pass, StepError},
    model::Key,
};
use crate::{
    facts::DnsMode,
    kind::Kind,
    kinds::{claim::IMPORTED, contained},
    object::{Fields, TenantObj, filled, items},
    wire::WireError,
};

/// Where it stands in every cluster.
const NAMESPACE: &str = "kube-system";
const NAME: &str = "kube-dns";
/// A tenant's API server that refuses the address, of another range for one, is asked again after this.
const REFUSED: Duration = Duration::from_secs(600);

/// Whose the Service is.
pub(in crate::engine) enum Shown {
    /// It is as it should be, or will be looked at again after a while.
    Ours(Option<Duration>),
    /// The tenant made one, or there is none and none to show.
    Theirs,
}

/// What there is to show.
#[derive(Debug, PartialEq)]
enum Address {
    /// It is not known yet: what stands there stays.
    Unknown,
    /// Nobody answers here.
    Nobody,
    /// As pods see it.
    At(Vec<String>),
}

/// Key of the Service.
pub(in crate::engine) fn key() -> Key {
    Key::new(Kind::Service, NAMESPACE, NAME)
}

/// The addresses of the Service, where a client asks for one of them: the host has them already, and nobody else can.
pub(in crate::engine) fn given(pass: &Pass, service: &TenantObj) -> Option<Vec<String>> {
    let is_it = service.namespace() == NAMESPACE && service.name() == NAME;
    match address(pass) {
        Address::At(all) if is_it && all.iter().any(|ip| ip == service.text("/spec/clusterIP")) => Some(all),
        _ => None,
    }
}

fn address(pass: &Pass) -> Address {
    let at = |all: &[String]| if all.is_empty() { Address::Nobody } else { Address::At(all.to_vec()) };
    match (&pass.facts.network.dns, &*pass.tenant.entry().effective.dns.mode) {
        (DnsMode::None, _) | (_, "None") => Address::Nobody,
        (DnsMode::Tenant(all), _) => at(all),
        (DnsMode::Host, "Shared") if pass.engine.dns.is_some() => Address::Unknown,
        (DnsMode::Host, _) => at(&pass.facts.host.dns),
    }
}

/// Keeps the Service as it should be: made, repaired, withdrawn.
pub(in crate::engine) async fn keep(pass: &Pass, key: &Key) -> Result<Shown, StepError> {
    let (address, found) = (address(pass), pass.tenant_object(key).await?);
    let path = Kind::Service.path(NAMESPACE, NAME);
    match (address, found) {
        (Address::Unknown | Address::Nobody, None) => return Ok(Shown::Theirs),
        (address, Some(found)) if !is_ours(&found, &address) => return Ok(Shown::Theirs),
        (Address::Unknown, Some(found)) => pass.settle(key, Some(&found), None),
        (Address::Nobody, Some(found)) => remove(pass, &path, &found).await?,
        (Address::At(all), None) => return make(pass, &path, &all).await,
        (Address::At(_), Some(found)) if found.deleting() => {}
        (Address::At(all), Some(found)) => {
            let own = found.text("/spec/clusterIP");
            if !own.is_empty() && own != all[0] {
                // An address cannot be changed.
                remove(pass, &path, &found).await?;
                return Ok(Shown::Ours(Some(Duration::from_millis(200))));
            }
            if !agrees(&found, &all) {
                return repair(pass, &path, &found, &all).await;
            }
            pass.settle(key, Some(&found), None);
        }
    }
    if pass.entry(key).is_some_and(|entry| entry.host.is_some()) {
        // The tenant had one of its own before.
        pass.delete_host(key, None).await?;
    }
    Ok(Shown::Ours(None))
}

/// By our mark, or by an address that is nobody else's.
fn is_ours(found: &TenantObj, address: &Address) -> bool {
    let own = found.text("/spec/clusterIP");
    found.annotation(IMPORTED).is_some()
        || matches!(address, Address::At(all) if all.iter().any(|ip| ip == own))
}

fn desired(addresses: &[String]) -> Value {
    let port = |name: &str, protocol: &str| json!({"name": name, "port": 53, "protocol": protocol, "targetPort": 53});
    json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"k8s-app": NAME}, "annotations": {IMPORTED: "true"}},
        "spec": {"type": "ClusterIP", "clusterIP": addresses[0], "clusterIPs": addresses,
            "ports": [port("dns", "UDP"), port("dns-tcp", "TCP")]}})
}

/// What a tenant may have added, and that would lead elsewhere.
const FOREIGN: [&str; 3] = ["selector", "externalIPs", "externalName"];

/// Whether nothing is missing and nothing is there that would lead elsewhere.
fn agrees(found: &TenantObj, addresses: &[String]) -> bool {
    let desired = desired(addresses);
    let ports = |service: &Value| items(service, "/spec/ports").len();
    contained(&desired, &found.0)
        && ports(&desired) == ports(&found.0)
        && FOREIGN.iter().all(|field| !found.0["spec"].get(field).is_some_and(filled))
}

async fn make(pass: &Pass, path: &str, addresses: &[String]) -> Result<Shown, StepError> {
    let desired = desired(addresses);
    let call = pass.wire.apply(path, &desired);
    taken(pass, pass.write(Side::Tenant, "apply", Kind::Service, call).await)
}

async fn repair(
    pass: &Pass,
    path: &str,
    found: &TenantObj,
    addresses: &[String],
) -> Result<Shown, StepError> {
    let mut patch = desired(addresses);
    patch["metadata"]["uid"] = found.uid().into();
    for field in FOREIGN {
        patch["spec"][field] = Value::Null;
    }
    let call = pass.wire.merge(path, &patch);
    taken(pass, pass.write(Side::Tenant, "patch", Kind::Service, call).await)
}

/// Takes in what the tenant's API server made of it.
fn taken(pass: &Pass, answer: Result<Value, WireError>) -> Result<Shown, StepError> {
    match answer {
        Ok(value) => {
            pass.engine.tenant_seen(&pass.tenant, Kind::Service, TenantObj(value));
            Ok(Shown::Ours(None))
        }
        Err(error) if error.conflict() => Ok(Shown::Ours(Some(Duration::from_millis(200)))),
        Err(error) if matches!(error.code(), 403 | 404 | 422) => {
            tracing::debug!(tenant = &*pass.tenant.id, %error, "kube-dns is not shown");
            Ok(Shown::Ours(Some(REFUSED)))
        }
        Err(error) => Err(StepError::Tenant(error)),
    }
}

async fn remove(pass: &Pass, path: &str, found: &TenantObj) -> Result<(), StepError> {
    let call = pass.wire.delete(path, found.uid(), None);
    match pass.write(Side::Tenant, "delete", Kind::Service, call).await {
        Ok(_) => Ok(()),
        Err(error) if error.conflict() || error.not_found() => Ok(()),
        Err(error) => Err(StepError::Tenant(error)),
    }
}
