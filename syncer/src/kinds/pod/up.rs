//! A host pod's status as the tenant sees it (PO35, PO36), and what a lost pod is told (PO41).

use serde_json::{Map, Value, json};
use skerry_api::labels;

use super::hidden;
use crate::{
    facts::Facts,
    mapping::HOSTS_FILE,
    object::{Fields, HostObj, TenantObj, filled, items, text},
    wire::FIELD_MANAGER,
};

const PLAIN: [&str; 11] = [
    "phase",
    "message",
    "reason",
    "startTime",
    "hostIP",
    "hostIPs",
    "podIP",
    "podIPs",
    "resize",
    "allocatedResources",
    "resources",
];

/// The status that our manager applies in the tenant.
pub(super) fn status(tenant: &TenantObj, host: &HostObj, facts: &Facts) -> Value {
    let mut out = Map::new();
    let Some(from) = host.0.get("status") else { return Value::Object(out) };
    for field in PLAIN {
        if let Some(value) = from.get(field).filter(|v| filled(v)) {
            out.insert(field.to_owned(), value.clone());
        }
    }
    if taken_away(tenant, host) {
        let before = tenant.text("/status/phase");
        out.insert("phase".to_owned(), Value::from(if before.is_empty() { "Running" } else { before }));
    }
    for field in ["message", "reason"] {
        if let Some(Value::String(message)) = out.get_mut(field) {
            *message = scrub(message, tenant, host, facts);
        }
    }
    let nominated = text(from, "nominatedNodeName");
    if !nominated.is_empty() && facts.visible_nodes.contains(nominated) {
        out.insert("nominatedNodeName".to_owned(), Value::from(nominated));
    }
    let conditions = conditions(tenant, host, facts);
    if !conditions.is_empty() {
        out.insert("conditions".to_owned(), Value::Array(conditions));
    }
    for (field, spec) in [
        ("initContainerStatuses", "/spec/initContainers"),
        ("containerStatuses", "/spec/containers"),
        ("ephemeralContainerStatuses", "/spec/ephemeralContainers"),
    ] {
        let list = containers(tenant, host, facts, field, spec);
        if !list.is_empty() {
            out.insert(field.to_owned(), Value::Array(list));
        }
    }
    if let Some(generation) = observed(tenant, host) {
        out.insert("observedGeneration".to_owned(), json!(generation));
    }
    Value::Object(out)
}

/// Whether containers ended because the host deletes their pod: a kubelet writes a phase for that as for one that ended
/// by itself. To the tenant it is lost, and that only once it is gone (PO41); said sooner, it would be a pod that ended
/// and stays. Success counts all the same where a pod is meant to end.
fn taken_away(tenant: &TenantObj, host: &HostObj) -> bool {
    let ended = |phase: &str| matches!(phase, "Failed" | "Succeeded");
    let (theirs, own) = (host.text("/status/phase"), tenant.text("/status/phase"));
    let meant = theirs == "Succeeded" && tenant.text("/spec/restartPolicy") != "Always";
    host.deleting() && !tenant.deleting() && ended(theirs) && !ended(own) && !meant
}

/// The tenant's generation that the host has observed: the carried one once the host observed its own.
fn observed(tenant: &TenantObj, host: &HostObj) -> Option<i64> {
    let carried: Option<i64> = host.annotation(labels::ORIGIN_GENERATION).and_then(|g| g.parse().ok());
    let seen = host.0.pointer("/status/observedGeneration").and_then(Value::as_i64)?;
    if seen >= host.generation() {
        carried
    } else {
        tenant.0.pointer("/status/observedGeneration").and_then(Value::as_i64)
    }
}

fn conditions(tenant: &TenantObj, host: &HostObj, facts: &Facts) -> Vec<Value> {
    let theirs = tenant_conditions(tenant);
    let gates: Vec<&str> =
        items(&tenant.0, "/spec/readinessGates").iter().map(|g| text(g, "conditionType")).collect();
    let mut out = Vec::new();
    for condition in items(&host.0, "/status/conditions") {
        let kind = text(condition, "type");
        if gates.contains(&kind) && theirs.iter().any(|t| t == kind) {
            continue;
        }
        let mut condition = condition.as_object().cloned().unwrap_or_default();
        condition.retain(|_, value| !value.is_null());
        let carried: Option<i64> = host.annotation(labels::ORIGIN_GENERATION).and_then(|g| g.parse().ok());
        match (condition.get("observedGeneration").and_then(Value::as_i64), carried) {
            (Some(seen), Some(carried)) if seen >= host.generation() => {
                condition.insert("observedGeneration".to_owned(), json!(carried));
            }
            (Some(_), _) => {
                condition.remove("observedGeneration");
            }
            (None, _) => {}
        }
        let message = condition.remove("message");
        if let Some(message) = message.as_ref().and_then(Value::as_str)
            && let Some(message) = hidden::without(message, tenant, facts)
        {
            condition.insert("message".to_owned(), Value::from(scrub(&message, tenant, host, facts)));
        }
        out.push(Value::Object(condition));
    }
    out
}

