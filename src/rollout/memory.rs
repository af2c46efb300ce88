//! What the executor remembers of a binding between passes. Without it everything still works: what is lost by a
//! restart is found out again from the member.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::compare::Diff;
use super::retry::Retry;
use crate::placement::Resolved;

/// Memory of one binding.
#[derive(Default)]
pub struct Kept {
    /// What was delivered last as a whole, with the shares it had.
    last: Option<(Arc<Resolved>, Value)>,
    /// By key of the object.
    objects: BTreeMap<String, Known>,
}

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

    /// Forgets objects that the binding has no more.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.objects.retain(|key, _| keep(key));
    }
}
