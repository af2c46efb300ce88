//! States of tenants, told by channel and to the hub; counters (OB1).

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{Engine, cache::Side, drain, state::Tenant, tell::now};
use crate::{
    directory::TenantEntry,
    status::{self, SyncState},
    wire::{Wire, WireError},
};

/// Counters by name and one label value.
#[derive(Default)]
pub(crate) struct Counts(Mutex<BTreeMap<(&'static str, String), u64>>);

impl Counts {
    /// One more.
    pub(crate) fn add(&self, name: &'static str, label: &str) {
        let mut counts = self.0.lock();
        match counts.get_mut(&(name, label.to_owned())) {
            Some(count) => *count += 1,
            None => drop(counts.insert((name, label.to_owned()), 1)),
        }
    }

    /// A write, by its result: those that were taken by verb and kind, the others by why not besides (OB1).
    pub(crate) fn write(&self, side: Side, verb: &str, what: &str, failed: Option<&WireError>) {
        match failed {
            None => self.add(side.writes(), &format!("{verb} {what}")),
            Some(error) => self.add(side.failed_writes(), &format!("{verb} {what} {}", error.result())),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<(&'static str, String, u64)> {
        self.0.lock().iter().map(|((name, label), count)| (*name, label.clone(), *count)).collect()
    }
}

/// The state of one tenant now; `silence`: without an answer for so long a side counts as unreachable.
pub(super) fn state(tenant: &Tenant, silence: Duration) -> SyncState {
    let entry = tenant.entry();
    let (objects, refused, conflicts, identity, held) = {
        let model = tenant.model.lock();
        let objects = model.entries.values().filter(|e| e.host.is_some()).count();
        let refusals = model.entries.values().filter_map(|e| e.refusal.as_deref());
        let (mut refused, mut conflicts) = (0, 0);
        for refusal in refusals {
            refused += 1;
            if matches!(refusal.reason.as_str(), "HostNameTaken" | "NameCollision" | "HostConflict") {
                conflicts += 1;
            }
        }
        let held = model.held.iter().next().map(|(kind, count)| (*kind, *count));
        let identity = model.identity.as_deref().unwrap_or(&entry.owner.identity).to_owned();
        (objects, refused, conflicts, identity, held)
    };
    let replaced = tenant.replaced.load(Ordering::Acquire);
    let silent = tenant.silent.lock().is_some_and(|at| at.elapsed() > silence);
    let unsupported = tenant.host.unsupported.read().clone();
    let backlog = tenant.host.queue.backlog(&tenant.id);
    let (queued, oldest) =
        (backlog.working + backlog.queued, backlog.oldest.map_or(Duration::ZERO, |(_, age)| age));
    let settings = &entry.effective.settings;
    let (synced, reason, message) = if entry.owner.draining {
        if drain::drained(tenant) {
            (false, "Drained", "nothing of this cluster is left on its host".to_owned())
        } else {
            (false, "Draining", "objects on the host are being removed".to_owned())
        }
    } else if !settings.enabled {
        (true, "Disabled", "spec.sync.enabled is false: nothing is carried".to_owned())
    } else if entry.effective.paused {
        (false, "Paused", "spec.pause.mode holds all writes".to_owned())
    } else if replaced {
        let message = format!(
            "the cluster's identity is {identity}, not {}: nothing is written until the annotation skerry.dev/accept-tenant names it",
            entry.owner.identity
        );
        (false, "TenantReplaced", message)
    } else if let Some(why) = unsupported {
        (false, "HostUnsupported", why)
    } else if tenant.host.silence() > silence {
        (false, "HostUnreachable", "the host does not answer; what runs there runs on".to_owned())
    } else if silent {
        (false, "TenantUnreachable", "the control plane does not answer; the host stays as it is".to_owned())
    } else if !tenant.open.load(Ordering::Acquire) {
        (false, "Starting", "objects of both sides are being listed".to_owned())
    } else if let Some((kind, count)) = held {
        let message = format!(
            "{count} objects of kind {} vanished unseen; confirm with the annotation skerry.dev/confirm-delete={count}",
            kind.name()
        );
        (false, "MassDeleteHeld", message)
    } else if oldest > Duration::from_secs(60) {
        (true, "Backlogged", format!("{queued} objects wait, the oldest for {} s", oldest.as_secs()))
    } else {
        (true, "CaughtUp", "the host holds what the cluster asks for".to_owned())
    };
    let identity = if replaced { entry.owner.identity.clone() } else { identity };
    SyncState {
        synced,
        reason,
        message,
        objects,
        refused,
        conflicts,
        identity,
        problems: tenant.problems.lock().iter().cloned().collect(),
        remaining: tenant.remaining.lock().clone().filter(|_| entry.owner.draining),
    }
}

/// How often states are looked at.
const TICK: Duration = Duration::from_millis(250);
/// What comes together is told together.
const GATHER: Duration = Duration::from_millis(5);
/// Status writes at once.
const AT_ONCE: usize = 16;
/// A tenant at rest is looked at in every so many ticks: time alone can change its state.
const REST: usize = 20;

/// What is known of one tenant.
struct Row {
    entry: Arc<TenantEntry>,
    state: SyncState,
    written: Option<Written>,
    /// It may be that the hub is to be told.
    open: bool,
}

/// What the hub was told last.
struct Written {
    state: SyncState,
    at: Instant,
    uid: String,
    generation: i64,
}

impl Row {
    /// A change of the condition is told at once, counters at most once in a period.
    fn due(&self, period: Duration) -> bool {
        let Some(Written { state, at, uid, generation }) = &self.written else { return true };
        let owner = &self.entry.owner;
        state.synced != self.state.synced
            || state.reason != self.state.reason
            || *generation != owner.generation
            || *uid != owner.uid
            || (at.elapsed() >= period && *state != self.state)
    }
}

/// Tells states on change until stopped.
pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    let hub = engine.hub.clone().map(Wire::new);
    let mut rows: BTreeMap<Arc<str>, Row> = BTreeMap::new();
    for tick in 0_usize.. {
        let tenants: BTreeMap<Arc<str>, Arc<Tenant>> =
            engine.tenants.read().iter().map(|(id, t)| (id.clone(), t.clone())).collect();
        let before = rows.len();
        rows.retain(|id, _| tenants.contains_key(id));
        let mut changed = rows.len() != before;
        for (i, (id, tenant)) in tenants.iter().enumerate() {
            changed |= look(&mut rows, id, tenant, (tick + i) % REST == 0, engine.periods.silence);
        }
        if changed {
            let states = rows.iter().map(|(id, row)| (id.clone(), row.state.clone())).collect();
            engine.states.send_replace(Arc::new(states));
        }
        if let Some(hub) = &hub {
            tell(hub, &mut rows, engine.periods.status).await;
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = engine.stirred.notified() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// Writes what the hub is to know, some tenants at once.
async fn tell(hub: &Wire, rows: &mut BTreeMap<Arc<str>, Row>, period: Duration) {
    let due = rows.iter().filter(|(_, row)| row.open && row.due(period));
    let writes: Vec<_> = due.map(|(id, row)| (id.clone(), row.entry.clone(), row.state.clone())).collect();
    let writes = futures::stream::iter(writes.into_iter().map(|(id, entry, state)| async move {
        let result = status::write(hub, &entry.owner, &state, &now()).await;
        (id, entry, state, result)
    }));
    let mut writes = writes.buffer_unordered(AT_ONCE);
    while let Some((id, entry, state, result)) = writes.next().await {
        match result {
            Ok(()) => {
                let Some(row) = rows.get_mut(&id) else { continue };
                let (uid, generation) = (entry.owner.uid.clone(), entry.owner.generation);
                row.written = Some(Written { state, at: Instant::now(), uid, generation });
                row.open = false;
            }
            Err(error) => tracing::debug!(tenant = &*id, error = %error, "status not written yet"),
        }
    }
}

/// Looks at a tenant that has moved, is not in order, or is due; true when its state has changed.
fn look(
    rows: &mut BTreeMap<Arc<str>, Row>,
    id: &Arc<str>,
    tenant: &Tenant,
    due: bool,
    silence: Duration,
) -> bool {
    let entry = tenant.entry();
    let moved = tenant.moved.swap(false, Ordering::AcqRel);
    let Some(row) = rows.get_mut(id) else {
        rows.insert(id.clone(), Row { entry, state: state(tenant, silence), written: None, open: true });
        return true;
    };
    if !due && !moved && row.state.synced && Arc::ptr_eq(&row.entry, &entry) {
        return false;
    }
    let state = state(tenant, silence);
    let changed = row.state != state;
    row.open |= changed || !Arc::ptr_eq(&row.entry, &entry);
    (row.entry, row.state) = (entry, state);
    changed
}
