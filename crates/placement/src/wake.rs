//! What wakes what (5.6): which requests a changed input makes worth evaluating, so that a heartbeat that crosses
//! nothing evaluates nobody.
//!
//! The index remembers the input of the last planning, as it became by the plan, and what each request is hungry for.
//! **Guarantee**: planning only the woken requests gives the same bindings as planning all of them.
//! Waking too many costs time and changes nothing; waking too few would break the guarantee, so where the two meet
//! the index wakes.

use crate::capacity::Load;
use crate::cycle::Cycle;
use crate::filter::properties::property;
use crate::intern::Fleet;
use crate::types::{
    Capacity, Decision, Expression, Held, Input, Member, MemberId, Millis, Mode, OutCause, Plan, PreferredBy,
    Reason, Request, RequestId, SelectCount, Snapshot, State, Term, Unmatched, Verdict,
};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// Why a request is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WakeCause {
    /// It is new, was edited, or is gone.
    Spec,
    /// Its bindings are not what was planned, or somebody wants one gone.
    Binding,
    /// A member joined, left, or changed in a way that it reads.
    Member,
    /// There is room where it was blocked.
    Room,
    /// An object it wants was let go of.
    Claim,
    /// An expiry has come.
    Time,
}

/// Remembers the last planning.
#[derive(Clone, Debug, Default)]
pub struct Index {
    rows: BTreeMap<RequestId, Row>,
    last: Option<Last>,
}

/// What one request waits for.
#[derive(Clone, Debug, Default)]
struct Row {
    /// Takes any member that becomes eligible.
    hungry: bool,
    /// Counts a share of the eligible members.
    percent: bool,
    /// Was refused members for want of room.
    blocked: bool,
    /// Was refused members where the pieces are too small: packing may turn out otherwise when anything changes.
    fragmented: bool,
    /// Was stopped by a hard spread.
    spread: bool,
    /// Was refused members where an object has another owner.
    claims: bool,
}

#[derive(Clone, Debug)]
struct Last {
    at: Millis,
    fleet: Snapshot,
    requests: BTreeMap<RequestId, Request>,
    held: BTreeMap<(RequestId, MemberId), Held>,
    claims: Vec<crate::types::Claim>,
    free: BTreeMap<(MemberId, usize), i64>,
    next_wake: Option<Millis>,
}

/// A member that changed.
struct Changed<'a> {
    old: Option<&'a Member>,
    new: Option<&'a Member>,
    /// Whether something changed that decides for everybody: health, taints, kinds, ownership.
    gate: bool,
}

impl Index {
    /// Remembers a planning: its input and its result.
    pub fn note(&mut self, input: &Input<'_>, plan: &Plan) {
        let after = input.after(plan);
        let present: BTreeSet<&RequestId> = input.requests.iter().map(|r| &r.id).collect();
        self.rows.retain(|id, _| present.contains(id));
        for request in &input.requests {
            if let Some(decision) = plan.decision(&request.id) {
                self.rows.insert(request.id.clone(), row(request, decision));
            }
        }
        let free = if self.rows.values().any(|r| r.blocked || r.spread) {
            free(&Cycle::new(&after))
        } else {
            BTreeMap::new()
        };
        self.last = Some(Last {
            at: input.at,
            fleet: input.fleet.clone(),
            requests: after.requests.into_iter().map(|r| (r.id.clone(), r)).collect(),
            held: after.held.into_iter().map(|h| ((h.request.clone(), h.member.clone()), h)).collect(),
            claims: input.claims.clone(),
            free,
            next_wake: plan.next_wake,
        });
    }

    /// Requests that wait for room: what [`Input::blocked`] wants to know.
    pub fn blocked(&self) -> BTreeSet<RequestId> {
        self.rows.iter().filter(|(_, row)| row.blocked).map(|(id, _)| id.clone()).collect()
    }

    /// The requests that `now` makes worth evaluating, each with the first cause found. Without a planning before,
    /// all of them.
    pub fn woken(&self, now: &Input<'_>) -> BTreeMap<RequestId, WakeCause> {
        let mut woken = BTreeMap::new();
        let Some(last) = &self.last else {
            return now.requests.iter().map(|r| (r.id.clone(), WakeCause::Spec)).collect();
        };
        specs(last, now, &mut woken);
        bindings(last, now, &mut woken);
        self.members(last, now, &mut woken);
        self.room(last, now, &mut woken);
        self.claims(last, now, &mut woken);
        self.time(last, now, &mut woken);
        woken
    }

