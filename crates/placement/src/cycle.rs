//! The state of one planning: the fleet as columns, the ledger, and every request's bindings as they become.

use crate::capacity::Load;
use crate::capacity::ledger::{Ledger, SeenIndex};
use crate::capacity::tree::Tree;
use crate::claims::Claims;
use crate::filter::Filters;
use crate::intern::{Fleet, Names};
use crate::needs::{Kinds, Need};
use crate::score::sort::Sorts;
use crate::spread::Topologies;
use crate::types::{
    Capacity, Held, InCause, Input, Note, NoteReason, OutCause, Request, RequestId, Resources, Score, State,
};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A binding as it becomes in this cycle.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) member: usize,
    pub(crate) state: State,
    pub(crate) cause: InCause,
    pub(crate) out: Option<OutCause>,
    /// Replicas per divided target, in the order of the need.
    pub(crate) shares: Vec<u32>,
    /// What the ledger holds for it.
    pub(crate) load: Rc<Load>,
    /// Its place in the input's held list.
    pub(crate) was: Option<usize>,
    pub(crate) score: Score,
}

impl Binding {
    pub(crate) fn bound(&self) -> bool {
        self.state == State::Bound
    }
}

/// Everything one planning works on.
pub(crate) struct Cycle<'a> {
    pub(crate) input: &'a Input<'a>,
    pub(crate) fleet: Fleet<'a>,
    pub(crate) names: Names,
    pub(crate) kinds: Kinds<'a>,
    /// By id.
    pub(crate) requests: Vec<&'a Request>,
    pub(crate) needs: Vec<Need<'a>>,
    /// Per request its bindings, by member.
    pub(crate) rows: Vec<Vec<Binding>>,
    /// Bound bindings on members that are gone, per request.
    pub(crate) lost: Vec<Vec<usize>>,
    /// Bindings of placements that are gone.
    pub(crate) orphans: BTreeMap<&'a RequestId, Vec<Binding>>,
    pub(crate) ledger: Ledger<'a>,
    pub(crate) seen: SeenIndex,
    pub(crate) filters: Filters<'a>,
    pub(crate) sorts: Sorts,
    pub(crate) topologies: Topologies,
    pub(crate) claims: Claims<'a>,
    pub(crate) notes: Vec<Note>,
    /// Whether a promise became smaller: what it frees is withheld until the end of the pass.
    pub(crate) released: bool,
    /// What the fleet's roots have in all, per resource.
    pub(crate) totals: Vec<i64>,
    /// Nothing, as a load.
    pub(crate) nothing: Rc<Load>,
}

impl<'a> Cycle<'a> {
    pub(crate) fn new(input: &'a Input<'a>) -> Self {
        let fleet = Fleet::new(input.fleet);
        let names = names(&fleet, input);
        let tree = Tree::new(&fleet, &names, input.at);
        let totals = totals(&fleet, &names);
        let mut requests: Vec<&Request> = input.requests.iter().collect();
        requests.sort_by(|a, b| a.id.cmp(&b.id));
        requests.dedup_by(|b, a| a.id == b.id);
        let mut kinds = Kinds::new();
        let needs = requests.iter().map(|r| Need::new(r, &names, &mut kinds, &totals)).collect();
        let seen = SeenIndex::new(&fleet, &names);
        let mut cycle = Self {
            rows: vec![Vec::new(); requests.len()],
            lost: vec![Vec::new(); requests.len()],
            orphans: BTreeMap::new(),
            ledger: Ledger::new(tree),
            nothing: Rc::new(Load::none(names.len())),
            claims: Claims::new(input, &fleet, &requests),
            filters: Filters::new(),
            sorts: Sorts::default(),
            topologies: Topologies::default(),
            notes: Vec::new(),
            released: false,
            input,
            fleet,
            names,
            kinds,
            requests,
            needs,
            seen,
            totals,
        };
        cycle.enter_held();
        cycle.enter_promises();
        cycle
    }

    /// Index of a request.
    pub(crate) fn find(&self, id: &RequestId) -> Option<usize> {
        self.requests.binary_search_by(|r| r.id.cmp(id)).ok()
    }

    fn enter_held(&mut self) {
        for (i, held) in self.input.held.iter().enumerate() {
            let request = self.find(&held.request);
            let Some(member) = self.fleet.find(&held.member.0) else {
                if let (Some(r), State::Bound) = (request, held.state) {
                    self.lost[r].push(i);
                }
                continue;
            };
            let (shares, load) = match request {
                Some(r) => self.held_load(r, held),
                None => (Vec::new(), self.orphan_load(&held.promise)),
            };
            let binding = Binding {
                member,
                state: held.state,
                cause: held.cause,
                out: held.out,
                shares,
                load: Rc::new(load),
                was: Some(i),
                score: Score::default(),
            };
            match request {
                Some(r) => self.rows[r].push(binding),
                None => self.orphans.entry(&held.request).or_default().push(binding),
            }
        }
        for rows in self.rows.iter_mut().chain(self.orphans.values_mut()) {
            rows.sort_by_key(|b| b.member);
            rows.dedup_by_key(|b| b.member);
        }
    }

