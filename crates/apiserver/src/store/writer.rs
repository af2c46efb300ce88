//! The writer of a shard: takes what gathered, makes it durable, then shows it (K5, K6, K13).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::backend::{Batch, StoreFault};
use super::clock::millis;
use super::intent::{CommitError, Committed};
use super::plan::{Plan, Prepared, Reply, TenantPlan};
use super::shard::{Control, Gather, Health, Shard, Turn};
use super::tenant::TenantState;
use super::touch::Touch;
use crate::tenant::TenantId;

/// How often a full disk is tried again, at most.
const RETRY: Duration = Duration::from_millis(250);

/// Batches of the durable log that may have to be trimmed: last sequence number, time, bytes.
#[derive(Default)]
pub(super) struct LogWindow {
    batches: VecDeque<(u64, u64, usize)>,
    bytes: usize,
}

impl LogWindow {
    pub fn push(&mut self, seq: u64, at: u64, bytes: usize) {
        self.batches.push_back((seq, at, bytes));
        self.bytes += bytes;
    }

    /// The last sequence number that is no longer needed.
    fn overdue(&mut self, oldest: u64, budget: usize) -> Option<u64> {
        let mut upto = None;
        while let Some((seq, at, bytes)) = self.batches.front().copied() {
            if at > oldest && self.bytes <= budget {
                break;
            }
            self.bytes -= bytes;
            self.batches.pop_front();
            upto = Some(seq);
        }
        upto
    }
}

pub(super) struct Writer {
    shard: Arc<Shard>,
    /// The last sequence number given away; the last one known to be durable.
    seq: u64,
    durable: u64,
    log: LogWindow,
    /// Tenants that have history to forget.
    active: HashMap<TenantId, Arc<TenantState>>,
    swept: Instant,
    tried: Instant,
    gather: Gather,
}

/// Replies of a batch, sent when its fate is known.
struct Replies {
    intents: Vec<(Reply, Committed)>,
    heads: Vec<tokio::sync::oneshot::Sender<Result<(), CommitError>>>,
}

impl Writer {
    pub fn new(shard: Arc<Shard>, seq: u64, log: LogWindow) -> Self {
        let now = Instant::now();
        Self {
            shard,
            seq,
            durable: seq,
            log,
            active: HashMap::new(),
            swept: now,
            tried: now,
            gather: Gather::default(),
        }
    }

    pub fn run(mut self) {
        let sweep = self.shard.config.sweep;
        loop {
            let idle =
                self.active.is_empty() && self.log.batches.is_empty() && self.shard.feed.read().is_idle();
            match self.shard.next_turn((!idle).then_some(sweep), self.gather) {
                Turn::Work(controls, intents) => self.work(controls, intents),
                Turn::Sweep => {}
                Turn::Close => return,
            }
            if self.swept.elapsed() >= sweep {
                self.sweep();
            }
        }
    }

    fn work(&mut self, controls: Vec<Control>, intents: Vec<Prepared>) {
        if let Err(refusal) = self.ready() {
            for control in controls {
                refuse(control, &refusal);
            }
            for intent in intents {
                let _ = intent.reply.send(Err(refusal.clone()));
            }
            return;
        }
        let clock = &self.shard.config.clock;
        let mut plan = Plan::new(self.seq, clock.now(), clock.wall());
        let mut replies = Replies { intents: Vec::new(), heads: Vec::new() };
        let mut drops = Vec::new();
        for control in controls {
            match control {
                Control::Head { row, created, reply } => {
                    if created {
                        plan.batch.seq += 1;
                        plan.batch.created.push((plan.batch.seq, row.id));
                    }
                    plan.batch.heads.push(row);
                    replies.heads.push(reply);
                }
                Control::Drop { tenant, max, reply } => drops.push((tenant, max, reply)),
            }
        }
        for Prepared { state, writes, exempt, reply, .. } in intents {
            match plan.add(&state, writes, exempt) {
                Ok(committed) => replies.intents.push((reply, committed)),
                // Nobody waits any more, or is told.
                Err(refusal) => drop(reply.send(Err(refusal))),
            }
        }
        self.write(plan, replies);
        for (tenant, max, reply) in drops {
            let outcome = self.shard.store.drop_tenant(tenant, max).map_err(|fault| self.fail(fault));
            self.active.remove(&tenant);
            let _ = reply.send(outcome);
        }
    }