/// Condition types in the tenant that another client wrote.
fn tenant_conditions(tenant: &TenantObj) -> Vec<String> {
    let mut out = Vec::new();
    for owner in items(&tenant.0, "/metadata/managedFields") {
        if text(owner, "manager") == FIELD_MANAGER {
            continue;
        }
        let fields = owner.pointer("/fieldsV1/f:status/f:conditions").and_then(Value::as_object);
        for key in fields.into_iter().flatten().filter_map(|(key, _)| key.strip_prefix("k:")) {
            if let Ok(key) = serde_json::from_str::<Value>(key) {
                out.push(text(&key, "type").to_owned());
            }
        }
    }
    out
}

/// Conditions of the tenant's readiness gates that its own clients wrote and the host pod lacks (PO35).
pub(crate) fn gates_down(tenant: &TenantObj, host: &HostObj) -> Vec<Value> {
    let theirs = tenant_conditions(tenant);
    let mut out = Vec::new();
    for gate in items(&tenant.0, "/spec/readinessGates").iter().map(|g| text(g, "conditionType")) {
        if !theirs.iter().any(|t| t == gate) {
            continue;
        }
        let find =
            |obj: &Value| items(obj, "/status/conditions").iter().find(|c| text(c, "type") == gate).cloned();
        let (Some(own), have) = (find(&tenant.0), find(&host.0)) else { continue };
        if have.is_none_or(|have| text(&have, "status") != text(&own, "status")) {
            out.push(own);
        }
    }
    out
}

fn containers(tenant: &TenantObj, host: &HostObj, facts: &Facts, field: &str, spec: &str) -> Vec<Value> {
    let mut out = Vec::new();
    for status in items(&host.0, &format!("/status/{field}")) {
        let name = text(status, "name");
        let own = items(&tenant.0, spec).iter().find(|c| text(c, "name") == name);
        if !hidden::is_shown(name, tenant, facts) {
            continue;
        }
        let mut status = status.clone();
        let Some(map) = status.as_object_mut() else { continue };
        map.retain(|_, value| !value.is_null());
        if let Some(own) = own {
            let sent = items(&host.0, spec).iter().find(|c| text(c, "name") == name);
            let mapped = sent.is_some_and(|sent| text(sent, "image") != text(own, "image"));
            if mapped {
                map.insert("image".to_owned(), Value::from(text(own, "image")));
            }
            let paths: Vec<&str> = items(own, "/volumeMounts").iter().map(|m| text(m, "mountPath")).collect();
            if let Some(mounts) = map.get_mut("volumeMounts").and_then(Value::as_array_mut) {
                mounts.retain(|mount| paths.contains(&text(mount, "mountPath")));
            }
        }
        for state in ["state", "lastState"] {
            for inner in ["waiting", "terminated"] {
                let path = format!("/{state}/{inner}/message");
                if let Some(Value::String(message)) = status.pointer_mut(&path) {
                    *message = scrub(message, tenant, host, facts);
                }
            }
        }
        out.push(status);
    }
    out
}

/// What no object of a tenant is called: token Secrets, the writers of hosts files, and the accounts and the namespace of Skerry on a host.
const OF_THE_HOST: [&str; 4] =
    ["skerry-token-", HOSTS_FILE, "system:serviceaccount:", labels::SYSTEM_NAMESPACE];

/// A text without host names: known ones are mapped back, a text with an unknown one is hidden (SE14).
pub fn scrub(message: &str, tenant: &TenantObj, host: &HostObj, facts: &Facts) -> String {
    mapped_back(message, tenant, host, facts).unwrap_or_else(|| "details hidden".to_owned())
}

