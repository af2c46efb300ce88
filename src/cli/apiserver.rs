//! `skerry apiserver`: the multi-tenant API server alone.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use skerry_apiserver::config::{Backend, Role, ServerConfig};
use skerry_apiserver::listen::Server;
use skerry_telemetry::Shutdown;
use skerry_telemetry::logs::{self, Format};
use tokio::net::TcpListener;

use super::adapters::gate::Gate;
use super::adapters::rules;
use super::adapters::streams::BySyncer;
use super::exit::Failure;
use super::link::Link;
use skerry_kit::error::chain;

/// Flags.
#[derive(Debug, Args)]
pub struct ApiserverArgs {
    /// Configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The store may be lost with the process.
    #[arg(long)]
    allow_data_loss: bool,
    /// Address under which path addresses begin, as https://host:port; it must not change.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Kubeconfig of the syncer's link: its address, its authority, and a client certificate for skerry-apiserver. Without
    /// one, Services get addresses of the tenant's own, and logs, exec, attach and port-forward are answered with 501.
    #[arg(long, value_name = "FILE")]
    syncer_kubeconfig: Option<PathBuf>,
    /// Log lines: text or json.
    #[arg(long, default_value = "json", value_name = "FORM")]
    log_format: Format,
    /// Log level or filter.
    #[arg(long, default_value = "info", value_name = "FILTER")]
    log_level: String,
}

/// Runs until a signal.
pub async fn run(args: ApiserverArgs) -> Result<(), Failure> {
    logs::init(args.log_format, &args.log_level).map_err(|e| Failure::Usage(e.to_string()))?;
    let config = match &args.config {
        Some(path) => {
            let body = std::fs::read_to_string(path)
                .map_err(|e| Failure::Usage(format!("{}: {e}", path.display())))?;
            ServerConfig::from_yaml(&body).map_err(|e| Failure::Usage(chain(&e)))?
        }
        None => ServerConfig::default(),
    };
    if config.store.backend == Backend::Memory && !args.allow_data_loss {
        return Err(Failure::Usage("store.backend: memory needs --allow-data-loss".to_owned()));
    }
    let bind = |address| async move {
        TcpListener::bind(address).await.map_err(|e| Failure::Failed(format!("{address}: {e}")))
    };
    let listener = bind(config.listen.address).await?;
    let ops = bind(config.listen.ops_address).await?;
    let mut builder = Server::builder()
        .config(config)
        .objects(Role::Hub, skerry_api::crds::all())
        .objects(Role::Tenant, [skerry_api::crds::cluster_property()])
        .objects(Role::Host, [skerry_api::crds::cluster_property()]);
    for rule in rules::all() {
        builder = builder.rule(rule);
    }
    if let Some(url) = args.url {
        builder = builder.url(url);
    }
    let server = builder.build().await.map_err(|e| Failure::Failed(chain(&e)))?;
    if let Some(file) = &args.syncer_kubeconfig {
        let link = Link::of(file).await;
        let link = link.map_err(|e| Failure::Usage(format!("--syncer-kubeconfig: {}", chain(&e))))?;
        server.attach_service_gate(Arc::new(Gate(link.clone())));
        server.attach_tunnel(Arc::new(BySyncer(link)));
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), address = %listener.local_addr()?, "skerry apiserver");
    let shutdown = Shutdown::new();
    let serving = {
        let server = server.clone();
        tokio::spawn(async move { futures::try_join!(server.serve(listener), server.serve_ops(ops)) })
    };
    let signal = shutdown.on_signals().await?;
    tracing::info!(signal = signal.unwrap_or("shutdown"), "stopping");
    server.shutdown().await;
    let _ = serving.await;
    Ok(())
}
