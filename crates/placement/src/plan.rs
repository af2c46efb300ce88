//! The cycle (5.3): requests in G3 order, each decided against one ledger; then the plan is written down.

use crate::cycle::{Binding, Cycle};
use crate::decide::Draft;
use crate::digest::{input_digest, plan_digest};
use crate::release::OUT_OF_SIGHT;
use crate::types::{
    Decision, Drop, Held, Input, LedgerDelta, LedgerRow, Millis, Mode, OutCause, Outcome, Pick, Plan,
    Rejected, Request, RequestId, Resources, SelectCount, Share, State, Step, Tally, Tight, Verdict,
};
use crate::whatif::edited;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// After so long a wait age goes before size (G3).
const PATIENCE: Millis = 60_000;
/// Most passes of one cycle; each but the last gave something to a request that waited.
const PASSES: usize = 32;

/// Decides the evaluated requests of an input: the one entry point, live, for what-if, explanation and replay.
///
/// **Guarantees**: the same input gives the same plan, whatever the order of its lists. No node of the capacity tree
/// is pushed over its ceiling. A binding is let go only with a cause. Planning again on the result, at the same time,
/// gives an empty plan.
pub fn plan(input: &Input<'_>, parent: &Plan) -> Plan {
    if input.changes.is_empty() {
        return Cycle::new(input).run(None).plan(parent);
    }
    let edited = edited(input);
    Cycle::new(&edited.input()).run(None).plan(parent)
}

/// A cycle that has run.
pub(crate) struct Done<'a> {
    pub(crate) cycle: Cycle<'a>,
    decisions: BTreeMap<usize, (Outcome, Tally)>,
    /// The last evaluation of the request that was watched.
    pub(crate) watched: Option<Draft>,
    before: Vec<Vec<i64>>,
}

