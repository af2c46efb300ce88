//! Placement 27, 28, 43: shares, and the properties a division must have.

use super::*;
use proptest::prelude::*;

fn party(weight: u64, has: u32, cap: u32) -> Party {
    Party { weight, has, floor: 0, cap }
}

/// The definition, seat by seat.
fn seat_by_seat(parties: &[Party], total: u32) -> Division {
    let parties = &settled(parties, total);
    let mut seats: Vec<u32> = parties.iter().map(|p| p.has.max(p.floor)).collect();
    let better = |a: usize, b: usize, sa: u32, sb: u32| {
        let left = u128::from(parties[a].weight) * u128::from(2 * sb + 1);
        let right = u128::from(parties[b].weight) * u128::from(2 * sa + 1);
        left > right || (left == right && a < b)
    };
    while seats.iter().sum::<u32>() > total {
        let can = (0..parties.len()).filter(|i| seats[*i] > parties[*i].floor);
        let worst = can.reduce(|a, b| if better(a, b, seats[a] - 1, seats[b] - 1) { b } else { a }).unwrap();
        seats[worst] -= 1;
    }
    while seats.iter().sum::<u32>() < total {
        let can = (0..parties.len()).filter(|i| seats[*i] < parties[*i].cap && parties[*i].weight > 0);
        let Some(best) = can.reduce(|a, b| if better(a, b, seats[a], seats[b]) { a } else { b }) else {
            break;
        };
        seats[best] += 1;
    }
    let left = total - seats.iter().sum::<u32>();
    Division { seats, left }
}

#[test]
fn placement_27_exact_shares() {
    for (name, weights, caps, total, want, left) in [
        ("even", vec![1, 1, 1], vec![99, 99, 99], 10, vec![4, 3, 3], 0),
        ("weighted", vec![2, 1], vec![99, 99], 9, vec![6, 3], 0),
        ("a weight of none", vec![1, 0], vec![99, 99], 5, vec![5, 0], 0),
        ("a cap passes seats on", vec![3, 1], vec![4, 99], 10, vec![4, 6], 0),
        ("nobody has room", vec![1, 1], vec![2, 3], 9, vec![2, 3], 4),
        ("by room", vec![10, 30, 60], vec![10, 30, 60], 10, vec![1, 3, 6], 0),
    ] {
        let parties: Vec<Party> = weights.iter().zip(caps).map(|(w, c)| party(*w, 0, c)).collect();
        assert_eq!(divide(&parties, total), Division { seats: want, left }, "{name}");
    }
}

#[test]
fn placement_27_floors_come_first_and_whole() {
    let floor = |weight, floor, cap| Party { weight, has: 0, floor, cap };
    let parties = [floor(100, 2, 99), floor(1, 2, 99), floor(1, 2, 1)];
    assert_eq!(divide(&parties, 10).seats, [8, 2, 0], "the third cannot reach its floor");
    assert_eq!(divide(&parties, 3).seats, [3, 0, 0]);
}

#[test]
fn placement_27_aggregated_takes_fewest_members() {
    let of = |has, cap| Party { weight: 1, has, floor: 0, cap };
    assert_eq!(aggregate(&[of(0, 4), of(0, 9), of(0, 5)], 10).seats, [0, 9, 1]);
    assert_eq!(aggregate(&[of(2, 4), of(0, 9), of(0, 5)], 10).seats, [4, 6, 0], "holders are filled first");
    assert_eq!(
        aggregate(&[of(4, 4), of(6, 9), of(0, 5)], 5).seats,
        [0, 5, 0],
        "the smallest holder empties first"
    );
    assert_eq!(aggregate(&[of(0, 4), of(0, 3)], 10), Division { seats: vec![4, 3], left: 3 });
}

#[test]
fn placement_28_only_the_difference_moves() {
    let parties = [party(1, 5, 99), party(1, 5, 99), party(1, 0, 99)];
    assert_eq!(divide(&parties, 10).seats, [5, 5, 0], "a newcomer gets nothing of what others have");
    assert_eq!(divide(&parties, 13).seats, [5, 5, 3]);
    assert_eq!(divide(&parties, 7).seats, [4, 3, 0]);
    let left = [party(1, 0, 99), party(1, 5, 99)];
    assert_eq!(divide(&left, 10).seats, [5, 5], "what a leaver had goes to those with room for it");
}

fn parties() -> impl Strategy<Value = Vec<Party>> {
    let weight = prop_oneof![Just(0_u64), 1_u64..6, 1_u64..1_000_000];
    let party = (weight, 0_u32..20, 0_u32..5, 0_u32..40).prop_map(|(weight, has, floor, cap)| Party {
        weight,
        has: has.min(cap),
        floor,
        cap,
    });
    prop::collection::vec(party, 1..8)
}

proptest! {
    #[test]
    fn placement_43_bisection_is_seat_by_seat(parties in parties(), total in 0_u32..200) {
        prop_assert_eq!(divide(&parties, total), seat_by_seat(&parties, total));
    }

    #[test]
    fn placement_43_sums_and_bounds(parties in parties(), total in 0_u32..200) {
        for division in [divide(&parties, total), aggregate(&parties, total)] {
            prop_assert_eq!(division.seats.iter().sum::<u32>() + division.left, total);
            for (party, seats) in parties.iter().zip(&division.seats) {
                prop_assert!(*seats <= party.cap);
            }
        }
    }

    #[test]
    fn placement_43_house_monotone(parties in parties(), total in 0_u32..200) {
        let free: Vec<Party> = parties.iter().map(|p| Party { has: 0, floor: 0, ..*p }).collect();
        let small = divide(&free, total);
        let large = divide(&free, total + 1);
        prop_assert!(small.seats.iter().zip(&large.seats).all(|(a, b)| a <= b));
        let again: Vec<Party> = free.iter().zip(&small.seats).map(|(p, s)| Party { has: *s, ..*p }).collect();
        prop_assert_eq!(divide(&again, total + 1), large, "from what is held, the same");
    }
}
