//! Division of seats (replicas) over weighted parties (members) by Sainte-Laguë (Q5): the party with the largest
//! `weight ÷ (2 × seats + 1)` gets the next seat.
//!
//! Seats are awarded from, or withdrawn down to, what the parties have, so only the difference moves and a larger
//! total never lowers a share. A bisection over the divisor awards all seats above a threshold at once; the few at
//! the threshold go one by one, so the result is exactly that of awarding seat by seat.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// One party. Parties stand in tie-break order: of equal quotients the earlier one gets the seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Weight; 0 gets no seat but its floor.
    pub weight: u64,
    /// Seats it has.
    pub has: u32,
    /// Seats it is given before any other party's further ones.
    pub floor: u32,
    /// Most seats it can have.
    pub cap: u32,
}

/// Seats per party, and how many of `total` found none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Division {
    /// In the order of the parties.
    pub seats: Vec<u32>,
    /// Seats nobody could take.
    pub left: u32,
}

/// Divides `total` seats, moving as few as the total, the floors and the caps demand.
pub fn divide(parties: &[Party], total: u32) -> Division {
    let parties = settled(parties, total);
    let held: Vec<u32> = parties.iter().map(|p| p.has.max(p.floor)).collect();
    let seats = if held.iter().map(|s| u64::from(*s)).sum::<u64>() > u64::from(total) {
        // Too many: of the seats held, those with the largest quotients stay.
        let bounds: Vec<(u32, u32)> = parties.iter().zip(held).map(|(p, held)| (p.floor, held)).collect();
        award(&parties, &bounds, total, true)
    } else {
        let bounds: Vec<(u32, u32)> = parties.iter().zip(held).map(|(p, held)| (held, p.cap)).collect();
        award(&parties, &bounds, total, false)
    };
    let placed: u32 = seats.iter().sum();
    Division { seats, left: total - placed }
}

/// The parties with floors that can be honoured: each whole, in order, while the total lasts. A party that cannot
/// reach its floor takes nothing at all.
fn settled(parties: &[Party], total: u32) -> Vec<Party> {
    let mut left = total;
    let settle = |p: &Party| {
        if p.floor > p.cap.min(left) {
            return Party { has: 0, floor: 0, cap: 0, ..*p };
        }
        left -= p.floor;
        Party { has: p.has.min(p.cap), ..*p }
    };
    parties.iter().map(settle).collect()
}

/// Awards seats from the lower to the upper bounds until `total` are given; parties without weight take part only
/// where they keep what they hold.
fn award(parties: &[Party], bounds: &[(u32, u32)], total: u32, weightless: bool) -> Vec<u32> {
    let mut seats: Vec<u32> = bounds.iter().map(|b| b.0).collect();
    let lower: u64 = seats.iter().map(|s| u64::from(*s)).sum();
    let mut left = u64::from(total).saturating_sub(lower);
    if left > 4 * parties.len() as u64 {
        seats = above_threshold(parties, bounds, lower, left);
        left -= seats.iter().map(|s| u64::from(*s)).sum::<u64>() - lower;
    }
    let bid = |i: usize, seats: &[u32]| {
        let open = seats[i] < bounds[i].1 && (weightless || parties[i].weight > 0);
        open.then(|| Bid { weight: parties[i].weight, divisor: 2 * u64::from(seats[i]) + 1, party: i })
    };
    let mut bids: BinaryHeap<Bid> = (0..parties.len()).filter_map(|i| bid(i, &seats)).collect();
    while left > 0 {
        let Some(best) = bids.pop() else { break };
        seats[best.party] += 1;
        left -= 1;
        bids.extend(bid(best.party, &seats));
    }
    seats
}

/// All seats above the smallest threshold at which no more than `left` are given beyond the lower bounds.
fn above_threshold(parties: &[Party], bounds: &[(u32, u32)], lower: u64, left: u64) -> Vec<u32> {
    let reach = |x: u128| -> Vec<u32> {
        (parties.iter().zip(bounds))
            .map(|(party, b)| seats_at(party.weight, x).clamp(b.0, b.1.max(b.0)))
            .collect()
    };
    let given = |x: u128| reach(x).iter().map(|s| u64::from(*s)).sum::<u64>() - lower;
    let (mut low, mut high) = (0_u128, 1_u128 << 68);
    while high - low > 1 {
        let middle = low.midpoint(high);
        if given(middle) <= left {
            low = middle;
        } else {
            high = middle;
        }
    }
    reach(low)
}

/// Seats whose quotient is at least 2³² ÷ x: all s with (2s + 1) × 2³² ≤ weight × x.
fn seats_at(weight: u64, x: u128) -> u32 {
    let quotient = (u128::from(weight).saturating_mul(x)) >> 32;
    u32::try_from(quotient.div_ceil(2)).unwrap_or(u32::MAX)
}

/// A party's claim to its next seat.
#[derive(PartialEq, Eq)]
struct Bid {
    weight: u64,
    divisor: u64,
    party: usize,
}

impl Ord for Bid {
    fn cmp(&self, other: &Self) -> Ordering {
        let mine = u128::from(self.weight) * u128::from(other.divisor);
        let theirs = u128::from(other.weight) * u128::from(self.divisor);
        mine.cmp(&theirs).then_with(|| other.party.cmp(&self.party))
    }
}

impl PartialOrd for Bid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Fills parties one after the other (Aggregated): those that hold seats first, then by room, each as far as it
/// goes; a smaller total empties the smallest holder first. Whoever would end below its floor takes nothing.
pub fn aggregate(parties: &[Party], total: u32) -> Division {
    let mut parties = parties.to_vec();
    loop {
        let division = fill(&parties, total);
        let below = (0..parties.len()).find(|i| (1..parties[*i].floor).contains(&division.seats[*i]));
        match below {
            Some(i) => parties[i].cap = 0,
            None => return division,
        }
    }
}

fn fill(parties: &[Party], total: u32) -> Division {
    let mut seats: Vec<u32> = parties.iter().map(|p| p.has.min(p.cap)).collect();
    let mut held: u32 = seats.iter().sum();
    let mut order: Vec<usize> = (0..parties.len()).collect();
    order.sort_by_key(|i| (seats[*i], std::cmp::Reverse(*i)));
    for i in order {
        let gives = held.saturating_sub(total).min(seats[i]);
        seats[i] -= gives;
        held -= gives;
    }
    let room = |i: usize| parties[i].cap - parties[i].has.min(parties[i].cap);
    let mut order: Vec<usize> = (0..parties.len()).collect();
    order.sort_by_key(|i| (parties[*i].has == 0, std::cmp::Reverse(room(*i)), *i));
    let mut left = total - held;
    for i in order {
        let takes = left.min(parties[i].cap - seats[i]);
        seats[i] += takes;
        left -= takes;
    }
    Division { seats, left }
}

#[cfg(test)]
mod tests;
