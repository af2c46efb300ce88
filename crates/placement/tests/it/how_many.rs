//! How many: placement 6, 7, 8, 9.

use crate::support::*;
use skerry_placement::*;
use std::collections::BTreeMap;

#[test]
fn placement_6_equal_members_share_a_thousand_placements() {
    let mut world = World::of((0..100).map(|i| {
        let mut m = member(&format!("m{i:02}"));
        m.report = report(1000, 10);
        m
    }));
    for i in 0..1000 {
        world.requests.push(Request { select: count(3), ..request(&format!("p{i:03}")) });
    }
    let planned = world.plan();
    assert!(world.violations(&planned).is_empty());
    let mut load: BTreeMap<String, u32> = BTreeMap::new();
    for decision in &planned.decisions {
        assert_eq!(decision.picks.len(), 3);
        decision.picks.iter().for_each(|p| *load.entry(p.member.to_string()).or_default() += 1);
    }
    assert_eq!(load.len(), 100);
    assert!(load.values().all(|n| *n <= 42), "mean 30, at most 1.4 times that: {load:?}");
}

#[test]
fn placement_6_by_name_the_smallest_win() {
    let mut world = World::equal(9);
    world.config.tie_break = TieBreak::Name;
    for name in ["a", "b"] {
        world.requests.push(Request { select: count(3), needs: Needs::default(), ..request(name) });
    }
    world.step();
    assert_eq!(world.bound("a"), ["m00", "m01", "m02"]);
    assert_eq!(world.bound("b"), ["m00", "m01", "m02"]);
}

#[test]
fn placement_7_count_up_down_nothing_percent() {
    let mut world = World::equal(10).with(Request { select: count(3), ..request("web") });
    world.settle();
    let three = world.bound("web");
    world.respec("web", |r| r.select = count(5));
    let plan = world.step();
    assert_eq!(added(&plan, "web").len(), 2);
    assert!(three.iter().all(|m| world.bound("web").contains(m)), "growing moves nobody");
    world.deliver();
    // Shrinking: the undelivered first, then the unavailable, then the lowest rank.
    let of = |world: &World, i: usize| world.bound("web")[i].clone();
    let (undelivered, unavailable) = (of(&world, 1), of(&world, 3));
    for held in &mut world.held {
        if held.member.to_string() == undelivered {
            (held.delivered, held.available) = (false, false);
        } else if held.member.to_string() == unavailable {
            held.available = false;
        }
    }
    for (n, gone) in [(4, &undelivered), (3, &unavailable)] {
        world.respec("web", |r| r.select = count(n));
        let plan = world.step();
        assert_eq!(dropped(&plan, "web"), [(gone.clone(), OutCause::ScaleIn)]);
        world.held.retain(|h| h.state == State::Bound);
    }
    world.respec("web", |r| r.select = count(2));
    let ranks: BTreeMap<String, u32> =
        decision(&world.plan(), "web").picks.iter().map(|p| (p.member.to_string(), p.score.rank)).collect();
    let plan = world.step();
    let worst = &dropped(&plan, "web")[0].0;
    assert!(!ranks.contains_key(worst) && ranks.values().all(|r| *r <= 2), "the lowest rank goes");
    world.deliver();
    world.respec("web", |r| r.select = count(0));
    let plan = world.step();
    assert_eq!((verdict(&plan, "web"), world.bound("web").len()), (Verdict::Placed, 0));
    world.deliver();
    world.respec("web", |r| r.select.mode = Mode::Count(SelectCount::Percent(25)));
    world.step();
    assert_eq!(world.bound("web").len(), 3, "25 % of 10, rounded up");
}

#[test]
fn placement_8_short_partial_and_refuse() {
    let mut world = World::equal(2).with(Request { select: count(3), ..request("partial") });
    let refuse = Select { when_short: WhenShort::Refuse, ..count(3) };
    world.requests.push(Request { select: refuse, ..request("refuse") });
    world.requests.push(Request { select: Select { min: Some(2), ..count(3) }, ..request("enough") });
    let plan = world.step();
    assert_eq!((verdict(&plan, "partial"), world.bound("partial").len()), (Verdict::Short, 2));
    assert_eq!((verdict(&plan, "refuse"), world.bound("refuse").len()), (Verdict::Short, 0));
    assert_eq!((verdict(&plan, "enough"), world.bound("enough").len()), (Verdict::Partial, 2));
    world.join(member("m02"));
    let plan = world.step();
    for name in ["partial", "refuse", "enough"] {
        assert_eq!((verdict(&plan, name), world.bound(name).len()), (Verdict::Placed, 3), "{name}");
    }
}

#[test]
fn placement_9_short_ones_are_filled_by_whatever_helps() {
    let groups = group(vec![labels(&[("tier", "gold")])]);
    let helps: [(&str, fn(&mut World)); 4] = [
        ("join", |w| w.join(Member { labels: [("tier".into(), "gold".into())].into(), ..member("new") })),
        ("label", |w| w.edit("m01", |m| m.labels = [("tier".into(), "gold".into())].into())),
        ("health", |w| w.edit("m02", |m| m.health = Health::Healthy)),
        ("room", |w| w.edit("m03", |m| m.report = report(10, 1))),
    ];
    for (what, help) in helps {
        let mut world =
            World::equal(4).with(Request { select: count(2), groups: groups.clone(), ..request("web") });
        for id in ["m00", "m02", "m03"] {
            world.edit(id, |m| m.labels = [("tier".into(), "gold".into())].into());
        }
        world.edit("m02", |m| m.health = Health::Unknown);
        world.edit("m03", |m| m.report = report(0, 1));
        world.settle();
        assert_eq!(world.bound("web"), ["m00"]);
        help(&mut world);
        let plan = world.step();
        assert_eq!((added(&plan, "web").len(), verdict(&plan, "web")), (1, Verdict::Placed), "{what}");
        assert!(decision(&plan, "web").picks.iter().any(|p| p.cause == InCause::Filled), "{what}");
    }
}
