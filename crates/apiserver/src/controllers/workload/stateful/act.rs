//! Mends what is there of a StatefulSet, does what was planned, and tells of it.

use futures::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::revisions::{self, Revisions};
use super::spec::Spec;
use super::steps::{self, Pods, Step};
use super::{claims, pod};
use crate::bus::Patch;
use crate::controllers::note::{Tone, note};
use crate::controllers::workload::children::{self, pod_path, pods_path};
use crate::controllers::{Ctx, Failed};
use crate::model::object::Object;

/// Most pods made or deleted in one pass.
const BURST: usize = 500;

/// What is told of a set: tone, reason, message.
type Told = Vec<(Tone, &'static str, String)>;

/// Does it all.
pub async fn act(
    ctx: &Ctx,
    set: &Value,
    spec: &Spec,
    revisions: &Revisions,
    pods: &Pods,
) -> Result<(), Failed> {
    let mut told = Vec::new();
    let acted = act_out(ctx, set, spec, revisions, pods, &mut told).await;
    join_all(told.iter().map(|(tone, reason, message)| note(ctx, set, *tone, reason, message))).await;
    acted
}

async fn act_out(
    ctx: &Ctx,
    set: &Value,
    spec: &Spec,
    revisions: &Revisions,
    pods: &Pods,
    told: &mut Told,
) -> Result<(), Failed> {
    for (ordinal, pod) in pods.iter().filter(|(_, pod)| !pod.is_deleting()) {
        mend(ctx, set, *ordinal, pod, told).await?;
        if pod.text(&["status", "phase"]) == "Pending" {
            make_claims(ctx, set, spec, pod.meta("name"), told).await?;
        }
        claims::retain(ctx, set, spec, *ordinal, pod).await?;
    }
    let steps = steps::plan(spec, revisions.update.meta("name"), pods, Timestamp::now());
    for step in steps.into_iter().take(BURST) {
        match step {
            Step::Create(ordinal) => create(ctx, set, spec, revisions, ordinal, told).await?,
            Step::Delete(ordinal) => match pods.get(&ordinal) {
                Some(pod) => delete(ctx, set, pod, told).await?,
                None => continue,
            },
        }
    }
    Ok(())
}

/// Gives a pod back the labels that make it known.
async fn mend(ctx: &Ctx, set: &Value, ordinal: i64, pod: &Value, told: &mut Told) -> Result<(), Failed> {
    let labels = pod::labels(set, ordinal);
    if labels.iter().all(|(key, value)| pod.text(&["metadata", "labels", key]) == value) {
        return Ok(());
    }
    let labels: serde_json::Map<_, _> =
        labels.map(|(k, v)| (k.to_owned(), Value::from(v))).into_iter().collect();
    let body = json!({"metadata": {"uid": pod.meta("uid"), "labels": labels}});
    children::gone_is_fine(ctx.api.patch(&pod_path(pod), Patch::Merge, &body).await)?;
    told.push((Tone::Normal, "SuccessfulUpdate", said("Update", pod.meta("name"), set, "successful")));
    Ok(())
}

fn said(verb: &str, pod: &str, set: &Value, how: &str) -> String {
    format!("{verb} Pod {pod} in StatefulSet {} {how}", set.meta("name"))
}

async fn make_claims(ctx: &Ctx, set: &Value, spec: &Spec, pod: &str, told: &mut Told) -> Result<(), Failed> {
    let name = set.meta("name");
    match claims::make(ctx, set, spec, pod).await {
        Ok(made) => {
            let say = |claim: String| format!("Create Claim {claim} Pod {pod} in StatefulSet {name} success");
            told.extend(made.into_iter().map(|claim| (Tone::Normal, "SuccessfulCreate", say(claim))));
            Ok(())
        }
        Err((claim, status)) => {
            let why = &status.message;
            let message =
                format!("Create Claim {claim} for Pod {pod} in StatefulSet {name} failed error: {why}");
            told.push((Tone::Warning, "FailedCreate", message));
            Err(status.into())
        }
    }
}

async fn create(
    ctx: &Ctx,
    set: &Value,
    spec: &Spec,
    revisions: &Revisions,
    ordinal: i64,
    told: &mut Told,
) -> Result<(), Failed> {
    let on_current = set.at(&["status", "currentReplicas"]).and_then(Value::as_i64).unwrap_or(0);
    let keeps = spec.keeps_current(ordinal, on_current);
    let revision = if keeps { &revisions.current } else { &revisions.update };
    let pod = pod::build(set, ordinal, &revisions::template(revision), revision.meta("name"));
    let name = pod.meta("name");
    if claims::is_leaving(ctx, set, spec, name) {
        return Ok(());
    }
    make_claims(ctx, set, spec, name, told).await?;
    match ctx.api.create(&pods_path(set.meta("namespace")), &pod).await {
        Ok(_) => {
            told.push((Tone::Normal, "SuccessfulCreate", said("Create", name, set, "successful")));
            Ok(())
        }
        Err(status) if status.details.causes.iter().any(|c| c.reason == "NamespaceTerminating") => Ok(()),
        Err(status) => {
            let how = format!("failed error: {}", status.message);
            told.push((Tone::Warning, "FailedCreate", said("Create", name, set, &how)));
            Err(status.into())
        }
    }
}

async fn delete(ctx: &Ctx, set: &Value, pod: &Value, told: &mut Told) -> Result<(), Failed> {
    match children::delete(ctx, &pod_path(pod), pod).await {
        Ok(true) => {
            told.push((
                Tone::Normal,
                "SuccessfulDelete",
                said("Delete", pod.meta("name"), set, "successful"),
            ));
            Ok(())
        }
        Ok(false) => Ok(()),
        Err(status) => {
            let how = format!("failed error: {}", status.message);
            told.push((Tone::Warning, "FailedDelete", said("Delete", pod.meta("name"), set, &how)));
            Err(status.into())
        }
    }
}
