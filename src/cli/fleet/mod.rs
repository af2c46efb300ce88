//! `skerry fleet`: members of the inventory, and what is placed on them.

mod explain;
mod leave;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use skerry_api::rights::Rights;
use skerry_api::{ClusterProfile, ClusterReport};
use skerry_kit::kubeconfig::{Allow, config, read};

use crate::cli::exit::Failure;
use crate::cli::hub::{Hub, HubArgs};
use crate::cli::output::{Column, age, print, text};
use crate::cli::progress::Lines;
use crate::inventory::front_door;
use crate::inventory::join::{self, Join, JoinError};
use crate::inventory::{InventorySettings, names};

/// Verbs.
#[derive(Debug, Subcommand)]
pub enum FleetCommand {
    /// Make a real cluster a member.
    Join(JoinArgs),
    /// List members.
    List,
    /// Show one member.
    Get(NameArgs),
    /// No new decision picks the member; nothing moves.
    Cordon(NameArgs),
    /// Decisions may pick it again.
    Uncordon(NameArgs),
    /// Let a real member go.
    Leave(LeaveArgs),
    /// Say for every member why a Placement took it or passed it over.
    Explain(ExplainArgs),
    /// List Placements with how far they are.
    Status(StatusArgs),
}

/// Flags.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Name of the Placement.
    name: String,
    /// It is a ClusterPlacement.
    #[arg(long)]
    cluster: bool,
}

/// Flags.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// ClusterPlacements instead.
    #[arg(long)]
    cluster: bool,
}

/// A member.
#[derive(Debug, Args)]
pub struct NameArgs {
    /// Name, with or without the manager before it.
    name: String,
}

/// How the hub reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// The hub dials it.
    Push,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RightsArg {
    Observe,
    Deliver,
    Full,
}

/// Flags.
#[derive(Debug, Args)]
pub struct JoinArgs {
    /// Name: a DNS label of at most 25 characters.
    name: String,
    /// How the hub reaches it.
    #[arg(long, value_enum, default_value = "push")]
    mode: Mode,
    /// Kubeconfig of the member.
    #[arg(long, value_name = "FILE")]
    member_kubeconfig: PathBuf,
    /// Context in it.
    #[arg(long, value_name = "NAME")]
    member_context: Option<String>,
    /// What Skerry may do there.
    #[arg(long, value_enum, default_value = "deliver")]
    rights: RightsArg,
    /// Cluster set.
    #[arg(long, value_name = "NAME")]
    cluster_set: Option<String>,
    /// Label of its profile; repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// It carries tenants' pods.
    #[arg(long)]
    host: bool,
    /// Where its pods dial the API that tenants share; the hub's own address unless that is loopback or another API.
    #[arg(long, value_name = "IP:PORT", requires = "host")]
    front_door: Option<SocketAddr>,
    /// Take a kubeconfig that skips the check of the server's certificate.
    #[arg(long)]
    allow_insecure: bool,
    /// Take a kubeconfig whose credential a command prints.
    #[arg(long)]
    allow_exec: bool,
}

/// Flags.
#[derive(Debug, Args)]
pub struct LeaveArgs {
    /// Name, with or without the manager before it.
    name: String,
    /// How long to wait for what uses it.
    #[arg(long, default_value = "10m", value_name = "DURATION")]
    timeout: String,
    /// Do not touch the member itself: it is gone.
    #[arg(long)]
    forget: bool,
}

/// Runs.
pub async fn run(args_hub: &HubArgs, command: FleetCommand) -> Result<(), Failure> {
    match command {
        FleetCommand::Join(args) => joined(args_hub, args).await,
        FleetCommand::List => list(args_hub).await,
        FleetCommand::Get(args) => get(args_hub, &args.name).await,
        FleetCommand::Cordon(args) => cordon(args_hub, &args.name, true).await,
        FleetCommand::Uncordon(args) => cordon(args_hub, &args.name, false).await,
        FleetCommand::Leave(args) => leave::run(args_hub, args).await,
        FleetCommand::Explain(args) => explain::run(args_hub, &args.name, args.cluster).await,
        FleetCommand::Status(args) => explain::status(args_hub, args.cluster).await,
    }
}

fn settings() -> InventorySettings {
    InventorySettings::default()
}

/// The profile's name for what somebody typed.
fn profile_name(name: &str) -> String {
    if name.contains('.') { name.to_owned() } else { names::real_name(&settings().manager, name) }
}

impl From<JoinError> for Failure {
    fn from(failed: JoinError) -> Self {
        let text = format!("join: {failed}");
        match failed {
            JoinError::Name(_) => Self::Usage(text),
            refusal if refusal.is_refusal() => Self::Refused(text),
            _ => Self::Failed(text),
        }
    }
}

