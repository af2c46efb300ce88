//! Bringing stored data back: a shard at start, a tenant when it is first needed (K8, K15, K17).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use tokio::sync::{Notify, broadcast};

use super::backend::{HeadRow, LogRow, Logged, Store, StoreFault, StoredHead};
use super::base::{BASE_RV, Layer, Layered};
use super::config::{Limits, StoreConfig};
use super::errors::TenantError;
use super::event::{Change, ChangeKind};
use super::feed::Feed;
use super::history::History;
use super::key::Key;
use super::record::Record;
use super::shard::{Held, Replayed, Shard};
use super::table::{Root, Slot};
use super::tenant::TenantState;
use super::touch::Touch;
use super::writer::LogWindow;
use crate::model::gvk::ResourceId;
use crate::tenant::TenantId;

/// A shard with the heads of its tenants and the changes of its log window; no tenant is loaded.
pub(super) fn shard(
    number: usize,
    store: Box<dyn Store>,
    config: StoreConfig,
    touches: broadcast::Sender<Touch>,
) -> Result<(Shard, u64, LogWindow), StoreFault> {
    let position = store.position()?;
    let mut tenants = HashMap::new();
    for head in store.heads()? {
        let StoredHead { row, last, failed } = head;
        tenants.insert(row.id, Held { row, last, state: None, replayed: Vec::new(), failed });
    }
    let mut log = LogWindow::default();
    let rows = store.log()?;
    let mut feed = Feed::new(position.seq, rows.first().map_or(position.seq, |oldest| oldest.seq - 1));
    for replay in replay(&*store, &config, rows, &mut tenants)? {
        let (seq, at, cost) = match &replay {
            Replay::Created { seq, at, .. } => (*seq, *at, 0),
            Replay::Change { replayed, .. } => {
                (replayed.change.seq, replayed.change.at, replayed.change.cost())
            }
        };
        log.push(seq, at, cost);
        let (Replay::Created { tenant, .. } | Replay::Change { tenant, .. }) = &replay;
        let Some(held) = tenants.get_mut(tenant) else { continue };
        match replay {
            Replay::Created { tenant, seq, at } if held.row.in_wildcard => feed.push_created(at, seq, tenant),
            Replay::Created { .. } => {}
            Replay::Change { tenant, replayed } => {
                if held.row.in_wildcard {
                    feed.push(tenant, replayed.change.clone());
                }
                held.replayed.push(replayed);
            }
        }
    }
    let shard = Shard::new(number, position.epoch, store, config, feed, touches);
    *shard.tenants.write() = tenants;
    Ok((shard, position.seq, log))
}

enum Replay {
    Created { tenant: TenantId, seq: u64, at: u64 },
    Change { tenant: TenantId, replayed: Replayed },
}

/// Changes of the log, oldest first. The log holds what was before each write; what a write made is what was
/// before the next write of that object, or the stored object: so it is read from its end.
fn replay(
    store: &dyn Store,
    config: &StoreConfig,
    rows: Vec<LogRow>,
    tenants: &mut HashMap<TenantId, Held>,
) -> Result<Vec<Replay>, StoreFault> {
    let (now, wall) = (config.clock.now(), config.clock.wall());
    let mut states: HashMap<(TenantId, Key), Option<Record>> = HashMap::new();
    let mut replayed = Vec::with_capacity(rows.len());
    for LogRow { seq, at, tenant, what } in rows.into_iter().rev() {
        let Some(held) = tenants.get_mut(&tenant) else { continue };
        if held.failed.is_some() || held.row.dropping {
            continue;
        }
        // A wall clock that was set back makes an event young, never one of the future.
        let at = now.saturating_sub(wall.saturating_sub(at));
        let Logged::Write { key, rv, kind, prev, last, before } = what else {
            replayed.push(Replay::Created { tenant, seq, at });
            continue;
        };
        let place = (tenant, key.clone());
        if !states.contains_key(&place) {
            match store.read(tenant, &key) {
                Ok(record) => drop(states.insert(place.clone(), record)),
                Err(damage @ StoreFault::Corrupt { .. }) => {
                    held.failed = Some(damage.to_string());
                    continue;
                }
                Err(fault) => return Err(fault),
            }
        }
        let after = states.insert(place, prev.clone()).flatten();
        let shown = match kind {
            ChangeKind::Deleted => last.or_else(|| prev.as_ref().map(|prev| prev.with_rv(rv))),
            ChangeKind::Added | ChangeKind::Modified => after,
        };
        match shown {
            Some(shown) if shown.rv() == rv => {
                let change = Change::new((rv, seq, at), kind, key, shown, prev);
                replayed.push(Replay::Change { tenant, replayed: Replayed { change, before } });
            }
            _ => {
                let detail = format!("{key} is not what the log says of version {rv}");
                held.failed = Some(StoreFault::Corrupt { tenant, detail }.to_string());
            }
        }
    }
    replayed.reverse();
    Ok(replayed)
}

