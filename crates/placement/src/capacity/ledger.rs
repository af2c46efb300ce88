//! The ledger of promises over the capacity tree (C1–C5).
//!
//! A promise debits the member and every ancestor by what is not yet visible as pods in that node's own report.
//! Changes between two marks form a transaction: [`Ledger::rollback`] leaves equal bytes.

use super::shapes::{Mended, Shapes};
use super::tree::{Tree, UNBOUNDED};
use super::{Load, Pod};
use crate::intern::{Fleet, Names};
use crate::types::{Capacity, Reason, RequestId, binding_label};
use std::collections::BTreeMap;

/// Open promises over the tree.
pub(crate) struct Ledger<'a> {
    pub(crate) tree: Tree<'a>,
    debit: Vec<i64>,
    shapes: Vec<Option<Shapes<'a>>>,
    undo: Vec<Undo>,
}

#[derive(Clone, Copy, Debug)]
enum Undo {
    Debit { slot: usize, was: i64 },
    Shapes { node: usize, mended: Mended },
}

/// Requests of a binding's pods as the reports along its path count them: per node of the path, a row.
pub(crate) type SeenRows = Vec<Option<Vec<i64>>>;

/// Why a load does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) node: usize,
    pub(crate) resource: usize,
    pub(crate) needed: i64,
    pub(crate) free: i64,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(tree: Tree<'a>) -> Self {
        Self { debit: vec![0; tree.ceiling.len()], shapes: tree.shapes.clone(), tree, undo: Vec::new() }
    }

    /// Forgets every promise.
    pub(crate) fn clear(&mut self) {
        self.debit.fill(0);
        self.shapes.clone_from(&self.tree.shapes);
        self.undo.clear();
    }

    /// A point to come back to.
    pub(crate) fn mark(&self) -> usize {
        self.undo.len()
    }

    /// Takes back everything since `mark`.
    pub(crate) fn rollback(&mut self, mark: usize) {
        while self.undo.len() > mark {
            match self.undo.pop() {
                Some(Undo::Debit { slot, was }) => self.debit[slot] = was,
                Some(Undo::Shapes { node, mended }) => {
                    if let Some(shapes) = &mut self.shapes[node] {
                        shapes.undo(mended);
                    }
                }
                None => return,
            }
        }
    }

    /// Keeps everything; nothing before can be taken back any more.
    pub(crate) fn commit(&mut self) {
        let mut last = usize::MAX;
        for undo in self.undo.drain(..) {
            if let Undo::Shapes { node, .. } = undo
                && node != last
                && let Some(shapes) = &mut self.shapes[node]
            {
                shapes.compact();
                last = node;
            }
        }
    }

    /// Open promises of a node, one amount per resource.
    pub(crate) fn debits(&self, node: usize) -> &[i64] {
        &self.debit[node * self.tree.width..(node + 1) * self.tree.width]
    }

    /// What a node has left of one resource; unbounded is [`UNBOUNDED`], over its ceiling is negative.
    pub(crate) fn free(&self, node: usize, resource: usize) -> i64 {
        let slot = node * self.tree.width + resource;
        match self.tree.ceiling[slot] {
            UNBOUNDED => UNBOUNDED,
            ceiling => ceiling - self.tree.used[slot] - self.debit[slot],
        }
    }

    /// Load and ceiling of one resource, promises included.
    pub(crate) fn load(&self, node: usize, resource: usize) -> (i64, i64) {
        let slot = node * self.tree.width + resource;
        (self.tree.used[slot].saturating_add(self.debit[slot]), self.tree.ceiling[slot])
    }

    /// The first shortage along the path, by resources alone: a bound that costs no packing.
    pub(crate) fn shortage(&self, fleet: &Fleet<'_>, member: usize, need: &[i64]) -> Option<Refusal> {
        for node in &fleet.paths[member] {
            for (resource, needed) in need.iter().enumerate() {
                if *needed > 0 {
                    let free = self.free(*node, resource);
                    if free < *needed {
                        let free = free.max(0);
                        let reason = Reason::Insufficient;
                        return Some(Refusal { reason, node: *node, resource, needed: *needed, free });
                    }
                }
            }
        }
        None
    }

    /// How many pods of one kind a member takes, at most `most` (C2).
    pub(crate) fn fits(&self, fleet: &Fleet<'_>, member: usize, pod: &Pod<'_>, most: u64) -> u64 {
        let mut fit = most;
        for node in &fleet.paths[member] {
            for (resource, need) in pod.request.iter().enumerate() {
                if *need > 0 {
                    let free = self.free(*node, resource);
                    if free != UNBOUNDED {
                        fit = fit.min((free.max(0) / need).unsigned_abs());
                    }
                }
            }
            if fit == 0 {
                return 0;
            }
        }
        for node in &fleet.paths[member] {
            if let Some(shapes) = &self.shapes[*node] {
                fit = shapes.fits(pod, fit);
            }
        }
        fit
    }

    /// Turns a binding's promise from `old` into `new`, if the growth fits; else nothing changes.
    pub(crate) fn reserve(
        &mut self,
        fleet: &Fleet<'_>,
        pods: &[Pod<'_>],
        member: usize,
        (old, new): (&Load, &Load),
        seen: Option<&SeenRows>,
    ) -> Result<(), Refusal> {
        let mark = self.mark();
        for (at, node) in fleet.paths[member].iter().enumerate() {
            let seen = seen.and_then(|s| s[at].as_deref());
            for resource in 0..self.tree.width {
                let visible = seen.map_or(0, |s| s[resource]);
                let grows = (new.total[resource] - visible).max(0) - (old.total[resource] - visible).max(0);
                if grows == 0 {
                    continue;
                }
                let free = self.free(*node, resource);
                if grows > 0 && free < grows {
                    self.rollback(mark);
                    let free = free.max(0);
                    return Err(Refusal {
                        reason: Reason::Insufficient,
                        node: *node,
                        resource,
                        needed: grows,
                        free,
                    });
                }
                self.change(*node, resource, grows);
            }
        }
        for node in &fleet.paths[member] {
            for (kind, count) in &new.pods {
                let more = count.saturating_sub(old.count(*kind));
                let packed = self.pack(*node, &pods[*kind], more);
                if packed < more {
                    let refusal = self.fragmented(*node, &pods[*kind]);
                    self.rollback(mark);
                    return Err(refusal);
                }
            }
        }
        Ok(())
    }

    /// Enters a promise that was made before, whatever room there is.
    pub(crate) fn enter(
        &mut self,
        fleet: &Fleet<'_>,
        pods: &[Pod<'_>],
        member: usize,
        load: &Load,
        seen: Option<&SeenRows>,
    ) {
        for (at, node) in fleet.paths[member].iter().enumerate() {
            let mut open = load.total.clone();
            if let Some(seen) = seen.and_then(|s| s[at].as_deref()) {
                open.iter_mut().zip(seen).for_each(|(o, s)| *o = (*o - s).max(0));
            }
            for (resource, amount) in open.iter().enumerate() {
                if *amount != 0 {
                    self.change(*node, resource, *amount);
                }
            }
            self.pack_open(*node, pods, load, open);
        }
        self.commit();
    }

    /// Packs the pods of a promise that are still to come: so many of each kind as the open amounts pay for.
    fn pack_open(&mut self, node: usize, pods: &[Pod<'_>], load: &Load, mut open: Vec<i64>) {
        if self.shapes[node].is_none() {
            return;
        }
        for (kind, count) in &load.pods {
            let pod = &pods[*kind];
            let outstanding = (pod.request.iter().zip(&open))
                .filter(|(need, _)| **need > 0)
                .map(|(need, open)| (open + need - 1) / need)
                .max()
                .unwrap_or(0);
            let outstanding = u32::try_from(outstanding.max(0)).unwrap_or(u32::MAX).min(*count);
            self.pack(node, pod, outstanding);
            for (open, need) in open.iter_mut().zip(&pod.request) {
                *open = (*open - need * i64::from(outstanding)).max(0);
            }
        }
    }

    fn pack(&mut self, node: usize, pod: &Pod<'_>, count: u32) -> u32 {
        let Some(shapes) = &mut self.shapes[node] else { return count };
        if count == 0 {
            return 0;
        }
        let undo = &mut self.undo;
        shapes.pack(pod, count, |mended| undo.push(Undo::Shapes { node, mended }))
    }

    /// The refusal that names the largest node.
    fn fragmented(&self, node: usize, pod: &Pod<'_>) -> Refusal {
        let mut worst = Refusal { reason: Reason::Fragmented, node, resource: 0, needed: 0, free: 0 };
        let mut tightest = i64::MAX;
        for (resource, need) in pod.request.iter().enumerate().filter(|(_, need)| **need > 0) {
            let largest = self.shapes[node].as_ref().map_or(0, |s| s.largest(resource, pod.restrict));
            if largest / need < tightest {
                tightest = largest / need;
                worst = Refusal { reason: Reason::Fragmented, node, resource, needed: *need, free: largest };
            }
        }
        worst
    }

    fn change(&mut self, node: usize, resource: usize, by: i64) {
        let slot = node * self.tree.width + resource;
        self.undo.push(Undo::Debit { slot, was: self.debit[slot] });
        self.debit[slot] = self.debit[slot].saturating_add(by);
    }
}

/// The pods that reports count per binding, by member and label.
pub(crate) struct SeenIndex {
    by_member: BTreeMap<usize, BTreeMap<String, SeenRows>>,
}

impl SeenIndex {
    pub(crate) fn new(fleet: &Fleet<'_>, names: &Names) -> Self {
        let mut by_member: BTreeMap<usize, BTreeMap<String, SeenRows>> = BTreeMap::new();
        for (node, reported) in fleet.members.iter().enumerate() {
            let Capacity::Known(figures) = &reported.report.capacity else { continue };
            for seen in &figures.seen {
                let Some(member) = fleet.find(&seen.member.0) else { continue };
                let Some(at) = fleet.paths[member].iter().position(|n| *n == node) else { continue };
                let labels = by_member.entry(member).or_default();
                let rows =
                    labels.entry(seen.label.clone()).or_insert_with(|| vec![None; fleet.paths[member].len()]);
                let row = names.row(&seen.requests, 0);
                match &mut rows[at] {
                    Some(sum) => sum.iter_mut().zip(row).for_each(|(s, r)| *s += r),
                    empty => *empty = Some(row),
                }
            }
        }
        Self { by_member }
    }

    /// Rows of one binding; nothing is hashed for members without labelled pods.
    pub(crate) fn of(&self, fleet: &Fleet<'_>, request: &RequestId, member: usize) -> Option<&SeenRows> {
        let labels = self.by_member.get(&member)?;
        labels.get(&binding_label(request, &fleet.members[member].id.0))
    }
}

#[cfg(test)]
mod tests;
