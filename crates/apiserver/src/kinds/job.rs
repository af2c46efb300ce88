//! Jobs: the selector is made from the Job's own UID, pods come to an end, and what is counted by does not change.

use serde_json::Value;

use super::workload::validate_template;
use super::{Hooks, NONE};
use crate::model::object::Object;
use crate::model::status::Cause;

/// Hooks of Jobs.
pub const HOOKS: Hooks = Hooks { prepare_create: label_job, validate, ..NONE };

/// Members that stay as they were made.
const FIXED: [&str; 6] =
    ["selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "successPolicy", "managedBy"];
/// Members that count.
const COUNTS: [&str; 7] = [
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
];

fn is_indexed(job: &Value) -> bool {
    job.text(&["spec", "completionMode"]) == "Indexed"
}

fn validate(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = validate_template(new, old);
    // What was accepted once is not judged again while it stays.
    if old.is_none_or(|old| old.get("spec") != new.get("spec")) {
        causes.extend(made(new));
    }
    if let Some(old) = old {
        causes.extend(kept(new, old));
    }
    causes
}

fn made(job: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = |field: &str| job.at(&["spec", field]).filter(|v| !v.is_null());
    for field in COUNTS {
        if let Some(count) = spec(field).filter(|v| v.as_i64().is_some_and(|n| n < 0)) {
            causes.push(Cause::invalid(format!("spec.{field}"), count, "must be greater than or equal to 0"));
        }
    }
    for field in ["backoffLimitPerIndex", "successPolicy"] {
        if let Some(value) = spec(field).filter(|_| !is_indexed(job)) {
            causes.push(Cause::invalid(format!("spec.{field}"), value, "requires indexed completion mode"));
        }
    }
    if spec("maxFailedIndexes").is_some() && spec("backoffLimitPerIndex").is_none() {
        causes.push(Cause::required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"));
    }
    let field = "spec.template.spec.restartPolicy";
    let restarts = job.text(&["spec", "template", "spec", "restartPolicy"]);
    let by_policy = spec("podFailurePolicy").is_some();
    if !matches!(restarts, "OnFailure" | "Never") {
        causes.push(Cause::required(field, "valid values: \"OnFailure\", \"Never\""));
    } else if by_policy && restarts != "Never" {
        let detail = "only \"Never\" is supported when podFailurePolicy is specified";
        causes.push(Cause::invalid(field, &restarts.into(), detail));
    }
    let replaced = job.text(&["spec", "podReplacementPolicy"]);
    if by_policy && !matches!(replaced, "" | "Failed") {
        causes.push(Cause::not_supported("spec.podReplacementPolicy", &replaced.into(), &["Failed"]));
    }
    causes
}

fn kept(new: &Value, old: &Value) -> Vec<Cause> {
    let changed = |field: &str| {
        let of = |job: &Value| job.at(&["spec", field]).cloned().unwrap_or_default();
        (of(new) != of(old)).then(|| of(new))
    };
    let fixed =
        |field: &str, value: &Value| Cause::invalid(format!("spec.{field}"), value, "field is immutable");
    let mut causes: Vec<Cause> =
        FIXED.into_iter().filter_map(|field| changed(field).map(|value| fixed(field, &value))).collect();
    let in_tandem = || new.at(&["spec", "completions"]) == new.at(&["spec", "parallelism"]);
    match changed("completions") {
        Some(value) if is_indexed(new) && !in_tandem() => {
            let detail = "can only be modified in tandem with spec.parallelism";
            causes.push(Cause::invalid("spec.completions", &value, detail));
        }
        Some(value) if !is_indexed(new) => causes.push(fixed("completions", &value)),
        _ => {}
    }
    let waits = old.at(&["spec", "suspend"]) == Some(&Value::Bool(true))
        && old.text(&["status", "startTime"]).is_empty();
    if let Some(template) = changed("template").filter(|_| !waits || run(new) != run(old)) {
        causes.push(fixed("template", &template));
    }
    causes
}

/// What a template runs: all but where, with what, and as what it is known, which a queue may decide while the Job
/// waits.
fn run(job: &Value) -> Value {
    let mut template = job.at(&["spec", "template"]).cloned().unwrap_or_default();
    template.remove_at(&["metadata"]);
    for field in ["nodeSelector", "affinity", "tolerations", "schedulingGates"] {
        template.remove_at(&["spec", field]);
    }
    for list in ["containers", "initContainers"] {
        let containers = template.pointer_mut(&format!("/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            container.remove_at(&["resources"]);
        }
    }
    template
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