impl<'a> Cycle<'a> {
    /// Runs all passes; keeps the evaluation of one request with all its terms, if asked to.
    pub(crate) fn run(mut self, watch: Option<usize>) -> Done<'a> {
        let before = (0..self.fleet.len()).map(|n| self.ledger.debits(n).to_vec()).collect();
        let mut decisions = BTreeMap::new();
        let mut watched = None;
        let mut blocked: BTreeSet<usize> = BTreeSet::new();
        if self.input.evaluate.is_some() {
            blocked = self.input.blocked.iter().filter_map(|id| self.find(id)).collect();
        }
        let mut turn: Vec<usize> =
            (0..self.requests.len()).filter(|r| self.evaluated(&self.requests[*r].id)).collect();
        for _ in 0..PASSES {
            turn.sort_by_cached_key(|r| self.order(*r));
            let mut bound = 0;
            for r in turn {
                let before = self.promised(r);
                let draft = self.decide(r, watch == Some(r));
                self.ledger.commit();
                bound += usize::from(self.promised(r) != before);
                if draft.blocked() {
                    blocked.insert(r);
                } else {
                    blocked.remove(&r);
                }
                decisions.insert(r, (self.outcome(r, &draft), self.tally(&draft)));
                if watch == Some(r) {
                    watched = Some(draft);
                }
            }
            // Promises are packed anew, large pods first, as the next cycle will find them. That, and what was freed,
            // may let somebody in who was blocked.
            if !self.released && (bound == 0 || blocked.is_empty()) {
                break;
            }
            self.enter_promises();
            turn = blocked.iter().copied().collect();
        }
        Done { cycle: self, decisions, watched, before }
    }

    /// What a request's bindings hold in all, to see whether an evaluation changed it.
    fn promised(&self, r: usize) -> (usize, i64) {
        let bound = self.rows[r].iter().filter(|b| b.bound());
        bound
            .fold((0, 0), |(n, sum), b| (n + 1, b.load.total.iter().fold(sum, |sum, v| sum.wrapping_add(*v))))
    }

    fn evaluated(&self, id: &RequestId) -> bool {
        self.input.evaluate.as_ref().is_none_or(|ids| ids.contains(id))
    }

    /// G3: priority, then those that wait long by age, then the larger dominant share, then UID.
    fn order(&self, r: usize) -> (Reverse<i32>, bool, Millis, Reverse<i128>, usize) {
        let request = self.requests[r];
        let waits = request.waiting_since.filter(|since| self.input.at.saturating_sub(*since) > PATIENCE);
        let share = self.needs[r].dominant(&self.totals);
        (Reverse(request.priority), waits.is_none(), waits.unwrap_or(0), Reverse(share), r)
    }

    fn outcome(&self, r: usize, draft: &Draft) -> Outcome {
        let request = self.requests[r];
        let selected = self.rows[r].iter().filter(|b| b.bound()).count() as u32;
        let replicas: u32 = self.needs[r].divided.iter().map(|d| d.replicas).sum();
        let divided = !self.needs[r].divided.is_empty();
        let all = matches!(request.select.mode, Mode::All);
        let mut wanted = draft.wanted;
        if divided {
            // A member without a replica is not wanted; with All nobody counts members at all.
            wanted = if all && draft.unplaced == 0 { selected } else { wanted.min(replicas) };
        }
        let min = request.select.min.unwrap_or(if all { 1 } else { wanted });
        let nothing_asked = match &request.select.mode {
            Mode::All => false,
            Mode::Count(SelectCount::Number(n) | SelectCount::Percent(n)) => *n == 0,
            Mode::Fixed(names) => names.is_empty(),
        };
        let verdict = if draft.unplaced > 0 || draft.stunted {
            if selected == 0 && draft.ranking.len() == 0 && draft.refusal.is_none() {
                Verdict::NoMember
            } else {
                Verdict::Insufficient
            }
        } else if nothing_asked || (divided && replicas == 0) || (selected > 0 && selected >= wanted) {
            Verdict::Placed
        } else if selected > 0 && selected >= min {
            Verdict::Partial
        } else if draft.blocked_by.is_some() {
            Verdict::SpreadUnsatisfiable
        } else if draft.refusal.is_some() {
            Verdict::Insufficient
        } else if draft.ranking.len() == 0 {
            Verdict::NoMember
        } else {
            Verdict::Short
        };
        let tight = draft.refusal.filter(|_| verdict == Verdict::Insufficient).map(|refusal| Tight {
            resource: self.names.name(refusal.resource).to_owned(),
            node: self.node_name(request, refusal.node),
        });
        Outcome {
            verdict,
            wanted,
            selected,
            replicas,
            unplaced: draft.unplaced,
            tightest: tight,
            blocked_by: draft.blocked_by.as_deref().unwrap_or_default().to_owned(),
            unknown: draft.filtered.unknown.clone(),
        }
    }

    /// Name of a node as the request may know it (Z2).
    pub(crate) fn node_name(&self, request: &Request, node: usize) -> String {
        let member = self.fleet.members[node];
        if self.may_know(request, node) { member.name.to_string() } else { "shared host".to_owned() }
    }

    /// Whether a request may know name and figures of a node.
    pub(crate) fn may_know(&self, request: &Request, node: usize) -> bool {
        let member = self.fleet.members[node];
        request.eyes().is_none() || member.visible_to(request.eyes(), &request.grants)
    }

    fn tally(&self, draft: &Draft) -> Tally {
        let filtered = &draft.filtered;
        let mut rejected: Vec<Rejected> = (filtered.refused.iter())
            .map(|r| Rejected { reason: r.reason, detail: r.detail.clone(), count: r.members.count() as u32 })
            .filter(|r| r.count > 0)
            .collect();
        rejected.sort_by(|a, b| {
            b.count.cmp(&a.count).then_with(|| (a.reason, &a.detail).cmp(&(b.reason, &b.detail)))
        });
        let visible = filtered.visible.count();
        Tally {
            visible: visible as u32,
            hidden: (self.fleet.placeable.count() - visible) as u32,
            eligible: (filtered.passed.count() + draft.kept.len()) as u32,
            rejected,
        }
    }
}