    /// Promise and shares of a binding; its pods are told by what its request needs now, as far as the promise pays.
    fn held_load(&self, r: usize, held: &Held) -> (Vec<u32>, Load) {
        let need = &self.needs[r];
        let shares = need.shares(&held.shares);
        let member = self.fleet.find(&held.member.0).unwrap_or_default();
        let mut load = if need.divided.is_empty() {
            (*need.whole(&self.kinds.pods, &self.fleet, member)).clone()
        } else {
            need.with_shares(&self.kinds.pods, &self.fleet, member, &shares)
        };
        let total = self.names.row(&held.promise, 0);
        if load.total != total {
            let mut left = total.clone();
            for (kind, count) in &mut load.pods {
                let request = &self.kinds.pods[*kind].request;
                *count = paid_for(&left, request).min(*count);
                left.iter_mut().zip(request).for_each(|(l, r)| *l = (*l - r * i64::from(*count)).max(0));
            }
            load.total = total;
        }
        (shares, load)
    }

    fn orphan_load(&mut self, promise: &Resources) -> Load {
        let total = self.names.row(promise, 0);
        let pods = u32::try_from(promise.get("pods").max(1)).unwrap_or(u32::MAX);
        let kind = self.kinds.average(&total, pods);
        Load { total, pods: vec![(kind, pods)] }
    }

    /// Enters all promises as they stand now into an empty ledger, large pods first.
    pub(crate) fn enter_promises(&mut self) {
        self.ledger.clear();
        let owners = self.requests.iter().map(|r| &r.id).zip(&self.rows);
        let orphans = self.orphans.iter().map(|(id, rows)| (*id, rows));
        let all = owners.chain(orphans).flat_map(|(id, rows)| rows.iter().map(move |b| (id, b)));
        let mut open: Vec<_> = all
            .filter(|(_, b)| !b.load.is_none())
            .map(|(id, b)| {
                (b.load.pods.first().map_or(0, |(kind, _)| self.kinds.size(*kind, &self.totals)), id, b)
            })
            .collect();
        open.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1, a.2.member).cmp(&(b.1, b.2.member))));
        for (_, id, binding) in open {
            let seen = self.seen.of(&self.fleet, id, binding.member);
            self.ledger.enter(&self.fleet, &self.kinds.pods, binding.member, &binding.load, seen);
        }
        self.released = false;
    }

    /// Raises a promise from `old` to `new` where it grows; where it shrinks the ledger keeps the larger amount until
    /// the pass ends, so that within a pass room only gets less and the order of requests cannot matter twice.
    pub(crate) fn reserve(
        &mut self,
        r: usize,
        member: usize,
        old: &Load,
        new: &Load,
    ) -> Result<(), crate::capacity::ledger::Refusal> {
        if new == old {
            return Ok(());
        }
        let mut larger = Cow::Borrowed(new);
        if new.total.iter().zip(&old.total).any(|(n, o)| n < o) {
            self.released = true;
            larger.to_mut().total.iter_mut().zip(&old.total).for_each(|(l, o)| *l = (*l).max(*o));
        }
        // Also of a binding that is new: pods of one that went before may still be counted there.
        let seen = self.seen.of(&self.fleet, &self.requests[r].id, member);
        self.ledger.reserve(&self.fleet, &self.kinds.pods, member, (old, &larger), seen)
    }

    pub(crate) fn note(&mut self, r: usize, reason: NoteReason, text: String) {
        self.notes.push(Note { request: Some(self.requests[r].id.clone()), reason, text });
    }
}

/// How many pods of one request an amount pays for, rounded up.
fn paid_for(amount: &[i64], request: &[i64]) -> u32 {
    let each = amount.iter().zip(request).filter(|(_, r)| **r > 0).map(|(a, r)| (a + r - 1) / r);
    u32::try_from(each.max().unwrap_or(0).max(0)).unwrap_or(u32::MAX)
}

fn names(fleet: &Fleet<'_>, input: &Input<'_>) -> Names {
    let figures = fleet.members.iter().filter_map(|m| match &m.report.capacity {
        Capacity::Known(figures) => Some(figures),
        Capacity::Unknown(_) => None,
    });
    let reported = figures.flat_map(|f| {
        [&f.ceiling, &f.used]
            .into_iter()
            .chain(f.shapes.iter().map(|s| &s.free))
            .chain(f.seen.iter().map(|s| &s.requests))
    });
    let needed = input.requests.iter().flat_map(|r| r.needs.pods.iter().map(|p| &p.request));
    Names::new(reported.chain(needed).chain(input.held.iter().map(|h| &h.promise)))
}

fn totals(fleet: &Fleet<'_>, names: &Names) -> Vec<i64> {
    let mut totals = vec![0_i64; names.len()];
    for member in fleet.members.iter().filter(|m| m.parents.is_empty()) {
        if let Capacity::Known(figures) = &member.report.capacity {
            let row = names.row(&figures.ceiling, 0);
            totals.iter_mut().zip(row).for_each(|(t, v)| *t = t.saturating_add(v));
        }
    }
    totals
}
