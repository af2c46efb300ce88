//! Who owns an object on a member (A4, I12). Only objects that more than one request names, or that are claimed
//! already, are looked at.

use crate::intern::Fleet;
use crate::types::{Input, Request};
use std::collections::{BTreeMap, BTreeSet};

/// No request that is still there.
const NOBODY: usize = usize::MAX;

/// Owners of contested objects.
pub(crate) struct Claims<'a> {
    owners: BTreeMap<&'a str, BTreeMap<usize, usize>>,
}

impl<'a> Claims<'a> {
    pub(crate) fn new(input: &'a Input<'a>, fleet: &Fleet<'a>, requests: &[&'a Request]) -> Self {
        let mut named: BTreeSet<&str> = BTreeSet::new();
        let mut owners: BTreeMap<&str, BTreeMap<usize, usize>> = BTreeMap::new();
        for object in requests.iter().flat_map(|r| &r.objects) {
            if !named.insert(object) {
                owners.entry(object).or_default();
            }
        }
        let find = |id| requests.binary_search_by(|r| r.id.cmp(id)).unwrap_or(NOBODY);
        for claim in &input.claims {
            if let Some(member) = fleet.find(&claim.member.0) {
                let owner = find(&claim.owner);
                let slot = owners.entry(&claim.object).or_default().entry(member).or_insert(owner);
                *slot = (*slot).min(owner);
            }
        }
        let mut claims = Self { owners };
        if !claims.owners.is_empty() {
            let mut held: Vec<(usize, usize)> = (input.held.iter())
                .filter_map(|h| Some((find(&h.request), fleet.find(&h.member.0)?)))
                .filter(|(owner, _)| *owner != NOBODY)
                .collect();
            held.sort_unstable();
            held.into_iter().for_each(|(owner, member)| claims.take(owner, requests[owner], member));
        }
        claims
    }

    /// Members where somebody else owns an object of the request, with that object.
    pub(crate) fn taken(&self, r: usize, request: &'a Request) -> BTreeMap<usize, &'a str> {
        let mut taken = BTreeMap::new();
        if self.owners.is_empty() {
            return taken;
        }
        for object in &request.objects {
            let owners = self.owners.get(object.as_str()).into_iter().flatten();
            for (member, _) in owners.filter(|(_, owner)| **owner != r) {
                let first = taken.entry(*member).or_insert(object.as_str());
                *first = (*first).min(object);
            }
        }
        taken
    }

    /// The request owns its objects on a member from now on, but for those that are owned already.
    pub(crate) fn take(&mut self, r: usize, request: &Request, member: usize) {
        if self.owners.is_empty() {
            return;
        }
        for object in &request.objects {
            if let Some(owners) = self.owners.get_mut(object.as_str()) {
                owners.entry(member).or_insert(r);
            }
        }
    }
}
