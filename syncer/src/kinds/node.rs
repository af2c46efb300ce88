//! Nodes as a tenant sees them (5.4): figures of the host, or none.

use serde_json::{Map, Value, json};
use skerry_api::labels;

use super::claim::IMPORTED;
use crate::{
    facts::Facts,
    kind::Kind,
    object::{Fields, HostObj, entry, filled, items, shell, text},
};

/// The Node object without its status.
pub fn spec(host: &HostObj, facts: &Facts) -> Value {
    let mut out = shell(Kind::Node);
    let meta = entry(&mut out, "metadata");
    meta.insert("name".to_owned(), Value::from(host.name()));
    let shown = &facts.settings.from_host.nodes.labels;
    let own = entry(meta, "labels");
    for (key, value) in host.0.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten() {
        if key == labels::SIMULATED || shown.iter().any(|prefix| key.starts_with(prefix.as_str())) {
            own.insert(key.clone(), value.clone());
        }
    }
    if facts.host.simulated {
        own.insert(labels::SIMULATED.to_owned(), Value::from("true"));
    }
    entry(meta, "annotations").insert(IMPORTED.to_owned(), Value::from("true"));
    let tolerated = &facts.settings.to_host.pods.tolerations;
    let taints: Vec<Value> = items(&host.0, "/spec/taints")
        .iter()
        .filter(|taint| !tolerated.iter().any(|t| tolerates(t, taint)))
        .map(|taint| {
            let mut taint = taint.clone();
            if let Some(map) = taint.as_object_mut() {
                map.remove("timeAdded");
            }
            taint
        })
        .collect();
    if !taints.is_empty() {
        entry(&mut out, "spec").insert("taints".to_owned(), Value::Array(taints));
    }
    Value::Object(out)
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let (key, effect) = (text(toleration, "key"), text(toleration, "effect"));
    (key.is_empty() || key == text(taint, "key"))
        && (effect.is_empty() || effect == text(taint, "effect"))
        && (text(toleration, "operator") == "Exists" || text(toleration, "value") == text(taint, "value"))
}

/// The Node's status; heartbeat times are left out, so it is written on change only (NO4).
pub fn status(host: &HostObj, facts: &Facts) -> Value {
    let mut out = Map::new();
    for field in ["capacity", "allocatable", "nodeInfo"] {
        if let Some(value) = host.0.pointer(&format!("/status/{field}")).filter(|v| filled(v)) {
            out.insert(field.to_owned(), value.clone());
        }
    }
    if let Some(info) = out.get_mut("nodeInfo").and_then(Value::as_object_mut) {
        for field in ["machineID", "systemUUID", "bootID"] {
            info.insert(field.to_owned(), Value::from(""));
        }
    }
    let conditions: Vec<Value> = items(&host.0, "/status/conditions")
        .iter()
        .map(|condition| {
            let mut condition = condition.clone();
            if let Some(map) = condition.as_object_mut() {
                map.remove("lastHeartbeatTime");
            }
            condition
        })
        .collect();
    if !conditions.is_empty() {
        out.insert("conditions".to_owned(), Value::Array(conditions));
    }
    let name = format!("{}.nodes.{}.skerry", host.name(), facts.mapping.id());
    let mut addresses = vec![json!({"type": "Hostname", "address": name})];
    // To tenants whose pods may be on the host's network they are no secret, and node ports are reached by them.
    if facts.policy.host_namespaces.iter().any(|namespace| namespace == "network") {
        let own = items(&host.0, "/status/addresses").iter();
        addresses.extend(own.filter(|a| matches!(text(a, "type"), "InternalIP" | "ExternalIP")).cloned());
    }
    out.insert("addresses".to_owned(), Value::Array(addresses));
    if facts.settings.from_host.nodes.images
        && let Some(images) = host.0.pointer("/status/images").filter(|v| filled(v))
    {
        out.insert("images".to_owned(), images.clone());
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::tests_support::facts;
    use crate::settings::HostPolicy;

    /// NO2, NO3: the host's figures, no identity of the machine, no heartbeat.
    #[test]
    fn translate_nodes() {
        let facts = facts();
        let host = HostObj(
            json!({"metadata": {"name": "n1", "labels": {"kubernetes.io/os": "linux", "secret": "x",
                "skerry.dev/simulated": "true"}, "annotations": {"a": "b"}},
            "spec": {"providerID": "cloud://1", "taints": [{"key": "k", "effect": "NoSchedule", "timeAdded": "t"}]},
            "status": {"capacity": {"cpu": "4"}, "nodeInfo": {"machineID": "m", "architecture": "arm64"},
                "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
                "conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": "t1", "lastTransitionTime": "t0"}]}}),
        );
        let node = spec(&host, &facts);
        assert_eq!(
            node["metadata"]["labels"],
            json!({"kubernetes.io/os": "linux", "skerry.dev/simulated": "true"})
        );
        assert_eq!(node["spec"], json!({"taints": [{"key": "k", "effect": "NoSchedule"}]}));
        let status = status(&host, &facts);
        assert_eq!(
            status["conditions"],
            json!([{"type": "Ready", "status": "True", "lastTransitionTime": "t0"}])
        );
        assert_eq!(status["nodeInfo"]["machineID"], "");
        assert!(!status.to_string().contains("10.0.0.1"));
        let policy = HostPolicy { host_namespaces: vec!["network".into()], ..HostPolicy::default() };
        let open = super::status(&host, &Facts { policy: policy.into(), ..facts });
        assert_eq!(open["addresses"][1], json!({"type": "InternalIP", "address": "10.0.0.1"}));
    }
}
