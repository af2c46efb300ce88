//! Dividing replicas over the selected members (Q5), within what the ledger can hold.

use crate::capacity::Load;
use crate::capacity::ledger::Refusal;
use crate::cycle::Cycle;
use crate::divide::{Division, Party, aggregate, divide};
use crate::needs::Divided;
use crate::pick::floor;
use crate::types::{DivideBy, OnChange, Request};
use std::rc::Rc;

/// Replicas that fit count as weight up to this many.
const MOST_WEIGHT: u64 = 1_000_000;

/// What a division came to.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Members with their shares per target and their load, in the order given; all-zero shares are there too.
    pub(crate) members: Vec<(usize, Vec<u32>, Rc<Load>)>,
    /// Replicas that found no place.
    pub(crate) unplaced: u32,
    /// What was in the way.
    pub(crate) refusal: Option<Refusal>,
}

/// A selected member: what it has (shares and the load entered in the ledger for it).
pub(crate) struct Holder {
    pub(crate) member: usize,
    pub(crate) shares: Vec<u32>,
    pub(crate) load: Rc<Load>,
}

impl<'a> Cycle<'a> {
    /// Divides every target over `holders`, which come in tie-break order. `anew` forgets what they have.
    pub(crate) fn share_out(&mut self, r: usize, holders: Vec<Holder>, anew: bool) -> Shared {
        let request = self.requests[r];
        let targets = self.needs[r].divided.clone();
        let mut shared = Shared::default();
        let mut now: Vec<Holder> = Vec::new();
        for holder in holders {
            // What it has, at the size that a replica has now; where that does not fit any more the old promise stays.
            // A newcomer holds just what every copy has, which selection reserved.
            if holder.shares.iter().all(|s| *s == 0) {
                now.push(holder);
                continue;
            }
            let load = self.load_with(r, holder.member, &holder.shares);
            let settled = if load.total == holder.load.total {
                Ok(())
            } else {
                self.reserve(r, holder.member, &holder.load, &load)
            };
            let load = match settled {
                Ok(()) => load,
                Err(refusal) => {
                    shared.refusal.get_or_insert(refusal);
                    holder.load.clone()
                }
            };
            now.push(Holder { load, ..holder });
        }
        for (t, target) in targets.iter().enumerate() {
            let total: u32 = now.iter().map(|h| h.shares[t]).sum();
            let fresh =
                anew || (request.replicas.on_change == OnChange::Fresh && self.changed(r, total, target));
            let unplaced = self.share_target(r, (t, target), &mut now, fresh, &mut shared.refusal);
            shared.unplaced += unplaced;
        }
        shared.members = now.into_iter().map(|h| (h.member, h.shares, h.load)).collect();
        shared
    }

    fn changed(&self, r: usize, has: u32, target: &Divided<'_>) -> bool {
        has != target.replicas || self.requests[r].generation != self.requests[r].decided
    }

