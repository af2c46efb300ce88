//! The filters (M3), in their order; the first that refuses is the member's reason.

pub(crate) mod properties;
pub(crate) mod taints;
pub(crate) mod terms;

use crate::bits::Bits;
use crate::intern::Fleet;
use crate::types::{Api, ApiNeed, Capacity, Mode, Reason, Request, UnknownCapacity};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use terms::Terms;

/// Members refused for one reason.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) detail: Arc<str>,
    pub(crate) members: Bits,
}

/// What the filters leave.
pub(crate) struct Filtered {
    /// Members seen by the request.
    pub(crate) visible: Bits,
    /// Members that the terms want, whatever else speaks against them.
    pub(crate) matched: Bits,
    /// Members that passed; capacity comes after.
    pub(crate) passed: Bits,
    pub(crate) refused: Vec<Refused>,
    /// Fixed names without a visible member.
    pub(crate) unknown: Vec<String>,
    /// Whether a CEL expression decided for anybody.
    pub(crate) cel: bool,
}

/// The parts of filtering that many requests share.
pub(crate) struct Filters<'a> {
    pub(crate) terms: Terms<'a>,
    visible: BTreeMap<(Option<&'a str>, &'a [String]), Rc<Bits>>,
    apis: BTreeMap<&'a ApiNeed, Rc<Bits>>,
}

impl<'a> Filters<'a> {
    pub(crate) fn new() -> Self {
        Self { terms: Terms::default(), visible: BTreeMap::new(), apis: BTreeMap::new() }
    }

    /// Members the request sees.
    pub(crate) fn visible(&mut self, fleet: &Fleet<'a>, request: &'a Request) -> Rc<Bits> {
        let key = (request.eyes(), request.grants.as_slice());
        self.visible.entry(key).or_insert_with(|| Rc::new(fleet.visible(key.0, key.1))).clone()
    }

    /// What the request's own terms want, of what it sees.
    pub(crate) fn matching(&mut self, fleet: &Fleet<'a>, request: &'a Request) -> Filtered {
        let visible = self.visible(fleet, request);
        let mut out = Filtered {
            matched: Bits::none(fleet.len()),
            passed: (*visible).clone(),
            visible: (*visible).clone(),
            refused: Vec::new(),
            unknown: Vec::new(),
            cel: false,
        };
        self.match_terms(fleet, request, &mut out);
        out.matched.clone_from(&out.passed);
        out
    }

    /// All filters after the terms but capacity and spread. `taken` names, per member, an object of the request that
    /// another owns there.
    pub(crate) fn run(
        &mut self,
        fleet: &Fleet<'a>,
        request: &'a Request,
        (held, avoided): (&Bits, &Bits),
        taken: &BTreeMap<usize, &str>,
        out: &mut Filtered,
    ) {
        out.passed.minus(held);
        for refused in &mut out.refused {
            refused.members.minus(held);
        }
        out.refused.retain(|r| !r.members.is_empty());
        out.refuse(Reason::Leaving, &fleet.leaving);
        out.refuse(Reason::Cordoned, &fleet.cordoned);
        out.refuse_each(Reason::Unhealthy, &fleet.unhealthy, |i| format!("{:?}", fleet.members[i].health));
        out.refuse_some(Reason::UntoleratedTaint, &fleet.tainted, |i| {
            taints::blocking(fleet.members[i], &request.tolerations).map(|t| t.key.clone())
        });
        for need in &request.apis {
            let missing = self.missing(fleet, need);
            if !missing.is_empty() {
                out.refuse_each(Reason::ApiMissing, &missing, |_| need.to_string());
            }
        }
        if !taken.is_empty() {
            let members = Bits::filter(fleet.len(), |i| taken.contains_key(&i));
            out.refuse_each(Reason::ObjectClaimed, &members, |i| taken[&i].to_owned());
        }
        out.refuse(Reason::Avoided, avoided);
    }

