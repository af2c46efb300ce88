//! `skerry syncer`: the syncer alone, against a hub and an API server elsewhere.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use kube::Client;
use skerry_syncer::{DnsServers, EmbeddedSource, Syncer, SyncerConfig};
use skerry_telemetry::Shutdown;
use skerry_telemetry::logs::{self, Format};
use tokio::sync::watch;

use super::adapters::directory::{self, Directory, Feed};
use super::exit::Failure;
use super::hub::HubArgs;
use super::manager::{ByPath, apiserver_config, ca_bundle};
use crate::control_plane::embedded::SystemClients;
use crate::inventory::InventorySettings;

/// Flags.
#[derive(Debug, Args)]
pub struct SyncerArgs {
    /// Kubeconfig with a system identity of the shared API server.
    #[arg(long, value_name = "FILE")]
    apiserver_kubeconfig: Option<PathBuf>,
    /// Address at which this process answers DNS for tenants' pods; they must reach it. Without one they keep their
    /// host's DNS.
    #[arg(long, value_name = "IP", env = "SKERRY_DNS_ADDRESS")]
    dns_address: Option<IpAddr>,
    /// Log lines: text or json.
    #[arg(long, default_value = "text", value_name = "FORM")]
    log_format: Format,
    /// Log level or filter.
    #[arg(long, default_value = "info", value_name = "FILTER")]
    log_level: String,
}

/// Runs until a signal.
pub async fn run(args_hub: &HubArgs, args: SyncerArgs) -> Result<(), Failure> {
    logs::init(args.log_format, &args.log_level).map_err(|e| Failure::Usage(e.to_string()))?;
    let (config, context) = args_hub.config().await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), hub = %config.cluster_url, ?context, "skerry syncer");
    let hub = Client::try_from(config)?;
    let (tenants, tenant_list) = watch::channel(Arc::default());
    let (hosts, host_list) = watch::channel(Arc::default());
    let mut syncer = SyncerConfig::new(tenant_list, host_list);
    syncer.hub = Some(hub.clone());
    syncer.dns = args.dns_address.map(|ip| Arc::new(DnsServers::new(ip, ip)));
    let mut clients: Option<Arc<dyn SystemClients>> = None;
    let mut bundle = String::new();
    if let Some(path) = &args.apiserver_kubeconfig {
        let config = apiserver_config(path).await?;
        bundle = ca_bundle(&config);
        syncer.embedded = Some(EmbeddedSource { client: Client::try_from(config.clone())? });
        clients = Some(Arc::new(ByPath { config }));
    }
    let directory = Directory {
        hub,
        inventory: InventorySettings::default().namespace,
        tenants: clients,
        local_hosts: BTreeMap::new(),
        // The gate is a function call into the API server's process; apart from it addresses are mirrored.
        services_agreed: false,
        ca_bundle: bundle,
    };
    let shutdown = Shutdown::new();
    let running = tokio::spawn(Syncer::new(syncer).run(shutdown.token()));
    let feeding = tokio::spawn(directory::run(directory, Feed { tenants, hosts }, shutdown.clone()));
    let signal = shutdown.on_signals().await?;
    tracing::info!(signal = signal.unwrap_or("shutdown"), "stopping");
    let _ = running.await;
    let _ = feeding.await;
    Ok(())
}
