//! `skerry up` (tenancy H3): hub, shared API server, manager, syncer and simulated hosts in one process.

mod data;
mod hosts;
mod hub;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{ArgAction, Args};
use serde_json::json;
use skerry_apiserver::config::{Role, ServerConfig};
use skerry_apiserver::listen::Server;
use skerry_apiserver::tunnel::Tunnel;
use skerry_syncer::{DnsServers, EmbeddedSource, Syncer, SyncerConfig};
use skerry_telemetry::logs::{self, Format};
use skerry_telemetry::{Metrics, Shutdown};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::adapters::clients::InProcess;
use super::adapters::directory::{self, Directory, Feed};
use super::adapters::gate::Gate;
use super::adapters::looks::Looks;
use super::adapters::rules;
use super::adapters::streams::{BySyncer, Simulated, Ways};
use super::classes;
use super::connect::write_private;
use super::exit::Failure;
use crate::context::Settings;
use crate::control_plane::admin::Admin;
use crate::control_plane::embedded::{Embedded, FrontDoor, SystemClients as _};
use crate::inventory::front_door;
use crate::manager::{self, Parts};
use data::DataDir;
use hosts::HostSpec;

/// Flags.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Where everything is kept; only its owner can read it.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address of the API.
    #[arg(long, default_value = "127.0.0.1:8443", value_name = "IP:PORT")]
    listen: SocketAddr,
    /// Address as pods of a real host dial it.
    #[arg(long, value_name = "IP[:PORT]")]
    advertise: Option<String>,
    /// Domain below which tenants have names; without it they have path addresses.
    #[arg(long, default_value = "", value_name = "NAME")]
    domain: String,
    /// A host: simulated, or simulated=NODESxCPUxMEM, or NAME=KUBECONFIG[#CONTEXT]; repeatable.
    #[arg(long, value_name = "HOST")]
    host: Vec<String>,
    /// Skerry's own image, as nodes of real hosts pull it: it writes the hosts file of pods that ask for their exact full
    /// name. Without one such pods are refused.
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Keep nothing on disk.
    #[arg(long)]
    memory: bool,
    /// Address of metrics and probes.
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "IP:PORT")]
    metrics: SocketAddr,
    /// Classes to apply instead of the shipped one.
    #[arg(long, value_name = "FILE")]
    classes: Option<PathBuf>,
    /// Written when everything answers.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Add the context `skerry` to the user's kubeconfig.
    #[arg(long, default_value_t = true, action = ArgAction::Set, value_name = "BOOL")]
    write_kubeconfig: bool,
    /// Delete what is kept, then start.
    #[arg(long)]
    reset: bool,
    /// Log lines: text or json.
    #[arg(long, default_value = "text", value_name = "FORM")]
    log_format: Format,
    /// Log level or filter.
    #[arg(long, default_value = "warn", value_name = "FILTER")]
    log_level: String,
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|failed| {
        Failure::Failed(format!("{address}: {failed}; port {} is given by --{flag}", address.port()))
    })
}

fn server_config(args: &UpArgs, data: &DataDir) -> Result<ServerConfig, Failure> {
    let store = if args.memory {
        json!({"backend": "memory"})
    } else {
        json!({"backend": "redb", "redb": {"path": data.store(), "shards": 1}})
    };
    let tree = json!({
        "listen": {"address": args.listen.to_string(), "opsAddress": args.metrics.to_string()},
        "serving": {"baseDomain": args.domain},
        "store": store,
    });
    ServerConfig::from_value(&tree).map_err(|e| Failure::Usage(skerry_kit::error::chain(&e)))
}

/// Where clients outside reach the process.
fn advertised(args: &UpArgs, bound: SocketAddr) -> Result<SocketAddr, Failure> {
    let bad = |text: &str| {
        Failure::Usage(format!("--advertise {text:?}: not an address as 10.0.0.5 or 10.0.0.5:8443"))
    };
    match &args.advertise {
        None if bound.ip().is_unspecified() => Ok(SocketAddr::new([127, 0, 0, 1].into(), bound.port())),
        None => Ok(bound),
        Some(text) => text
            .parse::<SocketAddr>()
            .or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, bound.port())))
            .map_err(|_| bad(text)),
    }
}

