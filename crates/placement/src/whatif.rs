//! What-if (Y2): the same planning on an edited input, and the difference.

use crate::plan::plan;
use crate::types::{
    Change, Decision, Eviction, Health, Held, InCause, Input, Member, MemberId, OutCause, Plan, PlanDiff,
    Request, RequestId, Shift, Snapshot, State,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An input with its changes applied.
pub(crate) struct Edited<'a> {
    fleet: Snapshot,
    rest: Input<'a>,
}

impl<'a> Edited<'a> {
    /// The edited input; its digest is that of the world in which the changes are real.
    pub(crate) fn input(&'a self) -> Input<'a> {
        Input { fleet: &self.fleet, ..self.rest.clone() }
    }
}

/// Applies an input's changes.
pub(crate) fn edited<'a>(input: &Input<'a>) -> Edited<'a> {
    let mut out = Edited { fleet: input.fleet.clone(), rest: Input { changes: &[], ..input.clone() } };
    for change in input.changes {
        apply(&mut out, change);
    }
    out
}

fn apply(world: &mut Edited<'_>, change: &Change) {
    match change {
        Change::Add(member) => {
            world.fleet.members.retain(|m| m.id != member.id);
            world.fleet.members.push(Arc::new((**member).clone()));
        }
        Change::Remove(id) => world.fleet.members.retain(|m| m.id != *id),
        Change::Cordon(id) => edit(world, id, |m| m.cordoned = true),
        Change::Uncordon(id) => {
            edit(world, id, |m| m.cordoned = false);
            let pending = world.rest.held.iter_mut().filter(|h| h.member == *id && h.state == State::Bound);
            pending.for_each(|h| h.eviction = None);
        }
        Change::Drain(id) => drain(world, id),
        Change::Taint { member, taint, present } => edit(world, member, |m| {
            m.taints.retain(|t| (&t.key, t.effect) != (&taint.key, taint.effect));
            if *present {
                m.taints.push(taint.clone());
            }
        }),
        Change::Relabel { member, key, value } => edit(world, member, |m| set(&mut m.labels, key, value)),
        Change::SetProperty { member, key, value } => {
            edit(world, member, |m| set(&mut m.properties, key, value))
        }
        Change::Capacity { member, report } => edit(world, member, |m| m.report = (**report).clone()),
        Change::HostDown(id) => {
            let down = with_descendants(&world.fleet, id);
            down.iter().for_each(|id| edit(world, id, |m| m.health = Health::HostDown));
        }
        Change::CreatePlacement(request) | Change::EditPlacement(request) => {
            world.rest.requests.retain(|r| r.id != request.id);
            world.rest.requests.push((**request).clone());
            evaluate(world, &request.id);
        }
        Change::DeletePlacement(id) => {
            world.rest.requests.retain(|r| r.id != *id);
            evaluate(world, id);
        }
        Change::Scale { request, target, replicas } => respec(world, request, |r| {
            r.needs.pods.iter_mut().filter(|p| p.target == *target).for_each(|p| p.replicas = *replicas);
        }),
        Change::Replan(id) => respec(world, id, |r| r.replan = format!("{}+", r.replan)),
        Change::AdvanceTime(by) => world.rest.at = world.rest.at.saturating_add(*by),
    }
}

fn edit(world: &mut Edited<'_>, id: &MemberId, change: impl Fn(&mut Member)) {
    world.fleet.members.iter_mut().filter(|m| m.id == *id).for_each(|m| change(Arc::make_mut(m)));
}

fn respec(world: &mut Edited<'_>, id: &RequestId, change: impl Fn(&mut Request)) {
    world.rest.requests.iter_mut().filter(|r| r.id == *id).for_each(change);
    evaluate(world, id);
}

/// A what-if evaluates what it edits, also when the live cycle would not.
fn evaluate(world: &mut Edited<'_>, id: &RequestId) {
    if let Some(ids) = &mut world.rest.evaluate {
        ids.insert(id.clone());
    }
}

fn set(map: &mut BTreeMap<String, String>, key: &str, value: &Option<String>) {
    match value {
        Some(value) => map.insert(key.to_owned(), value.clone()),
        None => map.remove(key),
    };
}

fn drain(world: &mut Edited<'_>, id: &MemberId) {
    let all = with_descendants(&world.fleet, id);
    all.iter().for_each(|id| edit(world, id, |m| m.cordoned = true));
    let mut touched = Vec::new();
    for held in world.rest.held.iter_mut().filter(|h| all.contains(&h.member) && h.state == State::Bound) {
        held.eviction = Some(Eviction { cause: OutCause::Drained });
        touched.push(held.request.clone());
    }
    touched.iter().for_each(|id| evaluate(world, id));
}

