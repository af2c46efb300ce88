//! The pods of a Job: made, let go of, taken over.

use serde_json::{Value, json};

use super::PODS;
use super::scale::Place;
use super::spec::{FAILURES, IGNORED, INDEX, TRACKING, is_tracked};
use crate::bus::Patch;
use crate::controllers::workload::children::{self, pod_path};
use crate::controllers::workload::pods::{controller_uid, is_active};
use crate::controllers::{Ctx, Failed};
use crate::kinds::workload::selector_matches;
use crate::model::object::Object;

/// Variable with the completion index.
const VARIABLE: &str = "JOB_COMPLETION_INDEX";
/// Longest name that leaves room for the generated part.
const BASE: usize = 57;

/// The reference to a Job as owner.
pub fn reference(job: &Value) -> Value {
    children::reference("batch/v1", "Job", job)
}

/// The pod of a place.
pub fn build(job: &Value, place: Place) -> Value {
    let template = job.at(&["spec", "template"]).cloned().unwrap_or_default();
    let name = job.meta("name");
    let base = match place.index {
        Some(index) => {
            let end = format!("-{index}");
            let room = BASE.saturating_sub(end.len());
            format!("{}{end}", name.get(..room).unwrap_or(name))
        }
        None => name.to_owned(),
    };
    let mut pod = children::pod(&template, &base, reference(job));
    let mut finalizers = pod.items(&["metadata", "finalizers"]).to_vec();
    finalizers.push(TRACKING.into());
    pod.set_meta("finalizers", finalizers);
    if let Some(index) = place.index {
        let index = index.to_string();
        pod.put(&["metadata", "annotations", INDEX], index.as_str());
        pod.put(&["metadata", "labels", INDEX], index.as_str());
        pod.put(&["spec", "hostname"], format!("{name}-{index}"));
        for list in ["containers", "initContainers"] {
            for container in pod["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                tell_index(container);
            }
        }
    }
    if let Some((failures, ignored)) = place.failures {
        pod.put(&["metadata", "annotations", FAILURES], failures.to_string());
        if ignored > 0 {
            pod.put(&["metadata", "annotations", IGNORED], ignored.to_string());
        }
    }
    pod
}

/// Gives a container the index as a variable, unless it has one of the name.
fn tell_index(container: &mut Value) {
    let mut env = container.items(&["env"]).to_vec();
    if env.iter().any(|v| v.text(&["name"]) == VARIABLE) {
        return;
    }
    let field = format!("metadata.labels['{INDEX}']");
    env.push(json!({"name": VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": field}}}));
    container["env"] = env.into();
}

/// Pods that the Job controls; fitting ones that nobody controls are taken, those that no longer fit are let go.
pub async fn taken(ctx: &Ctx, job: &Value) -> Result<Vec<Value>, Failed> {
    let empty = json!({});
    let selector = job.at(&["spec", "selector"]).unwrap_or(&empty);
    let uid = job.meta("uid");
    let mut mine = Vec::new();
    for (_, record) in ctx.view.records(PODS, Some(job.meta("namespace"))) {
        let owners = &record.index().owners;
        if !owners.is_empty() && !owners.iter().any(|o| &**o == uid) {
            continue;
        }
        let pod = record.tree();
        let fits = selector_matches(selector, pod.at(&["metadata", "labels"]).unwrap_or(&empty));
        match controller_uid(&pod) {
            Some(owner) if owner == uid && fits => mine.push(pod),
            Some(owner) if owner == uid => {
                children::release(ctx, &pod, uid).await?;
                if let Some(now) = ctx.view.again().get(PODS, pod.meta("namespace"), pod.meta("name")) {
                    untrack(ctx, &now).await?;
                }
            }
            None if fits && is_active(&pod) && !job.is_deleting() => mine.push(adopt(ctx, &pod, job).await?),
            _ => {}
        }
    }
    Ok(mine)
}

/// Takes a pod that nobody controls, to be counted.
async fn adopt(ctx: &Ctx, pod: &Value, job: &Value) -> Result<Value, Failed> {
    let mut owners = pod.items(&["metadata", "ownerReferences"]).to_vec();
    owners.push(reference(job));
    let mut finalizers = pod.items(&["metadata", "finalizers"]).to_vec();
    if !is_tracked(pod) {
        finalizers.push(TRACKING.into());
    }
    let body = json!({"metadata": {"uid": pod.meta("uid"), "resourceVersion": pod.meta("resourceVersion"),
        "ownerReferences": owners, "finalizers": finalizers}});
    Ok(ctx.api.patch(&pod_path(pod), Patch::Merge, &body).await?)
}

/// Takes the finalizer off a pod that is counted, or that nobody counts any more.
pub async fn untrack(ctx: &Ctx, pod: &Value) -> Result<(), Failed> {
    if !is_tracked(pod) {
        return Ok(());
    }
    let left: Vec<&str> = pod.finalizers().into_iter().filter(|f| *f != TRACKING).collect();
    let body = json!({"metadata": {"uid": pod.meta("uid"), "resourceVersion": pod.meta("resourceVersion"),
        "finalizers": left}});
    children::gone_is_fine(ctx.api.patch(&pod_path(pod), Patch::Merge, &body).await)
}
