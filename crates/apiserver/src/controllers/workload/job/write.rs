//! Writes a Job's counts, and takes finalizers off between the two writes.

use serde_json::Value;

use super::spec::Spec;
use super::tally::Tally;
use super::verdict::Verdict;
use super::{PODS, path, pod, status};
use crate::controllers::note::{Tone, note};
use crate::controllers::workload::pods::controller_uid;
use crate::controllers::{Ctx, Failed};
use crate::model::object::Object;

/// The pods of a Job as they are now.
fn seen_again(ctx: &Ctx, job: &Value) -> Vec<Value> {
    let view = ctx.view.again();
    let mut pods = view.owned_by(PODS, job.meta("namespace"), job.meta("uid"));
    pods.retain(|pod| controller_uid(pod) == Some(job.meta("uid")));
    pods
}

/// Counts in two writes, between which the finalizers go.
pub async fn write(
    ctx: &Ctx,
    job: &Value,
    spec: &Spec,
    tally: &Tally,
    verdict: Option<&Verdict>,
) -> Result<(), Failed> {
    let first = status::counting(job, spec, tally, &seen_again(ctx, job), verdict);
    let job = put(ctx, job, first).await?;
    for pod in &tally.strip {
        pod::untrack(ctx, pod).await?;
    }
    let status = job.get("status").cloned().unwrap_or_default();
    let second = status::counted(&status, tally, spec, &seen_again(ctx, &job), verdict);
    put(ctx, &job, second).await?;
    Ok(())
}

/// Writes the status where it differs, and tells of what begins with it.
async fn put(ctx: &Ctx, job: &Value, status: Value) -> Result<Value, Failed> {
    if job.get("status") == Some(&status) {
        return Ok(job.clone());
    }
    let mut body = job.clone();
    body["status"] = status;
    let written = ctx.api.update(&format!("{}/status", path(job)), &body).await?;
    let condition = |object: &Value, ty: &str| {
        object.items(&["status", "conditions"]).iter().find(|c| c.text(&["type"]) == ty).cloned()
    };
    for ty in ["Suspended", "Complete", "Failed"] {
        let (before, after) = (condition(job, ty), condition(&written, ty));
        let Some(now) = after.filter(|now| before.as_ref() != Some(now)) else { continue };
        let holds = now.text(&["status"]) == "True";
        let (tone, reason, message) = match ty {
            "Suspended" if holds => (Tone::Normal, "Suspended", "Job suspended"),
            "Suspended" => (Tone::Normal, "Resumed", "Job resumed"),
            "Complete" => (Tone::Normal, "Completed", "Job completed"),
            _ => (Tone::Warning, now.text(&["reason"]), now.text(&["message"])),
        };
        note(ctx, job, tone, reason, message).await;
    }
    Ok(written)
}
