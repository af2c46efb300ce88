//! Placement 46: for each invariant one plan that breaks it, and the checker names exactly that one.

use crate::support::*;
use skerry_placement::digest::{input_digest, plan_digest};
use skerry_placement::*;
use std::collections::BTreeSet;

/// Two requests on three members of two zones; one held binding, one evicted.
fn world() -> World {
    let mut world = World::equal(3);
    world.config.tie_break = TieBreak::Name;
    for (id, zone) in [("m00", "a"), ("m01", "b"), ("m02", "b")] {
        world.edit(id, |m| m.labels = [("zone".into(), zone.into())].into());
    }
    let spread = vec![hard("zone", 1)];
    world.requests.push(Request { select: count(2), spread, objects: vec!["o".into()], ..request("web") });
    let replicas = Replicas { mode: ReplicasMode::Divided, max: 9, ..Replicas::default() };
    world.requests.push(Request { replicas, needs: web(9, 100), ..request("split") });
    world.step();
    world.deliver();
    world.respec("web", |r| r.select = count(3));
    world
}

fn seal(world: &World, plan: &mut Plan) {
    plan.input = input_digest(&world.input());
    plan.digest = plan_digest(plan);
}

fn found(world: &World, plan: &Plan) -> BTreeSet<&'static str> {
    check(&world.input(), &world.parent, plan).into_iter().map(|v| v.id).collect()
}

fn decision_of<'p>(plan: &'p mut Plan, name: &str) -> &'p mut Decision {
    plan.decisions.iter_mut().find(|d| &*d.request.0 == name).unwrap()
}

#[track_caller]
fn breaks(id: &'static str, change: impl Fn(&mut World, &mut Plan)) {
    let mut world = world();
    let mut plan = world.plan();
    assert!(found(&world, &plan).is_empty());
    assert_eq!(added(&plan, "web"), ["m02"]);
    change(&mut world, &mut plan);
    seal(&world, &mut plan);
    assert_eq!(found(&world, &plan), BTreeSet::from([id]));
}

#[test]
fn placement_46_i1_above_the_ceiling() {
    breaks("I1", |world, _| {
        world.edit("m02", |m| {
            if let Capacity::Known(figures) = &mut m.report.capacity {
                figures.ceiling = cpu(10);
            }
        });
    });
}

#[test]
fn placement_46_i2_invisible() {
    breaks("I2", |world, _| world.edit("m02", |m| m.owner_namespace = None));
}

#[test]
fn placement_46_i3_not_to_be_picked() {
    let edits: [fn(&mut Member); 5] = [
        |m| m.cordoned = true,
        |m| m.leaving = true,
        |m| m.health = Health::LinkLost,
        |m| {
            let (key, value) = ("k".to_owned(), String::new());
            m.taints.push(Taint { key, value, effect: TaintEffect::NoSchedule, time_added: 0 });
        },
        |m| m.apis = Some(Vec::new()),
    ];
    for edit in edits {
        breaks("I3", |world, _| {
            world.edit("m02", edit);
            let need = ApiNeed { group_version: "apps/v1".into(), kind: "Deployment".into() };
            world.requests.iter_mut().find(|r| r.name == "web").unwrap().apis.push(need);
        });
    }
}

#[test]
fn placement_46_i4_too_many_unnamed_or_forgotten() {
    breaks("I4", |world, _| world.requests.iter_mut().find(|r| r.name == "web").unwrap().select = count(2));
    breaks("I4", |world, _| {
        let names = ["skerry.m00", "skerry.m01"];
        world.requests.iter_mut().find(|r| r.name == "web").unwrap().select = fixed(&names);
    });
    breaks("I4", |_, plan| {
        let web = decision_of(plan, "web");
        web.picks.retain(|p| &*p.member.0 != "m00");
        (web.outcome.selected, web.outcome.wanted) = (2, 2);
        // Without m00 the pick in zone b would be a second fault.
        web.picks.retain(|p| &*p.member.0 != "m02");
        web.outcome.selected = 1;
        web.outcome.verdict = Verdict::Partial;
        plan.ledger.0.clear();
    });
}

