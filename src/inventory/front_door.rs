//! The front door of a host (tenancy I1): the one Service by which pods of all its tenants find their API (syncer KI13).
//!
//! The chart makes it for its own cluster, over the API server's pods; here it is made for the others: without
//! endpoints where nothing in a pod runs, else over the address that the API server has outside.

use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use serde_json::{Value, json};
use skerry_api::virtual_cluster::reasons::managers;
use skerry_api::{ClusterReport, labels};
use skerry_kit::apply;

use super::join::{ensure_namespace, typed};

/// Name of the Service, and of its EndpointSlice.
pub const NAME: &str = "skerry-front-door";

/// The address in a hub's URL, if its API server is the one that tenants share; a hub that is a cluster of somebody's
/// has another.
pub fn address_of(hub: &http::Uri) -> Option<SocketAddr> {
    let shared = hub.path().starts_with("/clusters/");
    let ip: IpAddr = hub.host()?.trim_matches(['[', ']']).parse().ok()?;
    dialable(SocketAddr::new(ip, hub.port_u16().unwrap_or(443))).filter(|_| shared)
}

/// The address if pods can dial it: loopback is another place in each of them.
pub fn dialable(address: SocketAddr) -> Option<SocketAddr> {
    let ip = address.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(address)
}

/// Makes the Service, or brings it to another address. Without one it refuses pods, who must not meet the host's own
/// API server under a name that is their tenant's.
pub(crate) async fn ensure(
    host: &Client,
    outside: Option<SocketAddr>,
    owner: Option<&Value>,
) -> Result<(), kube::Error> {
    ensure_namespace(host, labels::SYSTEM_NAMESPACE).await?;
    let services: Api<Service> = Api::namespaced(host.clone(), labels::SYSTEM_NAMESPACE);
    let stored = services.get_opt(NAME).await?.and_then(|s| s.spec);
    if stored.is_some_and(|s| s.selector.is_some()) {
        return Ok(());
    }
    apply::apply(&services, managers::PROVISION, &typed(service(owner))?).await?;
    if let Some(outside) = outside {
        let slices: Api<EndpointSlice> = Api::namespaced(host.clone(), labels::SYSTEM_NAMESPACE);
        apply::apply(&slices, managers::PROVISION, &typed(slice(outside, owner))?).await?;
    }
    Ok(())
}

/// The addresses that pods of a host dial: of its Service, whoever made it.
pub(crate) async fn find(host: &Client) -> Result<Vec<SocketAddr>, kube::Error> {
    let services: Api<Service> = Api::namespaced(host.clone(), labels::SYSTEM_NAMESPACE);
    Ok(services.get_opt(NAME).await?.as_ref().map(addresses).unwrap_or_default())
}

/// The same of a Service that was read.
pub fn addresses(service: &Service) -> Vec<SocketAddr> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let port = spec.ports.iter().flatten().next().and_then(|p| u16::try_from(p.port).ok()).unwrap_or(443);
    let ips = spec.cluster_ips.iter().flatten().filter_map(|ip| ip.parse().ok());
    ips.map(|ip| SocketAddr::new(ip, port)).collect()
}

/// The addresses behind it, in order: what a host's network meets once the Service's address is resolved.
pub(crate) async fn behind(host: &Client) -> Result<Vec<SocketAddr>, kube::Error> {
    let slices: Api<EndpointSlice> = Api::namespaced(host.clone(), labels::SYSTEM_NAMESPACE);
    let of_it = ListParams::default().labels(&format!("kubernetes.io/service-name={NAME}"));
    let mut out: Vec<SocketAddr> = slices.list(&of_it).await?.iter().flat_map(endpoints).collect();
    out.sort_unstable();
    out.dedup();
    Ok(out)
}

