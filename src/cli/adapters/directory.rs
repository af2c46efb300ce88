//! Feeds the syncer: tenants and hosts as whole lists, whenever something on the hub changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt as _};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::reflector::Store;
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Client, ResourceExt};
use serde_json::{Map, Value, json};
use skerry_api::condition::Statement;
use skerry_api::virtual_cluster::reasons::{SYNCED, managers, synced};
use skerry_api::{ClusterProfile, ClusterReport, VirtualCluster, VirtualClusterClass, labels};
use skerry_kit::kubeconfig::{Allow, config, read};
use skerry_syncer::facts::{DnsMode, Network};
use skerry_syncer::{HostEntry, Reach, TenantEntry};
use skerry_telemetry::Shutdown;
use tokio::sync::watch;

use crate::control_plane::embedded::SystemClients;
use crate::control_plane::{probe, secret};
use crate::inventory::join::HOST_KEY;
use crate::inventory::{front_door, rights};
use crate::subject::Subject;

/// Lists are made anew at the latest after this: credentials of hosts change without an event.
const PERIOD: Duration = Duration::from_secs(30);
/// Events that come together make one list.
const GATHER: Duration = Duration::from_millis(10);

/// What the lists are made of.
pub struct Directory {
    /// Client of the hub.
    pub hub: Client,
    /// Namespace of the inventory.
    pub inventory: String,
    /// Clients of embedded tenants.
    pub tenants: Option<Arc<dyn SystemClients>>,
    /// Hosts in this process, by the name of their profile.
    pub local_hosts: BTreeMap<String, Client>,
    /// Whether the API server calls the Service gate.
    pub services_agreed: bool,
    /// PEM bundle of the front door.
    pub ca_bundle: String,
}

/// Where the lists go.
pub struct Feed {
    /// Tenants.
    pub tenants: watch::Sender<Arc<Vec<Arc<TenantEntry>>>>,
    /// Hosts.
    pub hosts: watch::Sender<Arc<Vec<HostEntry>>>,
}

type Known = HashMap<String, (String, Client)>;

/// Host policies by class, and front doors by host: what entries depend on beside their own object.
#[derive(Clone, Default, PartialEq)]
struct Around {
    policies: HashMap<String, Value>,
    front_doors: HashMap<String, FrontDoor>,
}

/// The host's one Service for all shared tenants (tenancy I1), and what lies behind it.
#[derive(Clone, Default, PartialEq)]
struct FrontDoor {
    addresses: Vec<String>,
    port: u16,
    endpoints: Vec<(String, u16)>,
}

#[derive(Default)]
struct Memory {
    hosts: Known,
    front_doors: HashMap<String, FrontDoor>,
    /// When each host was asked for its front door.
    asked: HashMap<String, Instant>,
    tenants: Known,
    /// What `entries` were made with.
    around: Around,
    /// Entries by UID, with the version of the object they were made of.
    entries: HashMap<String, (String, Arc<TenantEntry>)>,
}

fn reflected<K>(
    api: Api<K>,
    config: watcher::Config,
    kind: K::DynamicType,
) -> (Store<K>, impl Stream<Item = ()>)
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    let writer = reflector::store::Writer::<K>::new(kind);
    let reader = writer.as_reader();
    let events = reflector(writer, watcher(api, config)).default_backoff().map(|_| ());
    (reader, events)
}