#[test]
fn placement_46_i5_skew() {
    breaks("I5", |world, _| {
        for id in ["m00", "m01", "m02"] {
            let zone = if id == "m00" { "a" } else { "b" };
            world.edit(id, |m| m.labels = [("zone".into(), zone.into())].into());
        }
        world.edit("m00", |m| m.labels = [("zone".into(), "b".into())].into());
        world.requests[0].spread[0].max_skew = 1;
        world.requests[0].spread[0].max_domains = 0;
        world.edit("m02", |m| m.labels.clear());
    });
}

#[test]
fn placement_46_i6_shares_do_not_add_up() {
    breaks("I6", |_, plan| {
        let pick = &mut decision_of(plan, "split").picks[0];
        pick.shares[0].replicas += 1;
    });
    breaks("I6", |world, _| world.requests.iter_mut().find(|r| r.name == "split").unwrap().replicas.max = 1);
}

#[test]
fn placement_46_i10_without_a_cause() {
    breaks("I10", |_, plan| {
        let web = decision_of(plan, "web");
        web.picks.retain(|p| &*p.member.0 != "m01");
        web.drops.push(Drop { member: "m01".into(), cause: OutCause::Evicted });
        (web.outcome.selected, web.outcome.wanted) = (2, 2);
    });
}

#[test]
fn placement_46_i12_two_owners() {
    breaks("I12", |world, _| {
        world.claims.push(Claim { member: "m02".into(), object: "o".into(), owner: "other".into() });
    });
}

#[test]
fn placement_46_i13_paper() {
    breaks("I13", |_, plan| plan.generation += 1);
    let world = world();
    let mut plan = world.plan();
    plan.next_wake = Some(1);
    assert_eq!(found(&world, &plan), BTreeSet::from(["I13"]), "the digest of the plan");
    let plan = world.plan();
    let mut other = world.clone();
    other.seed += 1;
    assert_eq!(found(&other, &plan), BTreeSet::from(["I13"]), "the digest of the input");
}

#[test]
fn placement_46_i14_no_outcome_no_reason() {
    breaks("I14", |_, plan| plan.decisions.retain(|d| &*d.request.0 != "split"));
    breaks("I14", |_, plan| decision_of(plan, "web").outcome.wanted = 7);
    breaks("I14", |_, plan| decision_of(plan, "web").tally.eligible = 1);
}

#[test]
fn placement_46_i15_a_promise_that_vanished() {
    breaks("I15", |_, plan| plan.ledger.0[0].after = 0);
    breaks("I15", |_, plan| {
        let row = LedgerRow { node: "m00".into(), resource: "cpu".into(), before: 900, after: 0 };
        plan.ledger.0.push(row);
    });
}

#[test]
fn placement_46_i16_restless() {
    let mut world = world();
    let plan = world.plan();
    world.commit(&plan);
    let again = world.plan();
    assert!(check_again(&again).is_empty());
    world.join(Member { labels: [("zone".into(), "a".into())].into(), ..member("m09") });
    world.respec("web", |r| r.select = count(4));
    let ids: Vec<_> = check_again(&world.plan()).into_iter().map(|v| (v.id, v.request.unwrap())).collect();
    assert_eq!(ids, [("I16", "web".into())]);
}

/// A Draining binding keeps its promise in the ledger (I15), so its room is not given away.
#[test]
fn placement_46_draining_keeps_its_room() {
    let mut world = World::of([Member { report: report(1, 1), ..member("m00") }]);
    world.requests.push(Request { needs: web(1, 1_000), ..request("first") });
    world.settle();
    world.respec("first", |r| r.groups = group(vec![labels(&[("no", "where")])]));
    world.requests.push(Request { needs: web(1, 1_000), ..request("second") });
    world.step();
    assert!(world.bound("first").is_empty() && world.bound("second").is_empty());
    world.deliver();
    world.step();
    assert_eq!(world.bound("second"), ["m00"]);
}
