//! The decision on one request: filter, score, select, divide, reserve.

use crate::bits::Bits;
use crate::capacity::ledger::Refusal;
use crate::capacity::{Load, Pod};
use crate::cycle::{Binding, Cycle};
use crate::filter::Filtered;
use crate::intern::Fleet;
use crate::needs::{Divided, Need};
use crate::pick::{Fresh, floor};
use crate::rank::{Rank, Ranking};
use crate::score::lot::Lots;
use crate::score::{Column, Growth, Scoring};
use crate::share::{Holder, Shared};
use crate::types::{InCause, Mode, NoteReason, OutCause, Score, SelectCount, State, WhenShort};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// What one evaluation found, beside the bindings it changed.
pub(crate) struct Draft {
    pub(crate) filtered: Filtered,
    pub(crate) ranking: Ranking,
    /// Terms of the ranked members in ranking order, when asked for.
    pub(crate) columns: Vec<Column>,
    /// Members bound before and kept.
    pub(crate) kept: Vec<usize>,
    pub(crate) wanted: u32,
    pub(crate) unplaced: u32,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) blocked_by: Option<Arc<str>>,
    /// A copy that is there could not grow.
    pub(crate) stunted: bool,
    /// Per refused member, what was short.
    pub(crate) refusals: BTreeMap<usize, Refusal>,
    /// Ranked members that turned out to have no room.
    pub(crate) unfit: u32,
}

impl Draft {
    /// Refuses a member for want of room.
    pub(crate) fn refuse(&mut self, cycle: &Cycle<'_>, member: usize, refusal: &Refusal) {
        let detail: Arc<str> = cycle.names.name(refusal.resource).into();
        self.filtered.refuse_one(member, refusal.reason, &detail);
        let tighter = |w: &Refusal| {
            let tight = |r: &Refusal, o: &Refusal| i128::from(r.free) * i128::from(o.needed);
            (tight(refusal, w), refusal.node) < (tight(w, refusal), w.node)
        };
        if self.refusal.as_ref().is_none_or(tighter) {
            self.refusal = Some(*refusal);
        }
        self.refusals.insert(member, *refusal);
    }

    /// Whether more room anywhere could have led to another result.
    pub(crate) fn blocked(&self) -> bool {
        self.refusal.is_some() || self.unplaced > 0
    }
}

impl<'a> Cycle<'a> {
    /// Decides one request. Evictions that the budget does not allow stay where they are.
    pub(crate) fn decide(&mut self, r: usize, keep_terms: bool) -> Draft {
        let mut honoured = self.evictions(r);
        loop {
            let mark = self.ledger.mark();
            let rows = if honoured.is_empty() { Vec::new() } else { self.rows[r].clone() };
            let draft = self.attempt(r, &honoured, keep_terms);
            let excess = self.over_budget(r, &rows, &draft, honoured.len());
            if honoured.is_empty() || excess == 0 {
                return draft;
            }
            self.ledger.rollback(mark);
            self.rows[r] = rows;
            for (member, _) in honoured.split_off(honoured.len() - excess) {
                let name = self.fleet.members[member].name.to_string();
                self.note(r, NoteReason::EvictionPending, name);
            }
        }
    }

    fn attempt(&mut self, r: usize, evicted: &[(usize, OutCause)], keep_terms: bool) -> Draft {
        let request = self.requests[r];
        let mut filtered = self.filters.matching(&self.fleet, request);
        let anew = request.replan != request.replanned;
        self.release(r, &filtered, evicted);
        let bound: Vec<usize> = self.rows[r].iter().filter(|b| b.bound()).map(|b| b.member).collect();
        let mut kept = if anew { Vec::new() } else { bound.clone() };
        let share_of = self.eligible(r, evicted);
        self.filter(r, &mut filtered, &kept, evicted);
        let mut draft = self.rank(r, filtered, kept.clone(), keep_terms);
        let mark = self.ledger.mark();
        let want = self.wanted(r, &mut draft, share_of);
        let mut gone: Vec<usize> = Vec::new();
        if kept.len() > want {
            gone = self.surplus(r, want, &kept, &draft);
            kept.retain(|m| !gone.contains(m));
        }
        let room = want.saturating_sub(kept.len());
        let mut fresh = if room > 0 { self.select(r, room, &kept, &mut draft) } else { Vec::new() };
        let all = matches!(request.select.mode, Mode::All);
        if all {
            // Who turned out to have no room is not eligible; who a spread keeps away is, and is missed.
            draft.wanted = draft.wanted.saturating_sub(draft.unfit);
        }
        let short = kept.len() + fresh.len() < draft.wanted as usize;
        if short && !all && request.select.when_short == WhenShort::Refuse {
            self.ledger.rollback(mark);
            fresh.clear();
        }
        let cause = self.cause(r);
        let out = if anew { OutCause::SpecChanged } else { OutCause::ScaleIn };
        if anew {
            gone.extend(bound.iter().filter(|m| !fresh.iter().any(|f| f.rank.member == **m)));
        }
        for member in gone {
            self.drain(r, member, out);
        }
        if self.needs[r].divided.is_empty() {
            self.grow(r, &kept, &mut draft);
            let picks = fresh.into_iter().map(|f| (f.rank.member, Vec::new(), f.load)).collect();
            self.bind(r, picks, cause);
        } else {
            self.divide(r, &kept, &fresh, anew, cause, &mut draft);
        }
        self.place(r, &draft);
        draft
    }