    /// Whether a batch may be tried: never again after a failure, after a full disk when there is room.
    fn ready(&mut self) -> Result<(), CommitError> {
        match self.shard.health() {
            Health::Ready => Ok(()),
            Health::Failed(reason) => Err(CommitError::Failed(reason)),
            Health::Full if self.tried.elapsed() < RETRY => Err(CommitError::Full),
            Health::Full => {
                self.tried = Instant::now();
                match self.resume()? {
                    seq if seq == self.durable => Ok(()),
                    seq => Err(self.moved_to(seq)),
                }
            }
        }
    }

    /// Opens the backend anew and says which sequence number is durable there.
    fn resume(&mut self) -> Result<u64, CommitError> {
        match self.shard.store.reopen() {
            Ok(position) => Ok(position.seq),
            Err(StoreFault::Full) => Err(CommitError::Full),
            Err(fault) => Err(self.fail(fault)),
        }
    }

    /// The backend is neither where it was nor where the batch would have brought it.
    fn moved_to(&self, seq: u64) -> CommitError {
        let durable = self.durable;
        self.fail(StoreFault::Failed(format!("after a full disk the store is at {seq}, not at {durable}")))
    }

    fn fail(&self, fault: StoreFault) -> CommitError {
        let reason = fault.to_string();
        self.shard.fail(&reason);
        CommitError::Failed(reason)
    }

    fn write(&mut self, plan: Plan, replies: Replies) {
        // Given away for good, whatever becomes of the batch (K5).
        plan.tenants.iter().for_each(TenantPlan::note_assigned);
        self.seq = plan.batch.seq;
        if plan.batch.is_empty() {
            return replies.committed();
        }
        let began = Instant::now();
        let outcome = match self.shard.store.commit(&plan.batch) {
            Err(StoreFault::Full) => self.after_full(&plan.batch),
            Err(fault) => Err(self.fail(fault)),
            Ok(()) => Ok(()),
        };
        match outcome {
            Ok(()) => {
                self.durable = plan.batch.seq;
                self.gather = gather(replies.intents.len(), began.elapsed());
                self.shard.set_health(Health::Ready);
                let window: usize = plan.batch.rows.iter().map(|row| row.key.name.as_str().len() + 64).sum();
                let bodies: usize =
                    plan.tenants.iter().flat_map(|tenant| &tenant.changes).map(|change| change.cost()).sum();
                self.log.push(plan.batch.seq, self.shard.config.clock.now(), window + bodies);
                self.publish(plan);
                replies.committed();
            }
            Err(refusal) => replies.refused(&refusal),
        }
    }

    /// The disk was full: the backend is opened anew to see whether the batch is there or not.
    fn after_full(&mut self, batch: &Batch) -> Result<(), CommitError> {
        self.tried = Instant::now();
        self.shard.set_health(Health::Full);
        match self.resume()? {
            seq if seq == batch.seq => Ok(()),
            seq if seq == self.durable => Err(CommitError::Full),
            seq => Err(self.moved_to(seq)),
        }
    }

