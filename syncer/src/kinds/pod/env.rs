//! Service environment as two ConfigMaps of each workload namespace (PO16).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    facts::Network,
    object::{items, text},
};

/// Services of the namespace and the API's address.
pub const LINKS_MAP: &str = "skerry-env";
/// The API's address alone.
pub const API_MAP: &str = "skerry-env-api";
/// Beyond this links are left out.
const MAX_BYTES: usize = 900 * 1024;

/// Data of the two maps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceEnv {
    /// Data of `skerry-env`.
    pub links: BTreeMap<String, String>,
    /// Data of `skerry-env-api`.
    pub api: BTreeMap<String, String>,
    /// Links did not fit (event `ServiceLinksTruncated`).
    pub truncated: bool,
}

impl ServiceEnv {
    /// A map's data as a tree.
    pub fn data(map: &BTreeMap<String, String>) -> Map<String, Value> {
        map.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect()
    }
}

/// The two maps for a namespace with these Services.
pub fn env_maps<'a>(services: impl Iterator<Item = &'a Value>, network: &Network) -> ServiceEnv {
    let mut out = ServiceEnv { api: api(network), ..ServiceEnv::default() };
    let mut links = BTreeMap::new();
    for service in services {
        if text(&service["metadata"], "name") != "kubernetes"
            || text(&service["metadata"], "namespace") != "default"
        {
            one(service, &mut links);
        }
    }
    let size: usize = links.iter().map(|(key, value)| key.len() + value.len() + 8).sum();
    out.truncated = size > MAX_BYTES;
    if out.truncated {
        links.clear();
    }
    links.extend(out.api.clone());
    out.links = links;
    out
}

fn api(network: &Network) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let port = network.port.to_string();
    let address = network.front_door.first().map_or_else(|| network.api_host().to_owned(), Clone::clone);
    let mut put = |key: &str, value: String| {
        out.insert(key.to_owned(), value);
    };
    put("KUBERNETES_SERVICE_HOST", network.api_host().to_owned());
    put("KUBERNETES_SERVICE_PORT", port.clone());
    put("KUBERNETES_SERVICE_PORT_HTTPS", port.clone());
    let url = format!("tcp://{}", joined(&address, &port));
    put("KUBERNETES_PORT", url.clone());
    put(&format!("KUBERNETES_PORT_{port}_TCP"), url);
    put(&format!("KUBERNETES_PORT_{port}_TCP_PROTO"), "tcp".to_owned());
    put(&format!("KUBERNETES_PORT_{port}_TCP_PORT"), port.clone());
    put(&format!("KUBERNETES_PORT_{port}_TCP_ADDR"), address);
    out
}

/// The variables of one Service, as a kubelet makes them.
fn one(service: &Value, out: &mut BTreeMap<String, String>) {
    let spec = &service["spec"];
    let address = text(spec, "clusterIP");
    if address.is_empty() || address == "None" || text(spec, "type") == "ExternalName" {
        return;
    }
    let prefix = upper(text(&service["metadata"], "name"));
    let ports = items(service, "/spec/ports");
    let Some(first) = ports.first() else { return };
    let number = |port: &Value| port.get("port").and_then(Value::as_i64).unwrap_or_default().to_string();
    out.insert(format!("{prefix}_SERVICE_HOST"), address.to_owned());
    out.insert(format!("{prefix}_SERVICE_PORT"), number(first));
    for (n, port) in ports.iter().enumerate() {
        let name = text(port, "name");
        if !name.is_empty() {
            out.insert(format!("{prefix}_SERVICE_PORT_{}", upper(name)), number(port));
        }
        let protocol = match text(port, "protocol") {
            "" => "TCP",
            protocol => protocol,
        };
        let url = format!("{}://{}", protocol.to_lowercase(), joined(address, &number(port)));
        if n == 0 {
            out.insert(format!("{prefix}_PORT"), url.clone());
        }
        let stem = format!("{prefix}_PORT_{}_{}", number(port), protocol.to_uppercase());
        out.insert(format!("{stem}_PROTO"), protocol.to_lowercase());
        out.insert(format!("{stem}_PORT"), number(port));
        out.insert(format!("{stem}_ADDR"), address.to_owned());
        out.insert(stem, url);
    }
}

fn upper(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

/// `host:port`, an IPv6 address in brackets.
fn joined(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// SY-42, its pure part.
    #[test]
    fn translate_sy42_service_links() {
        let network = Network {
            cluster_domain: "cluster.local".to_owned(),
            front_door: vec!["10.0.0.9".to_owned()],
            port: 6443,
            ..Network::default()
        };
        let services = [
            json!({"metadata": {"name": "redis-main", "namespace": "web"}, "spec": {"clusterIP": "10.1.2.3",
                "ports": [{"name": "tcp", "port": 6379, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]}}),
            json!({"metadata": {"name": "headless", "namespace": "web"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}),
            json!({"metadata": {"name": "six", "namespace": "web"}, "spec": {"clusterIP": "fd00::1", "ports": [{"port": 80}]}}),
        ];
        let env = env_maps(services.iter(), &network);
        let want = [
            ("REDIS_MAIN_SERVICE_HOST", "10.1.2.3"),
            ("REDIS_MAIN_SERVICE_PORT", "6379"),
            ("REDIS_MAIN_SERVICE_PORT_DNS", "53"),
            ("REDIS_MAIN_PORT", "tcp://10.1.2.3:6379"),
            ("REDIS_MAIN_PORT_53_UDP", "udp://10.1.2.3:53"),
            ("REDIS_MAIN_PORT_53_UDP_ADDR", "10.1.2.3"),
            ("SIX_PORT_80_TCP", "tcp://[fd00::1]:80"),
            ("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc"),
            ("KUBERNETES_SERVICE_PORT_HTTPS", "6443"),
            ("KUBERNETES_PORT_6443_TCP_ADDR", "10.0.0.9"),
        ];
        for (key, value) in want {
            assert_eq!(env.links.get(key).map(String::as_str), Some(value), "{key}");
        }
        assert!(!env.links.keys().any(|key| key.starts_with("HEADLESS")));
        assert!(env.api.keys().all(|key| key.starts_with("KUBERNETES_")) && !env.truncated);
    }
}
