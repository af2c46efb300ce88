//! Deployments, StatefulSets, DaemonSets, Jobs, ReplicationControllers, autoscalers.

use serde_json::{Value, json};

use super::{absent, each, has, is_empty};

pub(super) fn deployment(object: &mut Value) {
    let Some(strategy) = object.pointer_mut("/spec/strategy") else { return };
    if strategy["type"] == "RollingUpdate" {
        absent(strategy, "rollingUpdate", json!({}));
        let rolling = &mut strategy["rollingUpdate"];
        absent(rolling, "maxUnavailable", "25%");
        absent(rolling, "maxSurge", "25%");
    }
}

pub(super) fn daemon_set(object: &mut Value) {
    let Some(strategy) = object.pointer_mut("/spec/updateStrategy") else { return };
    if strategy["type"] == "RollingUpdate" {
        absent(strategy, "rollingUpdate", json!({}));
        let rolling = &mut strategy["rollingUpdate"];
        absent(rolling, "maxUnavailable", 1);
        absent(rolling, "maxSurge", 0);
    }
}

pub(super) fn stateful_set(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    for claim in each(spec, "volumeClaimTemplates") {
        absent(claim, "apiVersion", "v1");
        absent(claim, "kind", "PersistentVolumeClaim");
    }
    let Some(strategy) = spec.get_mut("updateStrategy") else { return };
    // Upstream makes the block only together with the type.
    if is_empty(strategy.get("type")) {
        strategy["type"] = "RollingUpdate".into();
        absent(strategy, "rollingUpdate", json!({}));
    }
    if strategy["type"] == "RollingUpdate"
        && let Some(rolling) = strategy.get_mut("rollingUpdate")
    {
        absent(rolling, "partition", 0);
    }
}

pub(super) fn replication_controller(object: &mut Value) {
    let labels = object.pointer("/spec/template/metadata/labels").cloned();
    let Some(labels) = labels.filter(|l| !is_empty(Some(l))) else { return };
    if is_empty(object.pointer("/spec/selector")) {
        object["spec"]["selector"] = labels.clone();
    }
    if is_empty(object.pointer("/metadata/labels")) {
        object["metadata"]["labels"] = labels;
    }
}

pub(super) fn job(object: &mut Value) {
    let labels = object.pointer("/spec/template/metadata/labels").cloned();
    if is_empty(object.pointer("/metadata/labels"))
        && let Some(labels) = labels.filter(|l| !is_empty(Some(l)))
    {
        object["metadata"]["labels"] = labels;
    }
    let Some(spec) = object.get_mut("spec") else { return };
    if !has(spec, "completions") && !has(spec, "parallelism") {
        absent(spec, "completions", 1);
    }
    absent(spec, "parallelism", 1);
    let limit = if has(spec, "backoffLimitPerIndex") { i32::MAX } else { 6 };
    absent(spec, "backoffLimit", limit);
    absent(spec, "completionMode", "NonIndexed");
    absent(spec, "suspend", false);
    absent(spec, "manualSelector", false);
    let replaced = if has(spec, "podFailurePolicy") { "Failed" } else { "TerminatingOrFailed" };
    absent(spec, "podReplacementPolicy", replaced);
}

pub(super) fn autoscaler(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    if is_empty(spec.get("metrics")) {
        let target = json!({"type": "Utilization", "averageUtilization": 80});
        spec["metrics"] = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
    }
    let Some(behavior) = spec.get_mut("behavior").filter(|b| b.is_object()) else { return };
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    absent(behavior, "scaleUp", json!({}));
    rules(&mut behavior["scaleUp"], json!([pods, percent.clone()]));
    absent(&mut behavior["scaleUp"], "stabilizationWindowSeconds", 0);
    absent(behavior, "scaleDown", json!({}));
    rules(&mut behavior["scaleDown"], json!([percent]));
}

fn rules(rules: &mut Value, policies: Value) {
    absent(rules, "selectPolicy", "Max");
    absent(rules, "policies", policies);
}
