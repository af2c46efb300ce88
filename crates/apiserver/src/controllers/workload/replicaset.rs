//! ReplicaSets: as many pods as asked for.

use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::note::{Tone, note};
use super::super::{Controller, Ctx, Failed, Next, View};
use super::children::{self, pods_path};
use super::pods::{available_in, controller_uid, is_active, is_over, is_ready, removal_rank};
use crate::kinds::workload::selector_matches;
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::store::{Change, NsName};

const SETS: &str = "apps/replicasets";
const PODS: &str = "/pods";
/// Most pods made or deleted in one pass.
const BURST: usize = 500;

/// The ReplicaSet controller.
pub struct ReplicaSets;

/// The ReplicaSet that controls a pod, by its owner references.
fn owner_name(change: &Change) -> Option<NsName> {
    let pod = change.new.tree();
    let owner = pod
        .items(&["metadata", "ownerReferences"])
        .iter()
        .find(|o| o.get("controller") == Some(&Value::Bool(true)) && o.text(&["kind"]) == "ReplicaSet")?;
    Some(NsName::new(change.key.name.namespace(), owner.text(&["name"])))
}

impl Controller for ReplicaSets {
    fn name(&self) -> &'static str {
        "replicaset-controller"
    }

    fn watches(&self) -> &[&'static str] {
        &[SETS, PODS, "/namespaces"]
    }

    fn keys(&self, view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName> {
        let name = &change.key.name;
        match &**resource {
            SETS => vec![name.clone()],
            PODS if change.new.index().owners.is_empty() => {
                view.records(SETS, Some(name.namespace())).into_iter().map(|(name, _)| name).collect()
            }
            PODS => owner_name(change).into_iter().collect(),
            // A namespace that stops being a template starts its workloads (C9).
            _ => view.records(SETS, Some(name.name())).into_iter().map(|(name, _)| name).collect(),
        }
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        view.names(SETS)
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let Some(set) = ctx.view.get(SETS, key.namespace(), key.name()) else { return Ok(Next::Done) };
            if set.is_deleting() || ctx.view.is_template(key.namespace()) {
                return Ok(Next::Done);
            }
            let pods = adopted(&ctx, &set).await?;
            let active: Vec<Value> = pods.into_iter().filter(is_active).collect();
            let scaled = scale(&ctx, &set, &active).await;
            let view = ctx.view.again();
            let after = report(&ctx, &view, &set).await?;
            scaled?;
            Ok(after)
        })
    }
}

/// Pods of the set: those it controls, and matching ones nobody controls, which it takes.
async fn adopted(ctx: &Ctx, set: &Value) -> Result<Vec<Value>, Failed> {
    let (namespace, uid) = (set.meta("namespace"), set.meta("uid"));
    let empty = json!({});
    let selector = set.at(&["spec", "selector"]).unwrap_or(&empty);
    let mut mine = Vec::new();
    for (_, record) in ctx.view.records(PODS, Some(namespace)) {
        let index = record.index();
        let owned = index.owners.iter().any(|o| &**o == uid);
        if !owned && !index.owners.is_empty() {
            continue;
        }
        let pod = record.tree();
        let fits = selector_matches(selector, pod.at(&["metadata", "labels"]).unwrap_or(&empty));
        match (controller_uid(&pod) == Some(uid), fits) {
            (true, true) => mine.push(pod),
            (true, false) => children::release(ctx, &pod, uid).await?,
            (false, true) if controller_uid(&pod).is_none() && !pod.is_deleting() && is_active(&pod) => {
                mine.push(
                    children::adopt(ctx, &pod, children::reference("apps/v1", "ReplicaSet", set)).await?,
                );
            }
            _ => {}
        }
    }
    Ok(mine)
}

/// Makes or deletes pods, then tells of them: together, as they are one batch for the store.
async fn scale(ctx: &Ctx, set: &Value, active: &[Value]) -> Result<(), Failed> {
    let mut told = Vec::new();
    let scaled = scale_to(ctx, set, active, &mut told).await;
    join_all(told.iter().map(|(tone, reason, message)| note(ctx, set, *tone, reason, message))).await;
    scaled
}

