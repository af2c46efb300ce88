//! Kinds without pods: namespaces, nodes, policies, bindings.

use serde_json::{Value, json};

use super::{absent, each, is_empty};

pub(super) fn namespace(object: &mut Value) {
    let Some(name) = object.pointer("/metadata/name").and_then(Value::as_str).map(str::to_owned) else {
        return;
    };
    if !name.is_empty()
        && let Some(metadata) = object.get_mut("metadata")
    {
        absent(metadata, "labels", json!({}));
        if let Some(Value::Object(labels)) = metadata.get_mut("labels") {
            labels.insert("kubernetes.io/metadata.name".into(), name.into());
        }
    }
}

pub(super) fn node(object: &mut Value) {
    if let Some(capacity) = object.pointer("/status/capacity").cloned()
        && let Some(status) = object.get_mut("status")
    {
        absent(status, "allocatable", capacity);
    }
}

pub(super) fn network_policy(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    if is_empty(spec.get("policyTypes")) {
        let egress = !is_empty(spec.get("egress"));
        spec["policyTypes"] = if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
    }
}

pub(super) fn binding(object: &mut Value) {
    for subject in each(object, "subjects") {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            absent(subject, "apiGroup", "rbac.authorization.k8s.io");
        }
    }
}
