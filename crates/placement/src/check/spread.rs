//! I5: no hard spread made worse. Domains that hold nobody before and after are not looked at: who could have gone
//! there is the planner's business.

use super::{Facts, Violation, violation};
use crate::types::{
    Decision, Member, MemberId, OutCause, ReplicasMode, Request, Spread, Step, Unsatisfiable,
};
use std::collections::{BTreeMap, BTreeSet};

type Counts = BTreeMap<String, u32>;

pub(super) fn check(facts: &Facts<'_>, found: &mut Vec<Violation>) {
    for (request, decision) in facts.live() {
        // A forced loss may unbalance; a divided workload leaves out members without replicas.
        let forced = decision.drops.iter().any(|d| d.cause != OutCause::ScaleIn);
        if forced || request.replicas.mode == ReplicasMode::Divided {
            continue;
        }
        for rule in request.spread.iter().filter(|s| s.when_unsatisfiable == Unsatisfiable::DoNotSchedule) {
            one(facts, request, decision, rule, found);
        }
    }
}

fn one(facts: &Facts<'_>, request: &Request, decision: &Decision, rule: &Spread, found: &mut Vec<Violation>) {
    if computed(&rule.topology) {
        return;
    }
    let before = count(facts, facts.bound(&request.id).map(|h| &h.member), &rule.topology);
    let after = count(facts, decision.picks.iter().map(|p| &p.member), &rule.topology);
    let domains: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let (was, is) = (skew(&before, &domains), skew(&after, &domains));
    if is > rule.max_skew.max(was) {
        found.push(violation("I5", &request.id, format!("{}: skew {was} becomes {is}", rule.topology)));
    }
    let opened =
        after.len() > before.len() && rule.max_domains > 0 && after.len() > rule.max_domains as usize;
    if opened {
        found.push(violation("I5", &request.id, format!("{}: {} domains", rule.topology, after.len())));
    }
    for pick in decision.picks.iter().filter(|p| p.step == Step::Add) {
        if domain(facts, &pick.member, &rule.topology).is_none() {
            found.push(violation("I5", &request.id, format!("{} has no {}", pick.member, rule.topology)));
        }
    }
}

fn skew(counts: &Counts, domains: &BTreeSet<&String>) -> u32 {
    let of = |d: &&String| counts.get(*d).copied().unwrap_or(0);
    let most = domains.iter().map(&of).max().unwrap_or(0);
    most - domains.iter().map(of).min().unwrap_or(0)
}

fn count<'m>(facts: &Facts<'_>, members: impl Iterator<Item = &'m MemberId>, topology: &str) -> Counts {
    let mut counts = Counts::new();
    for domain in members.filter_map(|m| domain(facts, m, topology)) {
        *counts.entry(domain).or_insert(0) += 1;
    }
    counts
}

fn domain(facts: &Facts<'_>, member: &MemberId, topology: &str) -> Option<String> {
    let m: &Member = facts.members.get(member)?;
    match topology {
        "skerry.dev/member" => Some(member.to_string()),
        "skerry.dev/host" => {
            let mut at = m;
            for _ in 0..facts.members.len() {
                match at.parents.first().and_then(|p| facts.members.get(p)) {
                    Some(parent) if parent.id != m.id => at = parent,
                    _ => break,
                }
            }
            Some(at.id.to_string())
        }
        _ => m.labels.get(topology).or_else(|| m.properties.get(topology)).cloned(),
    }
}

/// Properties that the planner computes; the checker does not repeat their formulas.
fn computed(topology: &str) -> bool {
    let named = ["nodes-ready", "price-cpu-hour", "price-gib-hour", "kubernetes-version"];
    let prefixed = ["available-", "allocatable-", "instance-type/"];
    named.contains(&topology) || prefixed.iter().any(|p| topology.starts_with(p))
}
