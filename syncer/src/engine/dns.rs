//! The tenant's DNS on its host (DN1): the home namespace with the Service `dns`, over the port that the tenant has here.

use std::net::IpAddr;

use serde_json::{Value, json};
use skerry_kit::isolation::{HostNamespace, isolation};

use super::{
    carry::{Pass, StepError},
    namespaces::{ensure_object, set_facts},
    state::TenantDns,
};
use crate::{
    dns::{Data, Settings},
    mapping::Mapping,
    object::{Fields, HostObj, items},
    settings::HostPolicy,
    wire::WireError,
};

/// Name of the Service and of its slice.
const NAME: &str = "dns";
/// Zone of a host that does not tell its own.
const HOST_DOMAIN: &str = "cluster.local";

/// Makes sure that pods of the tenant find its DNS; without a server here, or another mode, there is nothing to make.
pub(super) async fn ensure(pass: &Pass) -> Result<(), StepError> {
    let Some(servers) = pass.engine.dns.clone() else { return Ok(()) };
    if pass.tenant.entry().effective.dns.mode != "Shared" || pass.tenant.dns.read().is_some() {
        return Ok(());
    }
    let home = pass.facts.mapping.home();
    let space = HostNamespace { name: home.to_string(), ..HostNamespace::default() };
    for object in isolation(&set_facts(pass), &space) {
        let (live, _) = ensure_object(pass, &object).await.map_err(StepError::Host)?;
        if object["kind"] == "Namespace" && (!pass.facts.mapping.marked(&live) || live.deleting()) {
            return Err(StepError::Host(unready(home.as_str())));
        }
    }
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{home}/endpointslices/{NAME}");
    let before = pass.host().find(&path).await.map_err(StepError::Host)?;
    let before = before.as_ref().and_then(|s| s.pointer("/ports/0/port")?.as_u64());
    let before = before.and_then(|port| u16::try_from(port).ok());
    let opened = servers.open(&pass.tenant.id, pass.tenant.zone.clone(), before).await;
    let port = opened.map_err(|error| {
        tracing::error!(tenant = &*pass.tenant.id, %error, "the tenant has no DNS");
        StepError::Host(unready(home.as_str()))
    })?;
    let (service, _) =
        ensure_object(pass, &service(&pass.facts.mapping, home.as_str())).await.map_err(StepError::Host)?;
    let slice = slice(&pass.facts.mapping, home.as_str(), servers.advertise, port);
    ensure_object(pass, &slice).await.map_err(StepError::Host)?;
    let ips = items(&service.0, "/spec/clusterIPs").iter().filter_map(Value::as_str).map(str::to_owned);
    let addresses: Vec<String> = ips.filter(|ip| ip.parse::<IpAddr>().is_ok()).collect();
    let endpoint = (servers.advertise.to_string(), port);
    *pass.tenant.dns.write() = (!addresses.is_empty()).then_some(TenantDns { addresses, endpoint });
    Ok(())
}

fn unready(home: &str) -> WireError {
    WireError::Status {
        code: 409,
        reason: "Conflict".to_owned(),
        message: format!("the home namespace {home} is not ready"),
        retry_after: Some(2),
    }
}

fn own(mapping: &Mapping, home: &str) -> Value {
    let mut meta = serde_json::Map::new();
    meta.insert("name".to_owned(), NAME.into());
    meta.insert("namespace".to_owned(), home.into());
    mapping.mark(&mut meta);
    Value::Object(meta)
}

fn service(mapping: &Mapping, home: &str) -> Value {
    let port = |name: &str, protocol: &str| json!({"name": name, "port": 53, "protocol": protocol});
    json!({"apiVersion": "v1", "kind": "Service", "metadata": own(mapping, home),
        "spec": {"ports": [port("dns", "UDP"), port("dns-tcp", "TCP")]}})
}

fn slice(mapping: &Mapping, home: &str, address: IpAddr, port: u16) -> Value {
    let mut meta = own(mapping, home);
    meta["labels"]["kubernetes.io/service-name"] = NAME.into();
    meta["labels"]["endpointslice.kubernetes.io/managed-by"] = "skerry.dev".into();
    let entry = |name: &str, protocol: &str| json!({"name": name, "port": port, "protocol": protocol});
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta,
        "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": [entry("dns", "UDP"), entry("dns-tcp", "TCP")]})
}

/// `spec.network.dns` as far as it is served here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DnsSpec {
    /// `mode`.
    pub mode: String,
    spec: Value,
    allowed: Vec<String>,
}

impl DnsSpec {
    /// Reads `spec.network.dns`; host Services are open as far as the class's `imports` say.
    pub(crate) fn read(spec: Option<&Value>, policy: &HostPolicy) -> Self {
        let spec = spec.cloned().unwrap_or_default();
        let mode = spec.get("mode").and_then(Value::as_str).unwrap_or("Shared").to_owned();
        let allowed = policy.imports.iter().filter_map(|i| i.strip_prefix("services:")).map(str::to_owned);
        Self { mode, allowed: allowed.collect(), spec }
    }

    fn texts(&self, key: &str) -> impl Iterator<Item = &str> {
        items(&self.spec, &format!("/{key}")).iter().filter_map(Value::as_str)
    }

    /// What the zone is set to.
    pub(crate) fn settings(&self, domain: &str) -> Settings {
        let is_open = |name: &&str| {
            let Some((service, namespace)) = name.split_once('.') else { return false };
            self.allowed
                .iter()
                .any(|a| *a == format!("{namespace}/{service}") || *a == format!("{namespace}/*"))
        };
        let record = |r: &Value| {
            let name = r.get("name")?.as_str()?.trim_end_matches('.').to_lowercase();
            let alias =
                r.get("cname").and_then(Value::as_str).map(|c| c.trim_end_matches('.').to_lowercase());
            let data = match alias.filter(|a| !a.is_empty()) {
                Some(alias) => vec![Data::Alias(alias)],
                None => {
                    let all = items(r, "/addresses").iter().filter_map(|a| a.as_str()?.parse().ok());
                    all.map(Data::Address).collect()
                }
            };
            Some((name, data))
        };
        Settings {
            domain: domain.to_lowercase(),
            host_domain: HOST_DOMAIN.to_owned(),
            pod_records: self.spec.get("podRecords").and_then(Value::as_str) != Some("Disabled"),
            ttl: self
                .spec
                .get("ttlSeconds")
                .and_then(Value::as_u64)
                .and_then(|t| u32::try_from(t).ok())
                .unwrap_or(5),
            host_services: self.texts("hostServices").filter(is_open).map(str::to_lowercase).collect(),
            records: items(&self.spec, "/records").iter().filter_map(record).collect(),
            upstream: self.texts("upstream").filter_map(|ip| ip.parse().ok()).collect(),
        }
    }
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
