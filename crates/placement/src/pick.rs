//! Selection: one greedy pass for all members wanted (5.3), exchanges at a dead end, and the choice of who goes when
//! there are too many.

use crate::bits::Bits;
use crate::capacity::Load;
use crate::cycle::Cycle;
use crate::decide::Draft;
use crate::rank::Rank;
use crate::spread::Spreads;
use crate::types::{Mode, Reason, ReplicasMode};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;
use std::sync::Arc;

/// Most exchanges that are tried for one request.
const EXCHANGES: usize = 64;

type Heaps = BTreeMap<u64, BinaryHeap<Reverse<Rank>>>;

/// A member picked in this pass, with what was reserved.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    pub(crate) rank: Rank,
    pub(crate) load: Rc<Load>,
}

/// A greedy pass under way.
struct Greedy<'s, 'r> {
    r: usize,
    heaps: Heaps,
    spreads: Spreads<'r>,
    picks: Vec<Fresh>,
    draft: &'s mut Draft,
    trials: usize,
    /// Where the ledger stood before the first pick.
    start: usize,
}

impl<'a> Cycle<'a> {
    /// Picks up to `want` of the members that passed, beside those `kept`.
    pub(crate) fn select(&mut self, r: usize, want: usize, kept: &[usize], draft: &mut Draft) -> Vec<Fresh> {
        if self.requests[r].spread.is_empty() {
            return self.select_freely(r, want, draft);
        }
        let mut spreads = self.spreads(r, kept, &Bits::none(self.fleet.len()));
        let mut heaps: BTreeMap<u64, Vec<Reverse<Rank>>> = BTreeMap::new();
        let candidates: Vec<Rank> =
            draft.ranking.iter().filter(|rank| draft.filtered.passed.has(rank.member)).copied().collect();
        for rank in candidates {
            if let Some(topology) = spreads.nowhere(rank.member) {
                draft.filtered.refuse_one(rank.member, Reason::Spread, &topology.into());
                continue;
            }
            spreads.open(rank.member);
            heaps.entry(spreads.key(rank.member)).or_default().push(Reverse(rank));
        }
        let heaps: Heaps = heaps.into_iter().map(|(key, ranks)| (key, ranks.into())).collect();
        let start = self.ledger.mark();
        let mut greedy = Greedy { r, heaps, spreads, picks: Vec::new(), draft, trials: 0, start };
        while greedy.picks.len() < want {
            let Some(rank) = greedy.pop_best() else {
                if greedy.exchange(self) {
                    continue;
                }
                break;
            };
            greedy.take(self, rank);
        }
        greedy.improve(self);
        if greedy.picks.len() < want {
            greedy.refuse_rest();
        }
        greedy.picks
    }

    /// Without a spread the best ones that have room are the picks, and no exchange can better them.
    fn select_freely(&mut self, r: usize, want: usize, draft: &mut Draft) -> Vec<Fresh> {
        let passed = |rank: &&Rank| draft.filtered.passed.has(rank.member);
        let few = want * 8 < draft.ranking.len();
        let mut heap: BinaryHeap<Reverse<Rank>> = BinaryHeap::new();
        let mut sorted = Vec::new().into_iter();
        if few {
            heap = draft.ranking.iter().filter(passed).copied().map(Reverse).collect::<Vec<_>>().into();
        } else if self.fleet.flat && want >= draft.ranking.len() {
            // Everybody is asked, and no answer depends on another: the order of memory is the fastest.
            sorted = draft.ranking.iter().filter(passed).copied().collect::<Vec<_>>().into_iter();
        } else {
            sorted = draft.ranking.best_first().filter(passed).copied().collect::<Vec<_>>().into_iter();
        }
        let mut picks = Vec::new();
        while picks.len() < want {
            let next = if few { heap.pop().map(|r| r.0) } else { sorted.next() };
            let Some(rank) = next else { break };
            match self.reserve_copy(r, rank.member) {
                Ok(load) => picks.push(Fresh { rank, load }),
                Err(refusal) => {
                    draft.refuse(self, rank.member, &refusal);
                    draft.unfit += 1;
                }
            }
        }
        picks
    }

