//! I12: one owner per (member, object).

use super::{Facts, Violation, violation};
use crate::types::{MemberId, RequestId, Step};
use std::collections::BTreeMap;

pub(super) fn check(facts: &Facts<'_>, found: &mut Vec<Violation>) {
    let mut owners: BTreeMap<(&MemberId, &str), &RequestId> =
        facts.input.claims.iter().map(|c| ((&c.member, c.object.as_str()), &c.owner)).collect();
    for (request, member) in facts.held.keys() {
        for object in facts.requests.get(request).into_iter().flat_map(|r| &r.objects) {
            owners.entry((member, object)).or_insert(request);
        }
    }
    for (request, decision) in facts.live() {
        for pick in decision.picks.iter().filter(|p| p.step == Step::Add) {
            for object in &request.objects {
                let owner = owners.entry((&pick.member, object)).or_insert(&request.id);
                if **owner != request.id {
                    let detail = format!("{object} on {} belongs to {owner}", pick.member);
                    found.push(violation("I12", &request.id, detail));
                }
            }
        }
    }
}
