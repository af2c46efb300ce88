//! Does what was planned for a Job's pods, and tells of it.

use futures::future::join_all;
use serde_json::Value;

use super::pod;
use super::scale::Plan;
use crate::controllers::note::{Tone, note};
use crate::controllers::workload::children::{self, pod_path, pods_path};
use crate::controllers::{Ctx, Failed};
use crate::model::object::Object;

/// Deletes and makes pods, then tells of them.
pub async fn act(ctx: &Ctx, job: &Value, plan: &Plan) -> Result<(), Failed> {
    let mut told = Vec::new();
    let acted = act_out(ctx, job, plan, &mut told).await;
    join_all(told.iter().map(|(tone, reason, message)| note(ctx, job, *tone, reason, message))).await;
    acted
}

async fn act_out(
    ctx: &Ctx,
    job: &Value,
    plan: &Plan,
    told: &mut Vec<(Tone, &'static str, String)>,
) -> Result<(), Failed> {
    for pod in &plan.delete {
        if children::delete(ctx, &pod_path(pod), pod).await? {
            told.push((Tone::Normal, "SuccessfulDelete", format!("Deleted pod: {}", pod.meta("name"))));
        }
    }
    for place in &plan.make {
        match ctx.api.create(&pods_path(job.meta("namespace")), &pod::build(job, *place)).await {
            Ok(made) => {
                told.push((Tone::Normal, "SuccessfulCreate", format!("Created pod: {}", made.meta("name"))));
            }
            Err(status) if status.details.causes.iter().any(|c| c.reason == "NamespaceTerminating") => break,
            Err(status) => {
                told.push((Tone::Warning, "FailedCreate", format!("Error creating: {}", status.message)));
                return Err(status.into());
            }
        }
    }
    Ok(())
}