fn endpoints(slice: &EndpointSlice) -> Vec<SocketAddr> {
    let ports = slice.ports.iter().flatten().filter_map(|p| u16::try_from(p.port?).ok());
    let ports: Vec<u16> = ports.collect();
    let ips = slice
        .endpoints
        .iter()
        .flatten()
        .flat_map(|e| &e.addresses)
        .filter_map(|ip| ip.parse::<IpAddr>().ok());
    ips.flat_map(|ip| ports.iter().map(move |port| SocketAddr::new(ip, *port)).collect::<Vec<_>>()).collect()
}

/// As they stand in the annotation of the host's report.
pub(super) fn written(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// What a report says of them.
pub fn read(report: &ClusterReport) -> Vec<SocketAddr> {
    let text = report.annotations().get(labels::FRONT_DOOR).map(String::as_str).unwrap_or_default();
    text.split(',').filter_map(|a| a.parse().ok()).collect()
}

fn metadata(owner: Option<&Value>) -> Value {
    let mut metadata = json!({"name": NAME, "namespace": labels::SYSTEM_NAMESPACE});
    if let Some(owner) = owner {
        metadata["ownerReferences"] = json!([owner]);
    }
    metadata
}

fn service(owner: Option<&Value>) -> Value {
    let port = json!({"name": "https", "port": 443, "protocol": "TCP"});
    json!({"metadata": metadata(owner), "spec": {"ports": [port]}})
}

fn slice(outside: SocketAddr, owner: Option<&Value>) -> Value {
    let mut metadata = metadata(owner);
    metadata["labels"] = json!({
        "kubernetes.io/service-name": NAME,
        "endpointslice.kubernetes.io/managed-by": "skerry.dev",
    });
    json!({
        "metadata": metadata,
        "addressType": if outside.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [outside.ip()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": outside.port(), "protocol": "TCP"}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_door_is_where_pods_can_go() {
        let of = |text: &str| address_of(&text.parse().unwrap()).map(|a| a.to_string());
        assert_eq!(of("https://10.0.0.5:8443/clusters/thub").as_deref(), Some("10.0.0.5:8443"));
        assert_eq!(of("https://10.0.0.5/clusters/thub").as_deref(), Some("10.0.0.5:443"));
        assert_eq!(of("https://[fd00::5]:8443/clusters/thub").as_deref(), Some("[fd00::5]:8443"));
        assert_eq!(of("https://127.0.0.1:8443/clusters/thub"), None, "loopback of the pod itself");
        assert_eq!(of("https://10.0.0.5:6443"), None, "an API server that tenants are not on");
        assert_eq!(of("https://hub.example.com/clusters/thub"), None, "a slice holds addresses");
    }

    #[test]
    fn front_door_slice_is_of_the_service() {
        let made = slice("10.0.0.5:8443".parse().unwrap(), None);
        assert_eq!(made["metadata"]["labels"]["kubernetes.io/service-name"], NAME);
        assert_eq!(
            made["ports"][0]["name"],
            service(None)["spec"]["ports"][0]["name"],
            "a slice's port goes by name"
        );
        assert_eq!(made["endpoints"][0]["addresses"][0], "10.0.0.5");
        let read = endpoints(&serde_json::from_value(made).unwrap());
        assert_eq!(read, ["10.0.0.5:8443".parse().unwrap()], "what is behind it is read as it was written");
    }

    #[test]
    fn front_door_is_read_as_it_was_written() {
        let spec = json!({"clusterIPs": ["10.96.0.9", "fd00::9"], "ports": [{"port": 443}]});
        let found = addresses(&serde_json::from_value(json!({"spec": spec})).unwrap());
        let text = written(&found);
        assert_eq!(text, "10.96.0.9:443,[fd00::9]:443");
        let report = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "ClusterReport",
            "metadata": {"name": "a", "annotations": {labels::FRONT_DOOR: text}}, "spec": {"mode": "Push"}});
        assert_eq!(read(&serde_json::from_value(report).unwrap()), found);
        let headless = json!({"spec": {"clusterIPs": ["None"]}});
        assert!(addresses(&serde_json::from_value(headless).unwrap()).is_empty());
    }
}