    /// What a percentage counts: members that pass every filter but claims and capacity, held or not. Were those
    /// counted too, a share would change by its own picks and by those of others.
    fn eligible(&mut self, r: usize, evicted: &[(usize, OutCause)]) -> usize {
        let request = self.requests[r];
        if !matches!(request.select.mode, Mode::Count(SelectCount::Percent(_))) {
            return 0;
        }
        let mut filtered = self.filters.matching(&self.fleet, request);
        let none = Bits::none(self.fleet.len());
        let avoided = self.avoided(r, evicted);
        self.filters.run(&self.fleet, request, (&none, &avoided), &BTreeMap::new(), &mut filtered);
        filtered.passed.count()
    }

    fn filter(&mut self, r: usize, filtered: &mut Filtered, kept: &[usize], evicted: &[(usize, OutCause)]) {
        let request = self.requests[r];
        let mut held = Bits::none(self.fleet.len());
        kept.iter().for_each(|m| held.insert(*m));
        let avoided = self.avoided(r, evicted);
        let taken = self.claims.taken(r, request);
        self.filters.run(&self.fleet, request, (&held, &avoided), &taken, filtered);
        if filtered.cel {
            self.note(
                r,
                NoteReason::CelError,
                "CEL expressions are not evaluated in this version".to_owned(),
            );
        }
        if request.needs.pods.iter().any(|p| p.request.is_zero()) && self.needs[r].counted {
            self.note(r, NoteReason::NoRequests, "counted as one pod each".to_owned());
        }
        if self.needs[r].counted {
            filtered.capacity(&self.fleet, request, &self.ledger.tree.known, &self.ledger.tree.stale);
        }
    }

    /// Quick capacity bound, then totals, lots and ranks of those that passed and those that hold.
    fn rank(&mut self, r: usize, filtered: Filtered, kept: Vec<usize>, keep_terms: bool) -> Draft {
        let request = self.requests[r];
        let mut draft = Draft {
            filtered,
            ranking: Ranking::default(),
            columns: Vec::new(),
            kept,
            wanted: 0,
            unplaced: 0,
            refusal: None,
            blocked_by: None,
            stunted: false,
            refusals: BTreeMap::new(),
            unfit: 0,
        };
        let floor = vec![floor(request).max(1); self.needs[r].divided.len()];
        let step = |cycle: &Self, m: usize| -> Load {
            cycle.needs[r].with_shares(&cycle.kinds.pods, &cycle.fleet, m, &floor)
        };
        let shared_step = (!floor.is_empty()).then(|| step(self, 0));
        let counted = self.needs[r].counted;
        if counted {
            let passed: Vec<usize> = draft.filtered.passed.iter().collect();
            for member in passed {
                let need =
                    step_row(&self.needs[r], &self.kinds.pods, &self.fleet, member, shared_step.as_ref());
                let own = self.rows[r].binary_search_by_key(&member, |b| b.member).ok();
                let short = match own {
                    None => self.ledger.shortage(&self.fleet, member, &need),
                    Some(i) => {
                        let has = &self.rows[r][i].load.total;
                        let more: Vec<i64> = need.iter().zip(has).map(|(n, h)| n - h).collect();
                        self.ledger.shortage(&self.fleet, member, &more)
                    }
                };
                if let Some(refusal) = short {
                    draft.refuse(self, member, &refusal);
                }
            }
        }
        let mut members: Bits = draft.filtered.passed.clone();
        draft.kept.iter().for_each(|m| members.insert(*m));
        let members: Vec<usize> = members.iter().collect();
        let (need, pods) = (&self.needs[r], &self.kinds.pods);
        let rows = &self.rows[r];
        let growth = |m: usize| {
            let own = rows.binary_search_by_key(&m, |b| b.member).ok();
            let need = step_row(need, pods, &self.fleet, m, shared_step.as_ref());
            Growth { need, held: own.map(|i| rows[i].load.total.as_slice()) }
        };
        let mut scoring = Scoring {
            fleet: &self.fleet,
            ledger: &self.ledger,
            terms: &mut self.filters.terms,
            sorts: &mut self.sorts,
            keep: keep_terms,
        };
        let scored = scoring.score(request, &members, growth);
        let lots = Lots::new(self.input.config.tie_break, self.input.seed, &request.id);
        let mut held = Bits::none(self.fleet.len());
        draft.kept.iter().for_each(|m| held.insert(*m));
        let rank = |(member, total): (&usize, &i64)| Rank {
            group: 0,
            total: Reverse(*total),
            not_held: !held.has(*member),
            lot: lots.of(&self.fleet.ids[*member]),
            member: *member,
        };
        let ranking = Ranking::new(members.iter().zip(&scored.totals).map(rank).collect());
        draft.ranking = ranking;
        draft.columns = scored.columns;
        draft
    }

