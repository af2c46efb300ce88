//! The order of members for one request. The derived order *is* the policy.

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
pub(crate) struct Ranking(Vec<Rank>);

impl Ranking {
    /// `ranks` must come in member order.
    pub(crate) fn new(ranks: Vec<Rank>) -> Self {
        Self(ranks)
    }

    pub(crate) fn of(&self, member: usize) -> Option<Rank> {
        self.0.binary_search_by_key(&member, |r| r.member).ok().map(|i| self.0[i])
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rank> {
        self.0.iter()
    }

    /// 1-based place of each of the members asked for, which come in member order.
    pub(crate) fn places(&self, members: &[usize]) -> Vec<u32> {
        if members.len() * 8 < self.0.len() {
            let place = |m: &usize| {
                self.of(*m).map_or(0, |mine| 1 + self.0.iter().filter(|r| **r < mine).count() as u32)
            };
            return members.iter().map(place).collect();
        }
        let mut sorted: Vec<(Rank, usize)> = self.0.iter().copied().zip(0..).collect();
        sorted.sort_unstable();
        let mut place = vec![0_u32; self.0.len()];
        sorted.iter().enumerate().for_each(|(p, (_, i))| place[*i] = p as u32 + 1);
        let find = |m: &usize| self.0.binary_search_by_key(m, |r| r.member).map_or(0, |i| place[i]);
        members.iter().map(find).collect()
    }
}