/// Runs until the end.
pub async fn run(directory: Directory, feed: Feed, shutdown: Shutdown) {
    let hub = &directory.hub;
    let kind = ApiResource::erase::<VirtualCluster>(&());
    let (clusters, cluster_events) = reflected(
        Api::<DynamicObject>::all_with(hub.clone(), &kind),
        watcher::Config::default(),
        kind.clone(),
    );
    let (classes, class_events) =
        reflected(Api::<VirtualClusterClass>::all(hub.clone()), watcher::Config::default(), ());
    let profiles: Api<ClusterProfile> = Api::namespaced(hub.clone(), &directory.inventory);
    let of_hosts = watcher::Config::default().labels(&format!("{}=host", labels::ROLE));
    let (hosts, host_events) = reflected(profiles, of_hosts, ());
    let mut events = Box::pin(futures::stream::select_all([
        cluster_events.boxed(),
        class_events.boxed(),
        host_events.boxed(),
    ]));
    let mut memory = Memory::default();
    // A list that is made before the hub was read would say that there are no tenants.
    tokio::select! {
        read = async { tokio::try_join!(clusters.wait_until_ready(), classes.wait_until_ready(), hosts.wait_until_ready()) } => {
            if read.is_err() { return }
        }
        () = async { while events.next().await.is_some() {} } => return,
        () = shutdown.wait() => return,
    }
    loop {
        let host_list = host_entries(&directory, &hosts, &mut memory).await;
        // Hosts first: a tenant's host is an entry of their list.
        feed.hosts.send_replace(Arc::new(host_list));
        let tenant_list = tenant_entries(&directory, &clusters, &classes, &mut memory).await;
        feed.tenants.send_replace(Arc::new(tenant_list));
        tokio::select! {
            event = events.next() => if event.is_none() { return },
            () = tokio::time::sleep(PERIOD) => {}
            () = shutdown.wait() => return,
        }
        tokio::time::sleep(GATHER).await;
        while let Some(Some(())) = futures::FutureExt::now_or_never(events.next()) {}
    }
}

async fn host_entries(
    directory: &Directory,
    hosts: &Store<ClusterProfile>,
    memory: &mut Memory,
) -> Vec<HostEntry> {
    let mut list = Vec::new();
    for profile in hosts.state() {
        let name = profile.name_any();
        let client = match directory.local_hosts.get(&name) {
            Some(client) => Some(client.clone()),
            None => push_client(directory, &name, memory).await,
        };
        let Some(client) = client else { continue };
        // Pods of the API server come and go; while the host does not answer, what was found last holds.
        let asked = memory.asked.get(&name).is_some_and(|at| at.elapsed() < PERIOD);
        if !asked && let Some(found) = front_door(&client).await {
            memory.asked.insert(name.clone(), Instant::now());
            memory.front_doors.insert(name.clone(), found);
        }
        let simulated = profile.labels().get(labels::SIMULATED).is_some_and(|v| v == "true");
        // On a host in this process the syncer has an identity of its own right (tenancy I9).
        let subject = (!directory.local_hosts.contains_key(&name)).then(rights::subject);
        list.push(HostEntry { name: name.as_str().into(), client, simulated, subject });
    }
    list.sort_by(|a, b| a.name.cmp(&b.name));
    list
}

async fn front_door(host: &Client) -> Option<FrontDoor> {
    let found = front_door::find(host).await.ok()?;
    let port = found.first()?.port();
    let behind = front_door::behind(host).await.ok()?;
    Some(FrontDoor {
        addresses: found.iter().map(|a| a.ip().to_string()).collect(),
        port,
        endpoints: behind.iter().map(|a| (a.ip().to_string(), a.port())).collect(),
    })
}

/// The client of a joined host, made anew when its credential changes.
async fn push_client(directory: &Directory, profile: &str, memory: &mut Memory) -> Option<Client> {
    let reports: Api<ClusterReport> = Api::namespaced(directory.hub.clone(), &directory.inventory);
    let push = reports.get_opt(profile).await.ok()??.spec.push?;
    let secrets: Api<Secret> = Api::namespaced(directory.hub.clone(), &directory.inventory);
    let stored = secrets.get_opt(&push.secret_ref.name).await.ok()??;
    let version = stored.resource_version().unwrap_or_default();
    if let Some((known, client)) = memory.hosts.get(profile)
        && *known == version
    {
        return Some(client.clone());
    }
    let bytes = stored.data.as_ref()?.get(HOST_KEY)?.0.clone();
    let file = read(&String::from_utf8_lossy(&bytes), None, Allow::default()).ok()?;
    let client = Client::try_from(config(file).await.ok()?).ok()?;
    memory.hosts.insert(profile.to_owned(), (version, client.clone()));
    Some(client)
}

