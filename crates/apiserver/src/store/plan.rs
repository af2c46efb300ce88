//! What a batch will do: expectations and limits are judged here, RVs and sequence numbers are given (K5, K6).
//! No I/O; nothing of it is shown until the batch is durable.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::backend::{Batch, Row, RowOp};
use super::event::{Change, ChangeKind};
use super::intent::{CommitError, Committed, Expect, Intent, Op};
use super::key::Key;
use super::record::{Record, canonical};
use super::snapshot::visible;
use super::table::{Root, Slot};
use super::tenant::TenantState;
use crate::tenant::TenantId;

pub(super) type Reply = oneshot::Sender<Result<Committed, CommitError>>;

/// An intent with its bodies in stored form: made by the caller, so that the writer only decides.
pub(super) struct Prepared {
    pub state: Arc<TenantState>,
    pub writes: Vec<PreparedWrite>,
    pub exempt: bool,
    pub bytes: usize,
    pub reply: Reply,
}

pub(super) struct PreparedWrite {
    key: Key,
    expect: Expect,
    op: PreparedOp,
}

enum PreparedOp {
    Put(Record),
    /// Last state to show: canonical bytes and where the RV goes.
    Delete(Option<(Vec<u8>, u32)>),
}

impl Prepared {
    pub fn new(state: Arc<TenantState>, intent: Intent, reply: Reply) -> Self {
        let Intent { writes, exempt } = intent;
        let mut bytes = 0;
        let prepare = |write: super::intent::Write| {
            let op = match write.op {
                Op::Put { tree, index } => PreparedOp::Put(Record::from_tree(&tree, index)),
                Op::PutRecord(record) => PreparedOp::Put(record),
                Op::Delete { last } => PreparedOp::Delete(last.map(|tree| canonical(&tree))),
            };
            bytes += match &op {
                PreparedOp::Put(record) => record.size(),
                PreparedOp::Delete(last) => last.as_ref().map_or(0, |(body, _)| body.len()),
            };
            PreparedWrite { key: write.key, expect: write.expect, op }
        };
        let writes = writes.into_iter().map(prepare).collect();
        Self { state, writes, exempt, bytes, reply }
    }
}

/// A write that may happen.
struct Step {
    key: Key,
    prev: Option<Record>,
    /// `None` deletes.
    next: Option<Record>,
    /// State shown with a deletion, where it is not `prev`.
    last: Option<Record>,
}

/// A tenant in the batch: its next root and the changes that lead there.
pub(super) struct TenantPlan {
    pub state: Arc<TenantState>,
    pub root: Root,
    pub changes: Vec<Change>,
    next_rv: u64,
}

/// A batch being made.
pub(super) struct Plan {
    pub batch: Batch,
    pub tenants: Vec<TenantPlan>,
    places: HashMap<TenantId, usize>,
    now: u64,
}

impl Plan {
    /// Begins after `seq`.
    pub fn new(seq: u64, now: u64, wall: u64) -> Self {
        let batch = Batch { seq, at: wall, ..Batch::default() };
        Self { batch, tenants: Vec::new(), places: HashMap::new(), now }
    }

    /// Adds an intent or says why not; in that case the plan is as before.
    pub fn add(
        &mut self,
        state: &Arc<TenantState>,
        writes: Vec<PreparedWrite>,
        exempt: bool,
    ) -> Result<Committed, CommitError> {
        if state.ended().is_some() {
            return Err(CommitError::TenantGone);
        }
        let place = *self.places.entry(state.id).or_insert_with(|| {
            let root = Root::clone(&state.root.load());
            let next_rv = root.rv.max(state.assigned.load(Ordering::Relaxed)) + 1;
            self.tenants.push(TenantPlan { state: state.clone(), root, changes: Vec::new(), next_rv });
            self.tenants.len() - 1
        });
        let tenant = &mut self.tenants[place];
        let steps = judge(tenant, writes)?;
        if !exempt {
            within_limits(tenant, &steps)?;
        }
        let rvs = steps.into_iter().map(|step| apply(tenant, &mut self.batch, step, self.now)).collect();
        Ok(Committed { rvs })
    }
}