    /// Of the kept members, those that go so that `want` stay: undelivered first, then unavailable, then worst rank,
    /// as long as no hard spread gets worse by it.
    pub(crate) fn surplus(&mut self, r: usize, want: usize, kept: &[usize], draft: &Draft) -> Vec<usize> {
        let mut spreads = self.spreads(r, kept, &draft.filtered.passed);
        let key = |member: usize| {
            let row = self.rows[r].binary_search_by_key(&member, |b| b.member).ok().map(|i| &self.rows[r][i]);
            let held = row.and_then(|b| b.was).map(|i| &self.input.held[i]);
            let (delivered, available) = held.map_or((false, false), |h| (h.delivered, h.available));
            (delivered, available, Reverse(draft.ranking.of(member)))
        };
        let mut order: Vec<usize> = kept.to_vec();
        order.sort_by_cached_key(|m| key(*m));
        let mut gone = Vec::new();
        while order.len() > want {
            let excess = spreads.excess();
            let harmless = |m: &usize| {
                let mut after = spreads.clone();
                after.remove(*m);
                after.open(*m);
                after.excess() <= excess
            };
            let at = if spreads.is_empty() { 0 } else { order.iter().position(harmless).unwrap_or(0) };
            let member = order.remove(at);
            spreads.remove(member);
            spreads.open(member);
            gone.push(member);
        }
        gone
    }

    /// A request's constraints, with those bound and those that could be.
    pub(crate) fn spreads(&mut self, r: usize, bound: &[usize], open: &Bits) -> Spreads<'a> {
        let mut spreads = Spreads::new(&mut self.topologies, &self.fleet, self.requests[r]);
        bound.iter().for_each(|m| spreads.add(*m));
        if !spreads.is_empty() {
            open.iter().for_each(|m| spreads.open(m));
        }
        spreads
    }

    /// Reserves what a new copy takes at least: all of it, or what every copy has when replicas are divided.
    fn reserve_copy(
        &mut self,
        r: usize,
        member: usize,
    ) -> Result<Rc<Load>, crate::capacity::ledger::Refusal> {
        let old = self.own_load(r, member);
        let need = &self.needs[r];
        let load = if need.divided.is_empty() {
            need.whole(&self.kinds.pods, &self.fleet, member)
        } else {
            need.bare(&self.kinds.pods, &self.fleet, member)
        };
        if self.needs[r].counted {
            self.reserve(r, member, &old, &load)?;
        }
        Ok(load)
    }

    /// What the ledger holds for a binding there, whatever its state.
    pub(crate) fn own_load(&self, r: usize, member: usize) -> Rc<Load> {
        match self.rows[r].binary_search_by_key(&member, |b| b.member) {
            Ok(i) => self.rows[r][i].load.clone(),
            Err(_) => self.nothing.clone(),
        }
    }
}

