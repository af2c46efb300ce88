//! I13: generation and digests. I14: every evaluated request has an outcome, every shortfall a reason.

use super::{Facts, Violation, violation};
use crate::digest::{input_digest, plan_digest};
use crate::types::{Decision, Plan, Request, Verdict};

pub(super) fn check(facts: &Facts<'_>, parent: &Plan, found: &mut Vec<Violation>) {
    let plan = facts.plan;
    let mut wrong =
        |detail: &str| found.push(Violation { id: "I13", request: None, detail: detail.to_owned() });
    if plan.generation != parent.generation + 1 || plan.parent != parent.generation {
        wrong("the generation is not the parent's plus one");
    }
    if plan.input != input_digest(facts.input) {
        wrong("the digest of the input differs");
    }
    if plan.digest != plan_digest(plan) {
        wrong("the digest of the plan differs");
    }
    if facts.decisions.len() != plan.decisions.len() {
        wrong("two decisions on one request");
    }
    for (id, request) in &facts.requests {
        let evaluated = facts.input.evaluate.as_ref().is_none_or(|ids| ids.contains(*id));
        match facts.decisions.get(id) {
            Some(decision) => outcome(request, decision, found),
            None if evaluated => found.push(violation("I14", id, "no decision")),
            None => {}
        }
    }
}

fn outcome(request: &Request, decision: &Decision, found: &mut Vec<Violation>) {
    let outcome = &decision.outcome;
    let mut wrong = |detail: String| found.push(violation("I14", &request.id, detail));
    if outcome.selected as usize != decision.picks.len() {
        wrong(format!("{} selected, {} picks", outcome.selected, decision.picks.len()));
    }
    let short = outcome.unplaced > 0 || outcome.selected < outcome.wanted;
    if short && outcome.verdict == Verdict::Placed {
        wrong("short without a reason".to_owned());
    }
    let tally = &decision.tally;
    let counted = tally.eligible + tally.rejected.iter().map(|r| r.count).sum::<u32>();
    if counted < tally.visible {
        wrong(format!("{counted} members accounted for, {} visible", tally.visible));
    }
}