    fn members(&self, last: &Last, now: &Input<'_>, woken: &mut BTreeMap<RequestId, WakeCause>) {
        let (before, after) = (Fleet::new(&last.fleet), Fleet::new(now.fleet));
        let changed = changed(last, now, (&before, &after));
        if changed.is_empty() {
            return;
        }
        let holders: BTreeSet<(&RequestId, &MemberId)> =
            now.held.iter().filter(|h| h.state == State::Bound).map(|h| (&h.request, &h.member)).collect();
        for request in now.requests.iter().filter(|r| !woken.contains_key(&r.id)).collect::<Vec<_>>() {
            let Some(row) = self.rows.get(&request.id) else { continue };
            let keys = keys(request);
            let sees = |m: &Option<&Member>| m.is_some_and(|m| m.visible_to(request.eyes(), &request.grants));
            let concerns = |(id, c): (&&MemberId, &Changed<'_>)| {
                let reads =
                    c.gate || keys.iter().any(|key| value(&before, id, key) != value(&after, id, key));
                let holds = holders.contains(&(&request.id, *id));
                let leaves = c.new.is_none_or(|m| m.leaving) || !sees(&c.new);
                let unmatched = request.when_unmatched == Unmatched::Evict && reads;
                let eats = (row.hungry || row.percent) && reads && (sees(&c.old) || sees(&c.new));
                (holds && (leaves || unmatched)) || eats
            };
            if changed.iter().any(concerns) {
                woken.insert(request.id.clone(), WakeCause::Member);
            }
        }
    }

    /// Blocked requests for which one more copy fits on some member below a node that has more room than before.
    fn room(&self, last: &Last, now: &Input<'_>, woken: &mut BTreeMap<RequestId, WakeCause>) {
        if !self.rows.values().any(|r| r.blocked || r.spread) {
            return;
        }
        let mut cycle = Cycle::new(now);
        let free = free(&cycle);
        if free == last.free {
            return;
        }
        let risen: BTreeSet<usize> = (free.iter())
            .filter(|(key, amount)| last.free.get(*key).is_none_or(|was| *amount > was))
            .filter_map(|((id, _), _)| cycle.fleet.find(&id.0))
            .collect();
        for r in 0..cycle.requests.len() {
            let request = cycle.requests[r];
            let Some(row) = self.rows.get(&request.id) else { continue };
            let fits = |cycle: &mut Cycle<'_>, m: usize| {
                let rises = row.fragmented || cycle.fleet.paths[m].iter().any(|n| risen.contains(n));
                rises && cycle.could_take(r, m)
            };
            let visible: Vec<usize> = cycle.filters.visible(&cycle.fleet, request).iter().collect();
            if row.spread || (row.blocked && visible.into_iter().any(|m| fits(&mut cycle, m))) {
                woken.entry(request.id.clone()).or_insert(WakeCause::Room);
            }
        }
    }

    fn claims(&self, last: &Last, now: &Input<'_>, woken: &mut BTreeMap<RequestId, WakeCause>) {
        let gone = |h: &&Held| !now.held.iter().any(|n| (&n.request, &n.member) == (&h.request, &h.member));
        if self.rows.values().any(|r| r.claims)
            && (last.claims != now.claims
                || last.held.values().any(|h| gone(&h))
                || last.requests.len() != now.requests.len()
                || !woken.is_empty())
        {
            for (id, _) in
                self.rows.iter().filter(|(id, r)| r.claims && now.requests.iter().any(|x| x.id == **id))
            {
                woken.entry(id.clone()).or_insert(WakeCause::Claim);
            }
        }
    }

    fn time(&self, last: &Last, now: &Input<'_>, woken: &mut BTreeMap<RequestId, WakeCause>) {
        if last.next_wake.is_none_or(|t| now.at < t) {
            return;
        }
        let hidden: BTreeSet<&RequestId> =
            now.held.iter().filter(|h| h.hidden_since.is_some()).map(|h| &h.request).collect();
        for request in &now.requests {
            if hidden.contains(&request.id) || self.rows.get(&request.id).is_some_and(|r| r.percent) {
                woken.entry(request.id.clone()).or_insert(WakeCause::Time);
            }
        }
    }
}

