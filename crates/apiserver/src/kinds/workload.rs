//! Deployments, ReplicaSets, StatefulSets, DaemonSets: selectors fit their templates and do not change.

use serde_json::{Value, json};

use super::{Hooks, NONE, pod_spec};
use crate::model::object::Object;
use crate::model::status::Cause;

/// Hooks of the apps kinds.
pub const HOOKS: Hooks = Hooks { validate, ..NONE };

/// Hooks of StatefulSets.
pub const STATEFUL: Hooks = Hooks { validate: validate_stateful, ..NONE };

/// Hooks of DaemonSets: an annotation counts the changes of the template.
pub const DAEMON: Hooks = Hooks {
    default: |set| {
        if set.at(&TEMPLATE_GENERATION).is_none() {
            set.put(&TEMPLATE_GENERATION, "0");
        }
    },
    prepare_create: |set| set.put(&TEMPLATE_GENERATION, template_generation(set).max(1).to_string()),
    prepare_update: |new, old| {
        let template = ["spec", "template"];
        let step = i64::from(new.at(&template) != old.at(&template));
        new.put(&TEMPLATE_GENERATION, (template_generation(old) + step).to_string());
    },
    ..HOOKS
};

const TEMPLATE_GENERATION: [&str; 3] =
    ["metadata", "annotations", "deprecated.daemonset.template.generation"];

fn template_generation(set: &Value) -> i64 {
    set.text(&TEMPLATE_GENERATION).parse().unwrap_or(0)
}

/// Whether labels satisfy a `metav1.LabelSelector`.
pub fn selector_matches(selector: &Value, labels: &Value) -> bool {
    let label = |key: &str| labels.get(key).and_then(Value::as_str);
    let equal = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .is_none_or(|m| m.iter().all(|(k, v)| label(k) == v.as_str()));
    let values = |e: &Value, v: &str| e.items(&["values"]).iter().any(|x| x.as_str() == Some(v));
    equal
        && selector.items(&["matchExpressions"]).iter().all(|e| {
            let found = label(e.text(&["key"]));
            match e.text(&["operator"]) {
                "In" => found.is_some_and(|v| values(e, v)),
                "NotIn" => found.is_none_or(|v| !values(e, v)),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

/// Objections to the template. What was accepted once is not judged again while it stays.
pub(super) fn validate_template(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let template = ["spec", "template", "spec"];
    let changed = old.is_none_or(|old| old.at(&template) != new.at(&template));
    let spec = new.at(&template).filter(|_| changed);
    spec.map_or_else(Vec::new, |spec| pod_spec::validate("spec.template.spec", spec))
}

fn validate(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = validate_template(new, old);
    let policy = ["spec", "template", "spec", "restartPolicy"];
    let restarts = new.at(&policy).cloned().unwrap_or_default();
    if restarts != "Always" && old.is_none_or(|old| old.at(&policy) != Some(&restarts)) {
        causes.push(Cause::not_supported(policy.join("."), &restarts, &["Always"]));
    }
    let empty = json!({});
    let selector = new.at(&["spec", "selector"]).unwrap_or(&empty);
    let is_empty =
        selector.get("matchLabels").and_then(Value::as_object).is_none_or(serde_json::Map::is_empty)
            && selector.items(&["matchExpressions"]).is_empty();
    if is_empty {
        let detail = "empty selector is invalid for deployment";
        causes.push(Cause::invalid("spec.selector", selector, detail));
    }
    let labels = new.at(&["spec", "template", "metadata", "labels"]).unwrap_or(&empty);
    if !selector_matches(selector, labels) {
        let field = "spec.template.metadata.labels";
        causes.push(Cause::invalid(field, labels, "`selector` does not match template `labels`"));
    }
    if let Some(replicas) = new.at(&["spec", "replicas"]).and_then(Value::as_i64)
        && replicas < 0
    {
        causes.push(Cause::invalid("spec.replicas", &replicas.into(), "must be greater than or equal to 0"));
    }
    if let Some(old) = old
        && old.at(&["spec", "selector"]) != new.at(&["spec", "selector"])
    {
        causes.push(Cause::invalid("spec.selector", selector, "field is immutable"));
    }
    causes
}

/// Members of a StatefulSet's spec that may change.
const CHANGEABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

fn validate_stateful(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    // That the selector stays is said with the rest of the spec.
    let mut causes = validate(new, None);
    let judged = old.map(|old| validate(old, None)).unwrap_or_default();
    causes.retain(|cause| !judged.contains(cause));
    let kept = |set: &Value| {
        let mut spec = set.get("spec").cloned().unwrap_or_default();
        for field in CHANGEABLE {
            spec.remove_at(&[field]);
        }
        spec
    };
    if old.is_some_and(|old| kept(old) != kept(new)) {
        let names = CHANGEABLE.map(|field| format!("'{field}'"));
        let (last, most) =
            names.split_last().map_or((String::new(), String::new()), |(l, m)| (l.clone(), m.join(", ")));
        let detail =
            format!("updates to statefulset spec for fields other than {most} and {last} are forbidden");
        causes.push(Cause::forbidden("spec", &detail));
    }
    causes
}
