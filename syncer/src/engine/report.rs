//! States of tenants, told by channel and to the hub; counters (OB1).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::{Engine, drain, state::Tenant, tell::now};
use crate::{
    status::{self, SyncState},
    wire::Wire,
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

    /// All of them.
    pub(crate) fn all(&self) -> Vec<(&'static str, String, u64)> {
        self.0.lock().iter().map(|((name, label), count)| (*name, label.clone(), *count)).collect()
    }
}

/// Without an answer for so long a side counts as unreachable.
const SILENCE: Duration = Duration::from_secs(10);

/// The state of one tenant now.
pub(super) fn state(tenant: &Tenant) -> SyncState {
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
    let silent = tenant.silent.lock().is_some_and(|at| at.elapsed() > SILENCE);
    let unsupported = tenant.host.unsupported.read().clone();
    let (queued, oldest) = tenant.host.queue.backlog(&tenant.id);
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
    } else if tenant.host.silence() > SILENCE {
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

/// Tells states on change until stopped.
pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    let hub = engine.hub.clone().map(Wire::new);
    let mut written: HashMap<Arc<str>, (SyncState, Instant, String)> = HashMap::new();
    loop {
        let tenants: Vec<Arc<Tenant>> = engine.tenants.read().values().cloned().collect();
        let states: BTreeMap<Arc<str>, SyncState> =
            tenants.iter().map(|t| (t.id.clone(), state(t))).collect();
        engine.states.send_if_modified(|known| {
            let changed = **known != states;
            if changed {
                *known = Arc::new(states.clone());
            }
            changed
        });
        written.retain(|id, _| states.contains_key(id));
        if let Some(hub) = &hub {
            for tenant in &tenants {
                let Some(state) = states.get(&tenant.id) else { continue };
                let owner = tenant.entry().owner.clone();
                let mark = format!("{}/{}", owner.uid, owner.generation);
                if !due(written.get(&tenant.id), state, &mark, engine.periods.status) {
                    continue;
                }
                match status::write(hub, &owner, state, &now()).await {
                    Ok(()) => drop(written.insert(tenant.id.clone(), (state.clone(), Instant::now(), mark))),
                    Err(error) => {
                        tracing::debug!(tenant = &*tenant.id, error = %error, "status not written yet");
                    }
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    }
}

/// A change of the condition is told at once, counters at most once in a period.
fn due(
    known: Option<&(SyncState, Instant, String)>,
    state: &SyncState,
    mark: &str,
    period: Duration,
) -> bool {
    match known {
        None => true,
        Some((old, at, was)) => {
            let condition = old.synced != state.synced || old.reason != state.reason || was != mark;
            condition || (old != state && at.elapsed() >= period)
        }
    }
}