async fn joined(args_hub: &HubArgs, args: JoinArgs) -> Result<(), Failure> {
    let hub = args_hub.connect().await?;
    let body = std::fs::read_to_string(&args.member_kubeconfig)
        .map_err(|e| Failure::Usage(format!("{}: {e}", args.member_kubeconfig.display())))?;
    let allow = Allow { insecure: args.allow_insecure, exec: args.allow_exec };
    let refused = |e| Failure::from(JoinError::Kubeconfig(e));
    let file = read(&body, args.member_context.as_deref(), allow).map_err(refused)?;
    let member = config(file).await.map_err(refused)?;
    let mut own = BTreeMap::new();
    for pair in &args.label {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| Failure::Usage(format!("--label {pair:?}: not KEY=VALUE")))?;
        own.insert(key.to_owned(), value.to_owned());
    }
    let request = Join {
        name: args.name.clone(),
        rights: match args.rights {
            RightsArg::Observe => Rights::Observe,
            RightsArg::Deliver => Rights::Deliver,
            RightsArg::Full => Rights::Full,
        },
        cluster_set: args.cluster_set,
        labels: own,
        host: args.host,
        simulated: false,
        front_door: args.front_door.or_else(|| front_door::address_of(&hub.url)).filter(|_| args.host),
        granted: false,
    };
    let Mode::Push = args.mode;
    let candidate = join::Candidate { config: member, system: None };
    let profile = join::push(&hub.client, &settings(), &request, candidate).await?;
    let lines = Lines::new(args_hub.quiet);
    lines.done(&format!("Joined             {profile}"));
    if request.host && request.front_door.is_none() {
        lines.plain("Pods of this host do not reach their API: join again with --front-door IP:PORT");
    }
    lines.plain(&format!("Next: skerry fleet get {profile}"));
    Ok(())
}

/// A member: its profile with its report inside, for columns.
fn merged(profile: &ClusterProfile, report: Option<&ClusterReport>) -> Value {
    let mut value = serde_json::to_value(profile).unwrap_or_default();
    value["report"] = report.map(|r| serde_json::to_value(r).unwrap_or_default()).unwrap_or_default();
    value
}

const COLUMNS: &[Column] = &[
    ("NAME", |o| text(&o["metadata"]["name"])),
    ("KIND", |o| text(&o["metadata"]["labels"]["skerry.dev/member-kind"])),
    ("VERDICT", |o| text(&o["report"]["status"]["verdict"])),
    ("VERSION", |o| text(&o["status"]["version"]["kubernetes"])),
    ("SET", |o| text(&o["metadata"]["labels"]["multicluster.x-k8s.io/clusterset"])),
    ("NODES", |o| text(&o["report"]["status"]["nodes"]["ready"])),
    ("CPU-FREE", |o| text(&o["report"]["status"]["available"]["cpu"])),
    ("SIMULATED", |o| text(&o["metadata"]["labels"]["skerry.dev/simulated"])),
    ("AGE", age),
];

const WIDE: &[Column] = &[
    ("ID", |o| text(&o["metadata"]["labels"]["multicluster.x-k8s.io/inventory-member-id"])),
    ("ROLE", |o| text(&o["metadata"]["labels"]["skerry.dev/role"])),
    ("MEMORY-FREE", |o| text(&o["report"]["status"]["available"]["memory"])),
    ("SERVER", |o| text(&o["status"]["accessProviders"][0]["cluster"]["server"])),
];

async fn list(args_hub: &HubArgs) -> Result<(), Failure> {
    let hub = args_hub.connect().await?;
    let (profiles, reports) = apis(&hub);
    let everything = ListParams::default();
    let reports = reports.list(&everything).await?.items;
    let members: Vec<Value> = profiles
        .list(&everything)
        .await?
        .items
        .iter()
        .map(|p| merged(p, reports.iter().find(|r| r.name_any() == p.name_any())))
        .collect();
    print(args_hub.output, &members, false, COLUMNS, WIDE)
}

fn apis(hub: &Hub) -> (Api<ClusterProfile>, Api<ClusterReport>) {
    let namespace = settings().namespace;
    (Api::namespaced(hub.client.clone(), &namespace), Api::namespaced(hub.client.clone(), &namespace))
}

async fn get(args_hub: &HubArgs, name: &str) -> Result<(), Failure> {
    let hub = args_hub.connect().await?;
    let (profiles, reports) = apis(&hub);
    let name = profile_name(name);
    let what = format!("member {name}");
    let profile = profiles.get(&name).await.map_err(Failure::during(&what))?;
    let report = reports.get_opt(&name).await?;
    print(args_hub.output, &[merged(&profile, report.as_ref())], true, COLUMNS, WIDE)
}

async fn cordon(args_hub: &HubArgs, name: &str, on: bool) -> Result<(), Failure> {
    let hub = args_hub.connect().await?;
    let (_, reports) = apis(&hub);
    let name = profile_name(name);
    let patch = json!({"spec": {"unschedulable": on}});
    let what = format!("member {name}");
    reports
        .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map_err(Failure::during(&what))?;
    let state = if on { "cordoned: no new decision picks it" } else { "open to decisions again" };
    Lines::new(args_hub.quiet).plain(&format!("{name} is {state}."));
    Ok(())
}
