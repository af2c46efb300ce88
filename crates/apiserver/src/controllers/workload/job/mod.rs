//! Jobs: pods that run to their end, each counted once.
//!
//! A pass: take the pods, count, judge, make or delete pods, write the counts, take finalizers off, write the numbers.

mod act;
mod backoff;
mod indexes;
mod pod;
mod policy;
mod scale;
mod spec;
mod status;
mod tally;
mod tries;
pub mod ttl;
mod verdict;
mod write;

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;

use self::scale::Plan;
use self::spec::{JOB_NAME, Spec, is_tracked};
use self::tally::{Tally, holds};
use super::pods::controller_uid;
use crate::controllers::{Controller, Ctx, Failed, Next, View};
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::store::{Change, NsName};

const JOBS: &str = "batch/jobs";
const PODS: &str = "/pods";
/// `spec.managedBy` of Jobs that are left to this controller.
const MANAGER: &str = "kubernetes.io/job-controller";

/// The Job controller.
pub struct Jobs;

/// The Job of a pod: its controller, or the one that its label names.
fn job_of(pod: &Value) -> Option<String> {
    let owners = pod.items(&["metadata", "ownerReferences"]);
    let named = match owners.iter().find(|o| o.get("controller") == Some(&Value::Bool(true))) {
        Some(owner) if owner.text(&["kind"]) == "Job" => owner.text(&["name"]),
        Some(_) => "",
        None => pod.text(&["metadata", "labels", JOB_NAME]),
    };
    (!named.is_empty()).then(|| named.to_owned())
}

impl Controller for Jobs {
    fn name(&self) -> &'static str {
        "job-controller"
    }

    fn watches(&self) -> &[&'static str] {
        &[JOBS, PODS, "/namespaces"]
    }

    fn keys(&self, view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName> {
        let name = &change.key.name;
        let all = |namespace: &str| view.records(JOBS, Some(namespace)).into_iter().map(|(name, _)| name);
        match &**resource {
            JOBS => vec![name.clone()],
            PODS => {
                let job = job_of(&change.new.tree()).map(|job| NsName::new(name.namespace(), &job));
                let is_free = change.new.index().owners.is_empty();
                job.into_iter().chain(all(name.namespace()).filter(|_| is_free)).collect()
            }
            // A namespace that stops being a template starts its workloads (C9).
            _ => all(name.name()).collect(),
        }
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        // Pods of Jobs that are gone may still carry the finalizer.
        let pods = view.records(PODS, None).into_iter().filter_map(|(name, record)| {
            let job = record.index().label(JOB_NAME)?;
            Some(NsName::new(name.namespace(), job))
        });
        pods.chain(view.names(JOBS)).collect()
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let job = ctx.view.get(JOBS, key.namespace(), key.name());
            free_orphans(&ctx, &key, job.as_ref()).await?;
            let Some(job) = job else { return Ok(Next::Done) };
            let manager = job.text(&["spec", "managedBy"]);
            if !matches!(manager, "" | MANAGER) || is_over(&job) || ctx.view.is_template(key.namespace()) {
                return Ok(Next::Done);
            }
            run(&ctx, &job).await
        })
    }
}

fn is_over(job: &Value) -> bool {
    holds(job, "Complete") || holds(job, "Failed")
}

/// Path of a Job.
fn path(job: &Value) -> String {
    format!("/apis/batch/v1/namespaces/{}/jobs/{}", job.meta("namespace"), job.meta("name"))
}

/// Takes the finalizer off pods that no Job counts any more.
async fn free_orphans(ctx: &Ctx, key: &NsName, job: Option<&Value>) -> Result<(), Failed> {
    for (_, record) in ctx.view.records(PODS, Some(key.namespace())) {
        if job.is_some() && record.index().label(JOB_NAME) != Some(key.name()) {
            continue;
        }
        let pod = record.tree();
        let is_orphan = match (controller_uid(&pod), job) {
            // One that ends after its Job is counted no more.
            (Some(uid), Some(job)) => {
                let ours = matches!(job.text(&["spec", "managedBy"]), "" | MANAGER);
                uid != job.meta("uid") || ours && is_over(job) && pod.is_deleting()
            }
            (None, Some(_)) => false,
            (_, None) => true,
        };
        if is_orphan && is_tracked(&pod) && job_of(&pod).as_deref() == Some(key.name()) {
            pod::untrack(ctx, &pod).await?;
        }
    }
    Ok(())
}

async fn run(ctx: &Ctx, job: &Value) -> Result<Next, Failed> {
    let spec = Spec::of(job);
    let now = Timestamp::now();
    let pods = pod::taken(ctx, job).await?;
    let tally = Tally::of(job, &spec, &pods);
    let verdict = verdict::of(job, &spec, &pods, &tally, now).filter(|_| !job.is_deleting());
    let plan = match &verdict {
        _ if job.is_deleting() => Plan::default(),
        Some(_) => Plan { delete: tally.active.clone(), ..Plan::default() },
        None => scale::plan(job, &spec, &pods, &tally, now),
    };
    let acted = act::act(ctx, job, &plan).await;
    let written = write::write(ctx, job, &spec, &tally, verdict.as_ref()).await;
    acted?;
    written?;
    let deadline = verdict::deadline_in(job, &spec, now).filter(|_| verdict.is_none());
    let next = [plan.wait, deadline].into_iter().flatten().min();
    Ok(next.map_or(Next::Done, |s| Next::After(Duration::from_secs(s.max(1).unsigned_abs()))))
}