    /// How many members are taken at most; notes how many there should be.
    fn wanted(&self, r: usize, draft: &mut Draft, share_of: usize) -> usize {
        let eligible = draft.ranking.len();
        let (take, wanted) = match &self.requests[r].select.mode {
            Mode::All => (eligible, eligible),
            Mode::Fixed(names) => (eligible, names.len()),
            Mode::Count(SelectCount::Number(n)) => (*n as usize, *n as usize),
            Mode::Count(SelectCount::Percent(p)) => {
                let part = (share_of * (*p).min(100) as usize).div_ceil(100);
                (part, part)
            }
        };
        draft.wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        take
    }

    /// Copies that stay whole take the size that the workload has now, if it fits.
    fn grow(&mut self, r: usize, kept: &[usize], draft: &mut Draft) {
        for member in kept {
            let Ok(i) = self.rows[r].binary_search_by_key(member, |b| b.member) else { continue };
            let whole = self.needs[r].whole(&self.kinds.pods, &self.fleet, *member);
            let old = self.rows[r][i].load.clone();
            if old.total == whole.total || !self.rows[r][i].bound() {
                continue;
            }
            match self.reserve(r, *member, &old, &whole) {
                Ok(()) => self.rows[r][i].load = whole,
                Err(refusal) => {
                    draft.stunted = true;
                    draft.refusal = Some(refusal);
                    let name = self.fleet.members[*member].name.to_string();
                    self.note(r, NoteReason::GrowthRefused, name);
                }
            }
        }
    }

