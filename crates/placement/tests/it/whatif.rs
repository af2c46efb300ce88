//! Placement 48: what-if, and the same changes made real.

use crate::support::*;
use skerry_placement::*;
use std::sync::Arc;

#[test]
fn placement_48_changes_tried_and_then_made_have_one_digest() {
    let mut world = World::of([host("h0", 40, 4), host("h1", 40, 4)]);
    for i in 0..4 {
        world.join(virt(&format!("h0v{i}"), "h0"));
        world.join(virt(&format!("h1v{i}"), "h1"));
    }
    for i in 0..6 {
        world.requests.push(Request { select: count(2), needs: web(2, 1_000), ..request(&format!("p{i}")) });
    }
    world.settle();
    let mut edited = world.requests.iter().find(|r| r.name == "p3").unwrap().clone();
    edited.select = count(3);
    edited.generation += 1;
    let newcomer = virt("h1v9", "h1");
    let changes = [
        Change::Drain("h0".into()),
        Change::Add(Box::new(newcomer.clone())),
        Change::Relabel { member: "h1v0".into(), key: "tier".into(), value: Some("gold".into()) },
        Change::EditPlacement(Box::new(edited.clone())),
    ];
    let input = Input { changes: &changes, ..world.input() };
    let before = world.input().held;
    let diff = what_if(&input, &world.parent);
    assert_eq!(diff.live, world.plan().digest);
    assert_eq!(world.held, before, "nothing is written");
    assert!(diff.moved.iter().all(|s| s.went == Some(OutCause::Drained)), "{diff:#?}");
    let on_h0 = world.held.iter().filter(|h| h.member.0.starts_with("h0")).count();
    assert_eq!((diff.moved.len(), diff.added.len(), diff.dropped.len()), (on_h0, 1, 0));
    assert_eq!(diff.replicas_moved, 2 * (on_h0 as u64 + 1));
    assert_eq!(diff.roots_used, (2, 1));

    // The same, for real.
    for member in &mut world.fleet.members {
        if member.id.0.starts_with("h0") {
            Arc::make_mut(member).cordoned = true;
        }
    }
    world.join(newcomer);
    world.edit("h1v0", |m| {
        m.labels.insert("tier".into(), "gold".into());
    });
    *world.requests.iter_mut().find(|r| r.name == "p3").unwrap() = edited;
    for held in world.held.iter_mut().filter(|h| h.member.0.starts_with("h0")) {
        held.eviction = Some(Eviction { cause: OutCause::Drained });
    }
    let plan = world.step();
    assert_eq!(plan.digest, diff.changed);
    assert!(world.held.iter().filter(|h| h.state == State::Bound).all(|h| h.member.0.starts_with("h1")));
}

#[test]
fn placement_48_every_change_does_what_it_says() {
    let world = World::equal(3).with(Request { select: count(2), ..request("web") }).with(request("all"));
    let mut world = world;
    world.settle();
    let bound = world.bound("web");
    let id = || MemberId::from(bound[0].as_str());
    let try_one = |change: Change| {
        let changes = [change];
        what_if(&Input { changes: &changes, ..world.input() }, &world.parent)
    };
    let quiet = |diff: &PlanDiff| diff.added.is_empty() && diff.dropped.is_empty() && diff.moved.is_empty();
    for change in [
        Change::Cordon(id()),
        Change::Uncordon(id()),
        Change::taint(&bound[0], "k"),
        Change::HostDown(id()),
        Change::SetProperty { member: id(), key: "p".into(), value: Some("1".into()) },
        Change::Capacity { member: id(), report: Box::new(report(0, 1)) },
        Change::AdvanceTime(1_000),
    ] {
        assert!(quiet(&try_one(change.clone())), "{change:?} moves nothing that is held");
    }
    let removed = try_one(Change::Remove(id()));
    assert_eq!((removed.moved.len(), removed.dropped.len()), (1, 1), "Count is refilled, All is smaller");
    let deleted = try_one(Change::DeletePlacement("web".into()));
    assert_eq!(deleted.dropped.len(), 2);
    assert!(deleted.dropped.iter().all(|s| s.went == Some(OutCause::PlacementDeleted)));
    let created = try_one(Change::CreatePlacement(Box::new(request("new"))));
    assert_eq!(created.added.len(), 3);
    let scaled =
        try_one(Change::Scale { request: "all".into(), target: "apps/Deployment/web".into(), replicas: 5 });
    assert_eq!(scaled.replicas_moved, 12, "four more on each of three");
    let big = try_one(Change::Scale {
        request: "web".into(),
        target: "apps/Deployment/web".into(),
        replicas: 5_000,
    });
    assert!(quiet(&big));
    assert!(quiet(&try_one(Change::Replan("all".into()))));
}

#[test]
fn placement_48_an_eviction_without_room_waits_for_its_budget() {
    let mut world = World::equal(8).with(request("all"));
    world.settle();
    for held in world.held.iter_mut().take(5) {
        held.eviction = Some(Eviction { cause: OutCause::Evicted });
    }
    let plan = world.step();
    assert_eq!(dropped(&plan, "all").len(), 2, "a quarter of eight at once");
    let pending = plan.notes.iter().filter(|n| n.reason == NoteReason::EvictionPending).count();
    assert_eq!(pending, 3);
    let mut fixed_world = World::equal(2).with(Request { select: fixed(&["skerry.m00"]), ..request("web") });
    fixed_world.settle();
    fixed_world.held[0].eviction = Some(Eviction { cause: OutCause::Evicted });
    let plan = fixed_world.step();
    assert!(plan.is_empty());
    assert_eq!(plan.notes[0].reason, NoteReason::NotEvictable);
}
