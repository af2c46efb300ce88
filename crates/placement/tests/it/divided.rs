//! Divided replicas in decisions: placement 27, 28.

use crate::support::*;
use skerry_placement::*;

fn divided(by: DivideBy, total: u32) -> Request {
    let replicas = Replicas { mode: ReplicasMode::Divided, by, ..Replicas::default() };
    Request { replicas, needs: web(total, 1_000), ..request("web") }
}

/// Members of 10, 30 and 60 cores; ids decide.
fn uneven() -> World {
    let mut world = World::of([("m00", 10), ("m01", 30), ("m02", 60)].map(|(id, cores)| {
        let mut m = member(id);
        m.report = report(cores, 1);
        m
    }));
    world.config.tie_break = TieBreak::Name;
    world
}

fn numbers(world: &World) -> Vec<u32> {
    let shares = world.shares("web");
    (0..3).map(|i| shares.iter().find(|(m, _)| *m == format!("m{i:02}")).map_or(0, |(_, n)| *n)).collect()
}

#[test]
fn placement_27_exact_shares_by_every_division() {
    let weighted = |rules: Vec<(Term, u32)>| Replicas {
        mode: ReplicasMode::Divided,
        by: DivideBy::Weighted,
        weights: rules.into_iter().map(|(term, weight)| WeightRule { term, weight }).collect(),
        ..Replicas::default()
    };
    let named = |n: &str| Term { names: vec![n.into()], ..Term::default() };
    let edited = |by, change: fn(&mut Replicas)| {
        let mut request = divided(by, 20);
        change(&mut request.replicas);
        request
    };
    for (name, request, want) in [
        ("by room", divided(DivideBy::Capacity, 10), [1, 3, 6]),
        ("evenly", divided(DivideBy::Even, 20), [7, 7, 6]),
        ("evenly into what there is", divided(DivideBy::Even, 60), [10, 25, 25]),
        ("fewest members", divided(DivideBy::Aggregated, 70), [0, 10, 60]),
        ("with a least", edited(DivideBy::Capacity, |r| r.min = 4), [4, 5, 11]),
        ("with a most", edited(DivideBy::Capacity, |r| r.max = 8), [4, 8, 8]),
        (
            "weighted, first match counts",
            Request {
                replicas: weighted(vec![(named("skerry.m00"), 3), (Term::default(), 1)]),
                ..divided(DivideBy::Weighted, 10)
            },
            [6, 2, 2],
        ),
        (
            "no match is none",
            Request { replicas: weighted(vec![(named("skerry.m02"), 1)]), ..divided(DivideBy::Weighted, 5) },
            [0, 0, 5],
        ),
    ] {
        let mut world = uneven().with(request);
        let plan = world.step();
        assert_eq!(numbers(&world), want, "{name}");
        assert_eq!(verdict(&plan, "web"), Verdict::Placed, "{name}");
    }
}

#[test]
fn placement_27_what_does_not_fit_is_unplaced_with_its_reason() {
    let mut world = uneven().with(divided(DivideBy::Even, 120));
    let plan = world.step();
    let outcome = &decision(&plan, "web").outcome;
    assert_eq!((outcome.verdict, outcome.replicas, outcome.unplaced), (Verdict::Insufficient, 120, 20));
    assert_eq!(outcome.tightest.as_ref().unwrap().resource, "cpu");
    assert_eq!(numbers(&world), [10, 30, 60]);
}

#[test]
fn placement_27_siblings_share_their_host() {
    let mut world = World::of([host("h", 10, 1), virt("v0", "h"), virt("v1", "h"), virt("v2", "h")]);
    world.requests.push(divided(DivideBy::Capacity, 30));
    let plan = world.step();
    assert_eq!(world.promised("h"), 10_000);
    assert_eq!(decision(&plan, "web").outcome.unplaced, 20);
    assert_eq!(decision(&plan, "web").outcome.tightest.as_ref().unwrap().node, "shared host");
}

