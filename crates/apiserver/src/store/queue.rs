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

    pub fn len(&self) -> usize {
        self.waiting
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::backend::HeadRow;
    use crate::store::{Intent, Layer, Limits, Write, open};
    use std::sync::Arc;

    const SIZES: Sizes =
        Sizes { max_writes: 40, max_bytes: 10_000, max_per_tenant: 16, tenant_queue: 100, shard_queue: 150 };

    fn state(n: usize, weight: usize) -> Arc<crate::store::tenant::TenantState> {
        let id = TenantId::of_uid(&n.to_string());
        let row = HeadRow { id, head: "".into(), in_wildcard: true, dropping: false };
        Arc::new(open::fresh(&row, Layer::default(), Limits { weight, ..Limits::default() }))
    }

    fn intent(state: &Arc<crate::store::tenant::TenantState>, bytes: usize) -> Prepared {
        let key = crate::store::Key::new("/pods".into(), "a", "b");
        let (reply, _) = tokio::sync::oneshot::channel();
        let mut intent = Prepared::new(state.clone(), Intent::one(Write::delete(key, 1)), reply);
        intent.bytes = bytes;
        intent
    }

    fn shares(batch: &[Prepared], states: &[Arc<crate::store::tenant::TenantState>]) -> Vec<usize> {
        states.iter().map(|state| batch.iter().filter(|taken| taken.state.id == state.id).count()).collect()
    }

    #[test]
    fn a_flood_of_one_tenant_does_not_delay_another() {
        let mut queue = Queue::default();
        let states = [state(1, 10), state(2, 10), state(3, 1)];
        (0..100).for_each(|_| queue.push(intent(&states[0], 1), &SIZES).unwrap());
        assert_eq!(queue.push(intent(&states[0], 1), &SIZES), Err(CommitError::Busy));
        (0..3).for_each(|_| queue.push(intent(&states[1], 1), &SIZES).unwrap());
        (0..20).for_each(|_| queue.push(intent(&states[2], 1), &SIZES).unwrap());
        assert_eq!(shares(&queue.take(&SIZES), &states), [16, 3, 16]);
        assert_eq!(shares(&queue.take(&SIZES), &states), [16, 0, 4]);
        let mut left = 0;
        while !queue.is_empty() {
            left += queue.take(&SIZES).len();
        }
        assert_eq!(left, 100 - 32);
    }

    #[test]
    fn a_batch_is_bounded_and_takes_at_least_one() {
        let mut queue = Queue::default();
        let states = [state(1, 10), state(2, 10)];
        for bytes in [20_000, 4_000, 4_000, 4_000] {
            queue.push(intent(&states[0], bytes), &SIZES).unwrap();
        }
        let sizes: Vec<_> = std::iter::from_fn(|| Some(queue.take(&SIZES).len())).take(4).collect();
        assert_eq!(sizes, [1, 2, 1, 0]);
        for n in 0..150 {
            queue.push(intent(&states[n % 2], 1), &SIZES).unwrap();
        }
        assert_eq!(queue.push(intent(&states[1], 1), &SIZES), Err(CommitError::Busy));
    }
}
