//! `skerry sync status|diff|why|patrol`: what the syncer does with a virtual cluster (syncer OB2). For administrators of
//! the hub.

pub mod ask;
mod text;

use clap::{Args, Subcommand};
use skerry_syncer::look::ObjectName;

use super::describe::get;
use super::exit::Failure;
use super::hub::HubArgs;
use super::output::{Format, print, write};
use ask::{Ask, What};

/// Verbs.
#[derive(Debug, Subcommand)]
pub enum SyncCommand {
    /// Show how far the syncer is with a virtual cluster: queue, objects, refusals, watches, patrols.
    Status(NameArgs),
    /// Compare an object with its copy on the host, field by field, with the owner of each field.
    Diff(ObjectArgs),
    /// Say what was last decided about an object, by which rule, and when it is tried next.
    Why(ObjectArgs),
    /// Compare all objects with the host now, and print what differed.
    Patrol(NameArgs),
}

/// A virtual cluster.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// Name of the virtual cluster.
    name: String,
}

/// An object of a virtual cluster.
#[derive(Debug, Args)]
pub struct ObjectArgs {
    /// Name of the virtual cluster.
    name: String,
    /// The object as the virtual cluster names it: pod/default/web, cm/default/settings.
    #[arg(value_name = "KIND/NAMESPACE/NAME")]
    object: ObjectName,
}

/// Runs.
pub async fn run(args_hub: &HubArgs, command: SyncCommand) -> Result<(), Failure> {
    let (name, what, object) = match command {
        SyncCommand::Status(args) => (args.name, What::Status, None),
        SyncCommand::Diff(args) => (args.name, What::Diff, Some(args.object)),
        SyncCommand::Why(args) => (args.name, What::Why, Some(args.object)),
        SyncCommand::Patrol(args) => (args.name, What::Patrol, None),
    };
    let hub = args_hub.connect().await?;
    let cluster = get(&hub, &name).await?;
    let Some(id) = cluster["status"]["id"].as_str().filter(|id| !id.is_empty()) else {
        return Err(Failure::Failed(format!("{name} has no id yet; `skerry describe {name}` shows why")));
    };
    let answer = ask::ask(&hub.client, &Ask { id, what, object: object.as_ref() }).await?;
    if !matches!(args_hub.output, Format::Table | Format::Wide) {
        return print(args_hub.output, &[answer], true, &[], &[]);
    }
    write(&match what {
        What::Status => text::status(&answer),
        What::Diff => text::diff(&answer, args_hub.output == Format::Wide),
        What::Why => text::why(&answer),
        What::Patrol => text::patrol(&answer),
    })
}
