//! What people type, and how processes are composed (tenancy section 9). The only place that names the API server, the
//! syncer and the hollow hosts.

pub mod adapters;
mod apiserver;
mod classes;
mod completion;
mod connect;
mod create;
mod credential;
mod delete;
mod describe;
mod doctor;
mod exit;
mod fleet;
mod hosts_file;
mod hub;
mod kubeconfig;
pub mod link;
mod list;
mod manager;
pub mod ops;
mod output;
mod pause;
mod progress;
pub mod sync;
mod syncer;
mod up;
mod version;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use exit::Failure;

/// Virtual clusters for Kubernetes tenants, one inventory, placement that explains itself.
#[derive(Debug, Parser)]
#[command(name = "skerry", version, propagate_version = true, max_term_width = 110)]
pub struct Args {
    /// Which hub, which namespace, which form of output.
    #[command(flatten)]
    hub: hub::HubArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Hub, API server, manager, syncer and simulated hosts in one process.
    Up(up::UpArgs),
    /// Make a virtual cluster and wait until it is ready.
    Create(create::CreateArgs),
    /// Add and select a context of a virtual cluster, or run a command in it.
    Connect(connect::ConnectArgs),
    /// Select the hub's context again.
    Disconnect,
    /// List virtual clusters.
    #[command(visible_alias = "ls")]
    List(list::ListArgs),
    /// Show one virtual cluster in full, and what to do when it is not ready.
    Describe(describe::DescribeArgs),
    /// Delete a virtual cluster and follow its steps.
    Delete(delete::DeleteArgs),
    /// Print the kubeconfig of a virtual cluster.
    Kubeconfig(kubeconfig::KubeconfigArgs),
    /// Stop reconciling a virtual cluster; all runs on.
    Pause(pause::PauseArgs),
    /// End a pause.
    Resume(pause::ResumeArgs),
    /// Print a credential, as an exec plugin of client-go.
    Credential(credential::CredentialArgs),
    /// Members of the inventory.
    #[command(subcommand)]
    Fleet(fleet::FleetCommand),
    /// What the syncer does with a virtual cluster.
    #[command(subcommand)]
    Sync(sync::SyncCommand),
    /// Find what is wrong, and say what to do about it.
    Doctor(doctor::DoctorArgs),
    /// Run the manager alone.
    Manager(manager::ManagerArgs),
    /// Run the multi-tenant API server alone.
    Apiserver(apiserver::ApiserverArgs),
    /// Run the syncer alone.
    Syncer(syncer::SyncerArgs),
    /// Write a pod's hosts file; run in pods, by containers that the syncer adds.
    #[command(hide = true)]
    HostsFile(hosts_file::HostsFileArgs),
    /// Versions of this program and of the hub.
    Version(version::VersionArgs),
    /// Print a completion script.
    Completion(completion::CompletionArgs),
}

/// Runs a command; the code says how it went (U3).
pub fn main(args: Args) -> ExitCode {
    let quiet = args.hub.quiet;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(failed) => {
            eprintln!("skerry: no runtime: {failed}");
            return ExitCode::FAILURE;
        }
    };
    // A second TLS provider may be linked by a dependency; the choice is made once.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match runtime.block_on(dispatch(args)) {
        Ok(code) => code,
        Err(failure) => {
            if !quiet || !matches!(failure, Failure::Interrupted(_)) {
                eprintln!("skerry: {failure}");
            }
            failure.code()
        }
    }
}

async fn dispatch(args: Args) -> Result<ExitCode, Failure> {
    let Args { hub, command } = args;
    let done = |()| ExitCode::SUCCESS;
    match command {
        Command::Up(args) => up::run(args).await.map(done),
        Command::Apiserver(args) => apiserver::run(args).await.map(done),
        Command::Syncer(args) => syncer::run(&hub, args).await.map(done),
        Command::Create(args) => create::run(&hub, args).await.map(done),
        Command::Connect(args) => connect::run(&hub, args).await,
        Command::Disconnect => connect::disconnect(&hub).map(done),
        Command::List(args) => list::run(&hub, args).await.map(done),
        Command::Describe(args) => describe::run(&hub, args).await.map(done),
        Command::Delete(args) => delete::run(&hub, args).await.map(done),
        Command::Kubeconfig(args) => kubeconfig::run(&hub, args).await.map(done),
        Command::Pause(args) => pause::pause(&hub, args).await.map(done),
        Command::Resume(args) => pause::resume(&hub, args).await.map(done),
        Command::Credential(args) => credential::run(&hub, args).await.map(done),
        Command::Fleet(command) => fleet::run(&hub, command).await.map(done),
        Command::Sync(command) => sync::run(&hub, command).await.map(done),
        Command::Doctor(args) => doctor::run(&hub, args).await,
        Command::Manager(args) => manager::run(&hub, args).await.map(done),
        Command::HostsFile(args) => hosts_file::run(&args).map(done),
        Command::Version(args) => version::run(&hub, args).await.map(done),
        Command::Completion(args) => completion::run(&args).map(done),
    }
}