    /// Shows a durable batch: roots, history, wildcard feed, notices, in this order for every reader.
    fn publish(&mut self, plan: Plan) {
        let Plan { batch, tenants, .. } = plan;
        let config = &self.shard.config;
        let now = config.clock.now();
        let mut wakes = Vec::new();
        let mut touched = Vec::new();
        let mut feed = self.shard.feed.write();
        for (seq, id) in &batch.created {
            let shown = batch.heads.iter().any(|row| row.id == *id && row.in_wildcard);
            if let Some(state) = self.shard.state(*id) {
                state.made.store(true, Ordering::Release);
            }
            if shown {
                feed.push_created(now, *seq, *id);
                wakes.extend(feed.wakes().into_iter().map(|wake| (wake, *seq)));
            }
        }
        for TenantPlan { state, root, changes, .. } in tenants {
            if changes.is_empty() {
                continue;
            }
            let rv = root.rv;
            let mut history = state.history.write();
            state.root.store(Arc::new(root));
            wakes.extend(history.publish(rv, &changes));
            history.trim(now, state.limits.load().history_bytes, config);
            drop(history);
            state.moved.notify_waiters();
            if state.in_wildcard {
                for change in &changes {
                    if let Some(wake) = feed.push(state.id, change.clone()) {
                        wakes.push((wake, batch.seq));
                    }
                }
            }
            touched.push((state.clone(), changes));
            self.active.insert(state.id, state);
        }
        feed.seq = batch.seq;
        feed.trim(now.saturating_sub(millis(config.max_age)), config.shard_bytes);
        drop(feed);
        for (wake, position) in wakes {
            wake.send_replace(position);
        }
        self.notify(touched);
    }

    fn notify(&self, touched: Vec<(Arc<TenantState>, Vec<super::event::Change>)>) {
        if self.shard.touches.receiver_count() == 0 {
            return;
        }
        for (state, changes) in touched {
            for change in changes {
                let touch = Touch {
                    tenant: state.id,
                    resource: change.key.resource.clone(),
                    name: change.key.name.clone(),
                    change,
                };
                // The last receiver may have gone meanwhile.
                let _ = self.shard.touches.send(touch);
            }
        }
    }

    /// Forgets what is too old while nothing is written.
    fn sweep(&mut self) {
        self.swept = Instant::now();
        let config = &self.shard.config;
        let (now, oldest) = (config.clock.now(), self.shard.oldest());
        self.active.retain(|_, state| {
            let mut history = state.history.write();
            history.trim(now, state.limits.load().history_bytes, config);
            !history.is_idle() && state.ended().is_none()
        });
        self.shard.feed.write().trim(oldest, config.shard_bytes);
        if self.shard.health() != Health::Ready {
            return;
        }
        if let Some(upto) = self.log.overdue(oldest, config.shard_bytes) {
            match self.shard.store.trim(upto) {
                Ok(()) => {}
                Err(StoreFault::Full) => self.shard.set_health(Health::Full),
                Err(fault) => drop(self.fail(fault)),
            }
        }
    }
}

impl Drop for Writer {
    /// However it ends, nobody waits for a writer that is gone.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shard.fail("the writer stopped");
        }
        self.shard.abandon();
    }
}

impl Replies {
    fn committed(self) {
        for (reply, committed) in self.intents {
            let _ = reply.send(Ok(committed));
        }
        for reply in self.heads {
            let _ = reply.send(Ok(()));
        }
    }

    fn refused(self, refusal: &CommitError) {
        for (reply, _) in self.intents {
            let _ = reply.send(Err(refusal.clone()));
        }
        for reply in self.heads {
            let _ = reply.send(Err(refusal.clone()));
        }
    }
}

/// A quarter of the last sync for as many intents as it answered; nothing where that is not worth a wait.
fn gather(answered: usize, took: Duration) -> Gather {
    let at_most = (took / 4).min(Duration::from_micros(500));
    match answered {
        2.. if at_most >= Duration::from_micros(20) => Gather { want: answered, at_most },
        _ => Gather::default(),
    }
}

fn refuse(control: Control, refusal: &CommitError) {
    match control {
        Control::Head { reply, .. } => drop(reply.send(Err(refusal.clone()))),
        Control::Drop { reply, .. } => drop(reply.send(Err(refusal.clone()))),
    }
}
