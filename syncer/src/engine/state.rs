//! What the engine holds of each host and each tenant.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use serde_json::Value;
use skerry_kit::isolation::{NetworkIsolation, Served};
use tokio_util::sync::CancellationToken;

use super::{
    metrics::Timings,
    model::{Key, Model, NodeSeen},
    patrol::Found,
    queue::{Item, Lane, Queue, What, Window},
};
use crate::{
    directory::{HostEntry, TenantEntry},
    dns::Zone,
    facts::{DnsMode, Facts, HostFacts, Network},
    kind::Kind,
    kinds::event::Bucket,
    status::Problem,
    wire::Wire,
};

/// A host at work.
pub struct Host {
    /// As given.
    pub entry: HostEntry,
    /// Its API server.
    pub wire: Wire,
    /// Skerry's own image, as its nodes pull it.
    pub image: Option<Arc<str>>,
    /// Work to do there.
    pub queue: Queue,
    /// Requests that may be in flight.
    pub window: Mutex<Window>,
    /// Requests in flight.
    pub inflight: AtomicUsize,
    /// The version under which its facts were read.
    pub version: Mutex<String>,
    /// What it offers.
    pub facts: RwLock<Arc<HostFacts>>,
    /// Optional kinds it serves.
    pub served: RwLock<Served>,
    /// Its nodes.
    pub nodes: RwLock<BTreeMap<Arc<str>, Arc<Value>>>,
    /// Its storage classes.
    pub classes: RwLock<BTreeMap<Arc<str>, Arc<Value>>>,
    /// Kinds whose list is complete.
    pub complete: Mutex<BTreeSet<Kind>>,
    /// Since when it does not answer.
    pub silent: Mutex<Option<Instant>>,
    /// Why it cannot be used (EN5).
    pub unsupported: RwLock<Option<String>>,
    /// Facts are read, the guard is proven.
    pub ready: AtomicBool,
    /// Ends its tasks.
    pub stop: CancellationToken,
}

impl Host {
    /// A host without facts.
    pub(crate) fn new(
        entry: HostEntry,
        image: Option<Arc<str>>,
        timings: Timings,
        stop: CancellationToken,
    ) -> Self {
        let wire = Wire::new(entry.client.clone());
        let facts = HostFacts { simulated: entry.simulated, ..HostFacts::default() };
        Self {
            entry,
            wire,
            image,
            queue: Queue::new(timings),
            window: Mutex::default(),
            inflight: AtomicUsize::new(0),
            version: Mutex::default(),
            facts: RwLock::new(Arc::new(facts)),
            served: RwLock::default(),
            nodes: RwLock::default(),
            classes: RwLock::default(),
            complete: Mutex::default(),
            silent: Mutex::default(),
            unsupported: RwLock::default(),
            ready: AtomicBool::new(false),
            stop,
        }
    }

    /// Notes whether it answered.
    pub fn heard(&self, answered: bool) {
        let mut silent = self.silent.lock();
        if answered {
            *silent = None;
        } else {
            silent.get_or_insert_with(Instant::now);
        }
    }

    /// How long it has not answered.
    pub fn silence(&self) -> Duration {
        self.silent.lock().map_or(Duration::ZERO, |at| at.elapsed())
    }
}

/// Where a tenant's DNS is found.
pub struct TenantDns {
    /// Addresses of its Service on the host.
    pub addresses: Vec<String>,
    /// Address and port behind it.
    pub endpoint: (String, u16),
}

/// A tenant at work.
pub struct Tenant {
    /// Its id.
    pub id: Arc<str>,
    /// As given; replaced when the composition gives another.
    entry: RwLock<Arc<TenantEntry>>,
    /// Its host.
    pub host: Arc<Host>,
    /// Its API server.
    wire: RwLock<Wire>,
    /// What is remembered.
    pub model: Mutex<Model>,
    /// Both sides are listed: reconciles may run.
    pub open: AtomicBool,
    /// Since when its API server does not answer.
    pub silent: Mutex<Option<Instant>>,
    /// Events upward.
    pub bucket: Mutex<Bucket>,
    /// Events told lately, by hash.
    pub told: Mutex<HashMap<u64, Instant>>,
    /// Refused objects, newest last.
    pub problems: Mutex<VecDeque<Problem>>,
    /// The tenant was replaced by another (EN6).
    pub replaced: AtomicBool,
    /// One host namespace is prepared at a time.
    pub prepare: tokio::sync::Mutex<()>,
    /// What its DNS answers (DN2).
    pub zone: Arc<RwLock<Zone>>,
    /// Its DNS on the host, once it is there.
    pub dns: RwLock<Option<TenantDns>>,
    /// What its patrols have found.
    pub found: Mutex<Found>,
    /// Something of it was looked at since its state was told last.
    pub moved: AtomicBool,
    /// What a drain has left.
    pub remaining: Mutex<Option<Vec<crate::status::Remaining>>>,
    /// Ends its tasks.
    pub stop: CancellationToken,
}

impl Tenant {
    /// A tenant that is not open yet.
    pub fn new(entry: Arc<TenantEntry>, host: Arc<Host>, stop: CancellationToken) -> Self {
        let rate = entry.effective.settings.from_host.events.per_second;
        Self {
            id: entry.id.clone(),
            wire: RwLock::new(Wire::new(entry.client.clone())),
            host,
            model: Mutex::default(),
            open: AtomicBool::new(false),
            silent: Mutex::default(),
            bucket: Mutex::new(Bucket::new(rate)),
            told: Mutex::default(),
            problems: Mutex::default(),
            replaced: AtomicBool::new(false),
            prepare: tokio::sync::Mutex::default(),
            zone: Arc::new(RwLock::new(Zone::new(
                entry.effective.dns.settings(&entry.network.cluster_domain),
            ))),
            dns: RwLock::default(),
            found: Mutex::default(),
            moved: AtomicBool::new(true),
            remaining: Mutex::default(),
            stop,
            entry: RwLock::new(entry),
        }
    }

