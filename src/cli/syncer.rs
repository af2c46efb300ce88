//! `skerry syncer`: the syncer alone, against a hub and an API server elsewhere.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use kube::Client;
use skerry_kit::error::chain;
use skerry_syncer::{DnsServers, EmbeddedSource, Syncer, SyncerConfig};
use skerry_telemetry::logs::{self, Format};
use skerry_telemetry::{Metrics, Shutdown};
use tokio::sync::watch;

use super::adapters::by_path::ByPath;
use super::adapters::directory::{self, Directory, Feed};
use super::exit::Failure;
use super::hub::HubArgs;
use super::link::{self, TlsFiles};
use super::manager::{apiserver_config, ca_bundle};
use super::ops;
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
    /// Skerry's own image, as nodes of hosts pull it: it writes the hosts file of pods that ask for their exact full name.
    /// Without one such pods are refused.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Address at which the API server asks this process for Services' addresses and for streams of pods, over mutual
    /// TLS. Without one tenants' Services have addresses of their own, and logs and exec are not to be had.
    #[arg(long, value_name = "IP:PORT", requires_all = ["link_cert", "link_key", "link_ca"])]
    link_address: Option<SocketAddr>,
    /// Certificate of the link, PEM.
    #[arg(long, value_name = "FILE", requires = "link_address")]
    link_cert: Option<PathBuf>,
    /// Its key, PEM.
    #[arg(long, value_name = "FILE", requires = "link_address")]
    link_key: Option<PathBuf>,
    /// Authority of the API server's certificate, PEM; its common name is skerry-apiserver.
    #[arg(long, value_name = "FILE", requires = "link_address")]
    link_ca: Option<PathBuf>,
    /// Address of /metrics, /livez, /readyz.
    #[arg(long, value_name = "IP:PORT")]
    metrics: Option<SocketAddr>,
    /// Loopback address at which `skerry sync` is answered, by way of a port-forward to this pod: it asks nobody who they
    /// are. Without one it is not served.
    #[arg(long, value_name = "IP:PORT")]
    debug_address: Option<SocketAddr>,
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
    syncer.image = args.image.as_deref().map(Arc::from);
    let mut clients: Option<Arc<dyn SystemClients>> = None;
    let mut bundle = String::new();
    if let Some(path) = &args.apiserver_kubeconfig {
        let config = apiserver_config(path).await?;
        bundle = ca_bundle(&config);
        syncer.embedded = Some(EmbeddedSource { client: Client::try_from(config.clone())? });
        clients = Some(Arc::new(ByPath::new(config)?));
    }
    let link = listen(&args).await?;
    let directory = Directory {
        hub,
        inventory: InventorySettings::default().namespace,
        tenants: clients,
        local_hosts: BTreeMap::new(),
        // Without a link addresses are mirrored.
        services_agreed: link.is_some(),
        ca_bundle: bundle,
    };
    let shutdown = Shutdown::new();
    let syncer = Syncer::new(syncer);
    if let Some(link) = link {
        tracing::info!(address = %link.address()?, "the API server is awaited");
        tokio::spawn(link.serve(Arc::new(syncer.handle()), shutdown.clone()));
    }
    let metrics = Metrics::default();
    syncer.handle().register(&metrics);
    let serving = [
        ops::serve(args.metrics, metrics, shutdown.clone()).await?,
        ops::serve_debug(args.debug_address, syncer.handle(), shutdown.clone()).await?,
    ];
    let running = tokio::spawn(syncer.run(shutdown.token()));
    let feeding = tokio::spawn(directory::run(directory, Feed { tenants, hosts }, shutdown.clone()));
    let signal = shutdown.on_signals().await?;
    tracing::info!(signal = signal.unwrap_or("shutdown"), "stopping");
    let _ = running.await;
    let _ = feeding.await;
    for serving in serving.into_iter().flatten() {
        let _ = serving.await;
    }
    Ok(())
}

/// The link, where it is asked for.
async fn listen(args: &SyncerArgs) -> Result<Option<link::Listen>, Failure> {
    let (Some(address), Some(certificate), Some(key), Some(authority)) =
        (args.link_address, args.link_cert.clone(), args.link_key.clone(), args.link_ca.clone())
    else {
        return Ok(None);
    };
    let bound = link::listen(address, &TlsFiles { certificate, key, authority }).await;
    bound.map(Some).map_err(|failed| Failure::Failed(format!("--link-address: {}", chain(&failed))))
}
