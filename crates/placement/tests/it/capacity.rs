//! The capacity tree in decisions: placement 23, 24, 25, inventory I20.

use crate::support::*;
use skerry_placement::*;
use std::collections::BTreeSet;

/// `hosts` hosts of `cores` cores, `each` virtual members on each.
fn hosts(hosts: usize, cores: i64, each: usize) -> World {
    let mut members = Vec::new();
    for h in 0..hosts {
        members.push(host(&format!("h{h}"), cores, 10));
        members.extend((0..each).map(|v| virt(&format!("h{h}v{v:02}"), &format!("h{h}"))));
    }
    World::of(members)
}

#[test]
fn placement_23_fifty_members_share_each_host() {
    let mut world = hosts(4, 20, 50);
    for i in 0..100 {
        world.requests.push(Request { select: count(3), needs: web(1, 500), ..request(&format!("p{i:02}")) });
    }
    let plan = world.step();
    for h in 0..4 {
        assert!(world.promised(&format!("h{h}")) <= 20_000);
    }
    let placed: usize = plan.decisions.iter().map(|d| d.picks.len()).sum();
    assert_eq!(placed, 160, "80 cores in halves, no more and no less");
    let mut reversed = hosts(4, 20, 50);
    reversed.requests = world.requests.iter().rev().cloned().collect();
    reversed.requests.iter_mut().for_each(|r| (r.decided, r.waiting_since) = (0, None));
    reversed.fleet.members.reverse();
    assert_eq!(reversed.plan().digest, plan.digest, "in any order");
}

#[test]
fn placement_23_spread_over_hosts_takes_distinct_hosts() {
    let spread = vec![hard(HOST, 1)];
    let mut world = hosts(4, 20, 50).with(Request { select: count(4), spread, ..request("web") });
    world.step();
    let hosts: BTreeSet<String> = world.bound("web").iter().map(|m| m[..2].to_owned()).collect();
    assert_eq!(hosts.len(), 4);
}

#[test]
fn inventory_i20_ten_of_fifty_get_ten_cores_each() {
    let mut world = hosts(1, 100, 50).with(Request { needs: web(1, 10_000), ..request("web") });
    let plan = world.step();
    assert_eq!(world.bound("web").len(), 10);
    assert_eq!(decision(&plan, "web").tally.count(Reason::Insufficient), 40);
    let tight = decision(&plan, "web").outcome.clone();
    assert_eq!(tight.verdict, Verdict::Placed, "All: who has no room is not eligible");
}

/// The report of a host on which everything promised so far runs.
fn catch_up(world: &mut World, id: &str) {
    let bound: Vec<Held> = world.held.clone();
    let mut used = 0;
    let mut seen = Vec::new();
    for held in bound.iter().filter(|h| h.member.0.starts_with(id)) {
        used += held.promise.get("cpu");
        let label = binding_label(&held.request, &held.member.0);
        seen.push(Seen { member: held.member.clone(), label, requests: held.promise.clone() });
    }
    world.edit(id, |m| {
        if let Capacity::Known(figures) = &mut m.report.capacity {
            figures.used = cpu(used);
            figures.seen.clone_from(&seen);
            figures.shapes.clear();
        }
    });
}

#[test]
fn placement_24_one_batch_or_one_by_one_never_overcommits() {
    let ask = |i: usize| Request { select: count(1), needs: web(1, 300), ..request(&format!("p{i:04}")) };
    let mut batch = hosts(3, 60, 10);
    batch.requests.extend((0..1000).map(ask));
    let planned = batch.plan();
    assert!(batch.violations(&planned).is_empty());
    let placed: usize = planned.decisions.iter().map(|d| d.picks.len()).sum();
    assert_eq!(placed, 600);

    let mut single = hosts(3, 60, 10);
    let mut placed = 0;
    for i in 0..120 {
        single.requests.push(Request { needs: web(1, 3_000), ..ask(i) });
        single.evaluate = Some([single.requests[i].id.clone()].into());
        placed += single.step().decisions[0].picks.len();
        if i % 7 == 0 {
            ["h0", "h1", "h2"].iter().for_each(|h| catch_up(&mut single, h));
        }
    }
    assert_eq!(placed, 60, "no pod is counted twice and none is forgotten");
}

/// A member is let go and picked again while its host still counts the pods of the binding before: they go on counting
/// as its own, so that ledger and bindings agree (C1, I15).
#[test]
fn placement_24_pods_of_a_binding_that_went_are_still_seen() {
    let mut world = hosts(1, 100, 1).with(Request { needs: web(1, 3_000), ..request("web") });
    world.step();
    catch_up(&mut world, "h0");
    world.held.clear();
    world.requests[0].decided = 0;
    let plan = world.plan();
    assert_eq!(world.violations(&plan), []);
    assert_eq!(decision(&plan, "web").picks.len(), 1);
    assert!(plan.ledger.0.iter().all(|row| &*row.node.0 != "h0"), "three cores run there already");
}

