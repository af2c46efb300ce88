//! Namespaces, the `kubernetes` Service, priority classes, and what each namespace holds from its start.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::Variant;

const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The four namespaces.
pub fn namespaces() -> Vec<Value> {
    let namespace = |name: &&str| {
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": { "name": name, "labels": { "kubernetes.io/metadata.name": name } },
            "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" },
        })
    };
    NAMESPACES.iter().map(namespace).collect()
}

/// `kube-root-ca.crt` and the default ServiceAccount of each namespace.
pub fn per_namespace(ca: &str) -> Vec<Value> {
    let both = |namespace: &&str| {
        [
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": { "ca.crt": ca },
                "metadata": { "name": "kube-root-ca.crt", "namespace": namespace },
            }),
            json!({
                "apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": { "name": "default", "namespace": namespace },
            }),
        ]
    };
    NAMESPACES.iter().flat_map(both).collect()
}

/// What extension servers read to trust the tenant's clients.
pub fn authentication(client_ca: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": { "client-ca-file": client_ca },
        "metadata": { "name": "extension-apiserver-authentication", "namespace": "kube-system" },
    })
}

/// The two classes of system pods.
pub fn priority_classes() -> Vec<Value> {
    let class = |name: &str, value: u32, description: &str| {
        json!({
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": { "name": name },
            "value": value, "preemptionPolicy": "PreemptLowerPriority", "description": description,
        })
    };
    vec![
        class("system-cluster-critical", 2_000_000_000, "For pods the cluster needs, on whichever node."),
        class(
            "system-node-critical",
            2_000_001_000,
            "For pods their node needs: they are not moved elsewhere.",
        ),
    ]
}

/// `default/kubernetes`: Service, Endpoints, EndpointSlice, and the network it is in.
pub(super) fn kubernetes_service(variant: &Variant) -> Vec<Value> {
    let Variant { service_cidrs, service_ip, addresses, port, .. } = variant;
    let mut out = vec![service_cidr(service_cidrs)];
    let Some(ip) = service_ip else { return out };
    let family = |ip: &IpAddr| if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    out.push(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": { "component": "apiserver", "provider": "kubernetes" },
        },
        "spec": {
            "clusterIP": ip, "clusterIPs": [ip], "internalTrafficPolicy": "Cluster", "ipFamilies": [family(ip)],
            "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None", "type": "ClusterIP",
            "ports": [{ "name": "https", "port": 443, "protocol": "TCP", "targetPort": port }],
        },
        "status": { "loadBalancer": {} },
    }));
    out.push(json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "IPAddress",
        "metadata": {
            "name": ip,
            "labels": {
                "ipaddress.kubernetes.io/ip-family": family(ip),
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": { "parentRef": { "group": "", "resource": "services", "name": "kubernetes", "namespace": "default" } },
    }));
    // Slices and Endpoints hold one family: the Service's.
    let reachable: Vec<&IpAddr> = addresses.iter().filter(|a| a.is_ipv4() == ip.is_ipv4()).collect();
    let port = json!({ "name": "https", "port": port, "protocol": "TCP" });
    let mut endpoints = json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": { "endpointslice.kubernetes.io/skip-mirror": "true" },
        },
    });
    if !reachable.is_empty() {
        let addresses: Vec<Value> = reachable.iter().map(|ip| json!({ "ip": ip })).collect();
        endpoints["subsets"] = json!([{ "addresses": addresses, "ports": [port] }]);
    }
    out.push(endpoints);
    let ready = |ip: &&IpAddr| json!({ "addresses": [ip], "conditions": { "ready": true } });
    out.push(json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family(ip),
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": { "kubernetes.io/service-name": "kubernetes" },
        },
        "endpoints": reachable.iter().map(ready).collect::<Vec<_>>(), "ports": [port],
    }));
    out
}

fn service_cidr(cidrs: &[String]) -> Value {
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": { "name": "kubernetes", "finalizers": ["networking.k8s.io/service-cidr-finalizer"] },
        "spec": { "cidrs": cidrs },
        "status": { "conditions": [{
            "type": "Ready", "status": "True", "reason": "", "lastTransitionTime": crate::store::slot(super::CREATED),
            "message": "Kubernetes Service CIDR is ready",
        }] },
    })
}
