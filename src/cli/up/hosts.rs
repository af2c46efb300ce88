//! Hosts of `skerry up`: simulated ones are tenants of role Host in the same server, real ones are joined by kubeconfig.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use kube::Client;
use kube::config::Config;
use serde_json::json;
use skerry_api::ids::tenant_id;
use skerry_api::rights::Rights;
use skerry_apiserver::listen::Server;
use skerry_apiserver::tenant::TenantId;
use skerry_hollow::{Hollow, NodeShape};
use skerry_kit::kubeconfig::{Allow, config, read};
use skerry_telemetry::Shutdown;
use tokio::task::JoinHandle;

use super::data::DataDir;
use super::hub;
use crate::cli::adapters::clients::InProcess;
use crate::cli::exit::Failure;
use crate::context::Settings;
use crate::control_plane::admin::Admin;
use crate::control_plane::embedded::SystemClients as _;
use crate::inventory::front_door;
use crate::inventory::join::{self, Candidate, Join};
use crate::inventory::names::real_name;

/// A host to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostSpec {
    /// Nodes that run nothing and say so.
    Simulated {
        /// Name.
        name: String,
        /// Nodes.
        nodes: usize,
        /// Cores of each.
        cpu: u32,
        /// Memory of each.
        memory: String,
    },
    /// A cluster of somebody's.
    Real {
        /// Name.
        name: String,
        /// Kubeconfig.
        path: PathBuf,
        /// Context in it.
        context: Option<String>,
    },
}

impl HostSpec {
    /// For the ready line.
    pub fn describe(&self) -> String {
        match self {
            Self::Simulated { name, nodes, .. } => format!("{name} (simulated, {nodes} nodes)"),
            Self::Real { name, .. } => name.clone(),
        }
    }
}

/// Reads the flags; none means one simulated host.
pub fn parse(flags: &[String]) -> Result<Vec<HostSpec>, Failure> {
    let texts: Vec<&str> =
        if flags.is_empty() { vec!["simulated"] } else { flags.iter().map(String::as_str).collect() };
    let mut simulated = 0;
    texts
        .into_iter()
        .map(|text| {
            let bad = || {
                Failure::Usage(format!(
                    "--host {text:?}: simulated, simulated=NODESxCPUxMEM or NAME=KUBECONFIG[#CONTEXT]"
                ))
            };
            let (head, tail) = text.split_once('=').map_or((text, None), |(h, t)| (h, Some(t)));
            if head == "simulated" {
                let (nodes, cpu, memory) = shape(tail).ok_or_else(bad)?;
                let name = format!("sim-{simulated}");
                simulated += 1;
                return Ok(HostSpec::Simulated { name, nodes, cpu, memory });
            }
            let tail = tail.ok_or_else(bad)?;
            let (path, context) = tail.split_once('#').map_or((tail, None), |(p, c)| (p, Some(c.to_owned())));
            Ok(HostSpec::Real { name: head.to_owned(), path: PathBuf::from(path), context })
        })
        .collect()
}

fn shape(text: Option<&str>) -> Option<(usize, u32, String)> {
    let Some(text) = text else { return Some((4, 16, "64Gi".to_owned())) };
    let mut parts = text.split('x');
    let shape = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.to_owned());
    let fits = parts.next().is_none()
        && (1..=10_000).contains(&shape.0)
        && skerry_api::quantity::parse(&shape.2).is_some();
    fits.then_some(shape)
}

/// Hosts in this process: all of them simulated.
#[derive(Default)]
pub struct Local {
    /// Clients, by the name of their profile.
    pub clients: BTreeMap<String, Client>,
    /// Their logical clusters.
    pub ids: Vec<TenantId>,
}