/// Runs until a signal.
pub async fn run(args: UpArgs) -> Result<(), Failure> {
    let started = tokio::time::Instant::now();
    logs::init(args.log_format, &args.log_level).map_err(|e| Failure::Usage(e.to_string()))?;
    let specs = hosts::parse(&args.host)?;
    let data = DataDir::open(args.data_dir.as_deref(), args.reset)?;
    let listener = bind(args.listen, "listen").await?;
    let ops = bind(args.metrics, "metrics").await?;
    let address = advertised(&args, listener.local_addr()?)?;
    let url = format!("https://{address}");

    let mut builder = Server::builder()
        .config(server_config(&args, &data)?)
        .objects(Role::Hub, skerry_api::crds::all())
        .objects(Role::Tenant, [skerry_api::crds::cluster_property()])
        .objects(Role::Host, [skerry_api::crds::cluster_property()])
        .advertise(address)
        .url(url.clone());
    for rule in rules::all() {
        builder = builder.rule(rule);
    }
    let server = builder.build().await.map_err(|e| Failure::Failed(skerry_kit::error::chain(&e)))?;
    let shutdown = Shutdown::new();
    let serving = [
        tokio::spawn({
            let server = server.clone();
            async move { server.serve(listener).await }
        }),
        tokio::spawn({
            let server = server.clone();
            async move { server.serve_ops(ops).await }
        }),
    ];
    let started_all = start(&args, &server, &data, &specs, &url, &shutdown).await;
    let result = match started_all {
        Ok(running) => {
            announce(&args, &data, &url, &specs, started.elapsed().as_secs_f64());
            if let Some(path) = &args.ready_file {
                write_private(path, format!("{url}\n").as_bytes())?;
            }
            let signal = shutdown.on_signals().await;
            for task in running {
                let _ = task.await;
            }
            signal.map(drop).map_err(Failure::from)
        }
        Err(failed) => Err(failed),
    };
    shutdown.trigger();
    server.shutdown().await;
    for task in serving {
        let _ = task.await;
    }
    if let Some(path) = &args.ready_file {
        let _ = std::fs::remove_file(path);
    }
    drop(data);
    result
}

/// Hub, hosts, syncer, manager, in the order in which they need each other.
async fn start(
    args: &UpArgs,
    server: &Arc<Server>,
    data: &DataDir,
    specs: &[HostSpec],
    url: &str,
    shutdown: &Shutdown,
) -> Result<Vec<tokio::task::JoinHandle<()>>, Failure> {
    let admin = Admin::new(server.system_client("manager"));
    let hub_id = hub::ensure(&admin, data).await?;
    let in_process = |component| Arc::new(InProcess::new(server.clone(), component));
    let hub_client = in_process("manager")
        .tenant(&hub_id)
        .ok_or_else(|| Failure::Failed("the hub has no id".to_owned()))?;
    let ca_bundle = server.serving_authority();
    let kubeconfig = hub::kubeconfig(&admin, &hub_id, url, &ca_bundle).await?;
    hub::publish(&kubeconfig, data, args.write_kubeconfig)?;
    classes::ensure(&hub_client, args.classes.as_deref()).await?;
    let settings = Settings::default();
    let mut tasks = Vec::new();
    let local =
        hosts::start(server, &admin, &hub_client, data, specs, url, &settings, shutdown, &mut tasks).await?;

    let (tenants, tenant_list) = watch::channel(Arc::default());
    let (hosts, host_list) = watch::channel(Arc::default());
    let mut config = SyncerConfig::new(tenant_list, host_list);
    config.embedded = Some(EmbeddedSource { client: server.system_client("syncer") });
    config.hub = in_process("syncer").tenant(&hub_id);
    config.dns = dns_servers(url);
    config.image = args.image.as_deref().map(Arc::from);
    let syncer = Syncer::new(config);
    let metrics = Metrics::default();
    syncer.handle().register(&metrics);
    server.metrics().attach(metrics.clone());
    server.attach_service_gate(Arc::new(Gate(syncer.handle())));
    let simulated: Arc<dyn Tunnel> = Arc::new(Simulated);
    server.attach_tunnel(Arc::new(Ways {
        hosts: local.ids.iter().map(|id| (*id, simulated.clone())).collect(),
        tenants: BySyncer(syncer.handle()),
    }));
    server.attach_debug(Arc::new(Looks(syncer.handle())));
    tasks.push(tokio::spawn(syncer.run(shutdown.token())));
    let directory = Directory {
        hub: in_process("syncer").tenant(&hub_id).unwrap_or_else(|| hub_client.clone()),
        inventory: settings.inventory.namespace.clone(),
        tenants: Some(in_process("syncer")),
        local_hosts: local.clients,
        services_agreed: true,
        ca_bundle: ca_bundle.clone(),
    };
    tasks.push(tokio::spawn(directory::run(directory, Feed { tenants, hosts }, shutdown.clone())));

    let front_door =
        FrontDoor { url: url.to_owned(), domain: args.domain.clone(), ca_bundle, server_name: String::new() };
    let embedded = Embedded::new(admin, front_door, in_process("manager"));
    let parts = Parts { hub: hub_client, settings, embedded: Some(embedded), metrics };
    tasks.push(tokio::spawn(manager::run(parts, shutdown.clone())));
    Ok(tasks)
}

/// DNS for pods, where they can dial the address of the API server.
fn dns_servers(url: &str) -> Option<Arc<DnsServers>> {
    let address = front_door::address_of(&format!("{url}/clusters/").parse().ok()?)?;
    Some(Arc::new(DnsServers::new(address.ip(), address.ip())))
}

/// The ready lines.
fn announce(args: &UpArgs, data: &DataDir, url: &str, specs: &[HostSpec], seconds: f64) {
    let kept = if args.memory {
        "memory".to_owned()
    } else {
        format!("{} (redb, {})", data.path().display(), data.size())
    };
    let hosts: Vec<String> = specs.iter().map(|h| format!("host {}", h.describe())).collect();
    println!(
        "skerry {}  hub {url}  data {kept}  {}  metrics http://{}/metrics",
        env!("CARGO_PKG_VERSION"),
        hosts.join("  "),
        args.metrics
    );
    println!(
        "ready in {seconds:.2}s.   Next: skerry create dev      or: kubectl --context skerry get virtualclusters -A"
    );
}
