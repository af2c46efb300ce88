//! What wakes whom: placement 9, 51's second half, goal 9.

use crate::support::*;
use skerry_placement::wake::{Index, WakeCause};
use skerry_placement::*;

/// Plans what is woken, as the driver does; who it was and why.
fn cycle(world: &mut World, index: &mut Index) -> Vec<(String, WakeCause)> {
    let woken = index.woken(&world.input());
    world.evaluate = Some(woken.keys().cloned().collect());
    world.blocked = index.blocked();
    let planned = world.plan();
    assert!(world.violations(&planned).is_empty());
    index.note(&world.input(), &planned);
    world.commit(&planned);
    (world.evaluate, world.blocked) = (None, Default::default());
    woken.into_iter().map(|(id, cause)| (id.to_string(), cause)).collect()
}

fn names(woken: &[(String, WakeCause)]) -> Vec<&str> {
    woken.iter().map(|(name, _)| name.as_str()).collect()
}

fn gold(n: u32) -> Request {
    Request {
        select: count(n),
        groups: group(vec![labels(&[("tier", "gold")])]),
        ..request(&format!("gold{n}"))
    }
}

fn world() -> (World, Index) {
    let mut world = World::equal(4).with(request("all")).with(gold(1)).with(gold(2));
    world.edit("m00", |m| m.labels = [("tier".into(), "gold".into())].into());
    let mut index = Index::default();
    assert_eq!(cycle(&mut world, &mut index).len(), 3, "at first everybody");
    assert_eq!((world.bound("gold1").len(), world.bound("gold2").len()), (1, 1), "gold2 is short");
    (world, index)
}

#[test]
fn placement_9_only_who_can_gain_is_evaluated() {
    let changes: [(&str, fn(&mut World), &[&str]); 8] = [
        ("nothing", |_| {}, &[]),
        ("a heartbeat that moves capacity", |w| w.edit("m01", |m| m.report = report(99, 10)), &[]),
        ("a label nobody reads", |w| w.edit("m01", |m| m.labels = [("x".into(), "y".into())].into()), &[]),
        (
            "a label that terms read",
            |w| w.edit("m01", |m| m.labels = [("tier".into(), "gold".into())].into()),
            &["gold2"],
        ),
        ("a member joins", |w| w.join(member("m09")), &["all", "gold2"]),
        ("a member falls ill", |w| w.edit("m03", |m| m.health = Health::LinkLost), &["all", "gold2"]),
        ("a holder is lost", |w| w.leave("m03"), &["all", "gold2"]),
        ("one is edited", |w| w.respec("gold1", |r| r.select = count(0)), &["gold1"]),
    ];
    for (what, change, want) in changes {
        let (mut world, mut index) = world();
        change(&mut world);
        assert_eq!(names(&cycle(&mut world, &mut index)), want, "{what}");
        assert!(cycle(&mut world, &mut index).is_empty(), "{what}: and then nobody");
    }
}

#[test]
fn placement_9_a_second_pass_evaluates_nobody() {
    let (mut world, mut index) = world();
    for _ in 0..3 {
        world.deliver();
        world.at += 10_000;
        assert!(cycle(&mut world, &mut index).is_empty());
    }
}

/// Placement 51: one host, fifty members; when it is full the rest wait, and what one frees wakes just them.
#[test]
fn placement_51_who_wakes_when_one_is_freed() {
    let mut world = World::of([host("h", 100, 10)]);
    for i in 0..50 {
        world.join(virt(&format!("v{i:02}"), "h"));
    }
    for i in 0..12 {
        world.requests.push(Request {
            select: count(1),
            needs: web(1, 10_000),
            ..request(&format!("p{i:02}"))
        });
    }
    world.requests.push(Request { select: count(1), needs: web(2, 10_000), ..request("wide") });
    world.requests.push(Request { select: count(1), needs: Needs::default(), ..request("free") });
    let mut index = Index::default();
    cycle(&mut world, &mut index);
    let placed =
        |world: &World| world.held.iter().filter(|h| h.state == State::Bound && !h.promise.is_zero()).count();
    assert_eq!(placed(&world), 9, "the wide one went first and took two places");
    world.deliver();
    assert!(cycle(&mut world, &mut index).is_empty());
    let happy = world.held.iter().find(|h| h.promise.get("cpu") == 10_000).unwrap().request.clone();
    world.requests.retain(|r| r.id != happy);
    let woken = cycle(&mut world, &mut index);
    assert_eq!(woken, [(happy.to_string(), WakeCause::Spec)], "it drains, its place is not free yet");
    world.deliver();
    let woken = cycle(&mut world, &mut index);
    assert_eq!(woken.len(), 4, "those that wait, nobody else: {woken:?}");
    assert!(woken.iter().all(|(name, cause)| name.starts_with('p') && *cause == WakeCause::Room));
    assert_eq!(placed(&world), 9, "one of them got it");
}
