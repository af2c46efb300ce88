//! Exact totals: placement 10, 42.

use crate::support::*;
use proptest::prelude::*;
use skerry_placement::*;
use std::collections::BTreeMap;

fn totals(world: &World) -> BTreeMap<String, i64> {
    let planned = world.plan();
    decision(&planned, "web").picks.iter().map(|p| (p.member.to_string(), p.score.total)).collect()
}

fn prefer(weight: i32, term: Term) -> Preferred {
    Preferred { weight, by: PreferredBy::Term(term) }
}

fn sort(weight: i32, property: &str, order: Order) -> Preferred {
    Preferred { weight, by: PreferredBy::Sort(Sort { property: property.into(), order }) }
}

fn bare() -> Request {
    let objective = Objective { prefer: Prefer::None, ..Objective::default() };
    Request { objective, ..request("web") }
}

fn priced() -> World {
    let mut world = World::equal(4);
    for (id, price, tier) in [("m00", "1", "gold"), ("m01", "2", "iron"), ("m02", "5", "gold")] {
        world.edit(id, |m| {
            m.properties =
                [("price".into(), price.into()), ("release".into(), format!("v1.3{price}.0"))].into();
            m.labels = [("tier".into(), tier.into())].into();
        });
    }
    world
}

fn check_totals(name: &str, preferred: Vec<Preferred>, want: [i64; 4]) {
    let world = priced().with(Request { preferred, ..bare() });
    let got = totals(&world);
    let want: BTreeMap<String, i64> = (0..4).map(|i| (format!("m{i:02}"), want[i])).collect();
    assert_eq!(got, want, "{name}");
}

#[test]
fn placement_10_exact_totals_of_preferences_and_sorts() {
    let gold = || labels(&[("tier", "gold")]);
    check_totals("a label", vec![prefer(40, gold())], [40_000, 0, 40_000, 0]);
    check_totals("against a label", vec![prefer(-30, gold())], [-30_000, 0, -30_000, 0]);
    check_totals("cheap first", vec![sort(20, "price", Order::Ascending)], [20_000, 15_000, 0, 0]);
    check_totals("dear first", vec![sort(20, "price", Order::Descending)], [0, 5_000, 20_000, 0]);
    check_totals(
        "a version is a number too",
        vec![sort(1, "release", Order::Descending)],
        [0, 250, 1_000, 0],
    );
    check_totals("nobody has it", vec![sort(20, "none", Order::Ascending)], [0, 0, 0, 0]);
    let both = vec![
        prefer(40, gold()),
        sort(-10, "price", Order::Descending),
        prefer(-5, labels(&[("tier", "iron")])),
    ];
    check_totals("several add up", both, [40_000, -7_500, 30_000, 0]);
}

#[test]
fn placement_10_all_equal_is_nothing() {
    let mut world = priced().with(Request { preferred: vec![sort(20, "price", Order::Ascending)], ..bare() });
    for id in ["m00", "m01", "m02", "m03"] {
        world.edit(id, |m| m.properties = [("price".into(), "3".into())].into());
    }
    assert!(totals(&world).values().all(|t| *t == 0));
}

#[test]
fn placement_10_fit_spreads_or_packs() {
    // 10 cores asked for; 100 cores there, of which 0, 40 and 90 are used: the fullest is 100, 500, 1000 thousandths.
    let world = |prefer| {
        let objective = Objective { prefer, ..Objective::default() };
        let mut world = World::equal(4).with(Request { needs: web(1, 10_000), objective, ..request("web") });
        for (id, used) in [("m01", 40), ("m02", 90)] {
            world.edit(id, |m| {
                if let Capacity::Known(figures) = &mut m.report.capacity {
                    figures.used = cpu(used * 1000);
                }
            });
        }
        world.edit("m03", |m| m.report = Report::default());
        totals(&world)
    };
    assert_eq!(world(Prefer::Spread).into_values().collect::<Vec<_>>(), [18_000, 10_000, 0, 0]);
    assert_eq!(world(Prefer::Pack).into_values().collect::<Vec<_>>(), [2_000, 10_000, 20_000, 0]);
    assert_eq!(world(Prefer::None).into_values().collect::<Vec<_>>(), [0, 0, 0, 0]);
}

#[test]
fn placement_10_avoid_and_restless_subtract() {
    let mut world = World::equal(3).with(bare());
    world.edit("m00", |m| {
        m.taints.push(Taint {
            key: "k".into(),
            value: String::new(),
            effect: TaintEffect::PreferNoSchedule,
            time_added: 0,
        });
    });
    world.edit("m01", |m| m.falls = 9);
    assert_eq!(totals(&world).into_values().collect::<Vec<_>>(), [-20_000, -10_000, 0]);
    world.requests[0].objective.weights = [("avoid".into(), 1), ("restless".into(), 0)].into();
    assert_eq!(totals(&world).into_values().collect::<Vec<_>>(), [-1_000, 0, 0]);
}

#[test]
fn placement_10_the_best_are_picked_and_ranked() {
    let preferred = vec![sort(20, "price", Order::Ascending)];
    let mut world = priced().with(Request { preferred, select: count(2), ..bare() });
    let plan = world.step();
    let picks = &decision(&plan, "web").picks;
    let got: Vec<_> = picks.iter().map(|p| (p.member.to_string(), p.score.rank, p.score.of)).collect();
    assert_eq!(got, [("m00".into(), 1, 4), ("m01".into(), 2, 4)]);
}

proptest! {
    /// Placement 42: raising one member's term value never lowers its rank; a new member swaps no two others where no
    /// term scales over the members.
    #[test]
    fn placement_42_monotone_and_independent(
        flags in prop::collection::vec(prop::collection::vec(any::<bool>(), 3), 2..7),
        weights in prop::collection::vec(-5_i32..10, 3),
        raised in any::<prop::sample::Index>(),
        seed in any::<u64>(),
    ) {
        let weights: Vec<i32> = weights.into_iter().map(|w| if w == 0 { 1 } else { w }).collect();
        let preferred = (0..3).map(|i| prefer(weights[i], labels(&[(&format!("l{i}"), "yes")]))).collect();
        let mut world = World { seed, ..World::equal(flags.len()) }.with(Request { preferred, ..bare() });
        for (m, flags) in flags.iter().enumerate() {
            world.edit(&format!("m{m:02}"), |member| {
                let set = flags.iter().enumerate().filter(|(_, f)| **f);
                member.labels = set.map(|(i, _)| (format!("l{i}"), "yes".to_owned())).collect();
            });
        }
        let ranks = |world: &World| -> BTreeMap<String, u32> {
            let planned = world.plan();
            decision(&planned, "web").picks.iter().map(|p| (p.member.to_string(), p.score.rank)).collect()
        };
        let before = ranks(&world);
        let lucky = format!("m{:02}", raised.index(flags.len()));
        let good = (0..3).find(|i| weights[*i] > 0);
        if let Some(good) = good {
            let mut better = world.clone();
            better.edit(&lucky, |m| { m.labels.insert(format!("l{good}"), "yes".into()); });
            prop_assert!(ranks(&better)[&lucky] <= before[&lucky]);
        }
        world.join(member("new"));
        let after = ranks(&world);
        for a in before.keys() {
            for b in before.keys() {
                prop_assert_eq!(before[a] < before[b], after[a] < after[b]);
            }
        }
    }
}
