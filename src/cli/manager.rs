//! `skerry manager`: the stages alone, against a hub and an API server elsewhere.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use kube::config::Config;
use kube::{Client, config::Kubeconfig};
use skerry_kit::error::chain;
use skerry_telemetry::logs::{self, Format};
use skerry_telemetry::{Metrics, Shutdown};

use super::adapters::by_path::ByPath;
use super::classes;
use super::exit::Failure;
use super::hub::HubArgs;
use super::ops;
use crate::context::Settings;
use crate::control_plane::admin::Admin;
use crate::control_plane::embedded::{Embedded, FrontDoor};
use crate::inventory::InventorySettings;
use crate::inventory::join::{self, Candidate, Join};
use crate::manager::{self, Parts};

/// Flags.
#[derive(Debug, Args)]
pub struct ManagerArgs {
    /// Kubeconfig with a system identity of the shared API server; without it only External control planes are offered.
    #[arg(long, value_name = "FILE")]
    apiserver_kubeconfig: Option<PathBuf>,
    /// Address of the API server as tenants see it; absent: that of the kubeconfig.
    #[arg(long, value_name = "URL")]
    front_door: Option<String>,
    /// Name in the API server's certificate, where --front-door is an address; it is written into kubeconfigs.
    #[arg(long, default_value = "", value_name = "NAME")]
    front_door_name: String,
    /// Domain below which tenants have names; empty: path addresses.
    #[arg(long, default_value = "", value_name = "NAME")]
    domain: String,
    /// Make the hub's own cluster a host of this name; its ServiceAccount and rights are there already.
    #[arg(long, value_name = "NAME")]
    local_host: Option<String>,
    /// File with VirtualClusterClasses, applied at the start.
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Name written into ClusterProfiles.
    #[arg(long, default_value = "skerry", value_name = "NAME")]
    manager_name: String,
    /// Address of /metrics, /livez, /readyz.
    #[arg(long, value_name = "IP:PORT")]
    metrics: Option<SocketAddr>,
    /// Log lines: text or json.
    #[arg(long, default_value = "text", value_name = "FORM")]
    log_format: Format,
    /// Log level or filter.
    #[arg(long, default_value = "info", value_name = "FILTER")]
    log_level: String,
}

/// The configuration of a kubeconfig with a system identity.
pub async fn apiserver_config(path: &Path) -> Result<Config, Failure> {
    let file =
        Kubeconfig::read_from(path).map_err(|e| Failure::Usage(format!("--apiserver-kubeconfig: {e}")))?;
    skerry_kit::kubeconfig::config(file).await.map_err(|e| Failure::Usage(e.to_string()))
}

/// Its CA bundle as PEM.
pub fn ca_bundle(config: &Config) -> String {
    let ca = config.root_cert.iter().flatten();
    ca.map(|der| pem::encode(&pem::Pem::new("CERTIFICATE", der.clone()))).collect()
}

async fn embedded(args: &ManagerArgs) -> Result<Option<Embedded>, Failure> {
    let Some(path) = &args.apiserver_kubeconfig else { return Ok(None) };
    let config = apiserver_config(path).await?;
    let front_door = FrontDoor {
        url: args
            .front_door
            .clone()
            .unwrap_or_else(|| config.cluster_url.to_string())
            .trim_end_matches('/')
            .to_owned(),
        domain: args.domain.clone(),
        ca_bundle: ca_bundle(&config),
        server_name: args.front_door_name.clone(),
    };
    let client = Client::try_from(config.clone())?;
    Ok(Some(Embedded::new(Admin::new(client), front_door, Arc::new(ByPath::new(config)?))))
}

/// Joins the hub's own cluster as host; it is tried until it is done, and done anew at each start.
async fn join_local(hub: Client, settings: InventorySettings, name: String, config: Config) {
    let request = Join { name, host: true, granted: true, ..Join::default() };
    let mut wait = Duration::from_secs(1);
    loop {
        let candidate = Candidate { config: config.clone(), system: None };
        match join::push(&hub, &settings, &request, candidate).await {
            Ok(profile) => return tracing::info!(profile, "the hub's own cluster is a host"),
            Err(failed) => tracing::warn!(error = %chain(&failed), "the hub's own cluster is not a host yet"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(60));
    }
}

/// Runs until a signal.
pub async fn run(args_hub: &HubArgs, args: ManagerArgs) -> Result<(), Failure> {
    logs::init(args.log_format, &args.log_level).map_err(|e| Failure::Usage(e.to_string()))?;
    let (config, context) = args_hub.config().await?;
    if !crate::inventory::names::is_manager_name(&args.manager_name) {
        return Err(Failure::Usage(format!(
            "--manager-name {:?}: a DNS label of at most 20 characters",
            args.manager_name
        )));
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), hub = %config.cluster_url, ?context, "skerry manager");
    let hub = Client::try_from(config.clone())?;
    let metrics = Metrics::default();
    let shutdown = Shutdown::new();
    let mut settings = Settings::default();
    settings.inventory.manager.clone_from(&args.manager_name);
    if let Some(file) = &args.classes {
        classes::ensure(&hub, Some(file)).await?;
    }
    if let Some(name) = &args.local_host {
        tokio::spawn(join_local(hub.clone(), settings.inventory.clone(), name.clone(), config));
    }
    let parts = Parts { hub, settings, embedded: embedded(&args).await?, metrics: metrics.clone() };
    let serving = ops::serve(args.metrics, metrics, shutdown.clone()).await?;
    let running = manager::run(parts, shutdown.clone());
    tokio::pin!(running);
    tokio::select! {
        () = &mut running => {}
        signal = shutdown.on_signals() => {
            tracing::info!(signal = signal?.unwrap_or("shutdown"), "stopping");
            running.await;
        }
    }
    shutdown.trigger();
    if let Some(serving) = serving {
        let _ = serving.await;
    }
    Ok(())
}
