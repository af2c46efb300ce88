//! The engine (section 2): watches in, decisions by pure functions, guarded writes out.
//!
//! One queue and one window per host; a key is looked at by current state only, never by the event that woke it.
//! Nothing here knows where it runs.

mod cache;
mod carry;
mod data;
pub mod decide;
pub mod decision;
mod deep;
mod dispatch;
mod dns;
mod drain;
pub(crate) mod gate;
mod hosts;
mod ledger;
mod links;
pub mod look;
mod metrics;
pub mod model;
mod namespaces;
mod observe;
mod patrol;
mod pods;
mod policies;
pub mod queue;
mod refused;
mod report;
mod sources;
mod state;
mod tell;
mod tenants;
mod tokens;
pub(crate) mod tunnel;
mod upward;
mod wanted;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    directory::{EmbeddedSource, HostEntry, TenantEntry},
    dns::Servers,
    status::SyncStates,
};
use cache::Cache;
use state::{Host, Tenant};

/// Periods of the engine; tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Periods {
    /// Patrol (EN22).
    pub patrol: Duration,
    /// Deep walk (EN23).
    pub deep: Duration,
    /// A side that does not answer for so long counts as unreachable (FM1, FM2).
    pub silence: Duration,
    /// Status to the hub, at most so often.
    pub status: Duration,
    /// Unreferenced data is removed after this (KI2).
    pub unreferenced: Duration,
    /// A node without pods is removed after this (NO1).
    pub idle_node: Duration,
    /// A reserved Service that was not stored is removed after this (SV1).
    pub pending: Duration,
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            patrol: Duration::from_secs(60),
            deep: Duration::from_secs(600),
            silence: Duration::from_secs(10),
            status: Duration::from_secs(10),
            unreferenced: Duration::from_secs(60),
            idle_node: Duration::from_secs(120),
            pending: Duration::from_secs(120),
        }
    }
}

/// What a syncer is made of.
pub struct SyncerConfig {
    /// Tenants to serve: the whole list, whenever it changes.
    pub tenants: watch::Receiver<Arc<Vec<Arc<TenantEntry>>>>,
    /// Hosts: the whole list, whenever it changes.
    pub hosts: watch::Receiver<Arc<Vec<HostEntry>>>,
    /// The embedded server whose tenants have `Reach::Embedded`.
    pub embedded: Option<EmbeddedSource>,
    /// The hub, where status is written; `None`: only the channel tells.
    pub hub: Option<kube::Client>,
    /// DNS for tenants; `None`: it is not served here, and pods keep their host's.
    pub dns: Option<Arc<Servers>>,
    /// Skerry's own image, as nodes of hosts pull it; `None`: pods that need it are refused (PO30).
    pub image: Option<Arc<str>>,
    /// Periods.
    pub periods: Periods,
    /// Most bytes of bodies held in memory.
    pub cache_bytes: usize,
}

impl SyncerConfig {
    /// A configuration with the ordinary periods and 64 MiB of bodies.
    pub fn new(
        tenants: watch::Receiver<Arc<Vec<Arc<TenantEntry>>>>,
        hosts: watch::Receiver<Arc<Vec<HostEntry>>>,
    ) -> Self {
        Self {
            tenants,
            hosts,
            embedded: None,
            hub: None,
            dns: None,
            image: None,
            periods: Periods::default(),
            cache_bytes: 64 << 20,
        }
    }
}

/// What all tasks share.
pub(crate) struct Engine {
    pub(crate) tenants: RwLock<HashMap<Arc<str>, Arc<Tenant>>>,
    pub(crate) hosts: RwLock<HashMap<Arc<str>, Arc<Host>>>,
    /// Tenants of the last list; `None` before the first.
    pub(crate) listed: RwLock<Option<HashSet<Arc<str>>>>,
    pub(crate) cache: Mutex<Cache>,
    pub(crate) hub: Option<kube::Client>,
    pub(crate) embedded: Option<EmbeddedSource>,
    pub(crate) dns: Option<Arc<Servers>>,
    pub(crate) image: Option<Arc<str>>,
    pub(crate) periods: Periods,
    /// When it began.
    pub(crate) began: Instant,
    pub(crate) states: watch::Sender<SyncStates>,
    /// A tenant is open now: its state is not left to the next tick.
    pub(crate) stirred: tokio::sync::Notify,
    pub(crate) counts: report::Counts,
    pub(crate) timings: metrics::Timings,
    /// Wildcard watches that hold everything up to now; tenants open after all of them do.
    pub(crate) live: watch::Sender<usize>,
    /// How many there are; 0 while unknown.
    pub(crate) wanted: watch::Sender<usize>,
    pub(crate) tasks: TaskTracker,
}

