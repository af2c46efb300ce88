//! The order of members for one request. The derived order *is* the policy.

use std::cell::OnceCell;
use std::cmp::Reverse;

/// Place of a member; smaller is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// Earlier groups first.
    pub(crate) group: u8,
    /// Higher totals first.
    pub(crate) total: Reverse<i64>,
    /// Current holders first.
    pub(crate) not_held: bool,
    /// Then the lot.
    pub(crate) lot: u64,
    /// Then the id: indexes are in id order.
    pub(crate) member: usize,
}

/// Ranks of the members that passed or hold, by member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranking {
    ranks: Vec<Rank>,
    /// Indexes of `ranks` from the best to the worst, once somebody asked for them.
    sorted: OnceCell<Vec<u32>>,
}

impl Ranking {
    /// `ranks` must come in member order.
    pub(crate) fn new(ranks: Vec<Rank>) -> Self {
        Self { ranks, sorted: OnceCell::new() }
    }

    /// Total and 1-based place of each of the members asked for, which come in member order; zeros for one without.
    pub(crate) fn scores(&self, members: &[usize]) -> Vec<(i64, u32)> {
        let places = self.places(members);
        let total = |m: &usize| self.of(*m).map_or(0, |r| r.total.0);
        members.iter().map(total).zip(places).collect()
    }

    fn index(&self, member: usize) -> Option<usize> {
        self.ranks.binary_search_by_key(&member, |r| r.member).ok()
    }

    pub(crate) fn of(&self, member: usize) -> Option<Rank> {
        self.index(member).map(|i| self.ranks[i])
    }

    pub(crate) fn len(&self) -> usize {
        self.ranks.len()
    }

    /// In member order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rank> {
        self.ranks.iter()
    }

    /// From the best to the worst.
    pub(crate) fn best_first(&self) -> impl Iterator<Item = &Rank> {
        self.sorted().iter().map(|i| &self.ranks[*i as usize])
    }

    fn sorted(&self) -> &[u32] {
        self.sorted.get_or_init(|| {
            // Indexes are in member order, so that one stands for the last part of a rank.
            let key = |(r, i): (&Rank, u32)| (r.group, r.not_held, r.total, r.lot, i);
            let alike = self.ranks.iter().all(|r| r.not_held);
            if alike {
                let mut order: Vec<_> = self.ranks.iter().zip(0..).map(key).collect();
                order.sort_unstable();
                return order.into_iter().map(|(.., i)| i).collect();
            }
            let mut order: Vec<(Rank, u32)> = self.ranks.iter().copied().zip(0..).collect();
            order.sort_unstable();
            order.into_iter().map(|(_, i)| i).collect()
        })
    }

    /// 1-based place of each of the members asked for, which come in member order; 0 for one that has none.
    pub(crate) fn places(&self, members: &[usize]) -> Vec<u32> {
        if self.sorted.get().is_none() && members.len() * 8 < self.ranks.len() {
            return self.places_of_few(members);
        }
        let mut place = vec![0_u32; self.ranks.len()];
        self.sorted().iter().enumerate().for_each(|(p, i)| place[*i as usize] = p as u32 + 1);
        members.iter().map(|m| self.index(*m).map_or(0, |i| place[i])).collect()
    }

    /// The same without putting everybody in order: each rank is counted for those asked for that are behind it.
    fn places_of_few(&self, members: &[usize]) -> Vec<u32> {
        let mut asked: Vec<(Rank, usize)> =
            members.iter().enumerate().filter_map(|(at, m)| Some((self.of(*m)?, at))).collect();
        asked.sort_unstable();
        let mut before = vec![0_u32; asked.len() + 1];
        for rank in &self.ranks {
            before[asked.partition_point(|(mine, _)| mine <= rank)] += 1;
        }
        let mut out = vec![0_u32; members.len()];
        let mut sum = 1;
        for ((_, at), more) in asked.iter().zip(before) {
            sum += more;
            out[*at] = sum;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Placement 42: a place is the same, whether it was counted or found in the whole order.
    #[test]
    fn places_are_the_same_however_they_are_found() {
        let rank = |member: usize| Rank {
            group: 0,
            total: Reverse((member as i64 * 37) % 11),
            not_held: !member.is_multiple_of(5),
            lot: (member as u64 * 7919) % 3,
            member,
        };
        let ranking = Ranking::new((0..100).map(|i| rank(2 * i)).collect());
        let asked = [0, 2, 3, 44, 46, 198];
        let few = ranking.places(&asked);
        let mut all: Vec<Rank> = ranking.iter().copied().collect();
        all.sort();
        assert!(ranking.best_first().eq(all.iter()));
        assert_eq!(ranking.places(&asked), few);
        let by_hand = |m: &usize| all.iter().position(|r| r.member == *m).map_or(0, |p| p as u32 + 1);
        assert_eq!(few, asked.iter().map(by_hand).collect::<Vec<_>>());
        assert_eq!(few[2], 0, "one that is not ranked has no place");
    }
}
