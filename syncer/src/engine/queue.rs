//! One queue per host, fair by tenant (EN18): lanes within a tenant, deficit round robin between tenants.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{metrics::Timings, model::Key};

/// What a worker is asked to look at. It carries no event: current state decides (EN10).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// An object of a carried kind.
    Object(Key),
    /// A namespace of the tenant: isolation set and env maps.
    Namespace(Arc<str>),
    /// A host namespace whose tenant namespace is gone.
    Leftover(Arc<str>),
    /// A node shown to the tenant.
    Node(Arc<str>),
    /// A storage class shown to the tenant.
    Class(Arc<str>),
}

/// A key of work.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    /// The tenant.
    pub tenant: Arc<str>,
    /// What of it.
    pub what: What,
}

/// Lanes of a tenant, served 8:4:1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Deletions, tokens due, reservations.
    Urgent,
    /// Ordinary changes.
    Change,
    /// What the patrol found.
    Patrol,
}

impl Lane {
    /// As metrics name it.
    pub const fn name(self) -> &'static str {
        match self {
            Lane::Urgent => "urgent",
            Lane::Change => "change",
            Lane::Patrol => "patrol",
        }
    }
}

const LANES: [(Lane, u8); 3] = [(Lane::Urgent, 8), (Lane::Change, 4), (Lane::Patrol, 1)];

#[derive(Default)]
struct Tenant {
    lanes: [VecDeque<Item>; 3],
    weight: u32,
    deficit: u32,
    credit: [u8; 3],
    inflight: usize,
}

impl Tenant {
    fn len(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    fn pop(&mut self) -> Option<(Item, Lane)> {
        for _ in 0..2 {
            for (n, (lane, _)) in LANES.into_iter().enumerate() {
                if self.credit[n] > 0
                    && let Some(item) = self.lanes[n].pop_front()
                {
                    self.credit[n] -= 1;
                    return Some((item, lane));
                }
            }
            self.credit = LANES.map(|(_, share)| share);
        }
        None
    }
}

#[derive(Default)]
struct State {
    tenants: HashMap<Arc<str>, Tenant>,
    ring: VecDeque<Arc<str>>,
    queued: HashMap<Item, Instant>,
    /// Those being worked on, and since when they were queued.
    processing: HashMap<Item, Instant>,
    again: HashMap<Item, Lane>,
    later: BinaryHeap<Reverse<(Instant, u64)>>,
    due: HashMap<u64, (Item, Lane)>,
    soonest: HashMap<Item, Instant>,
    failures: HashMap<Item, Failures>,
    counter: u64,
}

/// Failures of one key in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// How many.
    pub count: u32,
    /// The last one.
    pub why: Box<str>,
}

/// Where a key is, and what became of it before (OB2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// It is worked on.
    pub working: bool,
    /// It waits since so long.
    pub queued: Option<Duration>,
    /// It is due after so long.
    pub due: Option<Duration>,
    /// Failures since the last success.
    pub failures: Option<Failures>,
}

/// What of a tenant is in a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Keys worked on.
    pub working: usize,
    /// Keys that wait.
    pub queued: usize,
    /// The one that waits longest, and since how long.
    pub oldest: Option<(What, Duration)>,
    /// Keys with an appointment.
    pub due: usize,
    /// Keys that failed when they were looked at last.
    pub failing: usize,
}

/// The queue of one host.
#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    timings: Timings,
    /// Wakes the dispatcher.
    pub wake: Notify,
}

impl Queue {
    /// An empty queue whose waits are timed there.
    pub(crate) fn new(timings: Timings) -> Self {
        Self { timings, ..Self::default() }
    }

    /// Adds a key; one that is queued stays where it is, one being worked on is looked at again afterwards.
    pub fn add(&self, item: Item, lane: Lane) {
        self.state.lock().add(item, lane);
        self.wake.notify_one();
    }

    /// Adds a key after a while; an earlier appointment of the same key stands.
    pub fn add_after(&self, item: Item, lane: Lane, delay: Duration) {
        let mut state = self.state.lock();
        let at = Instant::now() + delay;
        if state.soonest.get(&item).is_some_and(|known| *known <= at) {
            return;
        }
        state.counter += 1;
        let number = state.counter;
        state.soonest.insert(item.clone(), at);
        state.due.insert(number, (item, lane));
        state.later.push(Reverse((at, number)));
        drop(state);
        self.wake.notify_one();
    }

    /// Sets a tenant's share.
    pub fn weight(&self, tenant: &Arc<str>, weight: u32) {
        self.state.lock().tenant(tenant).weight = weight.clamp(1, 100);
    }

    /// The next key to work on, when one tenant may have at most `share` at a time while others wait.
    pub fn next(&self, share: usize) -> Option<Item> {
        let (item, lane, since) = self.state.lock().next(share)?;
        self.timings.waited(lane, since.elapsed());
        Some(item)
    }

    /// Since when a key that is worked on was queued.
    pub fn since(&self, item: &Item) -> Option<Instant> {
        self.state.lock().processing.get(item).copied()
    }