    /// Divides one target: as the weights say, then again for what the ledger refused, until all is placed or nobody
    /// has room.
    fn share_target(
        &mut self,
        r: usize,
        (t, target): (usize, &Divided<'a>),
        now: &mut [Holder],
        fresh: bool,
        refusal: &mut Option<Refusal>,
    ) -> u32 {
        let request = self.requests[r];
        // What fits is asked once: the same answer is the weight and the first bound.
        let fits: Vec<u64> = now.iter().map(|h| self.fits(h.member, target)).collect();
        let weights = self.weights(r, now.iter().zip(&fits).map(|(h, fits)| (h.member, h.shares[t], *fits)));
        let mut known = Some(fits);
        let has: Vec<u32> = now.iter().map(|h| if fresh { 0 } else { h.shares[t] }).collect();
        let mut capped: Vec<Option<u32>> = vec![None; now.len()];
        loop {
            let parties: Vec<Party> = (now.iter().enumerate())
                .map(|(i, holder)| {
                    let fits = known.as_ref().map(|f| f[i]);
                    let fits = fits.unwrap_or_else(|| self.fits(holder.member, target));
                    let room = room(target, holder.shares[t], fits);
                    let most = if request.replicas.max == 0 { u32::MAX } else { request.replicas.max };
                    let cap = capped[i].unwrap_or(room).min(most);
                    Party { weight: weights[i], has: has[i], floor: floor(request), cap }
                })
                .collect();
            known = None;
            let Division { seats, left } = split(request, &parties, target.replicas);
            let mut again = false;
            // Those that give first, so that a later pass sees what they free.
            let had: Vec<u32> = now.iter().map(|h| h.shares[t]).collect();
            let give = (0..now.len()).filter(|i| seats[*i] < had[*i]);
            for i in give.chain((0..now.len()).filter(|i| seats[*i] > had[*i])) {
                if self.settle(r, t, &mut now[i], seats[i], refusal) < seats[i] {
                    capped[i] = Some(now[i].shares[t]);
                    again = true;
                }
            }
            if !again {
                if left > 0 && refusal.is_none() {
                    *refusal = self.tightest(target, now);
                }
                return left;
            }
        }
    }

    /// Sets a member's share, or as much of it as the ledger takes; returns what it has then.
    fn settle(
        &mut self,
        r: usize,
        t: usize,
        holder: &mut Holder,
        seats: u32,
        refusal: &mut Option<Refusal>,
    ) -> u32 {
        let mut wanted = seats;
        loop {
            let mut shares = holder.shares.clone();
            shares[t] = wanted;
            let load = self.load_with(r, holder.member, &shares);
            match self.reserve(r, holder.member, &holder.load, &load) {
                Ok(()) => {
                    holder.shares = shares;
                    holder.load = load;
                    return wanted;
                }
                Err(why) => {
                    *refusal = Some(why);
                    // Siblings took the room meanwhile: ask for what is left of it.
                    let kind = self.needs[r].divided[t].kind;
                    let more = self.ledger.fits(
                        &self.fleet,
                        holder.member,
                        &self.kinds.pods[kind],
                        u64::from(wanted),
                    );
                    let possible = holder.shares[t].saturating_add(u32::try_from(more).unwrap_or(u32::MAX));
                    wanted = possible.min(wanted.saturating_sub(1)).max(holder.shares[t]);
                    if wanted == holder.shares[t] {
                        return wanted;
                    }
                }
            }
        }
    }

    /// How many more replicas a member takes, as far as anybody asks.
    fn fits(&self, member: usize, target: &Divided<'_>) -> u64 {
        let most = u64::from(target.replicas).max(MOST_WEIGHT);
        self.ledger.fits(&self.fleet, member, &self.kinds.pods[target.kind], most)
    }

    /// Weights of members, given with what they have and what fits beside it.
    fn weights(&mut self, r: usize, members: impl Iterator<Item = (usize, u32, u64)>) -> Vec<u64> {
        let request = self.requests[r];
        let mut out = Vec::new();
        for (member, has, fits) in members {
            out.push(match request.replicas.by {
                DivideBy::Even | DivideBy::Aggregated => 1,
                DivideBy::Capacity => u64::from(has) + fits.min(MOST_WEIGHT),
                DivideBy::Weighted => {
                    let rules = request.replicas.weights.iter();
                    let terms = &mut self.filters.terms;
                    let mut matching = rules.filter(|w| terms.matched(&self.fleet, &w.term).yes.has(member));
                    matching.next().map_or(0, |w| u64::from(w.weight))
                }
            });
        }
        out
    }

    /// The tightest spot of the members that could not take one more.
    fn tightest(&mut self, target: &Divided<'_>, now: &[Holder]) -> Option<Refusal> {
        let mut one = Load::none(self.names.len());
        one.add(target.kind, &self.kinds.pods[target.kind], 1);
        let none = Load::none(self.names.len());
        let mark = self.ledger.mark();
        let mut worst: Option<Refusal> = None;
        for holder in now {
            let tried =
                self.ledger.reserve(&self.fleet, &self.kinds.pods, holder.member, (&none, &one), None);
            self.ledger.rollback(mark);
            if let Err(refusal) = tried {
                let better = |w: &Refusal| {
                    i128::from(refusal.free) * i128::from(w.needed)
                        < i128::from(w.free) * i128::from(refusal.needed)
                };
                if worst.as_ref().is_none_or(better) {
                    worst = Some(refusal);
                }
            }
        }
        worst
    }

    fn load_with(&self, r: usize, member: usize, shares: &[u32]) -> Rc<Load> {
        Rc::new(self.needs[r].with_shares(&self.kinds.pods, &self.fleet, member, shares))
    }
}

/// Most replicas a member could have: what it has and what fits beside it.
fn room(target: &Divided<'_>, has: u32, fits: u64) -> u32 {
    let more = fits.min(u64::from(target.replicas.saturating_sub(has)));
    has.saturating_add(u32::try_from(more).unwrap_or(u32::MAX))
}

fn split(request: &Request, parties: &[Party], total: u32) -> Division {
    if request.replicas.by == DivideBy::Aggregated {
        aggregate(parties, total)
    } else {
        divide(parties, total)
    }
}
