//! What a StatefulSet's status says of its pods.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::revisions::Revisions;
use super::spec::{Spec, Strategy};
use super::steps::{Pods, REVISION, is_available};
use crate::controllers::workload::pods::{available_in, is_ready};
use crate::controllers::{Ctx, Failed, Next};
use crate::model::object::Object;

/// The status.
fn status(set: &Value, spec: &Spec, revisions: &Revisions, pods: &Pods, now: Timestamp) -> Value {
    let count = |test: &dyn Fn(&Value) -> bool| pods.values().filter(|pod| test(pod)).count();
    let (current, update) = (revisions.current.meta("name"), revisions.update.meta("name"));
    let of =
        |name: &str| count(&|pod| !pod.is_deleting() && pod.text(&["metadata", "labels", REVISION]) == name);
    let ready = count(&|pod| pod.text(&["status", "phase"]) == "Running" && is_ready(pod));
    let (mut current, mut on_current) = (current, of(current));
    let on_update = of(update);
    let rolls = matches!(spec.strategy, Strategy::Rolling { .. });
    let wanted = usize::try_from(spec.ordinals.end - spec.ordinals.start).unwrap_or(usize::MAX);
    if rolls && [on_update, ready, pods.len()] == [wanted; 3] {
        // The newest one has gone all the way.
        (current, on_current) = (update, on_update);
    }
    let mut out = json!({
        "observedGeneration": set.generation(), "replicas": pods.len(), "collisionCount": revisions.collisions,
        "availableReplicas": count(&|pod| is_available(pod, spec, now)),
        "currentRevision": current, "updateRevision": update,
    });
    let counts = [("readyReplicas", ready), ("currentReplicas", on_current), ("updatedReplicas", on_update)];
    for (field, value) in counts.into_iter().filter(|(_, value)| *value > 0) {
        out[field] = value.into();
    }
    if let Some(conditions) = set.at(&["status", "conditions"]) {
        out["conditions"] = conditions.clone();
    }
    out
}

/// Writes the status where it differs; asks for another pass when a pod will be available later.
pub async fn report(
    ctx: &Ctx,
    set: &Value,
    spec: &Spec,
    revisions: &Revisions,
    pods: &Pods,
) -> Result<Next, Failed> {
    let now = Timestamp::now();
    let wanted = status(set, spec, revisions, pods, now);
    if set.at(&["status"]) != Some(&wanted) {
        let mut body = set.clone();
        body["status"] = wanted;
        let (namespace, name) = (set.meta("namespace"), set.meta("name"));
        let path = format!("/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}/status");
        match ctx.api.update(&path, &body).await {
            Err(status) if status.code != 404 => return Err(status.into()),
            _ => {}
        }
    }
    let waits = pods.values().filter_map(|pod| available_in(pod, spec.min_ready, now));
    let next = waits.filter(|seconds| *seconds > 0).min();
    Ok(next.map_or(Next::Done, |seconds| Next::After(Duration::from_secs(seconds.unsigned_abs()))))
}