    /// Keys that wait, by lane.
    pub fn depth(&self) -> [(Lane, usize); 3] {
        let state = self.state.lock();
        let of = |n: usize| state.tenants.values().map(|t| t.lanes.get(n).map_or(0, VecDeque::len)).sum();
        let [urgent, change, patrol] = LANES.map(|(lane, _)| lane);
        [(urgent, of(0)), (change, of(1)), (patrol, of(2))]
    }

    /// When the next appointment is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.state.lock().later.peek().map(|Reverse((at, _))| *at)
    }

    /// Ends the work on a key: `retry` puts it back after its own delay, doubling with each failure (EN20).
    pub fn done(&self, item: &Item, cost: u32, outcome: Outcome) {
        let mut state = self.state.lock();
        state.processing.remove(item);
        if let Some(tenant) = state.tenants.get_mut(&item.tenant) {
            tenant.inflight = tenant.inflight.saturating_sub(1);
            tenant.deficit = tenant.deficit.saturating_sub(cost.saturating_sub(1));
        }
        let again = state.again.remove(item);
        let failed = matches!(outcome, Outcome::Failed { .. });
        let delay = match outcome {
            Outcome::Done => {
                state.failures.remove(item);
                None
            }
            Outcome::After(delay) => {
                state.failures.remove(item);
                Some(delay)
            }
            Outcome::Failed { at_least, why } => {
                let known = state.failures.entry(item.clone()).or_default();
                *known = Failures { count: known.count.saturating_add(1), why };
                Some(backoff(known.count).max(at_least))
            }
        };
        match (again, delay, failed) {
            (Some(_), Some(delay), true) => {
                drop(state);
                self.add_after(item.clone(), Lane::Change, delay);
            }
            (Some(lane), ..) => {
                state.add(item.clone(), lane);
                drop(state);
                if let Some(delay) = delay {
                    self.add_after(item.clone(), Lane::Change, delay);
                }
            }
            (None, Some(delay), _) => {
                drop(state);
                self.add_after(item.clone(), Lane::Change, delay);
            }
            (None, None, _) => drop(state),
        }
        self.wake.notify_one();
    }

    /// Keys that it holds in whatever way.
    pub fn held(&self) -> usize {
        let State { queued, processing, again, due, soonest, failures, .. } = &*self.state.lock();
        queued.len() + processing.len() + again.len() + due.len() + soonest.len() + failures.len()
    }

    /// Forgets a tenant.
    pub fn forget(&self, tenant: &str) {
        let mut state = self.state.lock();
        state.tenants.remove(tenant);
        state.ring.retain(|t| &**t != tenant);
        state.queued.retain(|item, _| &*item.tenant != tenant);
        state.again.retain(|item, _| &*item.tenant != tenant);
        state.failures.retain(|item, _| &*item.tenant != tenant);
        state.soonest.retain(|item, _| &*item.tenant != tenant);
        state.due.retain(|_, (item, _)| &*item.tenant != tenant);
    }

    /// What it holds of a tenant.
    pub fn backlog(&self, tenant: &str) -> Backlog {
        let state = self.state.lock();
        let is_its = |item: &&Item| &*item.tenant == tenant;
        let queued = state.queued.iter().filter(|(item, _)| is_its(item));
        let oldest = queued.clone().min_by_key(|(_, at)| **at);
        Backlog {
            working: state.processing.keys().filter(is_its).count(),
            queued: queued.count(),
            oldest: oldest.map(|(item, at)| (item.what.clone(), at.elapsed())),
            due: state.soonest.keys().filter(is_its).count(),
            failing: state.failures.keys().filter(is_its).count(),
        }
    }

    /// Where a key is.
    pub fn place(&self, item: &Item) -> Place {
        let state = self.state.lock();
        Place {
            working: state.processing.contains_key(item),
            queued: state.queued.get(item).map(Instant::elapsed),
            due: state.soonest.get(item).map(|at| at.saturating_duration_since(Instant::now())),
            failures: state.failures.get(item).cloned(),
        }
    }
}

/// How the work on a key ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing left.
    Done,
    /// To be looked at again after a while.
    After(Duration),
    /// It failed, and is tried again with back-off.
    Failed {
        /// What the server asked for (`Retry-After`).
        at_least: Duration,
        /// Why, for people.
        why: Box<str>,
    },
}

/// 0.5 s doubling to 60 s, jitter 20 %.
fn backoff(failures: u32) -> Duration {
    let base = 0.5 * f64::from(1_u32 << failures.saturating_sub(1).min(7));
    Duration::from_secs_f64(base.min(60.0) * rand::random_range(0.8..1.2))
}

impl State {
    fn tenant(&mut self, id: &Arc<str>) -> &mut Tenant {
        self.tenants.entry(id.clone()).or_insert_with(|| Tenant {
            weight: 10,
            credit: LANES.map(|(_, share)| share),
            ..Tenant::default()
        })
    }

