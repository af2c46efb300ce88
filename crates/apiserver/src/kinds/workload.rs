//! Deployments, ReplicaSets, StatefulSets, DaemonSets, Jobs: selectors fit their templates and do not change.

use serde_json::{Value, json};

use super::{Hooks, NONE, pod_spec};
use crate::model::object::Object;
use crate::model::status::Cause;

/// Hooks of the apps kinds.
pub const HOOKS: Hooks = Hooks { validate, ..NONE };

/// Hooks of Jobs: the selector is made from the Job's own UID.
pub const JOB: Hooks = Hooks { prepare_create: label_job, validate: validate_template, ..NONE };

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
fn validate_template(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let template = ["spec", "template", "spec"];
    let changed = old.is_none_or(|old| old.at(&template) != new.at(&template));
    let spec = new.at(&template).filter(|_| changed);
    spec.map_or_else(Vec::new, |spec| pod_spec::validate("spec.template.spec", spec))
}

fn validate(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = validate_template(new, old);
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

/// A Job without a manual selector selects its pods by its own UID.
fn label_job(job: &mut Value) {
    let uid = job.meta("uid").to_owned();
    if uid.is_empty() || job.at(&["spec", "manualSelector"]) == Some(&Value::Bool(true)) {
        return;
    }
    let name = job.meta("name").to_owned();
    let template = ["spec", "template", "metadata", "labels"];
    // Labels taken from the template are the template's: what it gets, they get.
    let shared = job.at(&template).is_some_and(|labels| job.at(&["metadata", "labels"]) == Some(labels));
    if job.at(&["spec", "selector"]).is_none() {
        job.put(&["spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"], uid.as_str());
    }
    for (key, value) in [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("job-name", &name),
    ] {
        if value.is_empty() {
            continue;
        }
        job.object_mut(&template).insert(key.to_owned(), value.as_str().into());
        if shared {
            job.put(&["metadata", "labels", key], value.as_str());
        }
    }
}