/// A member and everything that runs on it.
fn with_descendants(fleet: &Snapshot, id: &MemberId) -> BTreeSet<MemberId> {
    let mut all = BTreeSet::from([id.clone()]);
    loop {
        let more: Vec<MemberId> = (fleet.members.iter())
            .filter(|m| !all.contains(&m.id) && m.parents.iter().any(|p| all.contains(p)))
            .map(|m| m.id.clone())
            .collect();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

/// Compares the plan with an input's changes to the plan without them. Writes nothing anywhere.
pub fn what_if(input: &Input<'_>, parent: &Plan) -> PlanDiff {
    let live = Input { changes: &[], ..input.clone() };
    let live_plan = plan(&live, parent);
    let edited = edited(input);
    let changed = edited.input();
    let changed_plan = plan(&changed, parent);
    let mut diff = compare(&bound(&live, &live_plan), &bound(&changed, &changed_plan), &changed_plan);
    diff.live = live_plan.digest;
    diff.changed = changed_plan.digest;
    diff.unplaced = (unplaced(&live_plan), unplaced(&changed_plan));
    diff.roots_used = (roots_used(&live, &live_plan), roots_used(&changed, &changed_plan));
    diff
}

type Bound = BTreeMap<(RequestId, MemberId), Held>;

fn bound(input: &Input<'_>, plan: &Plan) -> Bound {
    let held = input.after(plan).held.into_iter().filter(|h| h.state == State::Bound);
    held.map(|h| ((h.request.clone(), h.member.clone()), h)).collect()
}

fn compare(live: &Bound, changed: &Bound, plan: &Plan) -> PlanDiff {
    let mut gone: BTreeMap<&RequestId, Vec<&Held>> = BTreeMap::new();
    for (_, held) in live.iter().filter(|(key, _)| !changed.contains_key(key)) {
        gone.entry(&held.request).or_default().push(held);
    }
    let mut diff = PlanDiff::default();
    for (key, held) in changed {
        let pods = pods(held);
        match live.get(key) {
            Some(before) => diff.replicas_moved += u64::from(pods.saturating_sub(self::pods(before))),
            None => {
                let from =
                    gone.get_mut(&held.request).and_then(|list| (!list.is_empty()).then(|| list.remove(0)));
                diff.replicas_moved += u64::from(pods);
                let shift = shift(plan, from, Some(held));
                if from.is_some() { diff.moved.push(shift) } else { diff.added.push(shift) }
            }
        }
    }
    diff.dropped = gone.values().flatten().map(|held| shift(plan, Some(held), None)).collect();
    diff
}

fn shift(plan: &Plan, from: Option<&Held>, to: Option<&Held>) -> Shift {
    let one = to.or(from);
    let request = one.map(|h| h.request.clone()).unwrap_or_default();
    let decision: Option<&Decision> = plan.decision(&request);
    let went = from.and_then(|h| decision?.drops.iter().find(|d| d.member == h.member).map(|d| d.cause));
    let came: Option<InCause> = to.map(|h| h.cause);
    Shift {
        request,
        from: from.map(|h| h.member.clone()),
        to: to.map(|h| h.member.clone()),
        replicas: one.map_or(0, pods),
        came,
        went,
    }
}

fn pods(held: &Held) -> u32 {
    u32::try_from(held.promise.get("pods")).unwrap_or(0)
}

/// Members and replicas that were wanted and not found.
fn unplaced(plan: &Plan) -> u64 {
    let short = |d: &Decision| {
        u64::from(d.outcome.unplaced) + u64::from(d.outcome.wanted.saturating_sub(d.outcome.selected))
    };
    plan.decisions.iter().map(short).sum()
}

/// Roots of the tree that carry a promise.
fn roots_used(input: &Input<'_>, plan: &Plan) -> u32 {
    let parents: BTreeMap<&MemberId, &[MemberId]> =
        input.fleet.members.iter().map(|m| (&m.id, m.parents.as_slice())).collect();
    let mut roots = BTreeSet::new();
    for (_, held) in bound(input, plan).iter().filter(|(_, h)| !h.promise.is_zero()) {
        let mut at = &held.member;
        for _ in 0..parents.len() {
            match parents.get(at).and_then(|p| p.first()) {
                Some(parent) => at = parent,
                None => break,
            }
        }
        roots.insert(at.clone());
    }
    roots.len() as u32
}
