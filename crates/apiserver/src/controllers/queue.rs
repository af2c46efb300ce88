//! Keys that wait for a pass: fair between tenants, each key once, never worked on twice at a time, with growing
//! pauses after failures.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::NsName;
use crate::tenant::TenantId;

/// A key of one tenant.
pub type Item = (TenantId, NsName);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(60);

/// The queue of one controller.
#[derive(Debug, Default)]
pub struct Queue {
    ready: BTreeMap<TenantId, VecDeque<NsName>>,
    turn: VecDeque<TenantId>,
    queued: HashSet<Item>,
    working: HashSet<Item>,
    again: HashSet<Item>,
    later: BinaryHeap<Reverse<(Instant, TenantId, NsName)>>,
    failures: HashMap<Item, u32>,
}

impl Queue {
    /// Adds a key, unless it waits already. One that is being worked on is queued when that ends.
    pub fn push(&mut self, item: Item) {
        if self.working.contains(&item) {
            self.again.insert(item);
            return;
        }
        if !self.queued.insert(item.clone()) {
            return;
        }
        let (tenant, name) = item;
        let keys = self.ready.entry(tenant).or_default();
        if keys.is_empty() {
            self.turn.push_back(tenant);
        }
        keys.push_back(name);
    }

    /// The next key: tenants take turns.
    pub fn pop(&mut self) -> Option<Item> {
        let tenant = self.turn.pop_front()?;
        let keys = self.ready.get_mut(&tenant)?;
        let name = keys.pop_front()?;
        if keys.is_empty() {
            self.ready.remove(&tenant);
        } else {
            self.turn.push_back(tenant);
        }
        let item = (tenant, name);
        self.queued.remove(&item);
        self.working.insert(item.clone());
        Some(item)
    }

    /// A pass ended well; `after` asks for another one.
    pub fn done(&mut self, item: &Item, after: Option<Duration>) {
        self.failures.remove(item);
        self.release(item);
        if let Some(after) = after {
            self.later.push(Reverse((Instant::now() + after, item.0, item.1.clone())));
        }
    }

    /// A pass failed: the key comes back after a pause.
    pub fn failed(&mut self, item: &Item) {
        let count = self.failures.entry(item.clone()).or_insert(0);
        let pause = FIRST_PAUSE.saturating_mul(1 << (*count).min(11)).min(LAST_PAUSE);
        *count += 1;
        self.later.push(Reverse((Instant::now() + pause, item.0, item.1.clone())));
        self.release(item);
    }

    fn release(&mut self, item: &Item) {
        self.working.remove(item);
        if self.again.remove(item) {
            self.push(item.clone());
        }
    }

    /// Queues what is due; gives the time of the next one.
    pub fn wake(&mut self) -> Option<Instant> {
        let now = Instant::now();
        while let Some(Reverse((at, ..))) = self.later.peek() {
            if *at > now {
                return Some(*at);
            }
            if let Some(Reverse((_, tenant, name))) = self.later.pop() {
                self.push((tenant, name));
            }
        }
        None
    }

    /// Forgets a tenant that is gone.
    pub fn drop_tenant(&mut self, tenant: TenantId) {
        self.ready.remove(&tenant);
        self.turn.retain(|t| *t != tenant);
        self.queued.retain(|(t, _)| *t != tenant);
        self.again.retain(|(t, _)| *t != tenant);
        self.failures.retain(|(t, _), _| *t != tenant);
        self.later.retain(|Reverse((_, t, _))| *t != tenant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(n: u8) -> TenantId {
        TenantId::of_uid(&format!("uid-{n}"))
    }

    #[test]
    fn tenants_take_turns_and_keys_are_queued_once() {
        let mut queue = Queue::default();
        let (a, b) = (tenant(1), tenant(2));
        for name in ["1", "2", "3", "1"] {
            queue.push((a, NsName::new("x", name)));
        }
        queue.push((b, NsName::new("x", "1")));
        let order: Vec<_> =
            std::iter::from_fn(|| queue.pop()).map(|(t, n)| (t == a, n.name().to_owned())).collect();
        let want = [(true, "1"), (false, "1"), (true, "2"), (true, "3")];
        assert_eq!(order, want.map(|(t, n)| (t, n.to_owned())));
    }

    #[test]
    fn a_key_touched_while_worked_on_comes_again() {
        let mut queue = Queue::default();
        let item = (tenant(1), NsName::new("x", "1"));
        queue.push(item.clone());
        assert_eq!(queue.pop(), Some(item.clone()));
        queue.push(item.clone());
        assert_eq!(queue.pop(), None);
        queue.done(&item, None);
        assert_eq!(queue.pop(), Some(item.clone()));
        queue.failed(&item);
        assert!(queue.wake().is_some() && queue.pop().is_none());
    }
}
