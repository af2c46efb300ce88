//! Spread over domains: placement 11, 12.

use crate::support::*;
use skerry_placement::*;

const ZONE: &str = "topology.kubernetes.io/zone";

/// Six members: m00..m02 in zone a, m03 and m04 in b, m05 in c; equal otherwise, ids decide.
fn zones() -> World {
    let mut world = World::equal(6);
    world.config.tie_break = TieBreak::Name;
    for (i, zone) in ["a", "a", "a", "b", "b", "c"].iter().enumerate() {
        world.edit(&format!("m{i:02}"), |m| m.labels = [(ZONE.into(), (*zone).into())].into());
    }
    world
}

fn spread(n: u32, spread: Vec<Spread>) -> Request {
    Request { select: count(n), spread, needs: Needs::default(), ..request("web") }
}

#[test]
fn placement_11_exact_sets() {
    let min3 = Spread { min_domains: 3, ..hard(ZONE, 1) };
    let max = |max_domains| Spread { max_domains, ..hard(ZONE, 1) };
    for (name, n, rules, want, expected) in [
        ("hard, one each", 3, vec![hard(ZONE, 1)], "m00 m03 m05", Verdict::Placed),
        ("hard, a fourth", 4, vec![hard(ZONE, 1)], "m00 m01 m03 m05", Verdict::Placed),
        ("hard, c is used up", 6, vec![hard(ZONE, 1)], "m00 m01 m03 m04 m05", Verdict::SpreadUnsatisfiable),
        ("hard, more skew", 6, vec![hard(ZONE, 2)], "m00 m01 m02 m03 m04 m05", Verdict::Placed),
        ("soft, balanced", 3, vec![soft(ZONE)], "m00 m03 m05", Verdict::Placed),
        ("soft, all the same", 6, vec![soft(ZONE)], "m00 m01 m02 m03 m04 m05", Verdict::Placed),
        ("hard and soft", 4, vec![hard(ZONE, 1), soft(MEMBER)], "m00 m01 m03 m05", Verdict::Placed),
        ("over members", 2, vec![hard(MEMBER, 1)], "m00 m01", Verdict::Placed),
        ("enough domains", 4, vec![min3], "m00 m01 m03 m05", Verdict::Placed),
        ("one domain at most", 3, vec![max(1)], "m00 m01 m02", Verdict::Placed),
        ("two domains at most", 4, vec![max(2)], "m00 m01 m03 m04", Verdict::Placed),
        ("one domain is too small", 4, vec![max(1)], "m00 m01 m02", Verdict::SpreadUnsatisfiable),
    ] {
        let mut world = zones().with(spread(n, rules));
        let plan = world.step();
        assert_eq!(world.bound("web").join(" "), want, "{name}");
        assert_eq!(verdict(&plan, "web"), expected, "{name}");
    }
}

#[test]
fn placement_11_too_few_domains_count_as_empty_ones() {
    let mut world = zones().with(spread(6, vec![Spread { min_domains: 4, ..hard(ZONE, 1) }]));
    let plan = world.step();
    assert_eq!(world.bound("web"), ["m00", "m03", "m05"], "with fewer than four zones none may have two");
    let outcome = &decision(&plan, "web").outcome;
    assert_eq!((outcome.verdict, outcome.blocked_by.as_str()), (Verdict::SpreadUnsatisfiable, ZONE));
    assert_eq!(rejected(&plan, "web"), [(Reason::Spread, ZONE.into(), 3)]);
}

#[test]
fn placement_11_no_value_is_refused_when_hard_and_nothing_when_soft() {
    let mut world = zones().with(spread(6, vec![hard(ZONE, 3)]));
    world.edit("m00", |m| m.labels.clear());
    world.step();
    assert_eq!(world.bound("web"), ["m01", "m02", "m03", "m04", "m05"]);
    let mut world = zones().with(spread(3, vec![soft(ZONE)]));
    world.edit("m00", |m| m.labels.clear());
    world.step();
    assert_eq!(world.bound("web"), ["m01", "m03", "m05"], "balance speaks for those with a zone");
}

#[test]
fn placement_11_only_eligible_domains_count() {
    let groups = group(vec![labels(&[(ZONE, "a")]), labels(&[(ZONE, "b")])]);
    let mut world = zones().with(Request { groups, ..spread(4, vec![hard(ZONE, 1)]) });
    world.edit("m05", |m| m.cordoned = true);
    world.step();
    assert_eq!(world.bound("web"), ["m00", "m01", "m03", "m04"]);
}

#[test]
fn placement_11_a_dead_end_is_left_by_an_exchange() {
    let mut world = World::equal(3).with(Request {
        preferred: vec![Preferred { weight: 50, by: PreferredBy::Term(labels(&[("best", "yes")])) }],
        ..spread(2, vec![hard("zone", 1), hard("rack", 1)])
    });
    for (id, zone, rack, best) in [("m00", "1", "1", "yes"), ("m01", "1", "2", ""), ("m02", "2", "1", "")] {
        world.edit(id, |m| {
            m.labels =
                [("zone".into(), zone.into()), ("rack".into(), rack.into()), ("best".into(), best.into())]
                    .into();
        });
    }
    let plan = world.step();
    assert_eq!(world.bound("web"), ["m01", "m02"], "the best member alone leads nowhere");
    assert_eq!(verdict(&plan, "web"), Verdict::Placed);
    world.respec("web", |r| r.select = count(3));
    world.step();
    assert_eq!(world.bound("web").len(), 3);
}

#[test]
fn placement_12_a_newcomer_that_would_break_the_spread_stays_out() {
    let mut world = zones().with(Request { select: Select::default(), ..spread(0, vec![hard(ZONE, 1)]) });
    world.leave("m05");
    world.leave("m04");
    world.settle();
    assert_eq!(world.bound("web"), ["m00", "m01", "m03"]);
    world.join(Member { labels: [(ZONE.into(), "a".into())].into(), ..member("m09") });
    assert!(world.step().is_empty());
    world.join(Member { labels: [(ZONE.into(), "c".into())].into(), ..member("m10") });
    let plan = world.step();
    assert_eq!(
        added(&plan, "web"),
        ["m10"],
        "a region that appears later is used, and nothing is moved there"
    );
}

#[test]
fn placement_11_shrinking_keeps_the_balance() {
    let mut world = zones().with(spread(5, vec![hard(ZONE, 1)]));
    world.settle();
    world.respec("web", |r| r.select = count(3));
    world.step();
    assert_eq!(world.bound("web"), ["m00", "m03", "m05"]);
}