impl<'r> Greedy<'_, 'r> {
    /// Takes the best admissible head off its heap.
    fn pop_best(&mut self) -> Option<Rank> {
        let floors = self.spreads.floors();
        let mut best: Option<(Reverse<i64>, Rank, u64)> = None;
        for (key, heap) in &self.heaps {
            let Some(Reverse(rank)) = heap.peek() else { continue };
            if self.spreads.blocked(rank.member, &floors).is_some() {
                continue;
            }
            let value = Reverse(rank.total.0 + self.spreads.balance(rank.member, &floors));
            if best.is_none_or(|(v, b, _)| (rank.group, value, *rank) < (b.group, v, b)) {
                best = Some((value, *rank, *key));
            }
        }
        let (_, rank, key) = best?;
        self.heaps.get_mut(&key)?.pop();
        Some(rank)
    }

    fn take(&mut self, cycle: &mut Cycle<'_>, rank: Rank) -> bool {
        match cycle.reserve_copy(self.r, rank.member) {
            Ok(load) => {
                self.spreads.add(rank.member);
                self.picks.push(Fresh { rank, load });
                true
            }
            Err(refusal) => {
                self.spreads.close(rank.member);
                self.draft.refuse(cycle, rank.member, &refusal);
                self.draft.unfit += 1;
                false
            }
        }
    }

    /// At a dead end: replaces one fresh pick so that a further one becomes admissible.
    fn exchange(&mut self, cycle: &mut Cycle<'_>) -> bool {
        if self.spreads.is_empty() {
            return false;
        }
        for given in (0..self.picks.len()).rev() {
            let old = self.picks[given].rank.member;
            let mut without = self.spreads.clone();
            without.remove(old);
            let floors = without.floors();
            let heads: Vec<(u64, Rank)> = self.heads();
            for (key, new) in &heads {
                if without.blocked(new.member, &floors).is_some() {
                    continue;
                }
                if self.trials == EXCHANGES {
                    return false;
                }
                self.trials += 1;
                let mut with = without.clone();
                with.add(new.member);
                let floors = with.floors();
                let further =
                    heads.iter().any(|(k, h)| k != key && with.blocked(h.member, &floors).is_none());
                if further && self.swap(cycle, given, *key, *new) {
                    return true;
                }
            }
        }
        false
    }

    /// Exchanges fresh picks for better members that the greedy order could not take, as long as no spread gets worse.
    fn improve(&mut self, cycle: &mut Cycle<'_>) {
        if self.spreads.is_empty() || !self.spreads.all_hard() {
            return;
        }
        while let Some((given, key, new)) = self.better() {
            if !self.swap(cycle, given, key, new) {
                return;
            }
        }
    }

    /// The exchange that gains most.
    fn better(&mut self) -> Option<(usize, u64, Rank)> {
        let excess = self.spreads.excess();
        let heads = self.heads();
        let mut pairs: Vec<(i64, usize, u64, Rank)> = Vec::new();
        for (given, pick) in self.picks.iter().enumerate() {
            let better = heads.iter().filter(|(_, new)| new.total < pick.rank.total);
            pairs.extend(better.map(|(key, new)| (new.total.0 - pick.rank.total.0, given, *key, *new)));
        }
        pairs.sort_by_key(|(gain, given, _, new)| (Reverse(*gain), *new, *given));
        for (_, given, key, new) in pairs {
            if self.trials == EXCHANGES {
                return None;
            }
            self.trials += 1;
            let mut with = self.spreads.clone();
            with.remove(self.picks[given].rank.member);
            with.add(new.member);
            if with.excess() <= excess {
                return Some((given, key, new));
            }
        }
        None
    }

    fn heads(&self) -> Vec<(u64, Rank)> {
        self.heaps.iter().filter_map(|(key, heap)| heap.peek().map(|r| (*key, r.0))).collect()
    }

    /// Puts `new` in the place of the fresh pick `given`; on failure everything is as before.
    fn swap(&mut self, cycle: &mut Cycle<'_>, given: usize, key: u64, new: Rank) -> bool {
        let before = self.picks.clone();
        let old = before[given].rank;
        cycle.ledger.rollback(self.start);
        let mut after = Vec::new();
        for rank in before.iter().enumerate().filter(|(i, _)| *i != given).map(|(_, f)| f.rank).chain([new]) {
            match cycle.reserve_copy(self.r, rank.member) {
                Ok(load) => after.push(Fresh { rank, load }),
                Err(_) => {
                    cycle.ledger.rollback(self.start);
                    self.picks = (before.iter())
                        .filter_map(|f| {
                            Some(Fresh {
                                rank: f.rank,
                                load: cycle.reserve_copy(self.r, f.rank.member).ok()?,
                            })
                        })
                        .collect();
                    return false;
                }
            }
        }
        self.picks = after;
        self.spreads.remove(old.member);
        self.spreads.add(new.member);
        if let Some(heap) = self.heaps.get_mut(&key) {
            heap.pop();
        }
        self.heaps.entry(self.spreads.key(old.member)).or_default().push(Reverse(old));
        true
    }

    /// Names the constraint that keeps each of the rest away.
    fn refuse_rest(&mut self) {
        let floors = self.spreads.floors();
        for rank in self.heaps.values().flatten().map(|r| r.0) {
            if let Some(topology) = self.spreads.blocked(rank.member, &floors) {
                let detail: Arc<str> = topology.into();
                self.draft.filtered.refuse_one(rank.member, Reason::Spread, &detail);
                self.draft.blocked_by.get_or_insert(detail);
            }
        }
    }
}

/// Whether the request says how many members there shall be, so that each of them gets a replica when divided.
pub(crate) fn floor(request: &crate::types::Request) -> u32 {
    let numbered = !matches!(request.select.mode, Mode::All);
    let divided = request.replicas.mode == ReplicasMode::Divided;
    request.replicas.min.max(u32::from(numbered && divided))
}