/// What is told of a set: tone, reason, message.
type Told = Vec<(Tone, &'static str, String)>;

async fn scale_to(ctx: &Ctx, set: &Value, active: &[Value], told: &mut Told) -> Result<(), Failed> {
    let wanted =
        usize::try_from(set.at(&["spec", "replicas"]).and_then(Value::as_i64).unwrap_or(1)).unwrap_or(0);
    if active.len() < wanted {
        for _ in 0..(wanted - active.len()).min(BURST) {
            create(ctx, set, told).await?;
        }
    } else if active.len() > wanted {
        let mut ranked: Vec<&Value> = active.iter().collect();
        ranked.sort_by_cached_key(|pod| (deletion_cost(pod), removal_rank(pod)));
        for pod in ranked.into_iter().take((active.len() - wanted).min(BURST)) {
            let path = format!("{}/{}", pods_path(pod.meta("namespace")), pod.meta("name"));
            match ctx.api.delete(&path, &json!({"preconditions": {"uid": pod.meta("uid")}})).await {
                Ok(_) => {
                    told.push((
                        Tone::Normal,
                        "SuccessfulDelete",
                        format!("Deleted pod: {}", pod.meta("name")),
                    ));
                }
                Err(status) if !matches!(status.code, 404 | 409) => {
                    told.push((Tone::Warning, "FailedDelete", format!("Error deleting: {}", status.message)));
                    return Err(status.into());
                }
                Err(_) => {}
            }
        }
    }
    Ok(())
}

fn deletion_cost(pod: &Value) -> i64 {
    pod.text(&["metadata", "annotations", "controller.kubernetes.io/pod-deletion-cost"]).parse().unwrap_or(0)
}

async fn create(ctx: &Ctx, set: &Value, told: &mut Told) -> Result<(), Failed> {
    let template = set.at(&["spec", "template"]).cloned().unwrap_or_default();
    let pod = children::pod(&template, set.meta("name"), children::reference("apps/v1", "ReplicaSet", set));
    match ctx.api.create(&pods_path(set.meta("namespace")), &pod).await {
        Ok(made) => {
            told.push((Tone::Normal, "SuccessfulCreate", format!("Created pod: {}", made.meta("name"))));
            Ok(())
        }
        Err(status) if status.details.causes.iter().any(|c| c.reason == "NamespaceTerminating") => Ok(()),
        Err(status) => {
            failure(ctx, set, &status.message).await;
            told.push((Tone::Warning, "FailedCreate", format!("Error creating: {}", status.message)));
            Err(status.into())
        }
    }
}

/// `ReplicaFailure`, so that people see why there are too few pods. The pass itself fails and is tried again.
async fn failure(ctx: &Ctx, set: &Value, message: &str) {
    let known = set.items(&["status", "conditions"]).iter().any(|c| c.text(&["message"]) == message);
    if known {
        return;
    }
    let mut body = set.clone();
    let condition = json!({"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message,
                           "lastTransitionTime": crate::model::clock::now()});
    let path =
        format!("/apis/apps/v1/namespaces/{}/replicasets/{}/status", set.meta("namespace"), set.meta("name"));
    body.put(&["status", "conditions"], json!([condition]));
    if let Err(status) = ctx.api.update(&path, &body).await {
        tracing::debug!(error = %status.message, "ReplicaFailure was not written");
    }
}

/// Counts into status; asks for another pass when a pod will be available later.
async fn report(ctx: &Ctx, view: &View, set: &Value) -> Result<Next, Failed> {
    let (namespace, name) = (set.meta("namespace"), set.meta("name"));
    let Some(live) = view.get(SETS, namespace, name) else { return Ok(Next::Done) };
    let pods = view.owned_by(PODS, namespace, set.meta("uid"));
    let active: Vec<&Value> = pods.iter().filter(|p| is_active(p)).collect();
    let empty = json!({});
    let template = live.at(&["spec", "template", "metadata", "labels"]).unwrap_or(&empty);
    let labelled = |pod: &&&Value| {
        let labels = pod.at(&["metadata", "labels"]).unwrap_or(&empty);
        template.as_object().is_none_or(|t| t.iter().all(|(k, v)| labels.get(k) == Some(v)))
    };
    let min_ready = live.at(&["spec", "minReadySeconds"]).and_then(Value::as_i64).unwrap_or(0);
    let now = Timestamp::now();
    let waits: Vec<i64> = active.iter().filter_map(|p| available_in(p, min_ready, now)).collect();
    let available = waits.iter().filter(|w| **w == 0).count();
    let mut status = json!({
        "replicas": active.len(), "observedGeneration": live.generation(),
        "fullyLabeledReplicas": active.iter().filter(labelled).count(),
        "readyReplicas": active.iter().filter(|p| is_ready(p)).count(),
        "availableReplicas": available,
        "terminatingReplicas": pods.iter().filter(|p| p.is_deleting() && !is_over(p)).count(),
    });
    let wanted = live.at(&["spec", "replicas"]).and_then(Value::as_u64).unwrap_or(1);
    let failing = live.items(&["status", "conditions"]);
    if !failing.is_empty() && (active.len() as u64) < wanted {
        status["conditions"] = failing.to_vec().into();
    }
    if live.at(&["status"]) != Some(&status) {
        let mut body = live;
        body["status"] = status;
        let path = format!("/apis/apps/v1/namespaces/{namespace}/replicasets/{name}/status");
        match ctx.api.update(&path, &body).await {
            Err(status) if status.code != 404 => return Err(status.into()),
            _ => {}
        }
    }
    let next = waits.into_iter().filter(|w| *w > 0).min();
    Ok(next.map_or(Next::Done, |seconds| Next::After(Duration::from_secs(seconds.unsigned_abs()))))
}
