//! Letting go: who may not stay, who is evicted and within what budget, and how Bound becomes Draining.

use crate::bits::Bits;
use crate::cycle::{Binding, Cycle};
use crate::decide::Draft;
use crate::filter::Filtered;
use crate::types::{Millis, Mode, NoteReason, OutCause, State, Unmatched};

/// How long a member stays that its request does not see any more.
pub(crate) const OUT_OF_SIGHT: Millis = 5 * 60 * 1000;

impl Cycle<'_> {
    /// Bindings somebody wants gone, those that are missed least first.
    pub(crate) fn evictions(&mut self, r: usize) -> Vec<(usize, OutCause)> {
        let held = &self.input.held;
        let mut wanted: Vec<(bool, bool, usize, OutCause)> = (self.rows[r].iter().filter(|b| b.bound()))
            .filter_map(|b| {
                let h = &held[b.was?];
                h.eviction.as_ref().map(|e| (h.delivered, h.available, b.member, e.cause))
            })
            .collect();
        wanted.sort();
        if !wanted.is_empty() && matches!(self.requests[r].select.mode, Mode::Fixed(_)) {
            for (_, _, member, _) in wanted {
                let name = self.fleet.members[member].name.to_string();
                self.note(r, NoteReason::NotEvictable, name);
            }
            return Vec::new();
        }
        wanted.into_iter().map(|(_, _, member, cause)| (member, cause)).collect()
    }

    /// How many evictions too many there were: losses without replacement that 25 % maxUnavailable does not cover.
    pub(crate) fn over_budget(&self, r: usize, before: &[Binding], draft: &Draft, honoured: usize) -> usize {
        if honoured == 0 {
            return 0;
        }
        let all = matches!(self.requests[r].select.mode, Mode::All);
        let bound = before.iter().filter(|b| b.bound()).count();
        let now = self.rows[r].iter().filter(|b| b.bound()).count();
        let going = |b: &&Binding| !b.bound() && matches!(b.out, Some(OutCause::Evicted | OutCause::Drained));
        let full = if all { bound + before.iter().filter(going).count() } else { draft.wanted as usize };
        let lost =
            if draft.unplaced > 0 { honoured } else { bound.min(full).saturating_sub(now).min(honoured) };
        let available = |b: &&Binding| b.bound() && b.was.is_some_and(|i| self.input.held[i].available);
        let unavailable = full.saturating_sub(before.iter().filter(available).count());
        let allowed = full.div_ceil(4).saturating_sub(unavailable);
        lost.saturating_sub(allowed)
    }

    /// Lets go of what may not stay whatever else is decided.
    pub(crate) fn release(&mut self, r: usize, filtered: &Filtered, evicted: &[(usize, OutCause)]) {
        let request = self.requests[r];
        let edited = request.generation != request.decided;
        let mut out = Vec::new();
        for binding in self.rows[r].iter().filter(|b| b.bound()) {
            let member = binding.member;
            let hidden = binding.was.and_then(|i| self.input.held[i].hidden_since);
            let lost_sight = hidden.is_some_and(|since| self.input.at >= since.saturating_add(OUT_OF_SIGHT));
            let seen = filtered.visible.has(member);
            let cause = if self.fleet.leaving.has(member) {
                Some(OutCause::MemberLeft)
            } else if !seen {
                lost_sight.then_some(OutCause::NotMatched)
            } else if !filtered.matched.has(member) && edited {
                Some(OutCause::SpecChanged)
            } else if !filtered.matched.has(member) && request.when_unmatched == Unmatched::Evict {
                Some(OutCause::NotMatched)
            } else {
                evicted.iter().find(|(m, _)| *m == member).map(|(_, cause)| *cause)
            };
            out.extend(cause.map(|c| (member, c)));
        }
        for (member, cause) in out {
            self.drain(r, member, cause);
        }
    }

    /// Members that somebody evicted this binding from, now or before, while anything of it is there.
    pub(crate) fn avoided(&self, r: usize, evicted: &[(usize, OutCause)]) -> Bits {
        let mut avoided = Bits::none(self.fleet.len());
        evicted.iter().for_each(|(m, _)| avoided.insert(*m));
        let before = self.rows[r].iter().filter(|b| !b.bound() && b.out == Some(OutCause::Evicted));
        before.for_each(|b| avoided.insert(b.member));
        avoided
    }

    /// Bound becomes Draining; its promise stays (I15).
    pub(crate) fn drain(&mut self, r: usize, member: usize, cause: OutCause) {
        if let Ok(i) = self.rows[r].binary_search_by_key(&member, |b| b.member) {
            let row = &mut self.rows[r][i];
            if row.was.is_none() {
                // Bound earlier in this very cycle: nothing was ever promised outside of it.
                self.rows[r].remove(i);
                self.released = true;
            } else if row.bound() {
                row.state = State::Draining;
                row.out = Some(cause);
            }
        }
    }
}
