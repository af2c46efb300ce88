//! What a shard remembers for wildcard watches: the changes of all its tenants in one order (K14).

use std::collections::{HashMap, VecDeque};

use tokio::sync::watch;

use super::event::Change;
use crate::model::gvk::ResourceId;
use crate::tenant::TenantId;

#[derive(Default)]
struct Ring {
    entries: VecDeque<(TenantId, Change)>,
    floor: u64,
    bytes: usize,
    wake: Option<watch::Sender<u64>>,
}

/// The next thing that a wildcard watch has to tell.
pub(super) enum Entry {
    Change(TenantId, Change),
    /// A tenant was made: its base image appears.
    Created(TenantId, u64),
}

/// The changes asked for are no longer known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FeedForgotten;

#[derive(Default)]
pub(super) struct Feed {
    rings: HashMap<ResourceId, Ring>,
    created: VecDeque<(u64, u64, TenantId)>,
    bytes: usize,
    /// Sequence number up to which nothing is known of any resource.
    floor: u64,
    /// The last sequence number shown.
    pub seq: u64,
}

impl Feed {
    pub fn new(seq: u64, floor: u64) -> Self {
        Self { seq, floor, ..Self::default() }
    }

    /// Takes a change; gives the signal to send once the lock is released.
    pub fn push(&mut self, tenant: TenantId, change: Change) -> Option<watch::Sender<u64>> {
        let floor = self.floor;
        let ring = self.rings.entry(change.key.resource.clone()).or_insert_with(|| Ring::new(floor));
        let cost = change.cost();
        ring.bytes += cost;
        self.bytes += cost;
        ring.entries.push_back((tenant, change));
        ring.wake.clone()
    }

    pub fn push_created(&mut self, at: u64, seq: u64, tenant: TenantId) {
        self.created.push_back((at, seq, tenant));
    }

    /// The first entry of a resource after a sequence number.
    pub fn after(&self, resource: &ResourceId, seq: u64) -> Result<Option<Entry>, FeedForgotten> {
        let ring = self.rings.get(resource);
        if seq < ring.map_or(self.floor, |ring| ring.floor) {
            return Err(FeedForgotten);
        }
        let change = ring
            .and_then(|ring| ring.entries.get(ring.entries.partition_point(|(_, change)| change.seq <= seq)));
        let created = self.created.get(self.created.partition_point(|(_, at, _)| *at <= seq));
        Ok(match (change, created) {
            (Some((tenant, change)), created) if created.is_none_or(|(_, at, _)| change.seq < *at) => {
                Some(Entry::Change(*tenant, change.clone()))
            }
            (_, Some((_, seq, tenant))) => Some(Entry::Created(*tenant, *seq)),
            _ => None,
        })
    }

    pub fn subscribe(&mut self, resource: &ResourceId) -> watch::Receiver<u64> {
        let floor = self.floor;
        let ring = self.rings.entry(resource.clone()).or_insert_with(|| Ring::new(floor));
        ring.wake.get_or_insert_with(|| watch::Sender::new(0)).subscribe()
    }

    /// The signals of all resources.
    pub fn wakes(&self) -> Vec<watch::Sender<u64>> {
        self.rings.values().filter_map(|ring| ring.wake.clone()).collect()
    }

    /// Forgets what happened until `oldest`, and beyond `budget` bytes what the fullest ring holds longest.
    pub fn trim(&mut self, oldest: u64, budget: usize) {
        for ring in self.rings.values_mut() {
            while ring.entries.front().is_some_and(|(_, change)| change.at <= oldest) {
                self.bytes -= ring.forget();
            }
        }
        while self.bytes > budget {
            let Some(ring) = self.rings.values_mut().max_by_key(|ring| ring.bytes) else { break };
            self.bytes -= ring.forget();
        }
        while let Some((at, seq, _)) = self.created.front().copied() {
            if at > oldest {
                break;
            }
            // A new tenant concerns every resource.
            self.floor = self.floor.max(seq);
            for ring in self.rings.values_mut() {
                ring.floor = ring.floor.max(seq);
            }
            self.created.pop_front();
        }
    }

    pub fn is_idle(&self) -> bool {
        self.bytes == 0 && self.created.is_empty()
    }

    /// A tenant is gone: nothing of it is shown any more.
    pub fn drop_tenant(&mut self, tenant: TenantId) {
        for ring in self.rings.values_mut() {
            ring.entries.retain(|(id, _)| *id != tenant);
            let bytes = ring.entries.iter().map(|(_, change)| change.cost()).sum();
            self.bytes = self.bytes + bytes - ring.bytes;
            ring.bytes = bytes;
        }
        self.created.retain(|(_, _, id)| *id != tenant);
    }
}

impl Ring {
    fn new(floor: u64) -> Self {
        Self { floor, ..Self::default() }
    }

    fn forget(&mut self) -> usize {
        let Some((_, oldest)) = self.entries.pop_front() else { return 0 };
        self.floor = oldest.seq;
        let cost = oldest.cost();
        self.bytes -= cost;
        cost
    }
}