    fn add(&mut self, item: Item, lane: Lane) {
        if self.processing.contains_key(&item) {
            self.again.insert(item, lane);
            return;
        }
        if self.queued.contains_key(&item) {
            return;
        }
        self.queued.insert(item.clone(), Instant::now());
        let id = item.tenant.clone();
        let tenant = self.tenant(&id);
        let empty = tenant.len() == 0;
        let n = LANES.iter().position(|(l, _)| *l == lane).unwrap_or(1);
        tenant.lanes[n].push_back(item);
        if empty && !self.ring.contains(&id) {
            self.ring.push_back(id);
        }
    }

    fn promote(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, number))) = self.later.peek().copied() {
            if at > now {
                break;
            }
            self.later.pop();
            if let Some((item, lane)) = self.due.remove(&number) {
                self.soonest.remove(&item);
                self.add(item, lane);
            }
        }
    }

    fn next(&mut self, share: usize) -> Option<(Item, Lane, Instant)> {
        self.promote();
        let others = self.ring.len() > 1;
        for _ in 0..self.ring.len() * 2 {
            let id = self.ring.front()?.clone();
            let Some(tenant) = self.tenants.get_mut(&id) else {
                self.ring.pop_front();
                continue;
            };
            if tenant.len() == 0 {
                tenant.deficit = 0;
                self.ring.pop_front();
                continue;
            }
            if tenant.deficit == 0 {
                tenant.deficit = tenant.weight;
                self.ring.rotate_left(1);
                if others {
                    continue;
                }
            }
            if others && tenant.inflight >= share {
                self.ring.rotate_left(1);
                continue;
            }
            let Some((item, lane)) = tenant.pop() else {
                self.ring.rotate_left(1);
                continue;
            };
            tenant.deficit -= 1;
            tenant.inflight += 1;
            let since = self.queued.remove(&item).unwrap_or_else(Instant::now);
            self.processing.insert(item.clone(), since);
            return Some((item, lane, since));
        }
        None
    }
}

/// The window of requests in flight towards one host (EN19).
#[derive(Debug)]
pub struct Window {
    size: f64,
}

impl Default for Window {
    fn default() -> Self {
        Self { size: 32.0 }
    }
}

impl Window {
    /// How many may be in flight.
    pub fn size(&self) -> usize {
        self.size as usize
    }

    /// A round trip without pushback.
    pub fn grow(&mut self) {
        self.size = (self.size + 1.0 / self.size.max(1.0)).min(256.0);
    }

    /// The host asked for less.
    pub fn shrink(&mut self) {
        self.size = (self.size * 0.7).max(8.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Kind;

    fn item(tenant: &str, n: usize) -> Item {
        Item { tenant: tenant.into(), what: What::Object(Key::new(Kind::Pod, "ns", &format!("p{n}"))) }
    }

    /// SY-18, its pure part: greedy tenants do not push the others behind more than their share.
    #[test]
    fn plan_sy18_order_of_service_is_fair() {
        let queue = Queue::default();
        for t in 0..10 {
            for n in 0..900 {
                queue.add(item(&format!("greedy{t}"), n), Lane::Change);
            }
        }
        for t in 0..40 {
            for n in 0..10 {
                queue.add(item(&format!("regular{t}"), n), Lane::Change);
            }
        }
        let mut regular_done = 0;
        let mut served = 0;
        while regular_done < 400 {
            let Some(next) = queue.next(64) else { break };
            served += 1;
            if next.tenant.starts_with("regular") {
                regular_done += 1;
            }
            queue.done(&next, 1, Outcome::Done);
        }
        // Equal weights: when a regular tenant is through, no greedy one has had more than a turn more.
        assert_eq!(regular_done, 400);
        assert!(served <= 400 + 10 * 20, "{served}");
    }

    #[test]
    fn plan_a_key_is_queued_once_and_never_worked_on_twice() {
        let queue = Queue::default();
        queue.add(item("t", 1), Lane::Change);
        queue.add(item("t", 1), Lane::Change);
        let one = queue.next(4).expect("queued");
        assert_eq!(queue.next(4), None);
        queue.add(item("t", 1), Lane::Change);
        assert_eq!(queue.next(4), None, "it is being worked on");
        queue.done(&one, 1, Outcome::Done);
        assert_eq!(queue.next(4), Some(one), "and looked at again");
    }

    /// EN18: lanes 8:4:1. SY-19, its pure part: the window shrinks and recovers within its bounds.
    #[test]
    fn plan_lanes_and_window() {
        let queue = Queue::default();
        for n in 0..100 {
            queue.add(item("t", n), Lane::Urgent);
            queue.add(item("t", 1000 + n), Lane::Patrol);
        }
        let first: Vec<Item> = (0..18).filter_map(|_| queue.next(100)).collect();
        let patrol = first.iter().filter(|i| matches!(&i.what, What::Object(k) if k.name.len() == 5)).count();
        assert_eq!(patrol, 2);
        let mut window = Window::default();
        for _ in 0..20 {
            window.shrink();
        }
        assert_eq!(window.size(), 8);
        for _ in 0..100_000 {
            window.grow();
        }
        assert_eq!(window.size(), 256);
    }
}