impl Cycle<'_> {
    /// Whether a member has room for one more copy, or for the least useful part of one.
    fn could_take(&mut self, r: usize, member: usize) -> bool {
        let need = &self.needs[r];
        let ones = vec![1; need.divided.len()];
        let load = if need.divided.is_empty() {
            need.whole(&self.kinds.pods, &self.fleet, member)
        } else {
            Rc::new(need.with_shares(&self.kinds.pods, &self.fleet, member, &ones))
        };
        let own = self.own_load(r, member);
        let grows =
            !need.divided.is_empty() && self.rows[r].binary_search_by_key(&member, |b| b.member).is_ok();
        let none = Load::none(self.names.len());
        let mark = self.ledger.mark();
        let old = if grows { &none } else { &*own };
        let fits = self.ledger.reserve(&self.fleet, &self.kinds.pods, member, (old, &load), None).is_ok();
        self.ledger.rollback(mark);
        fits
    }
}

fn row(request: &Request, decision: &Decision) -> Row {
    let outcome = &decision.outcome;
    let refused = |reasons: &[Reason]| reasons.iter().any(|r| decision.tally.count(*r) > 0);
    let short =
        outcome.selected < outcome.wanted || outcome.unplaced > 0 || outcome.verdict == Verdict::Insufficient;
    let hungry = short || matches!(request.select.mode, Mode::All);
    let room = refused(&[Reason::Insufficient, Reason::Fragmented]);
    Row {
        hungry,
        percent: matches!(request.select.mode, Mode::Count(SelectCount::Percent(_))),
        blocked: hungry && (room || outcome.unplaced > 0 || outcome.verdict == Verdict::Insufficient),
        fragmented: hungry && refused(&[Reason::Fragmented]),
        spread: hungry && refused(&[Reason::Spread]),
        claims: hungry && refused(&[Reason::ObjectClaimed]),
    }
}

fn specs(last: &Last, now: &Input<'_>, woken: &mut BTreeMap<RequestId, WakeCause>) {
    for request in &now.requests {
        let same = |was: &Request| {
            let was = Request { waiting_since: request.waiting_since, ..was.clone() };
            was == *request
        };
        if !last.requests.get(&request.id).is_some_and(same) {
            woken.insert(request.id.clone(), WakeCause::Spec);
        }
    }
    let there: BTreeSet<&RequestId> = now.requests.iter().map(|r| &r.id).collect();
    for held in now.held.iter().filter(|h| h.state == State::Bound && !there.contains(&h.request)) {
        woken.insert(held.request.clone(), WakeCause::Spec);
    }
}

/// Bindings that are not as planned. One that was to go and is gone is as planned.
fn bindings(last: &Last, now: &Input<'_>, woken: &mut BTreeMap<RequestId, WakeCause>) {
    let mut there = BTreeSet::new();
    for held in &now.held {
        let key = (held.request.clone(), held.member.clone());
        let same = |was: &Held| {
            (was.state, &was.shares, &was.promise, &was.eviction, was.hidden_since)
                == (held.state, &held.shares, &held.promise, &held.eviction, held.hidden_since)
        };
        // A pending eviction goes on by itself as soon as anything lets it.
        let pending = held.eviction.is_some() && held.state == State::Bound;
        if pending || !last.held.get(&key).is_some_and(same) {
            woken.entry(held.request.clone()).or_insert(WakeCause::Binding);
        }
        there.insert(key);
    }
    for (key, was) in &last.held {
        // With the last of an evicted copy its member is no longer avoided.
        let matters = was.state == State::Bound || was.out == Some(OutCause::Evicted);
        if matters && !there.contains(key) {
            woken.entry(key.0.clone()).or_insert(WakeCause::Binding);
        }
    }
    woken.retain(|id, cause| *cause != WakeCause::Binding || now.requests.iter().any(|r| r.id == *id));
}

