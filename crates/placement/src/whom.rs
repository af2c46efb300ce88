//! Which members terms speak of, for callers outside a planning.

use crate::filter::terms::Terms;
use crate::intern::Fleet;
use crate::types::{MemberId, Snapshot, Term};
use std::collections::BTreeSet;

/// Members that match any of the terms; no terms match nobody. A term with a CEL expression matches nobody either, as
/// in a plan.
pub fn members_matching(fleet: &Snapshot, terms: &[Term]) -> BTreeSet<MemberId> {
    let fleet = Fleet::new(fleet);
    let matched = Terms::default().any(&fleet, terms);
    matched.yes.iter().map(|i| fleet.members[i].id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{LabelSelector, Member};
    use std::sync::Arc;

    #[test]
    fn terms_are_joined_by_or() {
        let member = |id: &str, tier: &str| {
            let labels = [("tier".to_owned(), tier.to_owned())].into();
            Arc::new(Member { id: id.into(), labels, ..Member::default() })
        };
        let fleet = Snapshot { members: vec![member("a", "gold"), member("b", "iron"), member("c", "tin")] };
        let tier = |t: &str| {
            let match_labels = [("tier".to_owned(), t.to_owned())].into();
            Term::from(LabelSelector { match_labels, ..LabelSelector::default() })
        };
        let found = members_matching(&fleet, &[tier("gold"), tier("tin")]);
        assert_eq!(found, BTreeSet::from(["a".into(), "c".into()]));
        assert!(members_matching(&fleet, &[]).is_empty());
    }
}
