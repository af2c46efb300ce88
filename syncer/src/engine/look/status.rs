//! The state of one tenant, from memory.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use serde::Serialize;

use super::super::{
    Engine,
    patrol::CLASSES,
    queue::{Backlog, What},
    report,
    state::Tenant,
};
use crate::{directory::Reach, kind::Kind, status::SyncState};

/// A tenant as the syncer has it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Its id.
    pub id: String,
    /// Its host.
    pub host: String,
    /// What condition `Synced` says.
    pub state: SyncState,
    /// Both sides are listed.
    pub open: bool,
    /// Objects may be written.
    pub writable: bool,
    /// Work that waits.
    pub queue: Queued,
    /// Objects by kind.
    pub objects: Vec<Objects>,
    /// Refused objects by reason.
    pub refusals: BTreeMap<&'static str, usize>,
    /// What it is kept current by.
    pub watches: Watches,
    /// What patrols found since the process began.
    pub patrol: Patrolled,
}

/// Keys of a tenant in the queue of its host.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Queued {
    /// Worked on.
    pub working: usize,
    /// Waiting.
    pub queued: usize,
    /// The one that waits longest.
    pub oldest: Option<String>,
    /// Since how long.
    pub oldest_seconds: f64,
    /// To be looked at again at a time of their own.
    pub due: usize,
    /// Failed when they were looked at last.
    pub failing: usize,
}

/// Objects of one kind.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Objects {
    /// The kind.
    pub kind: &'static str,
    /// In the tenant.
    pub in_tenant: usize,
    /// On the host.
    pub on_host: usize,
    /// Refused.
    pub refused: usize,
}

/// Kinds of one side.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Listed {
    /// Kinds whose list is complete.
    pub complete: usize,
    /// Kinds whose list is not.
    pub missing: Vec<&'static str>,
    /// Since how long the API server does not answer.
    pub silent_seconds: Option<f64>,
}

/// What keeps a tenant current.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Watches {
    /// `Embedded`: by watches of all tenants together; `Own`: by its own.
    pub reach: &'static str,
    /// Of watches of all tenants together: those that hold everything, and how many there are.
    pub live: Option<(usize, usize)>,
    /// The tenant's side.
    pub tenant: Listed,
    /// The host's.
    pub host: Listed,
}

/// What patrols found.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Patrolled {
    /// How long ago the last one ended.
    pub seconds_ago: Option<u64>,
    /// Differences by class.
    pub found: BTreeMap<&'static str, u64>,
}

/// Kinds of a host that tenants wait for.
const OF_HOSTS: [Kind; 3] = [Kind::Namespace, Kind::Node, Kind::StorageClass];

pub(super) fn of(engine: &Engine, tenant: &Tenant) -> Status {
    let (objects, refusals) = counted(tenant);
    Status {
        id: tenant.id.to_string(),
        host: tenant.host.entry.name.to_string(),
        state: report::state(tenant, engine.periods.silence),
        open: tenant.open.load(Ordering::Acquire),
        writable: tenant.writable(),
        queue: queued(tenant),
        objects,
        refusals,
        watches: watches(engine, tenant),
        patrol: patrolled(tenant),
    }
}

fn queued(tenant: &Tenant) -> Queued {
    let Backlog { working, queued, oldest, due, failing } = tenant.host.queue.backlog(&tenant.id);
    let (oldest, age) = oldest.map(|(what, age)| (said(&what), age)).unzip();
    let oldest_seconds = age.unwrap_or_default().as_secs_f64();
    Queued { working, queued, oldest, oldest_seconds, due, failing }
}

fn said(what: &What) -> String {
    match what {
        What::Object(key) => format!("{}/{}/{}", key.kind.singular(), key.namespace, key.name),
        What::Namespace(name) => format!("namespace/{name}"),
        What::Leftover(name) => format!("host namespace/{name}"),
        What::Node(name) => format!("node/{name}"),
        What::Class(name) => format!("storageclass/{name}"),
    }
}

fn counted(tenant: &Tenant) -> (Vec<Objects>, BTreeMap<&'static str, usize>) {
    let model = tenant.model.lock();
    let mut refusals = BTreeMap::new();
    let kinds = Kind::CARRIED.map(|kind| {
        let mut row = Objects { kind: kind.name(), in_tenant: 0, on_host: 0, refused: 0 };
        for (_, entry) in model.of(kind) {
            row.in_tenant += usize::from(entry.tenant.is_some());
            row.on_host += usize::from(entry.host.is_some());
            if let Some(refusal) = &entry.refusal {
                row.refused += 1;
                *refusals.entry(refusal.reason.as_str()).or_default() += 1;
            }
        }
        row
    });
    (kinds.into(), refusals)
}

fn watches(engine: &Engine, tenant: &Tenant) -> Watches {
    let embedded = tenant.entry().reach == Reach::Embedded;
    let names = |missing: Vec<Kind>| missing.into_iter().map(Kind::name).collect::<Vec<_>>();
    let listed = |all: Vec<Kind>, is_complete: &dyn Fn(&Kind) -> bool, silent: Option<std::time::Instant>| {
        let (complete, missing): (Vec<Kind>, Vec<Kind>) = all.into_iter().partition(is_complete);
        let silent_seconds = silent.map(|at| at.elapsed().as_secs_f64());
        Listed { complete: complete.len(), missing: names(missing), silent_seconds }
    };
    let of_host = OF_HOSTS.into_iter().chain(Kind::CARRIED.into_iter().filter(|kind| kind.host_watched()));
    let (in_tenant, on_host) = (tenant.model.lock().complete.clone(), tenant.host.complete.lock().clone());
    Watches {
        reach: if embedded { "Embedded" } else { "Own" },
        live: embedded.then(|| (*engine.live.borrow(), *engine.wanted.borrow())),
        tenant: listed(Kind::TENANT.into(), &|kind| in_tenant.contains(kind), *tenant.silent.lock()),
        host: listed(of_host.collect(), &|kind| on_host.contains(kind), *tenant.host.silent.lock()),
    }
}

fn patrolled(tenant: &Tenant) -> Patrolled {
    let found = tenant.found.lock().clone();
    let count = |class| (class, found.classes.get(class).copied().unwrap_or_default());
    Patrolled {
        seconds_ago: found.last.map(|at| at.elapsed().as_secs()),
        found: CLASSES.into_iter().map(count).collect(),
    }
}