/// The state of a tenant that has written nothing.
pub(super) fn fresh(row: &HeadRow, layer: Layer, limits: Limits) -> TenantState {
    let history = History::rebuilt(BASE_RV, [], Vec::new());
    let state = state(row, Root::new(BASE_RV), history, layer, limits);
    state.made.store(false, Ordering::Release);
    state
}

fn state(row: &HeadRow, root: Root, history: History, layer: Layer, limits: Limits) -> TenantState {
    TenantState {
        id: row.id,
        layer: Arc::new(Layered::new(row.id, layer)),
        assigned: AtomicU64::new(root.rv),
        root: ArcSwap::from_pointee(root),
        history: RwLock::new(history),
        limits: ArcSwap::from_pointee(limits),
        in_wildcard: row.in_wildcard,
        made: AtomicBool::new(true),
        ended: OnceLock::new(),
        moved: Notify::new(),
    }
}

/// Loads a tenant and enters it into its shard.
pub(super) fn tenant(
    shard: &Shard,
    id: TenantId,
    layer: Layer,
    limits: Limits,
) -> Result<Arc<TenantState>, TenantError> {
    let loaded = shard.store.load(id);
    let mut tenants = shard.tenants.write();
    let held = tenants.get_mut(&id).ok_or(TenantError::Unknown(id))?;
    let rows = match loaded {
        Ok(rows) => rows,
        Err(damage @ StoreFault::Corrupt { .. }) => {
            held.failed = Some(damage.to_string());
            return Err(damage.into());
        }
        Err(other) => return Err(other.into()),
    };
    let replayed = std::mem::take(&mut held.replayed);
    let floors = floors(&held.last, &replayed);
    let rv = held.last.iter().map(|(_, rv)| *rv).max().unwrap_or(BASE_RV);
    let changes: Vec<_> = replayed.into_iter().map(|replayed| replayed.change).collect();
    let layered = Layered::new(id, layer.clone());
    let root = root(rows, &held.last, &changes, &layered, rv);
    let history = History::rebuilt(rv, floors, changes);
    let state = Arc::new(state(&held.row, root, history, layer, limits));
    held.state = Some(state.clone());
    Ok(state)
}

/// K9: the floor of a resource is the RV of the write before the oldest one remembered; its last RV if none is.
fn floors(last: &[(ResourceId, u64)], replayed: &[Replayed]) -> Vec<(ResourceId, u64)> {
    let mut floors: HashMap<ResourceId, u64> = last.iter().cloned().collect();
    for Replayed { change, before } in replayed.iter().rev() {
        floors.insert(change.key.resource.clone(), *before);
    }
    floors.into_iter().collect()
}

fn root(
    rows: Vec<(Key, Slot)>,
    last: &[(ResourceId, u64)],
    changes: &[Change],
    layer: &Layered,
    rv: u64,
) -> Root {
    // Bodies that history has already read are shared with it.
    let known: HashMap<&Key, &Record> = changes.iter().map(|change| (&change.key, &change.new)).collect();
    let mut root = Root::new(rv);
    for (key, slot) in rows {
        let slot = match (slot, known.get(&key)) {
            (Slot::Live(record), Some(same)) if same.rv() == record.rv() => Slot::Live((*same).clone()),
            (slot, _) => slot,
        };
        let in_base = layer.contains(&key.resource, &key.name);
        root.set(&key.resource, &key.name, Some(slot), in_base, rv);
    }
    for (resource, rv) in last {
        root.table_mut(resource).last_rv = *rv;
    }
    root
}
