//! I1: no node above its ceiling by this plan. I15: what is Draining keeps its promise, so the ledger's figures are
//! those that the bindings give.

use super::{Facts, Violation};
use crate::types::{Capacity, Member, MemberId, RequestId, Resources, binding_label};
use std::collections::{BTreeMap, BTreeSet};

/// Open promises by node and resource.
type Open<'a> = BTreeMap<(&'a MemberId, String), i64>;

pub(super) fn check(facts: &Facts<'_>, found: &mut Vec<Violation>) {
    let before = open(facts, facts.held.iter().map(|((r, m), h)| (*r, *m, &h.promise)));
    let after = open(facts, promises_after(facts).into_iter().map(|((r, m), p)| (r, m, p)));
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let amount = |of: &Open<'_>, key: &(&MemberId, String)| of.get(key).copied().unwrap_or(0);
    let rows: BTreeMap<(&MemberId, &str), (i64, i64)> =
        facts.plan.ledger.0.iter().map(|r| ((&r.node, r.resource.as_str()), (r.before, r.after))).collect();
    let mut expected = 0;
    for key in keys {
        let (was, is) = (amount(&before, key), amount(&after, key));
        if let Some(free) = free(facts.members[key.0], &key.1)
            && is > was
            && is > free
        {
            let detail = format!("{} of {}: {is} promised, {free} there", key.1, key.0);
            found.push(Violation { id: "I1", request: None, detail });
        }
        if was != is {
            expected += 1;
            if rows.get(&(key.0, key.1.as_str())) != Some(&(was, is)) {
                let detail = format!("{} of {}: the bindings give {was} then {is}", key.1, key.0);
                found.push(Violation { id: "I15", request: None, detail });
            }
        }
    }
    if rows.len() > expected {
        let detail = format!("{} ledger rows, {expected} promises changed", rows.len());
        found.push(Violation { id: "I15", request: None, detail });
    }
}

/// Promises by binding once the plan is carried out: picks as planned, all others as before.
fn promises_after<'a>(facts: &Facts<'a>) -> BTreeMap<(&'a RequestId, &'a MemberId), &'a Resources> {
    let mut promises: BTreeMap<_, _> = facts.held.iter().map(|(key, h)| (*key, &h.promise)).collect();
    for decision in facts.decisions.values() {
        for pick in &decision.picks {
            promises.insert((&decision.request, &pick.member), &*pick.promise);
        }
    }
    promises
}

fn open<'a>(
    facts: &Facts<'a>,
    promises: impl Iterator<Item = (&'a RequestId, &'a MemberId, &'a Resources)>,
) -> Open<'a> {
    let mut out = Open::new();
    for (request, member, promise) in promises {
        for node in path(facts, member) {
            let seen = seen(node, request, member);
            for (resource, amount) in &promise.0 {
                let open = (amount - seen.get(resource)).max(0);
                if open > 0 {
                    *out.entry((&node.id, resource.clone())).or_insert(0) += open;
                }
            }
        }
    }
    out
}

/// A member and everything below it, each once.
fn path<'a>(facts: &Facts<'a>, member: &MemberId) -> Vec<&'a Member> {
    let mut out: Vec<&Member> = facts.members.get(member).copied().into_iter().collect();
    let mut next = 0;
    while next < out.len() {
        for parent in out[next].parents.iter().filter_map(|p| facts.members.get(p).copied()) {
            if !out.iter().any(|m| m.id == parent.id) {
                out.push(parent);
            }
        }
        next += 1;
    }
    out
}

/// What a node's report counts as pods of one binding.
fn seen(node: &Member, request: &RequestId, member: &MemberId) -> Resources {
    let mut sum = Resources::default();
    if let Capacity::Known(figures) = &node.report.capacity
        && figures.seen.iter().any(|s| s.member == *member)
    {
        let label = binding_label(request, &member.0);
        let mine = figures.seen.iter().filter(|s| s.member == *member && s.label == label);
        mine.for_each(|s| sum.add(&s.requests, 1));
    }
    sum
}

/// What a node's own report leaves of a resource; `None` = unbounded.
fn free(node: &Member, resource: &str) -> Option<i64> {
    let Capacity::Known(figures) = &node.report.capacity else { return None };
    let bound = figures.ceiling.0.get(resource).copied();
    let none_there = node.parents.is_empty() && resource != "pods";
    bound.or(none_there.then_some(0)).map(|ceiling| ceiling - figures.used.get(resource))
}
