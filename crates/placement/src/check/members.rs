//! I2–I4, I10: who may be picked, how many, and that nobody goes without a cause that holds.

use super::{Facts, Violation, violation};
use crate::types::{
    ApiNeed, Decision, Drop, Health, Held, Member, Mode, OutCause, Pick, ReplicasMode, Request, Scope,
    SelectCount, State, Step, Taint, TaintEffect, Toleration, TolerationOperator, Unmatched,
};

pub(super) fn check(facts: &Facts<'_>, found: &mut Vec<Violation>) {
    for (request, decision) in facts.live() {
        for pick in decision.picks.iter().filter(|p| p.step == Step::Add) {
            match facts.members.get(&pick.member) {
                Some(member) => added(request, member, found),
                None => found.push(violation("I2", &request.id, format!("{} is not there", pick.member))),
            }
        }
        count(facts, request, decision, found);
    }
    for decision in facts.decisions.values() {
        for drop in &decision.drops {
            if let Some(detail) = unjustified(facts, decision, drop) {
                found.push(violation("I10", &decision.request, format!("{}: {detail}", drop.member)));
            }
        }
        budget(facts, decision, found);
    }
}

fn added(request: &Request, member: &Member, found: &mut Vec<Violation>) {
    let id = &member.id;
    let namespace = (request.scope == Scope::Namespace).then_some(request.namespace.as_str());
    let owned = member.owner_namespace.as_deref() == namespace;
    let granted = member.cluster_set.as_ref().is_some_and(|set| request.grants.contains(set));
    if member.host_only || !(namespace.is_none() || owned || granted) {
        found.push(violation("I2", &request.id, format!("{id} is not visible")));
    }
    let why = if member.cordoned {
        Some("cordoned".to_owned())
    } else if member.leaving {
        Some("leaving".to_owned())
    } else if member.health != Health::Healthy {
        Some(format!("{:?}", member.health))
    } else if let Some(taint) = member.taints.iter().find(|t| keeps_away(t, &request.tolerations)) {
        Some(format!("taint {}", taint.key))
    } else {
        let lacks = |a: &&ApiNeed| match &member.apis {
            None => false,
            Some(apis) => {
                !apis.iter().any(|x| x.group_version == a.group_version && x.kinds.contains(&a.kind))
            }
        };
        request.apis.iter().find(lacks).map(|a| format!("no {a}"))
    };
    if let Some(why) = why {
        found.push(violation("I3", &request.id, format!("{id}: {why}")));
    }
}

fn keeps_away(taint: &Taint, tolerations: &[Toleration]) -> bool {
    let covers = |t: &Toleration| {
        let exists = t.operator == TolerationOperator::Exists;
        (t.key == taint.key || (t.key.is_empty() && exists))
            && (exists || t.value == taint.value)
            && t.effect.is_none_or(|effect| effect == taint.effect)
    };
    taint.effect != TaintEffect::PreferNoSchedule && !tolerations.iter().any(covers)
}

fn count(facts: &Facts<'_>, request: &Request, decision: &Decision, found: &mut Vec<Violation>) {
    let picks = decision.picks.len() as u64;
    match &request.select.mode {
        Mode::All => {}
        Mode::Count(count) => {
            let most = match count {
                SelectCount::Number(n) => u64::from(*n),
                SelectCount::Percent(p) => {
                    let of = u64::from(decision.tally.visible).max(picks);
                    (of * u64::from((*p).min(100))).div_ceil(100)
                }
            };
            if picks > most {
                found.push(violation("I4", &request.id, format!("{picks} picks, at most {most}")));
            }
        }
        Mode::Fixed(names) => {
            for pick in &decision.picks {
                let named = facts.members.get(&pick.member).is_some_and(|m| {
                    let full = format!("{}/{}", m.name.namespace, m.name.name);
                    names.iter().any(|n| *n == full || **n == *m.name.name)
                });
                if !named {
                    found.push(violation(
                        "I4",
                        &request.id,
                        format!("{} is not among the names", pick.member),
                    ));
                }
            }
        }
    }
    let mentioned = |h: &Held| {
        decision.picks.iter().any(|p: &Pick| p.member == h.member)
            || decision.drops.iter().any(|d| d.member == h.member)
    };
    for held in facts.bound(&request.id).filter(|h| !mentioned(h)) {
        found.push(violation("I4", &request.id, format!("{} is neither kept nor let go", held.member)));
    }
}

/// Why a drop should not be there.
fn unjustified(facts: &Facts<'_>, decision: &Decision, drop: &Drop) -> Option<String> {
    let held = facts.held.get(&(&decision.request, &drop.member)).filter(|h| h.state == State::Bound);
    let Some(held) = held else { return Some("was not bound".to_owned()) };
    let Some(request) = facts.requests.get(&decision.request) else {
        return (drop.cause != OutCause::PlacementDeleted)
            .then(|| format!("{:?} of a deleted placement", drop.cause));
    };
    let member = facts.members.get(&drop.member);
    let edited = request.generation != request.decided || request.replan != request.replanned;
    let holds = match drop.cause {
        OutCause::MemberLeft => member.is_none_or(|m| m.leaving),
        OutCause::SpecChanged => edited,
        OutCause::NotMatched => {
            request.when_unmatched == Unmatched::Evict
                || member.is_some_and(|m| !m.visible_to(request.eyes(), &request.grants))
                    && held.hidden_since.is_some()
        }
        OutCause::Drained | OutCause::Evicted => {
            held.eviction.as_ref().is_some_and(|e| e.cause == drop.cause)
        }
        OutCause::ScaleIn => scales_in(facts, request, decision),
        OutCause::PlacementDeleted => false,
    };
    (!holds).then(|| format!("{:?} does not hold", drop.cause))
}

/// Fewer are wanted than there were, or replicas are divided and some got none.
fn scales_in(facts: &Facts<'_>, request: &Request, decision: &Decision) -> bool {
    let divided = request.replicas.mode == ReplicasMode::Divided;
    let fewer = match request.select.mode {
        Mode::Count(SelectCount::Number(n)) => facts.bound(&request.id).count() > n as usize,
        Mode::Count(SelectCount::Percent(_)) => true,
        Mode::All | Mode::Fixed(_) => false,
    };
    let added = decision.picks.iter().any(|p| p.step == Step::Add);
    divided || (fewer && !added)
}

/// Evictions without replacement: at most a quarter of the bindings, rounded up.
fn budget(facts: &Facts<'_>, decision: &Decision, found: &mut Vec<Violation>) {
    let evicted =
        decision.drops.iter().filter(|d| matches!(d.cause, OutCause::Drained | OutCause::Evicted)).count();
    if evicted == 0 || !facts.requests.contains_key(&decision.request) {
        return;
    }
    let before = facts.bound(&decision.request).count();
    let added = decision.picks.iter().filter(|p| p.step == Step::Add).count();
    let lost = evicted.saturating_sub(added);
    let wanted = decision.outcome.wanted as usize;
    let surplus = before.saturating_sub(wanted.max(decision.picks.len()));
    if lost > before.div_ceil(4) && lost > surplus {
        found.push(violation(
            "I10",
            &decision.request,
            format!("{lost} of {before} lost to evictions at once"),
        ));
    }
}
