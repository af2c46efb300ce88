//! What a tenant remembers of its past: a ring of changes per resource, and pinned roots (K8, K9).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::watch;

use super::base::Layered;
use super::clock::millis;
use super::config::StoreConfig;
use super::event::{Change, ChangeKind};
use super::table::{Root, Slot, Table};
use crate::model::gvk::ResourceId;

/// Events behind the newest one that keep their shared encodings.
const WARM: usize = 64;

/// The changes asked for are no longer known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version, the oldest known is {floor}")]
pub struct Forgotten {
    /// The highest RV among the forgotten changes of the resource: a watch from here on is complete.
    pub floor: u64,
}

/// A past state cannot be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PastError {
    /// Its changes are forgotten.
    #[error(transparent)]
    Forgotten(#[from] Forgotten),
    /// The RV was not reached yet.
    #[error("resource version is too large, current is {current}")]
    Future {
        /// The current RV.
        current: u64,
    },
}

/// Changes of one resource, oldest first.
#[derive(Default)]
struct Ring {
    changes: VecDeque<Change>,
    floor: u64,
    bytes: usize,
    /// Wakes the cursors of this resource; made with the first of them.
    wake: Option<watch::Sender<u64>>,
}

impl Ring {
    fn forget(&mut self) -> usize {
        let Some(oldest) = self.changes.pop_front() else { return 0 };
        self.floor = oldest.rv;
        let cost = oldest.cost();
        self.bytes -= cost;
        cost
    }

    fn oldest_at(&self) -> Option<u64> {
        self.changes.front().map(|change| change.at)
    }
}

struct Pin {
    at: u64,
    root: Arc<Root>,
}

#[derive(Default)]
pub(super) struct History {
    rings: HashMap<ResourceId, Ring>,
    pins: VecDeque<Pin>,
    pub bytes: usize,
    /// RV up to which the rings are complete.
    pub rv: u64,
}

impl History {
    /// After a start: changes of the log window, and per resource the RV up to which everything before them
    /// is forgotten.
    pub fn rebuilt(
        rv: u64,
        floors: impl IntoIterator<Item = (ResourceId, u64)>,
        changes: Vec<Change>,
    ) -> Self {
        let mut history = Self { rv, ..Self::default() };
        for (resource, floor) in floors {
            history.rings.entry(resource).or_default().floor = floor;
        }
        for change in changes {
            history.push(change);
        }
        history
    }

    fn push(&mut self, change: Change) {
        let ring = self.rings.entry(change.key.resource.clone()).or_default();
        let cost = change.cost();
        ring.bytes += cost;
        self.bytes += cost;
        ring.changes.push_back(change);
        if let Some(lag) = ring.changes.len().checked_sub(WARM + 1) {
            ring.changes[lag].cool();
        }
    }

    /// Takes the changes of a durable batch; gives the signals to send once the lock is released.
    pub fn publish(&mut self, rv: u64, changes: &[Change]) -> Vec<(watch::Sender<u64>, u64)> {
        self.rv = rv;
        let mut seen: Vec<&ResourceId> = Vec::new();
        for change in changes {
            self.push(change.clone());
            if !seen.contains(&&change.key.resource) {
                seen.push(&change.key.resource);
            }
        }
        let wake = |resource: &ResourceId| Some((self.rings.get(resource)?.wake.clone()?, rv));
        seen.into_iter().filter_map(wake).collect()
    }

    /// Whether there is nothing that could be forgotten.
    pub fn is_idle(&self) -> bool {
        self.bytes == 0 && self.pins.is_empty()
    }

    /// Forgets what is too old or too much. The fullest ring pays, or nobody while it is too young: a busy
    /// resource does not cost a quiet one its past.
    pub fn trim(&mut self, now: u64, budget: usize, config: &StoreConfig) {
        let (min_age, max_age) = (millis(config.min_age), millis(config.max_age));
        for ring in self.rings.values_mut() {
            while ring.oldest_at().is_some_and(|at| at + max_age <= now) {
                self.bytes -= ring.forget();
            }
        }
        while self.bytes > budget.min(config.tenant_hard_bytes) {
            let hard = self.bytes > config.tenant_hard_bytes;
            let Some(fullest) = self.rings.values_mut().max_by_key(|ring| ring.bytes) else { break };
            if !hard && fullest.oldest_at().is_none_or(|at| at + min_age > now) {
                break;
            }
            self.bytes -= fullest.forget();
        }
        while self.pins.front().is_some_and(|pin| pin.at + max_age <= now) {
            self.pins.pop_front();
        }
    }

    pub fn floor(&self, resource: &ResourceId) -> u64 {
        self.rings.get(resource).map_or(0, |ring| ring.floor)
    }

    /// The first change of a resource after an RV.
    pub fn after(&self, resource: &ResourceId, rv: u64) -> Result<Option<Change>, Forgotten> {
        let Some(ring) = self.rings.get(resource) else { return Ok(None) };
        if rv < ring.floor {
            return Err(Forgotten { floor: ring.floor });
        }
        Ok(ring.changes.get(ring.changes.partition_point(|change| change.rv <= rv)).cloned())
    }

    pub fn subscribe(&mut self, resource: &ResourceId) -> watch::Receiver<u64> {
        let ring = self.rings.entry(resource.clone()).or_default();
        ring.wake.get_or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// Wakes every cursor, so that it sees that the tenant is gone.
    pub fn wake_all(&self) {
        for wake in self.rings.values().filter_map(|ring| ring.wake.as_ref()) {
            wake.send_replace(0);
        }
    }

    pub fn pin(&mut self, root: Arc<Root>, now: u64, most: usize) {
        self.pins.retain(|pin| pin.root.rv != root.rv);
        self.pins.push_back(Pin { at: now, root });
        while self.pins.len() > most {
            self.pins.pop_front();
        }
    }

    /// The rows of a resource as they were at `rv`: pinned after `oldest`, current, or made by undoing changes.
    pub fn past(
        &self,
        current: &Arc<Root>,
        layer: &Layered,
        resource: &ResourceId,
        rv: u64,
        oldest: u64,
    ) -> Result<Arc<Root>, PastError> {
        if rv == current.rv {
            return Ok(current.clone());
        }
        if let Some(pin) = self.pins.iter().find(|pin| pin.root.rv == rv && pin.at > oldest) {
            return Ok(pin.root.clone());
        }
        if rv > current.rv {
            return Err(PastError::Future { current: current.rv });
        }
        let floor = self.floor(resource);
        if rv < floor {
            return Err(Forgotten { floor }.into());
        }
        let mut table = current.table(resource).map(|table| Table::clone(table)).unwrap_or_default();
        let changes = self.rings.get(resource).into_iter().flat_map(|ring| ring.changes.iter().rev());
        for change in changes.take_while(|change| change.rv > rv) {
            undo(&mut table, layer, change);
        }
        table.last_rv = rv;
        Ok(Arc::new(Root::of_one(rv, resource.clone(), table)))
    }
}

fn undo(table: &mut Table, layer: &Layered, change: &Change) {
    let in_base = layer.contains(&change.key.resource, &change.key.name);
    let before = match (&change.prev, change.kind) {
        (Some(prev), ChangeKind::Modified | ChangeKind::Deleted) => Some(Slot::Live(prev.clone())),
        // What was made anew after a deletion from the base image stood behind a whiteout.
        _ if in_base => Some(Slot::Whiteout),
        _ => None,
    };
    table.set(&change.key.name, before, in_base);
}
