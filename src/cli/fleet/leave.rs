//! `skerry fleet leave`: asks for the leave of a real member in its Report and follows it. The manager does the steps
//! of inventory section 12; interrupted anywhere, they go on.

use std::time::{Duration, Instant};

use kube::ResourceExt;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::{Value, json};
use skerry_api::VirtualCluster;
use skerry_api::cluster_report::{ClusterReport, LeaveStep, MemberMode};
use skerry_kit::error;

use super::{LeaveArgs, apis, profile_name};
use crate::cli::create::duration;
use crate::cli::exit::Failure;
use crate::cli::hub::{Hub, HubArgs};
use crate::cli::progress::Lines;
use crate::inventory::leave;

/// Between looks at the Report.
const AGAIN: Duration = Duration::from_millis(200);

/// Section 12, for a real member.
pub(super) async fn run(args_hub: &HubArgs, args: LeaveArgs) -> Result<(), Failure> {
    let limit = duration("timeout", &args.timeout)?;
    let hub = args_hub.connect().await?;
    let (_, reports) = apis(&hub);
    let name = profile_name(&args.name);
    let lines = Lines::new(args_hub.quiet);
    let report = reports.get(&name).await.map_err(Failure::during(&format!("member {name}")))?;
    if report.spec.mode == MemberMode::Virtual {
        return Err(Failure::Refused(format!(
            "{name} is a virtual cluster: it leaves when it is deleted, `skerry delete`"
        )));
    }
    refuse_used_host(&hub, &name).await?;
    let mut asked = match report.leave() {
        // It goes on where it is.
        Some(_) => json!({}),
        None => json!({"step": LeaveStep::Cordon, "since": jiff::Timestamp::now()}),
    };
    if args.forget {
        asked["forget"] = Value::Bool(true);
    }
    leave::record(&reports, &name, asked).await?;
    follow(&reports, &name, limit, lines).await?;
    lines.plain(&format!("{name} has left."));
    Ok(())
}

/// Shows each step as it ends, until the Report is gone.
async fn follow(
    reports: &Api<ClusterReport>,
    name: &str,
    limit: Duration,
    lines: Lines,
) -> Result<(), Failure> {
    let started = Instant::now();
    let (mut at, mut said) = (None, None);
    while let Some(report) = error::optional(reports.get(name).await)? {
        let leave = report.leave().cloned().unwrap_or_default();
        if let Some(before) = at
            && leave.step.is_some_and(|now| now > before)
        {
            lines.done(before.as_str());
        }
        at = leave.step.or(at);
        let step = at.unwrap_or(LeaveStep::Cordon);
        let waits = leave.blocked_on.map_or_else(|| step.to_string(), |what| format!("{step}/{what}"));
        if started.elapsed() > limit {
            let hint = match step {
                LeaveStep::Cordon => "is the manager at work?",
                LeaveStep::Evict | LeaveStep::Access => {
                    "--forget leaves a member as it is that is gone for good"
                }
                _ => "whoever holds it has to let go",
            };
            return Err(Failure::TimedOut(format!("{name}: stuck on {waits}; it goes on by itself; {hint}")));
        }
        if waits.contains('/') && said.as_ref() != Some(&waits) {
            lines.busy(&format!("waits for {waits}"));
            said = Some(waits);
        }
        tokio::time::sleep(AGAIN).await;
    }
    if let Some(last) = at {
        lines.done(last.as_str());
    }
    Ok(())
}

async fn refuse_used_host(hub: &Hub, name: &str) -> Result<(), Failure> {
    let kind = kube::api::ApiResource::erase::<VirtualCluster>(&());
    let api: Api<DynamicObject> = Api::all_with(hub.client.clone(), &kind);
    let on = |o: &&DynamicObject| {
        o.data["status"]["hosts"].as_array().is_some_and(|l| l.iter().any(|h| h["name"] == name))
    };
    let list = api.list(&ListParams::default()).await?;
    let used: Vec<String> = list
        .items
        .iter()
        .filter(on)
        .map(|o| format!("{}/{}", o.namespace().unwrap_or_default(), o.name_any()))
        .collect();
    match used.as_slice() {
        [] => Ok(()),
        some => Err(Failure::Refused(format!(
            "{name} carries virtual clusters: {}; delete them first",
            some.join(", ")
        ))),
    }
}
