//! Cells of services, endpoints, ingresses and nodes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::format::{NONE, condition, number, or_none, shown, texts, with_more};
use crate::model::object::Object;

pub(super) fn cell(name: &str, object: &Value) -> Option<Value> {
    Some(Value::String(match name {
        "clusterIP" => match texts(object, &["spec", "clusterIPs"]).first() {
            Some(ip) => (*ip).to_owned(),
            None => or_none(object.text(&["spec", "clusterIP"]).into()),
        },
        "externalIP" => external_ip(object),
        "servicePorts" => service_ports(object),
        "endpoints" => endpoints(object),
        "slicePorts" => with_more(&slice_ports(object), 3),
        "sliceEndpoints" => {
            let all = object.items(&["endpoints"]).iter().flat_map(|e| texts(e, &["addresses"]));
            with_more(&all.map(str::to_owned).collect::<Vec<_>>(), 3)
        }
        "ingressClass" => object.at(&["spec", "ingressClassName"]).map_or_else(|| NONE.into(), shown),
        "ingressHosts" => ingress_hosts(object),
        "ingressAddress" => addresses(object),
        "ingressPorts" if object.items(&["spec", "tls"]).is_empty() => "80".into(),
        "ingressPorts" => "80, 443".into(),
        "ingressParameters" => parameters(object),
        "parentRef" => parent(object),
        "nodeStatus" => node_status(object),
        "nodeRoles" => node_roles(object),
        "nodeInternalIP" => node_address(object, "InternalIP"),
        "nodeExternalIP" => node_address(object, "ExternalIP"),
        "nodeKernel" => node_kernel(object),
        _ => return None,
    }))
}

/// Addresses of a load balancer, each once, in order.
fn addresses(object: &Value) -> String {
    let all = object.items(&["status", "loadBalancer", "ingress"]).iter();
    let set: BTreeSet<&str> = all
        .map(|i| if i.text(&["ip"]).is_empty() { i.text(&["hostname"]) } else { i.text(&["ip"]) })
        .filter(|text| !text.is_empty())
        .collect();
    set.into_iter().collect::<Vec<_>>().join(",")
}

fn external_ip(object: &Value) -> String {
    let external = texts(object, &["spec", "externalIPs"]);
    match object.text(&["spec", "type"]) {
        "ClusterIP" | "NodePort" => or_none(external.join(",")),
        "LoadBalancer" => {
            let balanced = addresses(object);
            let mut all: Vec<&str> = balanced.split(',').filter(|a| !a.is_empty()).collect();
            all.extend(external);
            if all.is_empty() { "<pending>".into() } else { all.join(",") }
        }
        "ExternalName" => object.text(&["spec", "externalName"]).into(),
        _ => "<unknown>".into(),
    }
}

fn service_ports(object: &Value) -> String {
    let ports = object.items(&["spec", "ports"]).iter().map(|p| {
        let (port, protocol) = (number(p, &["port"]), p.text(&["protocol"]));
        match number(p, &["nodePort"]) {
            0 => format!("{port}/{protocol}"),
            node => format!("{port}:{node}/{protocol}"),
        }
    });
    or_none(ports.collect::<Vec<_>>().join(","))
}

fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in object.items(&["subsets"]) {
        let ips: Vec<&str> = subset.items(&["addresses"]).iter().map(|a| a.text(&["ip"])).collect();
        let ports = subset.items(&["ports"]);
        if ports.is_empty() {
            all.extend(ips.iter().map(|ip| (*ip).to_owned()));
        }
        for port in ports {
            let port = number(port, &["port"]);
            all.extend(
                ips.iter().map(|ip| {
                    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
                }),
            );
        }
    }
    if all.is_empty() {
        if object.items(&["subsets"]).is_empty() { NONE.into() } else { String::new() }
    } else {
        with_more(&all, 3)
    }
}

fn slice_ports(object: &Value) -> Vec<String> {
    let ports = object.items(&["ports"]).iter().map(|p| match (p.at(&["port"]), p.at(&["name"])) {
        (Some(port), _) => port.to_string(),
        (None, Some(name)) => shown(name),
        (None, None) => "*".into(),
    });
    ports.collect()
}

fn ingress_hosts(object: &Value) -> String {
    let rules = object.items(&["spec", "rules"]);
    let hosts: Vec<&str> = rules.iter().map(|r| r.text(&["host"])).filter(|h| !h.is_empty()).collect();
    if hosts.is_empty() {
        return "*".into();
    }
    let shown = hosts[..hosts.len().min(3)].join(",");
    if hosts.len() >= 3 && rules.len() > 3 { format!("{shown} + {} more...", rules.len() - 3) } else { shown }
}

fn parameters(object: &Value) -> String {
    let Some(p) = object.at(&["spec", "parameters"]).filter(|p| p.is_object()) else { return NONE.into() };
    let group = p.at(&["apiGroup"]).map_or_else(String::new, |g| format!(".{}", shown(g)));
    format!("{}{group}/{}", p.text(&["kind"]), p.text(&["name"]))
}

fn parent(object: &Value) -> String {
    let Some(p) = object.at(&["spec", "parentRef"]) else { return NONE.into() };
    let parts = ["group", "resource", "namespace", "name"].map(|m| p.text(&[m]));
    let named: Vec<&str> = parts.into_iter().filter(|t| !t.is_empty()).collect();
    let mut out = named.join("/");
    if parts[0].is_empty() && !parts[1].is_empty() {
        out = format!(
            "{}/{}",
            parts[1],
            [parts[2], parts[3]].iter().filter(|t| !t.is_empty()).copied().collect::<Vec<_>>().join("/")
        );
    }
    out
}

fn node_status(object: &Value) -> String {
    let mut out = match condition(object, "Ready") {
        Some("True") => "Ready".to_owned(),
        Some(_) => "NotReady".into(),
        None => "Unknown".into(),
    };
    if object.at(&["spec", "unschedulable"]) == Some(&Value::Bool(true)) {
        out.push_str(",SchedulingDisabled");
    }
    out
}

fn node_roles(object: &Value) -> String {
    let labels = object.at(&["metadata", "labels"]).and_then(Value::as_object);
    let roles: BTreeSet<&str> = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
            Some(role) => Some(role).filter(|r| !r.is_empty()),
            None if key == "kubernetes.io/role" => value.as_str().filter(|r| !r.is_empty()),
            None => None,
        })
        .collect();
    or_none(roles.into_iter().collect::<Vec<_>>().join(","))
}

fn node_address(object: &Value, ty: &str) -> String {
    let all = object.items(&["status", "addresses"]);
    let found = all.iter().find(|a| a.text(&["type"]) == ty);
    or_none(found.map(|a| a.text(&["address"]).to_owned()).unwrap_or_default())
}

fn node_kernel(object: &Value) -> String {
    let info = |member| object.text(&["status", "nodeInfo", member]);
    let kernel = if info("kernelVersion").is_empty() { "<unknown>" } else { info("kernelVersion") };
    match info("architecture") {
        "" => kernel.into(),
        architecture => format!("{kernel} ({architecture})"),
    }
}
