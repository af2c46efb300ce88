//! The tenant's DNS on its host (DN1): the home namespace with the Service `dns`, over the port that the tenant has here.

pub(super) mod shown;

use std::net::IpAddr;

use serde_json::{Value, json};
use skerry_kit::isolation::{HostNamespace, isolation};

use super::{
    carry::{Pass, StepError},
    namespaces::{ensure_object, set_facts, unready},
    queue::Lane,
    state::TenantDns,
};
use crate::{
    kinds::data::own_metadata,
    mapping::Mapping,
    object::{Fields, HostObj, items},
    wire::WireError,
};

/// Name of the Service and of its slice.
const NAME: &str = "dns";

/// Makes sure that pods of the tenant find its DNS; without a server here, or another mode, there is nothing to make.
pub(super) async fn ensure(pass: &Pass) -> Result<(), StepError> {
    let Some(servers) = pass.engine.dns.clone() else { return Ok(()) };
    if pass.tenant.entry().effective.dns.mode != "Shared" || pass.tenant.dns.read().is_some() {
        return Ok(());
    }
    let home = pass.facts.mapping.home();
    let unready = || unready(&format!("the home namespace {home} is not ready"));
    let space = HostNamespace { name: home.to_string(), ..HostNamespace::default() };
    for object in isolation(&set_facts(pass), &space) {
        let (live, _) = ensure_object(pass, &object).await.map_err(StepError::Host)?;
        if object["kind"] == "Namespace" && (!pass.facts.mapping.marked(&live) || live.deleting()) {
            return Err(unready());
        }
    }
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{home}/endpointslices/{NAME}");
    let before = pass.host().find(&path).await.map_err(StepError::Host)?;
    let before = before.as_ref().and_then(|s| s.pointer("/ports/0/port")?.as_u64());
    let before = before.and_then(|port| u16::try_from(port).ok());
    let opened = servers.open(&pass.tenant.id, pass.tenant.zone.clone(), before).await;
    let port = opened.map_err(|error| {
        tracing::error!(tenant = &*pass.tenant.id, %error, "the tenant has no DNS");
        unready()
    })?;
    let (service, _) =
        ensure_object(pass, &service(&pass.facts.mapping, home.as_str())).await.map_err(StepError::Host)?;
    let slice = slice(&pass.facts.mapping, home.as_str(), servers.advertise, port);
    ensure_object(pass, &slice).await.map_err(StepError::Host)?;
    let ips = items(&service.0, "/spec/clusterIPs").iter().filter_map(Value::as_str).map(str::to_owned);
    let addresses: Vec<String> = ips.filter(|ip| ip.parse::<IpAddr>().is_ok()).collect();
    let endpoint = (servers.advertise.to_string(), port);
    *pass.tenant.dns.write() = (!addresses.is_empty()).then_some(TenantDns { addresses, endpoint });
    pass.tenant.queue_key(shown::key(), Lane::Change);
    Ok(())
}

fn service(mapping: &Mapping, home: &str) -> Value {
    let port = |name: &str, protocol: &str| json!({"name": name, "port": 53, "protocol": protocol});
    json!({"apiVersion": "v1", "kind": "Service", "metadata": own_metadata(mapping, home, NAME),
        "spec": {"ports": [port("dns", "UDP"), port("dns-tcp", "TCP")]}})
}

fn slice(mapping: &Mapping, home: &str, address: IpAddr, port: u16) -> Value {
    let mut meta = Value::Object(own_metadata(mapping, home, NAME));
    meta["labels"]["kubernetes.io/service-name"] = NAME.into();
    meta["labels"]["endpointslice.kubernetes.io/managed-by"] = "skerry.dev".into();
    let entry = |name: &str, protocol: &str| json!({"name": name, "port": port, "protocol": protocol});
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta,
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": [entry("dns", "UDP"), entry("dns-tcp", "TCP")]})
}

/// The home namespace goes when nothing else of the tenant is left; what others put there holds it up and is named.
pub(super) async fn remove_home(pass: &Pass, space: &HostObj) -> Result<super::drain::Swept, WireError> {
    let origin = crate::mapping::NamespaceOrigin { name: String::new(), uid: String::new() };
    let swept = super::drain::sweep(pass, space, &origin, false).await?;
    if let Some(servers) = &pass.engine.dns {
        servers.close(&pass.tenant.id);
    }
    *pass.tenant.dns.write() = None;
    Ok(swept)
}
