//! Finished Jobs go after their time.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::JOBS;
use crate::controllers::{Controller, Ctx, Failed, Next, View};
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::store::{Change, NsName};

/// The controller of `ttlSecondsAfterFinished`.
pub struct FinishedJobs;

/// Seconds until a Job is to go, if it ever is.
fn left(job: &Value, now: Timestamp) -> Option<i64> {
    let ttl = job.at(&["spec", "ttlSecondsAfterFinished"])?.as_i64()?;
    let is_end =
        |c: &&Value| matches!(c.text(&["type"]), "Complete" | "Failed") && c.text(&["status"]) == "True";
    let end = job.items(&["status", "conditions"]).iter().find(is_end)?;
    let at: Timestamp = end.text(&["lastTransitionTime"]).parse().ok()?;
    Some((at.as_second() + ttl - now.as_second()).max(0))
}

impl Controller for FinishedJobs {
    fn name(&self) -> &'static str {
        "ttl-after-finished-controller"
    }

    fn watches(&self) -> &[&'static str] {
        &[JOBS]
    }

    fn keys(&self, _: &View, _: &ResourceId, change: &Change) -> Vec<NsName> {
        vec![change.key.name.clone()]
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        view.names(JOBS)
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let Some(job) = ctx.view.get(JOBS, key.namespace(), key.name()) else { return Ok(Next::Done) };
            let left = if job.is_deleting() { None } else { left(&job, Timestamp::now()) };
            match left {
                None => return Ok(Next::Done),
                Some(0) => {}
                Some(seconds) => return Ok(Next::After(Duration::from_secs(seconds.unsigned_abs()))),
            }
            let path = super::path(&job);
            let options =
                json!({"propagationPolicy": "Foreground", "preconditions": {"uid": job.meta("uid")}});
            match ctx.api.delete(&path, &options).await {
                Err(status) if !matches!(status.code, 404 | 409) => Err(status.into()),
                _ => Ok(Next::Done),
            }
        })
    }
}
