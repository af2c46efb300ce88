//! Intents that wait for the writer: fair between tenants, bounded (K6, Q14).

use std::collections::{HashMap, VecDeque};

use super::intent::CommitError;
use super::plan::Prepared;
use crate::tenant::TenantId;

/// How much a batch takes and how much may wait.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub max_writes: usize,
    pub max_bytes: usize,
    pub max_per_tenant: usize,
    pub tenant_queue: usize,
    pub shard_queue: usize,
}

#[derive(Default)]
pub(super) struct Queue {
    lanes: HashMap<TenantId, VecDeque<Prepared>>,
    /// Tenants with a lane, whose turn it is first in front.
    order: VecDeque<TenantId>,
    waiting: usize,
}

impl Queue {
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub fn push(&mut self, intent: Prepared, sizes: &Sizes) -> Result<(), CommitError> {
        if self.waiting >= sizes.shard_queue {
            return Err(CommitError::Busy);
        }
        let tenant = intent.state.id;
        let lane = self.lanes.entry(tenant).or_default();
        if lane.len() >= sizes.tenant_queue {
            return Err(CommitError::Busy);
        }
        if lane.is_empty() {
            self.order.push_back(tenant);
        }
        lane.push_back(intent);
        self.waiting += 1;
        Ok(())
    }

    /// The next batch: round robin, a tenant's weight per turn. At least one intent, however great.
    pub fn take(&mut self, sizes: &Sizes) -> Vec<Prepared> {
        let mut batch = Vec::new();
        let (mut writes, mut bytes) = (0, 0);
        let mut taken: HashMap<TenantId, usize> = HashMap::new();
        // Tenants that had their share of this batch; they are first in the next one, in their order.
        let mut sated = VecDeque::new();
        'batch: while let Some(tenant) = self.order.pop_front() {
            let Some(lane) = self.lanes.get_mut(&tenant) else { continue };
            let share = taken.entry(tenant).or_default();
            let weight = lane.front().map_or(1, |intent| intent.state.limits.load().weight.max(1));
            for _ in 0..weight {
                let Some(next) = lane.front() else { break };
                if *share >= sizes.max_per_tenant {
                    break;
                }
                let fits =
                    writes + next.writes.len() <= sizes.max_writes && bytes + next.bytes <= sizes.max_bytes;
                if !fits && !batch.is_empty() {
                    self.order.push_front(tenant);
                    break 'batch;
                }
                (writes, bytes, *share) = (writes + next.writes.len(), bytes + next.bytes, *share + 1);
                batch.extend(lane.pop_front());
            }
            if lane.is_empty() {
                self.lanes.remove(&tenant);
            } else if *share >= sizes.max_per_tenant {
                sated.push_back(tenant);
            } else {
                self.order.push_back(tenant);
            }
        }
        self.order.extend(sated);
        self.waiting -= batch.len();
        batch
    }
}