async fn tenant_entries(
    directory: &Directory,
    clusters: &Store<DynamicObject>,
    classes: &Store<VirtualClusterClass>,
    memory: &mut Memory,
) -> Vec<Arc<TenantEntry>> {
    let policies = classes.state().iter().map(|c| (c.name_any(), json!(c.spec.host_policy))).collect();
    let around = Around { policies, front_doors: memory.front_doors.clone() };
    if memory.around != around {
        memory.around = around;
        memory.entries.clear();
    }
    let mut list = Vec::new();
    let mut entries = HashMap::new();
    for object in clusters.state() {
        let (uid, version) =
            (object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default());
        let known = memory.entries.remove(&uid).filter(|(of, _)| *of == version);
        let entry = match known {
            Some((_, entry)) => Some(entry),
            None => tenant_entry(directory, &object, memory).await,
        };
        if let Some(entry) = entry {
            list.push(entry.clone());
            entries.insert(uid, (version, entry));
        }
    }
    memory.entries = entries;
    list
}

/// What the syncer is told of one tenant; nothing while there is nothing for it to do.
async fn tenant_entry(
    directory: &Directory,
    object: &DynamicObject,
    memory: &mut Memory,
) -> Option<Arc<TenantEntry>> {
    let value = serde_json::to_value(object).ok()?;
    if value["status"]["effective"]["sync"]["enabled"] == Value::Bool(false) {
        say_disabled(directory, object).await;
        return None;
    }
    // A tenant that is drained, or beyond, is the syncer's no more once its API server may be gone.
    if matches!(value["status"]["deletion"]["step"].as_str(), Some("ControlPlane" | "StoreData")) {
        return None;
    }
    let (client, reach) = client_of(directory, &value, memory).await?;
    let class = value["status"]["class"]["name"].as_str().unwrap_or_default();
    let policy = memory.around.policies.get(class).cloned().unwrap_or_default();
    let host = value["status"]["hosts"][0]["name"].as_str().unwrap_or_default();
    let door = memory.around.front_doors.get(host).cloned().unwrap_or_default();
    let network = Network {
        front_door: door.addresses,
        port: if door.port == 0 { 443 } else { door.port },
        endpoints: door.endpoints,
        ca_bundle: directory.ca_bundle.clone(),
        dns: DnsMode::Host,
        ..Network::default()
    };
    let agreed = directory.services_agreed && reach == Reach::Embedded;
    TenantEntry::of(&value, &policy, client, reach, network, agreed).map(Arc::new)
}

/// The tenant's API: in process for embedded ones, by the published kubeconfig for the others.
async fn client_of(directory: &Directory, value: &Value, memory: &mut Memory) -> Option<(Client, Reach)> {
    let id = value["status"]["id"].as_str()?;
    // Before its control plane has a URL there is nothing to watch.
    value["status"]["endpoint"]["url"].as_str()?;
    if value["status"]["effective"]["controlPlane"]["type"] == "Embedded" {
        return Some((directory.tenants.as_ref()?.tenant(id)?, Reach::Embedded));
    }
    let epoch = value["status"]["credentials"]["generation"].to_string();
    if let Some((known, client)) = memory.tenants.get(id)
        && *known == epoch
    {
        return Some((client.clone(), Reach::Own));
    }
    let namespace = value["metadata"]["namespace"].as_str()?;
    let api: Api<Secret> = Api::namespaced(directory.hub.clone(), namespace);
    let stored = api.get_opt(&secret::name(value["metadata"]["name"].as_str()?)).await.ok()??;
    let client = probe::client_of(&secret::text(&stored)).await.ok()?;
    memory.tenants.insert(id.to_owned(), (epoch, client.clone()));
    Some((client, Reach::Own))
}

/// A tenant with nodes of its own has no host and no engine; its condition says so (syncer AP1, `Disabled`).
async fn say_disabled(directory: &Directory, object: &DynamicObject) {
    let Ok(mut subject) = Subject::of(object) else { return };
    let yes = Statement::yes(SYNCED, synced::DISABLED, "spec.sync.enabled is false: nothing is carried");
    let now = Time(Timestamp::now());
    if let Err(failed) = subject.write(&directory.hub, managers::SYNCER, Some(&yes), Map::new(), &now).await {
        tracing::debug!(error = %skerry_kit::error::sentence(&failed), "Synced was not written");
    }
}