    fn match_terms(&mut self, fleet: &Fleet<'a>, request: &Request, out: &mut Filtered) {
        let group = request.groups.first();
        if let Some(group) = group.filter(|g| !g.any.is_empty()) {
            let matched = self.terms.any(fleet, &group.any);
            let mut undecided = matched.cel.clone();
            undecided.and(&out.passed);
            out.cel |= !undecided.is_empty();
            out.refuse_each(Reason::CelError, &matched.cel, |_| "not evaluated".to_owned());
            let mut others = out.passed.clone();
            others.minus(&matched.yes);
            out.refuse(Reason::NotMatched, &others);
        }
        if let Mode::Fixed(names) = &request.select.mode {
            let mut named = Bits::none(fleet.len());
            for name in names {
                let mut found = false;
                for i in self.terms.find(fleet, name).filter(|i| out.visible.has(*i)) {
                    named.insert(i);
                    found = true;
                }
                if !found {
                    out.unknown.push(name.clone());
                }
            }
            out.unknown.sort();
            out.unknown.dedup();
            let mut others = out.passed.clone();
            others.minus(&named);
            out.refuse(Reason::NotMatched, &others);
        }
        if let Some(group) = group.filter(|g| !g.exclude.is_empty()) {
            let excluded = self.terms.any(fleet, &group.exclude);
            out.cel |= group.exclude.iter().any(|t| !t.cel.is_empty());
            out.refuse(Reason::Excluded, &excluded.yes);
        }
    }

    fn missing(&mut self, fleet: &Fleet<'a>, need: &'a ApiNeed) -> Rc<Bits> {
        let serves = |api: &Api| api.group_version == need.group_version && api.kinds.contains(&need.kind);
        let entry = self.apis.entry(need);
        let missing = |i: usize| fleet.members[i].apis.as_ref().is_some_and(|apis| !apis.iter().any(serves));
        entry.or_insert_with(|| Rc::new(Bits::filter(fleet.len(), missing))).clone()
    }
}

impl Filtered {
    /// Refuses the members of a set that are still in.
    pub(crate) fn refuse(&mut self, reason: Reason, members: &Bits) {
        let mut hit = self.passed.clone();
        hit.and(members);
        if !hit.is_empty() {
            self.passed.minus(&hit);
            self.refused.push(Refused { reason, detail: "".into(), members: hit });
        }
    }

    /// The same, with a detail per member.
    fn refuse_each(&mut self, reason: Reason, members: &Bits, detail: impl Fn(usize) -> String) {
        self.refuse_some(reason, members, |i| Some(detail(i)));
    }

    /// Refuses those members of a set for which there is a detail.
    fn refuse_some(&mut self, reason: Reason, members: &Bits, detail: impl Fn(usize) -> Option<String>) {
        let mut hit = self.passed.clone();
        hit.and(members);
        if hit.is_empty() {
            return;
        }
        let mut by_detail: BTreeMap<String, Bits> = BTreeMap::new();
        for i in hit.iter() {
            if let Some(detail) = detail(i) {
                by_detail.entry(detail).or_insert_with(|| Bits::none(self.size())).insert(i);
                self.passed.remove(i);
            }
        }
        for (detail, members) in by_detail {
            self.refused.push(Refused { reason, detail: detail.into(), members });
        }
    }

    /// Refuses one member that passed so far.
    pub(crate) fn refuse_one(&mut self, member: usize, reason: Reason, detail: &Arc<str>) {
        self.passed.remove(member);
        let size = self.size();
        let known = self.refused.iter_mut().rev().find(|r| r.reason == reason && r.detail == *detail);
        match known {
            Some(refused) => refused.members.insert(member),
            None => {
                let mut members = Bits::none(size);
                members.insert(member);
                self.refused.push(Refused { reason, detail: detail.clone(), members });
            }
        }
    }

    fn size(&self) -> usize {
        self.visible.capacity()
    }

    /// Members without figures, or with figures too old for a new promise.
    pub(crate) fn capacity(&mut self, fleet: &Fleet<'_>, request: &Request, known: &[bool], stale: &[bool]) {
        if request.unknown_capacity == UnknownCapacity::Deny {
            let unknown = Bits::filter(fleet.len(), |i| !known[i]);
            self.refuse_each(Reason::CapacityUnknown, &unknown, |i| why_unknown(fleet, i));
        }
        let stale = Bits::filter(fleet.len(), |i| stale[i]);
        self.refuse(Reason::ReportStale, &stale);
    }
}

fn why_unknown(fleet: &Fleet<'_>, member: usize) -> String {
    let unknown = fleet.paths[member].iter().find_map(|n| match &fleet.members[*n].report.capacity {
        Capacity::Unknown(reason) => Some(reason.clone()),
        Capacity::Known(_) => None,
    });
    unknown.unwrap_or_default()
}