#[test]
fn placement_27_spread_by_region_then_divided() {
    let mut world = uneven().with(Request {
        select: count(2),
        spread: vec![hard("region", 1)],
        ..divided(DivideBy::Capacity, 9)
    });
    for (id, region) in [("m00", "eu"), ("m01", "us"), ("m02", "us")] {
        world.edit(id, |m| m.labels = [("region".into(), region.into())].into());
    }
    world.step();
    let shares = world.shares("web");
    assert_eq!((shares.len(), shares[0].0.as_str()), (2, "m00"), "one of each region");
    assert_eq!(shares.iter().map(|(_, n)| n).sum::<u32>(), 9);
}

#[test]
fn placement_28_only_the_difference_moves() {
    let mut world = uneven().with(divided(DivideBy::Even, 9));
    world.settle();
    assert_eq!(numbers(&world), [3, 3, 3]);
    let scale = |world: &mut World, n: u32| world.respec("web", |r| r.needs = web(n, 1_000));
    for (n, want) in
        [(11, [4, 4, 3]), (12, [4, 4, 4]), (7, [3, 2, 2]), (2, [1, 1, 0]), (0, [0, 0, 0]), (6, [2, 2, 2])]
    {
        scale(&mut world, n);
        world.settle();
        assert_eq!(numbers(&world), want, "{n}");
    }
    world.join(Member { report: report(50, 1), ..member("m09") });
    assert!(world.step().is_empty(), "a newcomer gets nothing of what others have");
    scale(&mut world, 8);
    let plan = world.settle();
    assert_eq!(numbers(&world), [2, 2, 2]);
    assert_eq!(added(&plan, "web"), ["m09"]);
    world.leave("m02");
    world.settle();
    assert_eq!(numbers(&world)[..2], [3, 3], "what the leaver had goes to the others");
    assert_eq!(world.shares("web").iter().map(|(_, n)| n).sum::<u32>(), 8);
}

#[test]
fn placement_28_fresh_and_replan_start_over() {
    let mut world = uneven().with(divided(DivideBy::Even, 9));
    world.leave("m02");
    world.settle();
    world.join(Member { report: report(60, 1), ..member("m02") });
    assert!(world.step().is_empty());
    let mut fresh = world.clone();
    fresh.respec("web", |r| r.replicas.on_change = OnChange::Fresh);
    fresh.settle();
    assert_eq!(numbers(&fresh), [3, 3, 3]);
    world.requests[0].replan = "now".into();
    world.settle();
    assert_eq!(numbers(&world), [3, 3, 3]);
    assert!(world.step().is_empty(), "a replan is done once");
}

#[test]
fn placement_28_replan_decides_members_from_nothing() {
    let preferred = |id: &str| {
        vec![Preferred {
            weight: 100,
            by: PreferredBy::Term(Term { names: vec![id.into()], ..Term::default() }),
        }]
    };
    let mut world = World::equal(3).with(Request {
        select: count(1),
        preferred: preferred("skerry.m00"),
        ..request("web")
    });
    world.settle();
    world.respec("web", |r| r.preferred = preferred("skerry.m02"));
    assert!(world.step().is_empty(), "a merely better member moves nothing");
    world.requests[0].replan = "1".into();
    let plan = world.step();
    assert_eq!(added(&plan, "web"), ["m02"]);
    assert_eq!(dropped(&plan, "web"), [("m00".into(), OutCause::SpecChanged)]);
}

#[test]
fn placement_27_undivided_objects_run_whole_beside_divided_ones() {
    let mut request = divided(DivideBy::Even, 4);
    let agent = PodNeed {
        target: "batch/CronJob/sweep".into(),
        replicas: 1,
        request: cpu(500),
        ..PodNeed::default()
    };
    request.needs.pods.push(agent);
    let mut world = uneven().with(Request { select: count(2), ..request });
    world.config.tie_break = TieBreak::Name;
    let plan = world.step();
    let picks = &decision(&plan, "web").picks;
    assert_eq!(picks.len(), 2);
    assert!(picks.iter().all(|p| p.promise.get("cpu") == 2_500 && p.promise.get("pods") == 3), "{picks:?}");
}
