//! StatefulSets: pods with names and claims that last, made, replaced and removed in order.
//!
//! A pass: take the pods, settle the revisions, mend what is there, choose the steps, do them, report, and let old
//! revisions go.

mod claims;
mod pod;
mod report;
mod revisions;
mod spec;
mod steps;

use futures::future::{BoxFuture, join_all};
use jiff::Timestamp;
use serde_json::{Value, json};

use self::revisions::Revisions;
use self::spec::Spec;
use self::steps::{Pods, Step};
use super::children::{self, pod_path, pods_path};
use super::pods::controller_uid;
use crate::bus::Patch;
use crate::controllers::note::{Tone, note};
use crate::controllers::{Controller, Ctx, Failed, Next, View};
use crate::kinds::workload::selector_matches;
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::store::{Change, NsName};

const SETS: &str = "apps/statefulsets";
const PODS: &str = "/pods";
const CLAIMS: &str = "/persistentvolumeclaims";
/// Most pods made or deleted in one pass.
const BURST: usize = 500;

/// The StatefulSet controller.
pub struct StatefulSets;

impl Controller for StatefulSets {
    fn name(&self) -> &'static str {
        "statefulset-controller"
    }

    fn watches(&self) -> &[&'static str] {
        &[SETS, PODS, CLAIMS, "/namespaces"]
    }

    fn keys(&self, view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName> {
        let name = &change.key.name;
        let named = |test: &dyn Fn(&str) -> bool| {
            let sets = view.records(SETS, Some(name.namespace())).into_iter().map(|(name, _)| name);
            sets.filter(|set| test(set.name())).collect()
        };
        match &**resource {
            SETS => vec![name.clone()],
            PODS => named(&|set| spec::ordinal(set, name.name()).is_some()),
            // A claim that goes may be what a pod waits for.
            CLAIMS => named(&|set| name.name().contains(&format!("-{set}-"))),
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
            let spec = Spec::of(&set);
            let pods = taken(&ctx, &set).await?;
            let revisions = Revisions::settle(&ctx, &set).await?;
            let mut told = Vec::new();
            let acted = act(&ctx, &set, &spec, &revisions, &pods, &mut told).await;
            join_all(told.iter().map(|(tone, reason, message)| note(&ctx, &set, *tone, reason, message)))
                .await;
            let (set, pods) = match seen_again(&ctx, &set) {
                Some(now) => now,
                None => return Ok(Next::Done),
            };
            let after = report::report(&ctx, &set, &spec, &revisions, &pods).await?;
            revisions.truncate(&ctx, &set, &pods).await?;
            acted?;
            Ok(after)
        })
    }
}

/// What is told of a set: tone, reason, message.
type Told = Vec<(Tone, &'static str, String)>;

/// Pods that the set controls, by ordinal; those that fit and that nobody controls are adopted, those that no longer
/// fit are let go.
async fn taken(ctx: &Ctx, set: &Value) -> Result<Pods, Failed> {
    let empty = json!({});
    let selector = set.at(&["spec", "selector"]).unwrap_or(&empty);
    let mut mine = Pods::new();
    for (name, record) in ctx.view.records(PODS, Some(set.meta("namespace"))) {
        let Some(ordinal) = spec::ordinal(set.meta("name"), name.name()) else { continue };
        let pod = record.tree();
        let fits = selector_matches(selector, pod.at(&["metadata", "labels"]).unwrap_or(&empty));
        match controller_uid(&pod) {
            Some(uid) if uid == set.meta("uid") && fits => {
                mine.insert(ordinal, pod);
            }
            Some(uid) if uid == set.meta("uid") => children::release(ctx, &pod, uid).await?,
            None if fits && !pod.is_deleting() => {
                let reference = children::reference("apps/v1", "StatefulSet", set);
                mine.insert(ordinal, children::adopt(ctx, &pod, reference).await?);
            }
            _ => {}
        }
    }
    Ok(mine)
}

/// The set and its pods after the writes of this pass.
fn seen_again(ctx: &Ctx, set: &Value) -> Option<(Value, Pods)> {
    let view = View::new(ctx.view.tenant().clone());
    let live = view.get(SETS, set.meta("namespace"), set.meta("name"))?;
    let pods = view.owned_by(PODS, live.meta("namespace"), live.meta("uid")).into_iter();
    let pods = pods.filter_map(|pod| Some((spec::ordinal(live.meta("name"), pod.meta("name"))?, pod)));
    let pods = pods.collect();
    Some((live, pods))
}

async fn act(
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
