//! Services.

use serde_json::{Value, json};

use super::{absent, each, has};

pub(super) fn service(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    match spec["sessionAffinity"].as_str() {
        Some("None") => {
            spec.as_object_mut().map(|s| s.remove("sessionAffinityConfig"));
        }
        Some("ClientIP") if spec.pointer("/sessionAffinityConfig/clientIP/timeoutSeconds").is_none() => {
            spec["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": 10800}});
        }
        _ => {}
    }
    for port in each(spec, "ports") {
        let number = port["port"].clone();
        if port.get("targetPort").is_none_or(|t| t.is_null() || *t == 0 || *t == "") {
            port["targetPort"] = number;
        }
    }
    let ty = spec["type"].as_str().unwrap_or_default().to_owned();
    let balanced = ty == "LoadBalancer";
    let external_ips = spec["externalIPs"].as_array().is_some_and(|ips| !ips.is_empty());
    if balanced || ty == "NodePort" || (ty == "ClusterIP" && external_ips) {
        absent(spec, "externalTrafficPolicy", "Cluster");
    }
    if balanced || ty == "NodePort" || ty == "ClusterIP" {
        absent(spec, "internalTrafficPolicy", "Cluster");
    }
    if balanced {
        absent(spec, "allocateLoadBalancerNodePorts", true);
        if let Some(status) = object.pointer_mut("/status/loadBalancer") {
            each(status, "ingress").filter(|i| has(i, "ip")).for_each(|i| absent(i, "ipMode", "VIP"));
        }
    }
}