    /// The entry in force.
    pub fn entry(&self) -> Arc<TenantEntry> {
        self.entry.read().clone()
    }

    /// Its API server.
    pub fn wire(&self) -> Wire {
        self.wire.read().clone()
    }

    /// Takes a new entry; true when objects are translated differently by it.
    pub fn update(&self, entry: Arc<TenantEntry>) -> bool {
        let mut known = self.entry.write();
        let changed = !known.same_rules(&entry);
        *self.wire.write() = Wire::new(entry.client.clone());
        if known.effective.settings.from_host.events != entry.effective.settings.from_host.events {
            *self.bucket.lock() = Bucket::new(entry.effective.settings.from_host.events.per_second);
        }
        *known = entry;
        if changed {
            self.zone.write().settings = known.effective.dns.settings(&known.network.cluster_domain);
            *self.dns.write() = None;
            let mut model = self.model.lock();
            model.epoch += 1;
            model.prepared.clear();
            model.links.clear();
        }
        changed
    }

    /// Whether anything may be written for it.
    pub fn writable(&self) -> bool {
        let entry = self.entry.read();
        self.open.load(Ordering::Acquire)
            && entry.effective.settings.enabled
            && !entry.effective.paused
            && !entry.owner.draining
            && !self.replaced.load(Ordering::Acquire)
            && self.host.ready.load(Ordering::Acquire)
    }

    /// Whether tokens are renewed although nothing else is written: it is paused, and otherwise in order.
    pub fn renews(&self) -> bool {
        let entry = self.entry.read();
        self.open.load(Ordering::Acquire)
            && entry.effective.settings.enabled
            && entry.effective.paused
            && !entry.owner.draining
            && !self.replaced.load(Ordering::Acquire)
            && self.host.ready.load(Ordering::Acquire)
    }

    /// Queues a key.
    pub fn queue(&self, what: What, lane: Lane) {
        self.moved.store(true, Ordering::Release);
        self.host.queue.add(Item { tenant: self.id.clone(), what }, lane);
    }

    /// Queues an object.
    pub fn queue_key(&self, key: Key, lane: Lane) {
        self.queue(What::Object(key), lane);
    }

    /// Queues an object after a while.
    pub fn queue_after(&self, what: What, delay: Duration) {
        self.host.queue.add_after(Item { tenant: self.id.clone(), what }, Lane::Change, delay);
    }

    /// Notes whether its API server answered.
    pub fn heard(&self, answered: bool) {
        let mut silent = self.silent.lock();
        if answered {
            *silent = None;
        } else {
            silent.get_or_insert_with(Instant::now);
        }
    }

    /// Facts of this moment.
    pub fn facts(&self) -> Facts {
        let entry = self.entry();
        let model = self.model.lock();
        let is_visible =
            |(name, node): &(&Arc<str>, &NodeSeen)| node.imported && model.in_view.contains(*name);
        let visible = model.nodes.iter().filter(is_visible).map(|(name, _)| name.to_string()).collect();
        let cordoned =
            model.nodes.iter().filter(|(_, n)| n.cordoned).map(|(name, _)| name.to_string()).collect();
        Facts {
            epoch: model.epoch,
            mapping: entry.mapping(),
            settings: entry.effective.settings.clone(),
            policy: entry.effective.policy.clone(),
            rules: entry.effective.policy.metadata_rules(),
            pod_security: entry.effective.level(),
            network: Arc::new(self.network(&entry)),
            namespaces: model.namespaces.clone(),
            host: self.host.facts.read().clone(),
            image: self.host.image.clone(),
            visible_nodes: Arc::new(visible),
            cordoned: Arc::new(cordoned),
            services_agreed: entry.services_agreed,
            isolation: Arc::new(entry.effective.addresses()),
            bounds: self.bounds(&entry).map(Arc::new),
            dns_endpoint: self.dns.read().as_ref().map(|dns| dns.endpoint.clone()),
            policies: model.policies.clone(),
            own_addresses: Arc::default(),
            foreign_addresses: Arc::default(),
        }
    }
}

impl Tenant {
    /// What bounds its network, with the addresses that are known now.
    pub(super) fn bounds(&self, entry: &TenantEntry) -> Option<NetworkIsolation> {
        let mut network = entry.effective.isolation.clone()?;
        network.front_door.clone_from(&entry.network.front_door);
        network.front_door_port = entry.network.port;
        network.front_door_endpoints.clone_from(&entry.network.endpoints);
        network.dns = self.dns.read().as_ref().map(|dns| dns.endpoint.clone());
        Some(network)
    }

    /// Addresses and names as they are now: with the tenant's DNS, once the host has it.
    fn network(&self, entry: &TenantEntry) -> Network {
        let mut network = entry.network.clone();
        let dns = self.dns.read();
        if let Some(dns) = dns.as_ref().filter(|_| entry.effective.dns.mode == "Shared") {
            network.dns = DnsMode::Tenant(dns.addresses.clone());
        }
        network
    }
}

/// Requests made while one key was worked on: its cost in the fair queue.
#[derive(Default)]
pub struct Cost(AtomicU32);

impl Cost {
    /// One more.
    pub fn one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// All of them.
    pub fn total(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}
