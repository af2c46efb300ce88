//! The score (5.4): integer terms of −1000..1000, weighted and added up. `balance` is not here: it changes with
//! every pick and belongs to the greedy step.

pub(crate) mod lot;
pub(crate) mod sort;

use crate::capacity::ledger::Ledger;
use crate::capacity::tree::UNBOUNDED;
use crate::filter::taints;
use crate::filter::terms::Terms;
use crate::intern::Fleet;
use crate::types::{Prefer, PreferredBy, Request};
use sort::Sorts;
use std::borrow::Cow;

/// One term over the ranked members, for explanations.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) term: String,
    pub(crate) weight: i64,
    pub(crate) values: Vec<i64>,
}

/// Totals of the ranked members, and their terms when somebody wants to see them.
pub(crate) struct Totals {
    pub(crate) totals: Vec<i64>,
    pub(crate) columns: Vec<Column>,
}

/// What scoring reads.
pub(crate) struct Scoring<'s, 'a> {
    pub(crate) fleet: &'s Fleet<'a>,
    pub(crate) ledger: &'s Ledger<'a>,
    pub(crate) terms: &'s mut Terms<'a>,
    pub(crate) sorts: &'s mut Sorts,
    /// Whether to keep the terms.
    pub(crate) keep: bool,
}

impl<'a> Scoring<'_, 'a> {
    /// Scores members. `growth` is what one more copy would add on each, beyond what it holds already.
    pub(crate) fn score<'g>(
        &mut self,
        request: &Request,
        members: &[usize],
        growth: impl Fn(usize) -> Growth<'g>,
    ) -> Totals {
        let mut out = Totals { totals: vec![0; members.len()], columns: Vec::new() };
        for (i, preferred) in request.preferred.iter().enumerate() {
            let weight = i64::from(preferred.weight);
            match &preferred.by {
                PreferredBy::Term(term) => {
                    let matched = self.terms.matched(self.fleet, term);
                    let value = |m: usize| if matched.yes.has(m) { 1000 } else { 0 };
                    let values = members.iter().map(|m| value(*m));
                    out.add(self.keep, || format!("preferred[{i}]"), weight, values);
                }
                PreferredBy::Sort(sort) => {
                    let values = self.sorts.values(self.fleet, sort, members);
                    out.add(self.keep, || format!("sort[{i}] {}", sort.property), weight, values.into_iter());
                }
            }
        }
        let weights = &request.objective.weights;
        let weight = |name: &str, default: i32| i64::from(weights.get(name).copied().unwrap_or(default));
        let fit = weight("fit", if request.objective.prefer == Prefer::None { 0 } else { 20 });
        if fit != 0 {
            let pack = request.objective.prefer == Prefer::Pack;
            let values = members.iter().map(|m| self.fit(*m, &growth(*m), pack));
            out.add(self.keep, || "fit".to_owned(), fit, values);
        }
        let avoid = |m: &usize| {
            let disliked = self.fleet.disliked.has(*m)
                && taints::disliked(self.fleet.members[*m], &request.tolerations).is_some();
            if disliked { -1000 } else { 0 }
        };
        // Terms that are 0 for everybody are left out unless somebody wants to see them.
        if self.keep || !self.fleet.disliked.is_empty() {
            out.add(self.keep, || "avoid".to_owned(), weight("avoid", 20), members.iter().map(avoid));
        }
        let falls = |m: &usize| self.fleet.fallen.get(m).copied().unwrap_or(0);
        let restless = |m: &usize| -250 * i64::from(falls(m).min(4));
        if self.keep || !self.fleet.fallen.is_empty() {
            out.add(
                self.keep,
                || "restless".to_owned(),
                weight("restless", 10),
                members.iter().map(restless),
            );
        }
        out
    }

    /// How full the fullest of what the need touches would be, in thousandths; 1000 minus that unless packing.
    fn fit(&self, member: usize, growth: &Growth<'_>, pack: bool) -> i64 {
        if !self.ledger.tree.known[member] {
            return 0;
        }
        // Of all parts the largest is found by products, so that one division is enough.
        let (mut part, mut whole) = (0_i64, 1_i64);
        for node in &self.fleet.paths[member] {
            for (resource, need) in growth.need.iter().enumerate() {
                if *need <= 0 {
                    continue;
                }
                let (load, ceiling) = self.ledger.load(*node, resource);
                if ceiling == UNBOUNDED {
                    continue;
                }
                let after = load.saturating_add(need - growth.has(resource).min(*need)).max(0);
                if ceiling <= 0 {
                    (part, whole) = (1, 1);
                } else if i128::from(after) * i128::from(whole) > i128::from(part) * i128::from(ceiling) {
                    (part, whole) = (after, ceiling);
                }
            }
        }
        let fullest = thousandths(part, whole).min(1000);
        if pack { fullest } else { 1000 - fullest }
    }
}

/// ⌈1000 × part ÷ whole⌉.
fn thousandths(part: i64, whole: i64) -> i64 {
    if whole <= 0 {
        return 1000;
    }
    match part.checked_mul(1000) {
        Some(scaled) => scaled / whole + i64::from(scaled % whole != 0),
        None => i64::try_from((i128::from(part) * 1000 + i128::from(whole) - 1) / i128::from(whole))
            .unwrap_or(i64::MAX),
    }
}

/// What a copy needs on a member, and what the member holds for it already.
pub(crate) struct Growth<'s> {
    pub(crate) need: Cow<'s, [i64]>,
    pub(crate) held: Option<&'s [i64]>,
}

impl Growth<'_> {
    fn has(&self, resource: usize) -> i64 {
        self.held.map_or(0, |h| h[resource])
    }
}

impl Totals {
    fn add(&mut self, keep: bool, term: impl Fn() -> String, weight: i64, values: impl Iterator<Item = i64>) {
        if weight == 0 && !keep {
            return;
        }
        if keep {
            let values: Vec<i64> = values.collect();
            self.totals.iter_mut().zip(&values).for_each(|(t, v)| *t += weight * v);
            self.columns.push(Column { term: term(), weight, values });
        } else {
            self.totals.iter_mut().zip(values).for_each(|(t, v)| *t += weight * v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::thousandths;

    #[test]
    fn thousandths_round_up_and_never_overflow() {
        assert_eq!(thousandths(1, 3), 334);
        assert_eq!(thousandths(0, 3), 0);
        assert_eq!(thousandths(3, 3), 1000);
        assert_eq!(thousandths(5, 0), 1000);
        assert_eq!(thousandths(i64::MAX, i64::MAX), 1000);
    }
}
