//! What the world looks like once a plan is carried out: for tests, for what-if, and for asking whether planning
//! again would change anything.

use crate::types::{Decision, Held, Input, Millis, Plan, State, Step};
use std::collections::BTreeMap;

impl<'a> Input<'a> {
    /// The input that follows when `plan`, made from `self`, is committed in full at the same moment and nothing has
    /// been delivered yet.
    pub fn after(&self, plan: &Plan) -> Input<'a> {
        let mut next = self.clone();
        let decisions: BTreeMap<_, &Decision> = plan.decisions.iter().map(|d| (&d.request, d)).collect();
        for request in &mut next.requests {
            if let Some(decision) = decisions.get(&request.id) {
                request.decided = request.generation;
                request.replanned.clone_from(&request.replan);
                request.waiting_since = waiting(request.waiting_since, decision, self.at);
            }
        }
        let mut held: BTreeMap<_, Held> =
            next.held.drain(..).map(|h| ((h.request.clone(), h.member.clone()), h)).collect();
        for decision in &plan.decisions {
            for drop in &decision.drops {
                let key = (decision.request.clone(), drop.member.clone());
                if !self.fleet.members.iter().any(|m| m.id == drop.member) {
                    held.remove(&key);
                } else if let Some(row) = held.get_mut(&key) {
                    row.state = State::Draining;
                    row.out = Some(drop.cause);
                    row.eviction = None;
                }
            }
            for pick in decision.picks.iter().filter(|p| p.step != Step::Keep) {
                let key = (decision.request.clone(), pick.member.clone());
                let row = held.entry(key.clone()).or_default();
                (row.request, row.member) = key;
                row.state = State::Bound;
                row.out = None;
                row.cause = pick.cause;
                row.group = pick.group.to_string();
                row.shares.clone_from(&pick.shares);
                row.promise = (*pick.promise).clone();
            }
        }
        next.held = held.into_values().collect();
        next
    }
}

fn waiting(since: Option<Millis>, decision: &Decision, at: Millis) -> Option<Millis> {
    if decision.outcome.placed() { None } else { since.or(Some(at)) }
}