/// Checks every expectation against the tenant's objects and the writes before it.
fn judge(tenant: &TenantPlan, writes: Vec<PreparedWrite>) -> Result<Vec<Step>, CommitError> {
    let mut steps: Vec<Step> = Vec::with_capacity(writes.len());
    for PreparedWrite { key, expect, op } in writes {
        let prev = match steps.iter().rev().find(|step| step.key == key) {
            // Its RV is given later: an intent cannot expect the RV of its own write.
            Some(step) => step.next.clone(),
            None => visible(&tenant.root, &tenant.state.layer, &key),
        };
        match (expect, &prev) {
            (Expect::Absent, Some(_)) => return Err(CommitError::AlreadyExists(key)),
            (Expect::Rv(_), None) => return Err(CommitError::Missing(key)),
            (Expect::Rv(rv), Some(prev)) if prev.rv() != rv => {
                return Err(CommitError::Conflict { key, current: prev.rv() });
            }
            _ => {}
        }
        let step = match op {
            PreparedOp::Put(record) => Step { key, prev, next: Some(record), last: None },
            PreparedOp::Delete(last) => {
                let Some(prev) = prev else { return Err(CommitError::Missing(key)) };
                let index = prev.index().clone();
                let last = last.map(|(body, splice)| Record::from_parts(0, body, splice, index));
                Step { key, prev: Some(prev), next: None, last }
            }
        };
        steps.push(step);
    }
    Ok(steps)
}

/// Q9: what adds objects or bytes must fit; what removes or shrinks always may.
fn within_limits(tenant: &TenantPlan, steps: &[Step]) -> Result<(), CommitError> {
    let limits = tenant.state.limits.load();
    let created = steps.iter().filter(|step| step.prev.is_none()).count() as u64;
    let deleted = steps.iter().filter(|step| step.next.is_none()).count() as u64;
    let before: u64 = steps.iter().filter_map(|step| step.prev.as_ref()).map(|r| r.size() as u64).sum();
    let after: u64 = steps.iter().filter_map(|step| step.next.as_ref()).map(|r| r.size() as u64).sum();
    let fits = |name, requested: u64, used: u64, limited: u64| {
        if requested > 0 && used + requested > limited {
            return Err(CommitError::Limit { name, requested, used, limited });
        }
        Ok(())
    };
    fits("objects", created.saturating_sub(deleted), tenant.root.objects, limits.objects)?;
    fits("bytes", after.saturating_sub(before), tenant.root.bytes, limits.bytes)
}

/// Gives the write its numbers and puts it into the tenant's next root and into the batch.
fn apply(tenant: &mut TenantPlan, batch: &mut Batch, step: Step, now: u64) -> u64 {
    let Step { key, prev, next, last } = step;
    let rv = tenant.next_rv;
    tenant.next_rv += 1;
    batch.seq += 1;
    // A state written earlier in the same intent has its RV by now.
    let prev = prev.map(|prev| match prev.rv() {
        0 => visible(&tenant.root, &tenant.state.layer, &key).unwrap_or(prev),
        _ => prev,
    });
    let in_base = tenant.state.layer.contains(&key.resource, &key.name);
    let before = tenant.root.table(&key.resource).map_or(0, |table| table.last_rv);
    let next = next.map(|record| record.with_rv(rv));
    let last = last.map(|record| record.with_rv(rv));
    let (kind, op, slot) = match (&next, &prev) {
        (Some(record), Some(_)) => {
            (ChangeKind::Modified, RowOp::Put(record.clone()), Some(Slot::Live(record.clone())))
        }
        (Some(record), None) => {
            (ChangeKind::Added, RowOp::Put(record.clone()), Some(Slot::Live(record.clone())))
        }
        (None, _) if in_base => (ChangeKind::Deleted, RowOp::Whiteout { rv }, Some(Slot::Whiteout)),
        (None, _) => (ChangeKind::Deleted, RowOp::Remove, None),
    };
    tenant.root.set(&key.resource, &key.name, slot, in_base, rv);
    let shown = next.or_else(|| last.clone()).or_else(|| prev.as_ref().map(|prev| prev.with_rv(rv)));
    if let Some(shown) = shown {
        tenant.changes.push(Change::new((rv, batch.seq, now), kind, key.clone(), shown, prev.clone()));
    }
    batch.rows.push(Row { tenant: tenant.state.id, key, seq: batch.seq, rv, kind, op, prev, last, before });
    rv
}

impl TenantPlan {
    /// RVs of this batch are given away, whatever becomes of it.
    pub fn note_assigned(&self) {
        self.state.assigned.store(self.next_rv - 1, Ordering::Relaxed);
    }
}