fn changed<'a>(
    last: &'a Last,
    now: &'a Input<'_>,
    (before, after): (&Fleet<'a>, &Fleet<'a>),
) -> BTreeMap<&'a MemberId, Changed<'a>> {
    let old: BTreeMap<&MemberId, &Arc<Member>> = last.fleet.members.iter().map(|m| (&m.id, m)).collect();
    let new: BTreeMap<&MemberId, &Arc<Member>> = now.fleet.members.iter().map(|m| (&m.id, m)).collect();
    let ids: BTreeSet<&MemberId> = old.keys().chain(new.keys()).copied().collect();
    let mut out = BTreeMap::new();
    let mut touched: BTreeSet<&MemberId> = BTreeSet::new();
    for id in &ids {
        let same = match (old.get(id), new.get(id)) {
            // Staleness changes by time alone; such a report stays suspicious.
            (Some(a), Some(b)) => {
                (Arc::ptr_eq(a, b) || a == b) && (b.report.interval == 0 || last.at == now.at)
            }
            _ => false,
        };
        if !same {
            touched.insert(id);
        }
    }
    // What changes at a host may change what its members are worth.
    for id in ids {
        let path = |fleet: &Fleet<'_>| fleet.find(&id.0).map(|i| fleet.paths[i].to_vec()).unwrap_or_default();
        let below = path(after).into_iter().any(|n| touched.contains(&after.members[n].id))
            || path(before).into_iter().any(|n| touched.contains(&before.members[n].id));
        if below {
            let (a, b) = (old.get(id).map(|m| &***m), new.get(id).map(|m| &***m));
            let gate = gate(before, id, last.at) != gate(after, id, now.at);
            out.insert(id, Changed { old: a, new: b, gate });
        }
    }
    out
}

/// What decides about a member whatever a request says; `None` = it is not there.
fn gate<'f>(fleet: &Fleet<'f>, id: &MemberId, at: Millis) -> Option<impl PartialEq + use<'f>> {
    let i = fleet.find(&id.0)?;
    let m: &'f Member = fleet.members[i];
    let path = &fleet.paths[i];
    let known = path.iter().all(|n| matches!(fleet.members[*n].report.capacity, Capacity::Known(_)));
    let stale =
        |n: &usize| crate::capacity::tree::stale_at(&fleet.members[*n].report).is_some_and(|t| at >= t);
    let stale = path.iter().any(stale);
    let roots = fleet.members[fleet.root(i)].id.clone();
    Some((
        (m.health, m.cordoned, m.leaving, m.host_only, known, stale, roots),
        (&m.taints, &m.apis, &m.owner_namespace, &m.cluster_set, &m.name, m.schedulable_nodes, &m.parents),
    ))
}

/// Labels and properties that decide about a request's members.
fn keys(request: &Request) -> BTreeSet<&str> {
    let mut keys = BTreeSet::new();
    let terms = request.groups.iter().flat_map(|g| g.any.iter().chain(&g.exclude));
    let preferred = request.preferred.iter().filter_map(|p| match &p.by {
        PreferredBy::Term(term) => Some(term),
        PreferredBy::Sort(_) => None,
    });
    for term in terms.chain(preferred).chain(request.replicas.weights.iter().map(|w| &w.term)) {
        term_keys(term, &mut keys);
    }
    keys.extend(request.spread.iter().map(|s| s.topology.as_str()));
    keys
}

fn term_keys<'r>(term: &'r Term, keys: &mut BTreeSet<&'r str>) {
    let expressions = |list: &'r [Expression]| list.iter().map(|e| e.key.as_str());
    if let Some(selector) = &term.label_selector {
        keys.extend(selector.match_labels.keys().map(String::as_str));
        keys.extend(expressions(&selector.match_expressions));
    }
    if let Some(selector) = &term.property_selector {
        keys.extend(selector.match_properties.keys().map(String::as_str));
        keys.extend(expressions(&selector.match_expressions));
    }
}

/// Label and property of one key.
fn value(fleet: &Fleet<'_>, id: &MemberId, key: &str) -> Option<(Option<String>, Option<String>)> {
    let i = fleet.find(&id.0)?;
    let label = fleet.members[i].labels.get(key).cloned();
    Some((label, property(fleet, i, key).map(|v| v.into_owned())))
}

fn free(cycle: &Cycle<'_>) -> BTreeMap<(MemberId, usize), i64> {
    let mut out = BTreeMap::new();
    for (node, member) in cycle.fleet.members.iter().enumerate() {
        for resource in 0..cycle.names.len() {
            out.insert((member.id.clone(), resource), cycle.ledger.free(node, resource));
        }
    }
    out
}