#[test]
fn placement_25_giants_are_fragmented_and_block_nobody() {
    let mut world = World::of([host("h", 400, 100)]);
    world.edit("h", |m| m.owner_namespace = Some(TEAM.into()));
    for i in 0..50 {
        world.requests.push(Request { needs: web(1, 20_000), ..request(&format!("giant{i:02}")) });
    }
    for i in 0..60 {
        world.requests.push(Request { needs: web(1, 4_000), ..request(&format!("small{i:02}")) });
    }
    let plan = world.step();
    for decision in &plan.decisions {
        if decision.request.0.starts_with("giant") {
            assert_eq!(decision.outcome.verdict, Verdict::Insufficient);
            assert_eq!(decision.tally.rejected[0].reason, Reason::Fragmented);
        } else {
            assert_eq!(decision.outcome.verdict, Verdict::Placed);
        }
    }
}

#[test]
fn placement_m3_unknown_and_stale_capacity() {
    let mut world = World::equal(3).with(request("web"));
    world.edit("m00", |m| m.report = Report::default());
    world.edit("m01", |m| (m.report.observed, m.report.interval) = (0, 10_000));
    world.at = 30_001;
    let plan = world.step();
    assert_eq!(world.bound("web"), ["m00", "m02"]);
    assert_eq!(decision(&plan, "web").tally.count(Reason::ReportStale), 1);
    world.held.clear();
    world.respec("web", |r| r.unknown_capacity = UnknownCapacity::Deny);
    let plan = world.step();
    assert_eq!(world.bound("web"), ["m02"]);
    assert_eq!(decision(&plan, "web").tally.count(Reason::CapacityUnknown), 1);
    world.held.clear();
    world.edit("m01", |m| m.report.heartbeat = 1);
    world.step();
    assert_eq!(world.bound("web"), ["m01", "m02"], "a heartbeat keeps a report fresh");
}

#[test]
fn placement_23_quota_of_a_virtual_member_bounds_it_too() {
    let mut world = hosts(1, 100, 2).with(Request { needs: web(3, 1_000), ..request("web") });
    world.edit("h0v00", |m| {
        let figures = Figures { ceiling: cpu(4_000), used: cpu(2_000), ..Figures::default() };
        m.report.capacity = Capacity::Known(figures);
    });
    let plan = world.step();
    assert_eq!(world.bound("web"), ["h0v01"]);
    assert_eq!(rejected(&plan, "web"), [(Reason::Insufficient, "cpu".into(), 1)]);
}

#[test]
fn placement_23_a_daemonset_needs_its_nodes() {
    let mut needs = web(1, 1_000);
    needs.pods[0].per_node = true;
    let mut world = World::equal(2).with(Request { needs, ..request("web") });
    world.edit("m00", |m| m.schedulable_nodes = 10);
    world.edit("m01", |m| m.schedulable_nodes = 101);
    let plan = world.step();
    assert_eq!(world.bound("web"), ["m00"]);
    assert_eq!(decision(&plan, "web").picks[0].promise.get("cpu"), 10_000);
}

#[test]
fn placement_27_growth_that_does_not_fit_is_refused_and_said() {
    let mut world = World::of([host("h", 10, 1)]);
    world.edit("h", |m| m.owner_namespace = Some(TEAM.into()));
    world.requests.push(Request { needs: web(6, 1_000), ..request("web") });
    world.settle();
    world.respec("web", |r| r.needs = web(8, 1_000));
    let plan = world.step();
    assert_eq!(decision(&plan, "web").picks[0].step, Step::Change);
    assert_eq!(world.promised("h"), 8_000);
    world.respec("web", |r| r.needs = web(12, 1_000));
    let plan = world.step();
    let outcome = &decision(&plan, "web").outcome;
    assert_eq!(outcome.verdict, Verdict::Insufficient);
    assert_eq!(outcome.tightest, Some(Tight { resource: "cpu".into(), node: "skerry.h".into() }));
    assert_eq!(plan.notes[0].reason, NoteReason::GrowthRefused);
    assert_eq!(world.promised("h"), 8_000);
}

#[test]
fn placement_i12_an_object_has_one_owner_per_member() {
    let object = || vec!["apps/Deployment/shop/web".to_owned()];
    let mut world = World::equal(3)
        .with(Request { objects: object(), select: count(2), ..request("a") })
        .with(Request { objects: object(), ..request("b") });
    let claim = Claim { member: "m00".into(), object: object().remove(0), owner: "stranger".into() };
    world.claims.push(claim);
    let plan = world.step();
    assert_eq!(world.bound("a"), ["m01", "m02"]);
    assert!(world.bound("b").is_empty());
    assert_eq!(decision(&plan, "b").tally.count(Reason::ObjectClaimed), 3);
}