impl Done<'_> {
    /// Outcome and tally of one request, if it was evaluated.
    pub(crate) fn result(&self, r: usize) -> Option<(Outcome, Tally)> {
        self.decisions.get(&r).cloned()
    }

    /// Writes the plan down.
    pub(crate) fn plan(mut self, parent: &Plan) -> Plan {
        let mut decisions: Vec<Decision> = Vec::with_capacity(self.decisions.len());
        for (r, (outcome, tally)) in std::mem::take(&mut self.decisions) {
            decisions.push(self.decision(r, outcome, tally));
        }
        decisions.extend(self.deleted());
        decisions.sort_by(|a, b| a.request.cmp(&b.request));
        let cycle = &mut self.cycle;
        cycle.notes.sort();
        cycle.notes.dedup();
        let mut plan = Plan {
            generation: parent.generation + 1,
            parent: parent.generation,
            input: input_digest(cycle.input),
            decisions,
            ledger: ledger(cycle, &self.before),
            notes: std::mem::take(&mut cycle.notes),
            next_wake: next_wake(cycle),
            digest: Default::default(),
        };
        plan.digest = plan_digest(&plan);
        plan
    }

    fn decision(&self, r: usize, outcome: Outcome, tally: Tally) -> Decision {
        let cycle = &self.cycle;
        let request = cycle.requests[r];
        let group: Arc<str> = request.group_name().into();
        let mut picks = Vec::with_capacity(outcome.selected as usize);
        let mut drops: Vec<Drop> = Vec::new();
        let mut promise: Option<(&crate::capacity::Load, Arc<Resources>)> = None;
        for binding in &cycle.rows[r] {
            let was = binding.was.map(|i| &cycle.input.held[i]);
            let member = cycle.fleet.members[binding.member].id.clone();
            if !binding.bound() {
                if was.is_some_and(|h| h.state == State::Bound) {
                    drops.push(Drop { member, cause: binding.out.unwrap_or(OutCause::SpecChanged) });
                }
                continue;
            }
            let promise = match &promise {
                Some((load, known))
                    if std::ptr::eq(*load, &*binding.load) || load.total == binding.load.total =>
                {
                    known.clone()
                }
                _ => {
                    let made = Arc::new(cycle.names.resources(&binding.load.total));
                    promise = Some((&binding.load, made.clone()));
                    made
                }
            };
            let shares = shares(cycle, r, binding);
            let step = step(was, &shares, &promise);
            picks.push(Pick {
                member,
                step,
                cause: binding.cause,
                group: group.clone(),
                shares,
                promise,
                score: binding.score,
            });
        }
        let lost = cycle.lost[r].iter().map(|i| cycle.input.held[*i].member.clone());
        drops.extend(lost.map(|member| Drop { member, cause: OutCause::MemberLeft }));
        drops.sort();
        Decision { request: request.id.clone(), outcome, picks, drops, tally }
    }

    /// Decisions on placements that are gone: what they still hold is let go.
    fn deleted(&self) -> Vec<Decision> {
        let cycle = &self.cycle;
        let mut out = Vec::new();
        for (id, rows) in cycle.orphans.iter().filter(|(id, _)| cycle.evaluated(id)) {
            let id: &RequestId = id;
            let bound = rows.iter().filter(|b| b.bound());
            let drops: Vec<Drop> = bound
                .map(|b| Drop {
                    member: cycle.fleet.members[b.member].id.clone(),
                    cause: OutCause::PlacementDeleted,
                })
                .collect();
            if !drops.is_empty() {
                let outcome = Outcome { verdict: Verdict::Placed, ..Outcome::default() };
                out.push(Decision { request: id.clone(), outcome, drops, ..Decision::default() });
            }
        }
        out
    }
}

fn shares(cycle: &Cycle<'_>, r: usize, binding: &Binding) -> Vec<Share> {
    let targets = cycle.needs[r].divided.iter().zip(&binding.shares).filter(|(_, n)| **n > 0);
    targets.map(|(d, n)| Share { target: d.target.to_owned(), replicas: *n }).collect()
}

fn step(was: Option<&Held>, shares: &[Share], promise: &Resources) -> Step {
    let Some(held) = was.filter(|h| h.state == State::Bound) else { return Step::Add };
    let same_shares = held.shares.len() == shares.len() && shares.iter().all(|s| held.shares.contains(s));
    let same_promise = held.promise.0.iter().filter(|(_, v)| **v != 0).eq(promise.0.iter());
    if same_shares && same_promise { Step::Keep } else { Step::Change }
}

fn ledger(cycle: &Cycle<'_>, before: &[Vec<i64>]) -> LedgerDelta {
    let mut rows = Vec::new();
    for (node, before) in before.iter().enumerate() {
        for (resource, (before, after)) in before.iter().zip(cycle.ledger.debits(node)).enumerate() {
            if before != after {
                let node = cycle.fleet.members[node].id.clone();
                let resource = cycle.names.name(resource).to_owned();
                rows.push(LedgerRow { node, resource, before: *before, after: *after });
            }
        }
    }
    LedgerDelta(rows)
}

/// When a member that a request does not see any more will be let go.
fn next_wake(cycle: &Cycle<'_>) -> Option<Millis> {
    let mut wake: Option<Millis> = None;
    for (r, rows) in cycle.rows.iter().enumerate() {
        let request = cycle.requests[r];
        for binding in rows.iter().filter(|b| b.bound()) {
            if !cycle.fleet.members[binding.member].visible_to(request.eyes(), &request.grants) {
                let since =
                    binding.was.and_then(|i| cycle.input.held[i].hidden_since).unwrap_or(cycle.input.at);
                let due = since.saturating_add(OUT_OF_SIGHT);
                wake = Some(wake.map_or(due, |w| w.min(due)));
            }
        }
    }
    wake
}
