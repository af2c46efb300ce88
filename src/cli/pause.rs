//! `skerry pause`, `skerry resume` (tenancy O1).

use clap::Args;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::describe::get;
use super::exit::Failure;
use super::hub::HubArgs;
use super::progress::{self, Lines};

/// Flags.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Name.
    name: String,
    /// When it ends by itself, RFC 3339.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// Flags.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Name.
    name: String,
}

/// Pauses.
pub async fn pause(args_hub: &HubArgs, args: PauseArgs) -> Result<(), Failure> {
    if let Some(until) = &args.until {
        until.parse::<jiff::Timestamp>().map_err(|e| Failure::Usage(format!("--until: {e}")))?;
    }
    set(args_hub, &args.name, json!({"mode": "Reconcile", "until": args.until})).await?;
    Lines::new(args_hub.quiet)
        .plain(&format!("{} is paused; all runs on. Back: skerry resume {}", args.name, args.name));
    Ok(())
}

/// Resumes.
pub async fn resume(args_hub: &HubArgs, args: ResumeArgs) -> Result<(), Failure> {
    set(args_hub, &args.name, json!({"mode": "None", "until": null})).await?;
    Lines::new(args_hub.quiet).plain(&format!("{} is reconciled again.", args.name));
    Ok(())
}

async fn set(args_hub: &HubArgs, name: &str, pause: serde_json::Value) -> Result<(), Failure> {
    let hub = args_hub.connect().await?;
    get(&hub, name).await?;
    let patch = json!({"spec": {"pause": pause}});
    let what = format!("pause {}/{name}", hub.namespace);
    progress::api(&hub)
        .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map_err(Failure::during(&what))?;
    Ok(())
}
