//! The snapshot as columns: members by index in id order, paths to their roots, resource names as numbers. Built
//! once per planning; every later step works on indexes.

use crate::bits::Bits;
use crate::types::{Health, Member, Resources, Snapshot, TaintEffect};
use std::collections::{BTreeMap, BTreeSet};

/// Members by index, in id order, so that a smaller index is a smaller id.
pub(crate) struct Fleet<'a> {
    pub(crate) members: Vec<&'a Member>,
    index: BTreeMap<&'a str, usize>,
    /// Per member: itself, then its ancestors, each once, nearest first.
    pub(crate) paths: Rows<usize>,
    /// Per member the bytes of its id.
    pub(crate) ids: Rows<u8>,
    /// Members that fell from Healthy of late, with how often.
    pub(crate) fallen: BTreeMap<usize, u32>,
    /// Members that can be picked at all (hosts without a profile cannot).
    pub(crate) placeable: Bits,
    pub(crate) leaving: Bits,
    pub(crate) cordoned: Bits,
    pub(crate) unhealthy: Bits,
    /// Members with a taint that blocks new picks.
    pub(crate) tainted: Bits,
    /// Members with a taint that lowers the rank.
    pub(crate) disliked: Bits,
    /// Nobody shares a host, so that a promise on one member is nothing to another.
    pub(crate) flat: bool,
}

impl<'a> Fleet<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let mut members: Vec<&Member> = snapshot.members.iter().map(|m| &**m).collect();
        members.sort_by(|a, b| a.id.cmp(&b.id));
        members.dedup_by(|b, a| a.id == b.id);
        let index: BTreeMap<&str, usize> = members.iter().enumerate().map(|(i, m)| (&*m.id.0, i)).collect();
        let paths: Rows<usize> = (0..members.len()).map(|i| path(&members, &index, i)).collect();
        let flat = paths.iter().all(|p| p.len() == 1);
        let ids = members.iter().map(|m| m.id.0.as_bytes().to_vec()).collect();
        let fallen =
            members.iter().enumerate().filter(|(_, m)| m.falls > 0).map(|(i, m)| (i, m.falls)).collect();
        let bits = |keep: &dyn Fn(&Member) -> bool| Bits::filter(members.len(), |i| keep(members[i]));
        Self {
            placeable: bits(&|m| !m.host_only),
            leaving: bits(&|m| m.leaving),
            cordoned: bits(&|m| m.cordoned),
            unhealthy: bits(&|m| m.health != Health::Healthy),
            tainted: bits(&|m| m.taints.iter().any(|t| t.effect != TaintEffect::PreferNoSchedule)),
            disliked: bits(&|m| m.taints.iter().any(|t| t.effect == TaintEffect::PreferNoSchedule)),
            ids,
            fallen,
            flat,
            members,
            index,
            paths,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Index of a member id.
    pub(crate) fn find(&self, id: &str) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// The node that carries a member in the end: its root host, or a real member itself.
    pub(crate) fn root(&self, member: usize) -> usize {
        let mut at = member;
        for _ in 0..self.paths[member].len() {
            match self.members[at].parents.first().and_then(|p| self.find(&p.0)) {
                Some(parent) if parent != member => at = parent,
                _ => break,
            }
        }
        at
    }

    /// The members that a request sees.
    pub(crate) fn visible(&self, namespace: Option<&str>, grants: &[String]) -> Bits {
        match namespace {
            None => self.placeable.clone(),
            Some(_) => Bits::filter(self.len(), |i| self.members[i].visible_to(namespace, grants)),
        }
    }
}

/// Rows of unequal length, one after the other in memory.
pub(crate) struct Rows<T> {
    all: Vec<T>,
    ends: Vec<usize>,
}

impl<T> Rows<T> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[T]> {
        (0..self.ends.len()).map(|i| &self[i])
    }
}

impl<T> std::ops::Index<usize> for Rows<T> {
    type Output = [T];

    fn index(&self, row: usize) -> &[T] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.all[start..self.ends[row]]
    }
}

impl<T> FromIterator<Vec<T>> for Rows<T> {
    fn from_iter<I: IntoIterator<Item = Vec<T>>>(rows: I) -> Self {
        let mut out = Self { all: Vec::new(), ends: Vec::new() };
        for row in rows {
            out.all.extend(row);
            out.ends.push(out.all.len());
        }
        out
    }
}

/// A member and its ancestors; an unknown parent ends a branch, a loop is walked once.
fn path(members: &[&Member], index: &BTreeMap<&str, usize>, start: usize) -> Vec<usize> {
    let mut out = vec![start];
    let mut next = 0;
    while next < out.len() {
        for parent in &members[out[next]].parents {
            if let Some(&p) = index.get(&*parent.0)
                && !out.contains(&p)
            {
                out.push(p);
            }
        }
        next += 1;
    }
    out
}

/// Resource names as numbers, in name order.
pub(crate) struct Names(Vec<String>);

impl Names {
    /// The names in use anywhere; `pods` always is.
    pub(crate) fn new<'r>(all: impl Iterator<Item = &'r Resources>) -> Self {
        let mut names: BTreeSet<&str> = BTreeSet::from(["cpu", "memory", "pods"]);
        for resources in all {
            for name in resources.0.keys() {
                if !names.contains(name.as_str()) {
                    names.insert(name);
                }
            }
        }
        Self(names.into_iter().map(str::to_owned).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn name(&self, index: usize) -> &str {
        &self.0[index]
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.0.binary_search_by(|n| n.as_str().cmp(name)).ok()
    }

    /// A row of amounts; what is not named gets `missing`.
    pub(crate) fn row(&self, resources: &Resources, missing: i64) -> Vec<i64> {
        let mut row = vec![missing; self.0.len()];
        for (name, amount) in &resources.0 {
            if let Some(i) = self.find(name) {
                row[i] = *amount;
            }
        }
        row
    }

    /// The amounts of a row that are not zero.
    pub(crate) fn resources(&self, row: &[i64]) -> Resources {
        Resources(self.0.iter().zip(row).filter(|(_, v)| **v != 0).map(|(n, v)| (n.clone(), *v)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn paths_end_at_roots_even_in_a_loop() {
        let node = |id: &str, parents: &[&str]| {
            Arc::new(Member {
                id: id.into(),
                parents: parents.iter().map(|p| (*p).into()).collect(),
                ..Member::default()
            })
        };
        let snapshot = Snapshot {
            members: vec![
                node("c", &["b"]),
                node("a", &[]),
                node("b", &["a"]),
                node("x", &["y"]),
                node("y", &["x"]),
            ],
        };
        let fleet = Fleet::new(&snapshot);
        let paths: Vec<&[usize]> = fleet.paths.iter().collect();
        assert_eq!(paths, [&[0][..], &[1, 0], &[2, 1, 0], &[3, 4], &[4, 3]]);
        assert_eq!(fleet.root(2), 0);
        assert_eq!(fleet.find("y"), Some(4));
    }
}