/// The same; `None` where something is left that is not the tenant's.
pub fn mapped_back(message: &str, tenant: &TenantObj, host: &HostObj, facts: &Facts) -> Option<String> {
    let mut out = message.to_owned();
    if !host.namespace().is_empty() {
        out = out.replace(host.namespace(), tenant.namespace());
    }
    if host.name() != tenant.name() && !host.name().is_empty() {
        out = out.replace(host.name(), tenant.name());
    }
    if !host.uid().is_empty() {
        out = out.replace(host.uid(), tenant.uid());
    }
    let home = facts.mapping.home();
    let is_left = out.contains(home.as_str())
        || names_a_tenant(&out)
        || OF_THE_HOST.iter().any(|word| out.contains(word));
    (!is_left).then_some(out)
}

/// Whether a text holds a host namespace of any tenant.
pub(crate) fn names_a_tenant(message: &str) -> bool {
    message
        .match_indices("sk-t")
        .any(|(at, _)| message.get(at + 3..at + 15).is_some_and(skerry_api::ids::is_tenant_id))
}

/// Status of a pod whose host pod is gone: Failed, with what ran ended (PO41).
pub fn lost_status(tenant: &TenantObj, reason: &str, now: &str) -> Value {
    let message = "the pod was deleted on its host; it cannot run again under its identity";
    let mut status = ended_status(tenant, now);
    status["reason"] = json!(reason);
    status["message"] = json!(message);
    let disrupted = json!({"type": "DisruptionTarget", "status": "True", "reason": "DeletionByHost",
        "message": message, "lastTransitionTime": now});
    if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        conditions.retain(|c| text(c, "type") != "DisruptionTarget");
        conditions.push(disrupted);
    }
    status
}

/// Status of a pod that is no more on its host, and how it ended was not seen: Failed, with what ran ended. A finalizer
/// may keep such a pod in the tenant for long, and nothing may count it among those that run (PO43).
pub fn ended_status(tenant: &TenantObj, now: &str) -> Value {
    let mut out = Map::new();
    for field in ["startTime", "hostIP", "hostIPs", "podIP", "podIPs"] {
        if let Some(value) = tenant.0.pointer(&format!("/status/{field}")).filter(|v| filled(v)) {
            out.insert(field.to_owned(), value.clone());
        }
    }
    out.insert("phase".to_owned(), json!("Failed"));
    let mut conditions: Vec<Value> = items(&tenant.0, "/status/conditions")
        .iter()
        .filter(|c| !["Ready", "ContainersReady"].contains(&text(c, "type")))
        .cloned()
        .collect();
    for kind in ["Ready", "ContainersReady"] {
        conditions
            .push(json!({"type": kind, "status": "False", "reason": "PodFailed", "lastTransitionTime": now}));
    }
    out.insert("conditions".to_owned(), Value::Array(conditions));
    for (field, spec) in
        [("initContainerStatuses", "/spec/initContainers"), ("containerStatuses", "/spec/containers")]
    {
        let list: Vec<Value> =
            items(&tenant.0, spec).iter().map(|container| ended(tenant, container, field, now)).collect();
        if !list.is_empty() {
            out.insert(field.to_owned(), Value::Array(list));
        }
    }
    Value::Object(out)
}

fn ended(tenant: &TenantObj, container: &Value, field: &str, now: &str) -> Value {
    let name = text(container, "name");
    let known = items(&tenant.0, &format!("/status/{field}")).iter().find(|s| text(s, "name") == name);
    let mut status = known.cloned().unwrap_or_else(
        || json!({"name": name, "image": text(container, "image"), "imageID": "", "restartCount": 0}),
    );
    if status.pointer("/state/terminated").is_some_and(filled) {
        return status;
    }
    let started = status.pointer("/state/running/startedAt").cloned();
    if let Some(map) = status.as_object_mut() {
        let mut terminated = json!({"exitCode": 137, "reason": "ContainerStatusUnknown",
            "message": "the container could not be located when the pod was lost", "finishedAt": now});
        if let (Some(started), Some(terminated)) = (started, terminated.as_object_mut()) {
            terminated.insert("startedAt".to_owned(), started);
        }
        map.insert("state".to_owned(), json!({ "terminated": terminated }));
        map.insert("ready".to_owned(), Value::Bool(false));
        map.insert("started".to_owned(), Value::Bool(false));
    }
    status
}