impl Engine {
    /// Everything that is counted, by name and label value.
    fn counted(&self) -> Vec<(&'static str, String, u64)> {
        let mut all = self.counts.all();
        let refused = self.dns.as_ref().map(|dns| dns.refused()).filter(|n| *n > 0);
        all.extend(refused.map(|n| ("dns_refused_total", "rate".to_owned(), n)));
        all
    }
}

/// The syncer: carries tenants' objects to hosts, and their status back.
pub struct Syncer {
    engine: Arc<Engine>,
    tenants: watch::Receiver<Arc<Vec<Arc<TenantEntry>>>>,
    hosts: watch::Receiver<Arc<Vec<HostEntry>>>,
}

/// A handle to a running syncer: its states, the Service gate, and streams of pods.
#[derive(Clone)]
pub struct SyncerHandle {
    pub(crate) engine: Arc<Engine>,
}

/// What a syncer holds in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Tenants, each with an entry per object.
    pub tenants: usize,
    /// Keys that are queued, worked on, or have an appointment.
    pub keys: usize,
    /// Bodies of objects.
    pub bodies: usize,
}

impl Syncer {
    /// A syncer that has not begun.
    pub fn new(config: SyncerConfig) -> Self {
        let SyncerConfig { tenants, hosts, embedded, hub, dns, image, periods, cache_bytes } = config;
        let engine = Engine {
            tenants: RwLock::default(),
            hosts: RwLock::default(),
            listed: RwLock::default(),
            cache: Mutex::new(Cache::new(cache_bytes)),
            hub,
            embedded,
            dns,
            image,
            periods,
            began: Instant::now(),
            states: watch::Sender::new(Arc::new(BTreeMap::new())),
            stirred: tokio::sync::Notify::new(),
            counts: report::Counts::default(),
            timings: metrics::Timings::default(),
            live: watch::Sender::new(0),
            wanted: watch::Sender::new(0),
            tasks: TaskTracker::new(),
        };
        Self { engine: Arc::new(engine), tenants, hosts }
    }

    /// A handle that outlives `run`.
    pub fn handle(&self) -> SyncerHandle {
        SyncerHandle { engine: self.engine.clone() }
    }

    /// Runs until `shutdown`; returns when every task of its own has ended.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let engine = self.engine.clone();
        let stop = shutdown.child_token();
        if let Some(source) = engine.embedded.clone() {
            engine.tasks.spawn(observe::wildcards(engine.clone(), source, stop.clone()));
        }
        engine.tasks.spawn(patrol::run(engine.clone(), stop.clone()));
        engine.tasks.spawn(report::run(engine.clone(), stop.clone()));
        loop {
            let hosts = self.hosts.borrow_and_update().clone();
            engine.take_hosts(&hosts, &stop);
            // What lies in the channel at the start is no list yet, unless it names a tenant.
            let told = self.tenants.has_changed().unwrap_or(true);
            let tenants = self.tenants.borrow_and_update().clone();
            engine.take_tenants(&tenants, &stop);
            if told || !tenants.is_empty() {
                *engine.listed.write() = Some(tenants.iter().map(|t| t.id.clone()).collect());
            }
            tokio::select! {
                () = stop.cancelled() => break,
                changed = self.hosts.changed() => if changed.is_err() { stop.cancelled().await; break },
                changed = self.tenants.changed() => if changed.is_err() { stop.cancelled().await; break },
            }
        }
        engine.tasks.close();
        engine.tasks.wait().await;
    }
}

impl SyncerHandle {
    /// States of all tenants, as they change.
    pub fn states(&self) -> watch::Receiver<SyncStates> {
        self.engine.states.subscribe()
    }

    /// What is in memory, of all tenants together.
    pub fn held(&self) -> Held {
        let hosts: Vec<Arc<Host>> = self.engine.hosts.read().values().cloned().collect();
        Held {
            tenants: self.engine.tenants.read().len(),
            keys: hosts.iter().map(|host| host.queue.held()).sum(),
            bodies: self.engine.cache.lock().len(),
        }
    }

    /// Figures for a metrics page (OB1), by name and label value.
    pub fn counts(&self) -> Vec<(&'static str, String, u64)> {
        self.engine.counted()
    }
}
