//! What the executor remembers of a binding between passes. Without it everything still works: what is lost by a
//! restart is found out again from the member.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::compare::Diff;
use super::retry::{self, Retry};
use super::status::Delivered;
use crate::placement::{Placed, Resolved};

/// Memory of one binding.
#[derive(Default)]
pub struct Kept {
    /// What was delivered last as a whole, with the shares it had.
    last: Option<(Arc<Resolved>, Value)>,
    /// By key of the object.
    objects: BTreeMap<String, Known>,
    /// The last look at the member.
    look: Option<Look>,
    /// Looks in a row that left something undone.
    tries: u32,
}

/// What a look at the member was for; while that is the same, and nothing is told of the member, it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Purpose {
    /// Of the binding.
    pub generation: Option<i64>,
    /// Of what is carried.
    pub revision: String,
    /// `spec.delivery`.
    pub delivery: Value,
}

impl Purpose {
    /// Of a binding of a Placement that carries this.
    pub fn of(placement: &Placed, resolved: &Resolved, binding: &Value) -> Self {
        Self {
            generation: binding["metadata"]["generation"].as_i64(),
            revision: resolved.revision.clone(),
            delivery: placement.spec()["delivery"].clone(),
        }
    }
}

/// A look at the member.
struct Look {
    purpose: Purpose,
    outcome: Delivered,
    until: Instant,
}

/// After so long everything is looked at again, whatever was told.
const NET: Duration = Duration::from_secs(600);
/// Longest wait for what a try or two may bring about.
const UNDONE: Duration = Duration::from_secs(30);
/// After drift was mended: so long it stays on record.
const MENDED: Duration = Duration::from_secs(5);

/// Memory of one object of a binding.
#[derive(Default)]
pub struct Known {
    /// Refusals in a row.
    pub retry: Retry,
    /// Differences that the member's server makes of what is applied: another way to write the same.
    pub normal: Vec<Diff>,
}

impl Kept {
    /// Revision and shares of the last whole delivery.
    pub fn last(&self) -> Option<(&Resolved, &Value)> {
        self.last.as_ref().map(|(resolved, shares)| (&**resolved, shares))
    }

    /// Notes a whole delivery.
    pub fn delivered(&mut self, resolved: &Arc<Resolved>, shares: &Value) {
        self.last = Some((resolved.clone(), shares.clone()));
    }

    /// Memory of an object.
    pub fn object(&mut self, key: &str) -> &mut Known {
        self.objects.entry(key.to_owned()).or_default()
    }

    /// The last outcome, if it was for the same and its time is not over.
    pub fn outcome(&self, purpose: &Purpose, now: Instant) -> Option<&Delivered> {
        let look = self.look.as_ref().filter(|l| l.purpose == *purpose && now < l.until)?;
        Some(&look.outcome)
    }

    /// Notes what a look came to, and when the next one is due. `spread` sets the nets of bindings apart.
    pub fn looked(&mut self, purpose: Purpose, outcome: &Delivered, now: Instant, spread: &str) {
        let undone = outcome.unreachable.is_some() || !outcome.failing.is_empty() || outcome.incomplete;
        self.tries = if undone { self.tries.saturating_add(1) } else { 0 };
        let mut wait = NET.mul_f64(retry::factor(spread, 0));
        if undone {
            wait = wait.min(self.step());
        }
        if !outcome.drift.is_empty() && outcome.held == 0 {
            wait = wait.min(MENDED);
        }
        if !outcome.progressing.is_empty() {
            wait = wait.min(UNDONE);
        }
        let mut until = now + wait;
        if let Some(due) = self.objects.values().filter_map(|known| known.retry.due()).min() {
            until = until.min(due);
        }
        self.look = Some(Look { purpose, outcome: outcome.clone(), until });
    }

    /// Notes a removal that did not come to an end; the next try is due then.
    pub fn stuck(&mut self, now: Instant) {
        self.tries = self.tries.saturating_add(1);
        let until = now + self.step();
        let purpose = Purpose { generation: None, revision: String::new(), delivery: Value::Null };
        self.look = Some(Look { purpose, outcome: Delivered::default(), until });
    }

    /// Whether the time of the last look is not over.
    pub fn rests(&self, now: Instant) -> bool {
        self.due().is_some_and(|until| now < until)
    }

    /// When the next look is due.
    pub fn due(&self) -> Option<Instant> {
        self.look.as_ref().map(|look| look.until)
    }

    fn step(&self) -> Duration {
        Duration::from_secs(1 << self.tries.saturating_sub(1).min(5)).min(UNDONE)
    }

    /// Forgets objects that the binding has no more.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.objects.retain(|key, _| keep(key));
    }
}
