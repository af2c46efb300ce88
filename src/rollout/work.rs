//! The objects of a binding as they go to its member: namespace, marks, shares; waves; and the rolling budget.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use skerry_api::labels;
use skerry_placement::rolling::{self, Amount, Budget, Copy, Moves};
use skerry_placement::{RequestId, binding_label};

use super::clients::Member;
use super::compare;
use super::suspend::Suspended;
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

/// Where an object keeps its pod template.
fn template_of(object: &Value) -> Option<&'static str> {
    match text(object, &["kind"]) {
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => Some("/spec/template"),
        "CronJob" => Some("/spec/jobTemplate/spec/template"),
        _ => None,
    }
}

fn mark_template(object: &mut Value, label: &str) {
    if let Some(template) = template_of(object).and_then(|at| object.pointer_mut(at)) {
        template["metadata"]["labels"][labels::BINDING] = label.into();
    }
}

/// Takes the mark off a pod template.
pub fn unmark_template(object: &mut Value) {
    let labels = template_of(object).and_then(|at| object.pointer_mut(&format!("{at}/metadata/labels")));
    if let Some(labels) = labels.and_then(Value::as_object_mut) {
        labels.remove(labels::BINDING);
    }
}

/// Whether the pod templates differ, and in nothing but the mark.
pub fn only_mark_differs(live: &Value, object: &Value) -> bool {
    let Some(at) = template_of(object) else { return false };
    let differs = |object: &Value| compare::managed(live, object).iter().any(|d| d.pointer.starts_with(at));
    let mut bare = object.clone();
    unmark_template(&mut bare);
    differs(object) && !differs(&bare)
}

/// Whether a field is one of the marks that only deliveries make.
pub fn is_mark(pointer: &str) -> bool {
    [labels::PLACED, labels::APPLIED_BY, labels::BINDING]
        .iter()
        .any(|mark| pointer.ends_with(&format!("/{}", mark.replace('/', "~1"))))
}

/// The objects in order of their waves, each with the share that `shares` gives it.
pub fn objects(
    placement: &Placed,
    resolved: &Resolved,
    binding: &Value,
    shares: &Value,
    namespace: &str,
) -> Vec<Value> {
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
            share(&mut object, shares);
            object
        })
        .collect();
    out.sort_by_key(wave);
    out
}

/// Divided replicas: the member's share instead of the template's number.
fn share(object: &mut Value, shares: &Value) {
    let (kind, name) = (text(object, &["kind"]), text(object, &["metadata", "name"]));
    let tail = format!("{kind}/{name}");
    let found = items(shares, &[]).iter().find(|s| {
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

/// How long a draining copy waits for its replacement (`failover.gracePeriod` at its default).
const GRACE: SignedDuration = SignedDuration::from_mins(10);

/// Its removal has begun.
pub fn is_removing(binding: &Value) -> bool {
    text(binding, &["status", "phase"]) == "Removing" || !binding["metadata"]["deletionTimestamp"].is_null()
}

/// What the budgets allow now (4.2), by names of bindings. A Manual rollout updates nothing that was delivered; whom
/// delivery is stopped to is not counted as one that could be updated.
pub fn moves(
    placement: &Placed,
    resolved: &Resolved,
    all: &[&Value],
    suspended: &Suspended,
) -> Moves<String> {
    let budget = Budget {
        max_unavailable: amount(&placement.spec()["rollout"]["maxUnavailable"]),
        max_surge: amount(&placement.spec()["rollout"]["maxSurge"]),
    };
    let wanted =
        |b: &Value| text(b, &["spec", "state"]) != "Draining" && b["metadata"]["deletionTimestamp"].is_null();
    let available = |b: &Value| text(b, &["status", "phase"]) == "Available";
    let all_there = all.iter().filter(|b| wanted(b)).all(|b| available(b));
    let copies: Vec<Copy<String>> = all
        .iter()
        .map(|b| Copy {
            member: text(b, &["metadata", "name"]).to_owned(),
            wanted: wanted(b),
            present: !wanted(b) || !text(b, &["status", "phase"]).is_empty(),
            updated: text(b, &["status", "revision"]) == resolved.revision || suspended.has(b),
            available: available(b),
            failed: !items(b, &["status", "failing"]).is_empty(),
            deleting: is_removing(b),
            awaited: !all_there && is_awaited(b),
        })
        .collect();
    let mut out = rolling::moves(&copies, budget);
    if text(placement.spec(), &["rollout", "trigger"]) == "Manual" {
        out.update.clear();
    }
    out
}

/// A draining copy that something replaces stays until the replacement is Available or its time is over (B2).
fn is_awaited(binding: &Value) -> bool {
    let replaced =
        !matches!(text(binding, &["spec", "cause"]), "ScaleIn" | "PlacementDeleted" | "MemberLeft");
    let since = items(binding, &["status", "conditions"])
        .iter()
        .find(|c| text(c, &["type"]) == "Draining")
        .and_then(|c| text(c, &["lastTransitionTime"]).parse::<Timestamp>().ok());
    replaced && since.is_none_or(|since| Timestamp::now().duration_since(since) < GRACE)
}

fn amount(value: &Value) -> Amount {
    let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
    let percent = value.as_str().and_then(|s| s.strip_suffix('%')).and_then(|p| p.parse().ok());
    number.map(Amount::Number).or(percent.map(Amount::Percent)).unwrap_or(Amount::Percent(25))
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
    fn budgets_are_numbers_or_shares() {
        assert_eq!(amount(&json!("10%")).of(3), 1);
        assert_eq!(amount(&json!(2)).of(9), 2);
        assert_eq!(amount(&Value::Null).of(8), 2);
    }
}
