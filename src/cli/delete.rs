//! `skerry delete NAME`.

use std::io::{BufRead as _, IsTerminal as _};

use clap::{ArgAction, Args};
use kube::api::{DeleteParams, Preconditions};
use serde_json::Value;
use skerry_kit::error;

use super::connect::{read_file, write_file};
use super::create::{duration, uid};
use super::describe::get;
use super::exit::Failure;
use super::hub::{HubArgs, kubeconfig_path};
use super::progress::{self, Lines};
use crate::control_plane::secret;

/// Flags.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Name.
    name: String,
    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
    /// One that is not there is as good as deleted.
    #[arg(long)]
    ignore_not_found: bool,
    /// Wait until it is gone.
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    wait: bool,
    /// How long to wait.
    #[arg(long, default_value = "5m", value_name = "DURATION")]
    timeout: String,
}

/// Runs.
pub async fn run(args_hub: &HubArgs, args: DeleteArgs) -> Result<(), Failure> {
    let limit = duration("timeout", &args.timeout)?;
    let hub = args_hub.connect().await?;
    let object = match get(&hub, &args.name).await {
        Err(Failure::NotFound(_)) if args.ignore_not_found => return Ok(()),
        other => other?,
    };
    let protected = ["spec", "status"].iter().any(|part| {
        let spec = if *part == "spec" { &object["spec"] } else { &object["status"]["effective"] };
        spec["deletion"]["protect"] == Value::Bool(true)
    });
    if protected {
        return Err(Failure::Refused(format!(
            "delete {}/{}: spec.deletion.protect is true; set it to false first",
            hub.namespace, args.name
        )));
    }
    if !args.yes && !confirmed(&hub.namespace, &args.name)? {
        return Err(Failure::Refused("nothing was deleted; --yes deletes without asking".to_owned()));
    }
    let uid = uid(&object);
    let exact = DeleteParams {
        preconditions: Some(Preconditions { uid: Some(uid.clone()), ..Preconditions::default() }),
        ..DeleteParams::default()
    };
    let what = format!("delete {}/{}", hub.namespace, args.name);
    match progress::api(&hub).delete(&args.name, &exact).await {
        Err(failed) if error::is_not_found(&failed) => {}
        Err(failed) => return Err(Failure::during(&what)(failed)),
        Ok(_) => {}
    }
    let lines = Lines::new(args_hub.quiet);
    if args.wait {
        progress::until_gone(&hub, &args.name, &uid, limit, lines).await?;
        lines.plain(&format!("Deleted virtual cluster {}/{}.", hub.namespace, args.name));
    } else {
        lines.plain(&format!("Virtual cluster {}/{} is being deleted.", hub.namespace, args.name));
    }
    forget_context(args_hub, &hub.namespace, &args.name, hub.context.as_deref())
}

/// Asks on a terminal; without one the flag is needed.
fn confirmed(namespace: &str, name: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    eprint!("Delete virtual cluster {namespace}/{name} and all in it? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Takes the context of a deleted cluster out of the user's kubeconfig, back to the hub's if it was current.
fn forget_context(args: &HubArgs, namespace: &str, name: &str, hub: Option<&str>) -> Result<(), Failure> {
    let path = kubeconfig_path(args.kubeconfig.as_ref());
    let mut file = read_file(&path)?;
    if skerry_kit::kubeconfig::remove(&mut file, &secret::context(namespace, name)) {
        if file["current-context"] == ""
            && let Some(hub) = hub
        {
            file["current-context"] = hub.into();
        }
        write_file(&path, &file)?;
    }
    Ok(())
}
