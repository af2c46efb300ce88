//! Placement 45: brute force over small worlds as a second opinion.
//!
//! For one request with one hard constraint and members that share no host, count and total must be the best there
//! are; for several requests on shared hosts the gap is recorded.

use crate::properties::Dice;
use crate::support::*;
use skerry_placement::*;

const ZONES: [&str; 3] = ["a", "b", "c"];

fn random(dice: &mut Dice) -> World {
    let mut world = World::of((0..1 + dice.roll(6)).map(|i| {
        let mut m = member(&format!("m{i:02}"));
        m.labels.insert("zone".into(), (*dice.of(&ZONES)).into());
        m.properties.insert("price".into(), dice.roll(100).to_string());
        m
    }));
    let sort = Sort { property: "price".into(), order: Order::Ascending };
    let objective = Objective { prefer: Prefer::None, ..Objective::default() };
    world.requests.push(Request {
        select: count(1 + dice.roll(6) as u32),
        spread: vec![hard("zone", 1 + dice.roll(3) as u32)],
        preferred: vec![Preferred { weight: 10, by: PreferredBy::Sort(sort) }],
        objective,
        needs: Needs::default(),
        ..request("web")
    });
    world
}

/// Best (count, total) over all subsets that satisfy the constraint, totals as the planner scores them.
fn brute(world: &World, totals: &[(String, i64)]) -> (usize, i64) {
    let request = &world.requests[0];
    let Mode::Count(SelectCount::Number(want)) = request.select.mode else { panic!() };
    let zone = |i: usize| world.fleet.members[i].labels["zone"].clone();
    let members = world.fleet.members.len();
    let mut zones: Vec<String> = (0..members).map(zone).collect();
    zones.sort();
    zones.dedup();
    let mut best = (0, 0);
    for subset in 0_u32..1 << members {
        let chosen: Vec<usize> = (0..members).filter(|i| subset >> i & 1 == 1).collect();
        let counts: Vec<u32> =
            zones.iter().map(|z| chosen.iter().filter(|i| zone(**i) == *z).count() as u32).collect();
        let skew = counts.iter().max().unwrap() - counts.iter().min().unwrap();
        if chosen.len() <= want as usize && skew <= request.spread[0].max_skew {
            let total = chosen.iter().map(|i| totals[*i].1).sum();
            best = best.max((chosen.len(), total));
        }
    }
    best
}

#[test]
fn placement_45_one_hard_constraint_is_optimal() {
    for seed in 0..3_000 {
        let mut dice = Dice::new(seed);
        let world = random(&mut dice);
        let planned = world.plan();
        let picks = &decision(&planned, "web").picks;
        let got = (picks.len(), picks.iter().map(|p| p.score.total).sum::<i64>());
        // Totals of all members: ask for all of them without the constraint.
        let mut free = world.clone();
        free.requests[0].spread.clear();
        free.requests[0].select = Select::default();
        let all = free.plan();
        let totals: Vec<(String, i64)> =
            decision(&all, "web").picks.iter().map(|p| (p.member.to_string(), p.score.total)).collect();
        assert_eq!(got, brute(&world, &totals), "seed {seed}: {:?} {totals:?}", world.requests[0].spread);
    }
}

/// Copies that brute force can place in any order of requests and members, against those the planner places.
fn most(room: &mut [i64], asks: &[(u32, i64)], of: &[usize]) -> u32 {
    let Some(((count, size), rest)) = asks.split_first() else { return 0 };
    let mut best = 0;
    for subset in 0_u32..1 << of.len() {
        let chosen: Vec<usize> = (0..of.len()).filter(|i| subset >> i & 1 == 1).collect();
        if chosen.len() > *count as usize {
            continue;
        }
        let mut left = room.to_vec();
        chosen.iter().for_each(|i| left[of[*i]] -= size);
        if left.iter().all(|l| *l >= 0) {
            best = best.max(chosen.len() as u32 + most(&mut left, rest, of));
        }
    }
    best
}

#[test]
fn placement_45_gap_on_shared_hosts_is_small() {
    let (mut placed, mut possible) = (0, 0);
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let cores: Vec<i64> = (0..2).map(|_| 2 + dice.roll(5) as i64).collect();
        let mut world = World::of((0..2).map(|h| host(&format!("h{h}"), cores[h], 1)));
        let of: Vec<usize> = (0..4).map(|_| dice.roll(2) as usize).collect();
        for (i, h) in of.iter().enumerate() {
            world.join(virt(&format!("m{i}"), &format!("h{h}")));
        }
        let asks: Vec<(u32, i64)> =
            (0..3).map(|_| (1 + dice.roll(3) as u32, 1 + dice.roll(3) as i64)).collect();
        for (i, (n, size)) in asks.iter().enumerate() {
            world.requests.push(Request {
                select: count(*n),
                needs: web(1, size * 1000),
                ..request(&format!("p{i}"))
            });
        }
        let planned = world.plan();
        let got: u32 = planned.decisions.iter().map(|d| d.picks.len() as u32).sum();
        let best = most(&mut cores.clone(), &asks, &of);
        assert!(got <= best, "seed {seed}: nobody can place {got}");
        (placed, possible) = (placed + got, possible + best);
    }
    eprintln!("placement 45: {placed} of {possible} possible copies placed on shared hosts");
    assert!(placed * 100 >= possible * 85, "{placed} of {possible}");
}