/// Makes and joins all hosts; answers those in this process.
#[allow(clippy::too_many_arguments, reason = "called once, from the composition, with all it has")]
pub async fn start(
    server: &Arc<Server>,
    admin: &Admin,
    hub_client: &Client,
    data: &DataDir,
    specs: &[HostSpec],
    url: &str,
    settings: &Settings,
    shutdown: &Shutdown,
    tasks: &mut Vec<JoinHandle<()>>,
) -> Result<Local, Failure> {
    let mut local = Local::default();
    for spec in specs {
        let (name, candidate, simulated) = match spec {
            HostSpec::Simulated { name, nodes, cpu, memory } => {
                let uid = format!("{}-{name}", data.installation()?);
                let id = tenant_id(&uid);
                hub::put(admin, &id, &json!({"id": id, "uid": uid, "role": "Host", "limits": hub::limits()}))
                    .await?;
                let client = clients_of(server, "syncer", &id)?;
                front_door::ensure(&client, None, None)
                    .await
                    .map_err(Failure::during(&format!("host {name}")))?;
                let shape =
                    NodeShape { cpu: cpu.to_string(), memory: memory.clone(), ..NodeShape::default() };
                let hollow = Hollow { name: name.clone(), nodes: *nodes, shape };
                let nodes = clients_of(server, "hollow", &id)?;
                tasks.push(tokio::spawn(simulate(hollow, nodes, shutdown.clone())));
                let file = hub::kubeconfig(admin, &id, url, &server.serving_authority()).await?;
                let member = member_config(&file.to_string(), None, name).await?;
                local.ids.push(TenantId::of_uid(&uid));
                local.clients.insert(real_name(&settings.inventory.manager, name), client.clone());
                (name, Candidate { config: member, system: Some(client) }, true)
            }
            HostSpec::Real { name, path, context } => {
                let body = std::fs::read_to_string(path)
                    .map_err(|e| Failure::Usage(format!("--host {name}={}: {e}", path.display())))?;
                let member = member_config(&body, context.as_deref(), name).await?;
                (name, Candidate { config: member, system: None }, false)
            }
        };
        let rights = if simulated { Rights::Full } else { Rights::Deliver };
        let front_door =
            url.strip_prefix("https://").and_then(|a| a.parse().ok()).and_then(front_door::dialable);
        if !simulated && front_door.is_none() {
            tracing::warn!(host = %name, "pods on this host cannot reach their API: {url} is no address of theirs; give --listen or --advertise one that is");
        }
        let request =
            Join { name: name.clone(), rights, host: true, simulated, front_door, ..Join::default() };
        join::push(hub_client, &settings.inventory, &request, candidate).await?;
    }
    Ok(local)
}

fn clients_of(server: &Arc<Server>, component: &'static str, id: &str) -> Result<Client, Failure> {
    InProcess::new(server.clone(), component)
        .tenant(id)
        .ok_or_else(|| Failure::Failed(format!("tenant {id} has no client")))
}

/// Keeps the simulated nodes of a host going; a start that fails is tried again.
async fn simulate(hollow: Hollow, client: Client, shutdown: Shutdown) {
    while let Err(failed) = hollow.clone().run(client.clone(), shutdown.token()).await {
        tracing::warn!(host = %hollow.name, error = %skerry_kit::error::chain(&failed), "simulated nodes could not be made");
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            () = shutdown.wait() => return,
        }
    }
}

async fn member_config(body: &str, context: Option<&str>, name: &str) -> Result<Config, Failure> {
    let refused =
        |e: skerry_kit::kubeconfig::KubeconfigError| Failure::Refused(format!("--host {name}: {e}"));
    config(read(body, context, Allow::default()).map_err(refused)?).await.map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_flags_are_read() {
        let flags = ["simulated".to_owned(), "simulated=2x4x8Gi".to_owned(), "edge=/k#admin".to_owned()];
        let hosts = parse(&flags).unwrap();
        assert_eq!(hosts[0].describe(), "sim-0 (simulated, 4 nodes)");
        assert_eq!(
            hosts[1],
            HostSpec::Simulated { name: "sim-1".into(), nodes: 2, cpu: 4, memory: "8Gi".into() }
        );
        assert_eq!(
            hosts[2],
            HostSpec::Real { name: "edge".into(), path: "/k".into(), context: Some("admin".into()) }
        );
        assert_eq!(parse(&[]).unwrap().len(), 1);
        for bad in ["simulated=0x1x1Gi", "simulated=1x1", "edge", "simulated=1x1xfoo"] {
            assert!(parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
