//! I6: shares and what is unplaced add up to what is wanted, within `min` and `max`.

use super::{Facts, Violation, violation};
use crate::types::{MemberId, NeedsMode, PodNeed, ReplicasMode, Request};

pub(super) fn check(facts: &Facts<'_>, found: &mut Vec<Violation>) {
    for (request, decision) in facts.live() {
        if request.replicas.mode != ReplicasMode::Divided || request.needs.mode == NeedsMode::None {
            continue;
        }
        let split: Vec<&PodNeed> = request.needs.pods.iter().filter(|p| p.divisible && !p.per_node).collect();
        let wanted: u64 = split.iter().map(|p| u64::from(p.replicas)).sum();
        let mut placed = 0;
        for pick in &decision.picks {
            for share in &pick.shares {
                placed += u64::from(share.replicas);
                bounds(request, &pick.member, share.replicas, found);
                if !split.iter().any(|p| p.target == share.target) {
                    found.push(violation(
                        "I6",
                        &request.id,
                        format!("nothing of {} is divided", share.target),
                    ));
                }
            }
        }
        // With Refuse nothing is placed and nothing is missing until all of it fits.
        let nobody = decision.picks.is_empty();
        if placed + u64::from(decision.outcome.unplaced) != wanted && !(nobody && placed == 0) {
            let detail = format!("{placed} placed and {} unplaced of {wanted}", decision.outcome.unplaced);
            found.push(violation("I6", &request.id, detail));
        }
    }
}

fn bounds(request: &Request, member: &MemberId, replicas: u32, found: &mut Vec<Violation>) {
    let (min, max) = (request.replicas.min, request.replicas.max);
    if replicas < min || (max > 0 && replicas > max) {
        found.push(violation("I6", &request.id, format!("{member}: {replicas} is not within {min}..{max}")));
    }
}