    fn divide(
        &mut self,
        r: usize,
        kept: &[usize],
        fresh: &[Fresh],
        anew: bool,
        cause: InCause,
        draft: &mut Draft,
    ) {
        let none = vec![0; self.needs[r].divided.len()];
        let mut holders: Vec<(bool, u64, usize, Holder)> = Vec::new();
        let lot = |draft: &Draft, m: usize| draft.ranking.of(m).map_or(u64::MAX, |rank| rank.lot);
        for member in kept {
            let Ok(i) = self.rows[r].binary_search_by_key(member, |b| b.member) else { continue };
            let row = &self.rows[r][i];
            let holder = Holder { member: *member, shares: row.shares.clone(), load: row.load.clone() };
            holders.push((false, lot(draft, *member), *member, holder));
        }
        for f in fresh {
            let member = f.rank.member;
            let bound =
                self.rows[r].binary_search_by_key(&member, |b| b.member).ok().map(|i| &self.rows[r][i]);
            let holder = match bound.filter(|b| b.bound()) {
                Some(row) => Holder { member, shares: row.shares.clone(), load: row.load.clone() },
                None => Holder { member, shares: none.clone(), load: f.load.clone() },
            };
            holders.push((true, lot(draft, member), member, holder));
        }
        holders.sort_unstable_by_key(|(not_held, lot, member, _)| (*not_held, *lot, *member));
        let holders = holders.into_iter().map(|(.., h)| h).collect();
        let Shared { members, unplaced, refusal } = self.share_out(r, holders, anew);
        draft.unplaced = unplaced;
        if unplaced > 0 {
            draft.refusal = refusal.or(draft.refusal);
        }
        let placed = members.iter().filter(|(_, shares, _)| shares.iter().any(|s| *s > 0)).count();
        let missed = unplaced > 0 || placed < draft.wanted as usize;
        let (picks, empty): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|(_, shares, _)| shares.iter().any(|s| *s > 0));
        for (member, _, load) in empty {
            if let (true, Some(refusal)) = (missed, self.no_room(r, member)) {
                draft.refuse(self, member, &refusal);
            }
            self.released |= !load.is_none();
            self.drain(r, member, OutCause::ScaleIn);
        }
        self.bind(r, picks, cause);
    }

    /// Why a member cannot take one replica of some target, if it cannot.
    fn no_room(&mut self, r: usize, member: usize) -> Option<Refusal> {
        let fits = |d: &Divided<'_>| self.ledger.fits(&self.fleet, member, &self.kinds.pods[d.kind], 1) > 0;
        if self.needs[r].divided.iter().all(fits) {
            return None;
        }
        let none = Load::none(self.names.len());
        let mark = self.ledger.mark();
        let mut refusal = None;
        for divided in &self.needs[r].divided {
            let mut one = none.clone();
            one.add(divided.kind, &self.kinds.pods[divided.kind], 1);
            let tried = self.ledger.reserve(&self.fleet, &self.kinds.pods, member, (&none, &one), None);
            refusal = refusal.or(tried.err());
            self.ledger.rollback(mark);
        }
        refusal
    }

    /// Why a pick of this evaluation comes.
    fn cause(&self, r: usize) -> InCause {
        let request = self.requests[r];
        let moved = |b: &Binding| {
            let was_bound = b.was.is_some_and(|i| self.input.held[i].state == State::Bound);
            let forced = !matches!(b.out, Some(OutCause::SpecChanged | OutCause::ScaleIn) | None);
            was_bound && !b.bound() && forced
        };
        if self.rows[r].iter().any(moved) || !self.lost[r].is_empty() {
            InCause::Moved
        } else if request.generation == request.decided {
            InCause::Filled
        } else {
            InCause::Selected
        }
    }

    /// Members are bound with these shares; Draining ones are taken back.
    fn bind(&mut self, r: usize, mut picks: Vec<(usize, Vec<u32>, Rc<Load>)>, cause: InCause) {
        picks.sort_unstable_by_key(|(member, ..)| *member);
        let mut new = Vec::with_capacity(picks.len());
        for (member, shares, load) in picks {
            self.claims.take(r, self.requests[r], member);
            match self.rows[r].binary_search_by_key(&member, |b| b.member) {
                Ok(i) => {
                    let row = &mut self.rows[r][i];
                    if !row.bound() {
                        (row.state, row.cause, row.out) = (State::Bound, cause, None);
                    }
                    (row.shares, row.load) = (shares, load);
                }
                Err(_) => {
                    let (state, out, was, score) = (State::Bound, None, None, Score::default());
                    new.push(Binding { member, state, cause, out, shares, load, was, score });
                }
            }
        }
        if self.rows[r].is_empty() {
            self.rows[r] = new;
        } else {
            self.rows[r].append(&mut new);
            self.rows[r].sort_by_key(|b| b.member);
        }
    }

    /// Writes total and place to every bound member.
    fn place(&mut self, r: usize, draft: &Draft) {
        let members: Vec<usize> = self.rows[r].iter().filter(|b| b.bound()).map(|b| b.member).collect();
        let scores = draft.ranking.scores(&members);
        let of = draft.ranking.len() as u32;
        for (row, (total, rank)) in self.rows[r].iter_mut().filter(|b| b.bound()).zip(scores) {
            row.score = Score { total, rank, of };
        }
    }
}

/// What one more copy, or the least useful part of one, takes on a member.
fn step_row<'s>(
    need: &'s Need<'_>,
    pods: &[Pod<'_>],
    fleet: &Fleet<'_>,
    member: usize,
    divided: Option<&'s Load>,
) -> Cow<'s, [i64]> {
    match divided {
        Some(load) => load.total.as_slice().into(),
        None => need.whole_row(pods, fleet, member),
    }
}
