//! The objects of a binding as they go to its member: namespace, marks, shares; waves; and the rolling budget.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skerry_api::labels;
use skerry_placement::{RequestId, binding_label};

use super::clients::Member;
use crate::placement::raw::{items, text};
use crate::placement::{Placed, Resolved};

/// Namespace on the member (A2): the source's name on members of the Placement's own namespace, else both names.
pub fn target_namespace(placement: &Placed, resolved: &Resolved, member: &Member) -> String {
    let named = text(placement.spec(), &["delivery", "namespace"]);
    if !named.is_empty() {
        return named.to_owned();
    }
    if placement.kind == "ClusterPlacement" || member.owner == placement.namespace {
        return resolved.namespace.clone();
    }
    let joined = format!("{}-{}", placement.namespace, resolved.namespace);
    if joined.len() <= 63 {
        return joined;
    }
    let hash = data_encoding::BASE32_NOPAD.encode(&Sha256::digest(joined.as_bytes())).to_lowercase();
    format!("{}-{}", joined[..54].trim_end_matches('-'), &hash[..8])
}

/// `<hub>/<binding uid>`: the mark of what a binding delivered (inventory W6).
pub fn applied_by(binding: &Value) -> String {
    format!("hub/{}", text(binding, &["metadata", "uid"]))
}

/// Wave of an object (A7).
pub fn wave(object: &Value) -> u8 {
    let asked = text(object, &["metadata", "annotations", labels::WAVE]).parse::<u8>();
    if let Ok(asked) = asked {
        return asked.min(9);
    }
    match text(object, &["kind"]) {
        "Namespace" | "PriorityClass" => 0,
        "ConfigMap"
        | "Secret"
        | "PersistentVolumeClaim"
        | "StorageClass"
        | "CustomResourceDefinition"
        | "ServiceAccount"
        | "ResourceQuota"
        | "LimitRange" => 1,
        "Role" | "ClusterRole" => 2,
        "RoleBinding" | "ClusterRoleBinding" => 3,
        "APIService" | "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => 5,
        _ => 4,
    }
}

fn mark_template(object: &mut Value, label: &str) {
    let at = match text(object, &["kind"]) {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => "/spec/template",
        "CronJob" => "/spec/jobTemplate/spec/template",
        _ => return,
    };
    if let Some(template) = object.pointer_mut(at) {
        template["metadata"]["labels"][labels::BINDING] = label.into();
    }
}

/// The objects in order of their waves.
pub fn objects(placement: &Placed, resolved: &Resolved, binding: &Value, namespace: &str) -> Vec<Value> {
    let member = text(binding, &["spec", "member", "id"]);
    let label = binding_label(&RequestId::from(placement.uid.as_str()), member);
    let mut out: Vec<Value> = resolved
        .objects
        .iter()
        .map(|object| {
            let mut object = object.clone();
            object["metadata"]["namespace"] = namespace.into();
            object["metadata"]["labels"][labels::PLACED] = "true".into();
            object["metadata"]["annotations"][labels::APPLIED_BY] = applied_by(binding).into();
            mark_template(&mut object, &label);
            share(&mut object, binding);
            object
        })
        .collect();
    out.sort_by_key(wave);
    out
}

/// Divided replicas: the member's share instead of the template's number.
fn share(object: &mut Value, binding: &Value) {
    let (kind, name) = (text(object, &["kind"]), text(object, &["metadata", "name"]));
    let tail = format!("{kind}/{name}");
    let found = items(binding, &["spec", "shares"]).iter().find(|s| {
        let target = text(s, &["target"]);
        target == tail || target.ends_with(&format!("/{tail}"))
    });
    if let Some(replicas) = found.map(|s| s["replicas"].clone()) {
        let field = if kind == "Job" { "parallelism" } else { "replicas" };
        object["spec"][field] = replicas;
    }
}

/// The namespace itself, marked as made by the binding's Placement.
pub fn namespace(placement: &Placed, binding: &Value, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name,
        "labels": {labels::PLACED: "true"},
        "annotations": {labels::APPLIED_BY: applied_by(binding), "skerry.dev/hub-namespace": placement.namespace}}})
}

/// Bindings that may be brought to the newest revision now (4.2): new and unavailable ones always, available ones while
/// the budget of unavailable members holds.
pub fn updatable(placement: &Placed, resolved: &Resolved, bound: &[&Value]) -> BTreeSet<String> {
    let name = |b: &Value| text(b, &["metadata", "name"]).to_owned();
    let available = |b: &&&Value| text(b, &["status", "phase"]) == "Available";
    let current = |b: &&&Value| text(b, &["status", "revision"]) == resolved.revision;
    let wanted = bound.len();
    let unavailable_max = portion(&placement.spec()["rollout"]["maxUnavailable"], wanted).max(1);
    let manual = text(placement.spec(), &["rollout", "trigger"]) == "Manual";
    let mut room =
        bound.iter().filter(available).count().saturating_sub(wanted.saturating_sub(unavailable_max));
    let mut out = BTreeSet::new();
    for binding in bound.iter().copied() {
        let first = text(binding, &["status", "revision"]).is_empty();
        let is_current = current(&&binding);
        if is_current || first || (!manual && !available(&&binding)) {
            out.insert(name(binding));
        } else if !manual && room > 0 {
            room -= 1;
            out.insert(name(binding));
        }
    }
    out
}

fn portion(value: &Value, of: usize) -> usize {
    match value {
        Value::Number(n) => n.as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1),
        Value::String(s) => {
            s.strip_suffix('%').and_then(|p| p.parse::<usize>().ok()).map_or(1, |p| (of * p).div_ceil(100))
        }
        _ => (of * 25).div_ceil(100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_put_what_others_need_first() {
        let kinds = ["Deployment", "RoleBinding", "ConfigMap", "Namespace", "Role"];
        let mut objects: Vec<Value> = kinds.iter().map(|k| json!({"kind": k})).collect();
        objects.sort_by_key(wave);
        let order: Vec<&str> = objects.iter().map(|o| text(o, &["kind"])).collect();
        assert_eq!(order, ["Namespace", "ConfigMap", "Role", "RoleBinding", "Deployment"]);
        assert_eq!(
            wave(&json!({"kind": "ConfigMap", "metadata": {"annotations": {"skerry.dev/wave": "7"}}})),
            7
        );
    }

    #[test]
    fn shares_are_rounded_up_and_never_nothing() {
        assert_eq!(portion(&json!("25%"), 3), 1);
        assert_eq!(portion(&json!(2), 9), 2);
        assert_eq!(portion(&Value::Null, 8), 2);
    }
}
