//! Groups of alike nodes of one cluster, and packing pods into them.
//!
//! **Guarantee**: what fits here has nodes: a group's `free` is the least that each of its nodes has, so packing may
//! promise too little and never too much (C2, inventory C3).

use super::Pod;
use crate::intern::Names;
use crate::types::{NodeShape, Restrict};
use std::collections::BTreeMap;

/// The node groups of one cluster. A group that was used up stays as count 0, so that undoing is exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shapes<'a> {
    attributes: Vec<&'a BTreeMap<String, String>>,
    groups: Vec<Group>,
    free: Vec<i64>,
    width: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    attributes: u32,
    count: u32,
}

/// What packing changed, newest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mended {
    /// A group's count was this.
    Count(usize, u32),
    /// There were so many groups.
    Groups(usize),
}

impl<'a> Shapes<'a> {
    pub(crate) fn new(shapes: &'a [NodeShape], names: &Names) -> Self {
        let mut sorted: Vec<&NodeShape> = shapes.iter().filter(|s| s.count > 0).collect();
        sorted.sort();
        let mut out =
            Self { attributes: Vec::new(), groups: Vec::new(), free: Vec::new(), width: names.len() };
        for shape in sorted {
            if out.attributes.last() != Some(&&shape.attributes) {
                out.attributes.push(&shape.attributes);
            }
            // Nodes always bound pods; a shape that does not say how many is not held against them.
            let mut row = names.row(&shape.free, 0);
            if let (Some(pods), false) = (names.find("pods"), shape.free.0.contains_key("pods")) {
                row[pods] = i64::MAX;
            }
            out.groups.push(Group { attributes: out.attributes.len() as u32 - 1, count: shape.count });
            out.free.extend(row);
        }
        out
    }

    fn row(&self, group: usize) -> &[i64] {
        &self.free[group * self.width..(group + 1) * self.width]
    }

    fn admits(&self, group: usize, restrict: Option<&Restrict>) -> bool {
        let Some(restrict) = restrict else { return true };
        let attributes = self.attributes[self.groups[group].attributes as usize];
        restrict.iter().all(|(key, values)| attributes.get(key).is_none_or(|v| values.contains(v)))
    }

    /// How many pods of one kind one node of a group takes.
    fn per_node(&self, group: usize, request: &[i64]) -> i64 {
        let mut most = i64::MAX;
        for (free, need) in self.row(group).iter().zip(request) {
            if *need > 0 {
                if free < need {
                    return 0;
                }
                most = most.min(free / need);
            }
        }
        most
    }

    /// How many pods of one kind fit in all, at most `most`.
    pub(crate) fn fits(&self, pod: &Pod<'_>, most: u64) -> u64 {
        let mut sum = 0_u64;
        for (i, group) in self.groups.iter().enumerate() {
            if sum >= most {
                break;
            }
            if group.count > 0 && self.admits(i, pod.restrict) {
                let each = self.per_node(i, &pod.request).unsigned_abs();
                sum = sum.saturating_add(each.saturating_mul(u64::from(group.count)));
            }
        }
        sum.min(most)
    }

    /// Packs up to `count` pods of one kind, best fit first, and says how many found a node.
    pub(crate) fn pack(&mut self, pod: &Pod<'_>, count: u32, mut mended: impl FnMut(Mended)) -> u32 {
        let mut left = count;
        while left > 0 {
            let Some((group, each)) = self.best(pod) else { break };
            let nodes_here = self.groups[group].count;
            let full = u32::try_from(i64::from(left) / each).unwrap_or(u32::MAX).min(nodes_here);
            let rest = if full < nodes_here { i64::from(left) - i64::from(full) * each } else { 0 };
            mended(Mended::Count(group, nodes_here));
            self.groups[group].count = nodes_here - full - u32::from(rest > 0);
            if full > 0 {
                self.put(group, pod, each, full, &mut mended);
            }
            if rest > 0 {
                self.put(group, pod, rest, 1, &mut mended);
            }
            left -= u32::try_from(i64::from(full) * each + rest).unwrap_or(left).min(left);
        }
        count - left
    }

    /// The group whose nodes keep least of the pod's dominant resource, and how many pods a node of it takes.
    fn best(&self, pod: &Pod<'_>) -> Option<(usize, i64)> {
        let mut best: Option<(i64, usize)> = None;
        for (i, group) in self.groups.iter().enumerate() {
            if group.count == 0 || !self.admits(i, pod.restrict) {
                continue;
            }
            let row = self.row(i);
            if row.iter().zip(&pod.request).any(|(free, need)| *need > 0 && free < need) {
                continue;
            }
            let remainder = remainder(row, &pod.request);
            if best.is_none_or(|(r, _)| remainder < r) {
                best = Some((remainder, i));
            }
        }
        // A pod that asks for nothing fits anywhere, without end; one visit is enough.
        best.map(|(_, i)| (i, self.per_node(i, &pod.request).min(i64::from(u32::MAX))))
    }

    /// Adds `nodes` nodes that are like those of `group` with `pods` more pods on each.
    fn put(&mut self, group: usize, pod: &Pod<'_>, pods: i64, nodes: u32, mended: &mut impl FnMut(Mended)) {
        let attributes = self.groups[group].attributes;
        // The row is written where a new group would have it; a group that is like it takes its place.
        let (start, end) = (group * self.width, self.free.len());
        for (i, need) in pod.request.iter().enumerate() {
            let free = self.free[start + i];
            self.free.push(if free == i64::MAX { free } else { free - need * pods });
        }
        let row = &self.free[end..];
        let same =
            (0..self.groups.len()).find(|i| self.groups[*i].attributes == attributes && self.row(*i) == row);
        match same {
            Some(i) => {
                self.free.truncate(end);
                mended(Mended::Count(i, self.groups[i].count));
                self.groups[i].count += nodes;
            }
            None => {
                mended(Mended::Groups(self.groups.len()));
                self.groups.push(Group { attributes, count: nodes });
            }
        }
    }

    /// Forgets groups that were used up; changes from before cannot be taken back then.
    pub(crate) fn compact(&mut self) {
        let mut kept = 0;
        for i in 0..self.groups.len() {
            if self.groups[i].count > 0 {
                if kept != i {
                    self.groups[kept] = self.groups[i];
                    self.free.copy_within(i * self.width..(i + 1) * self.width, kept * self.width);
                }
                kept += 1;
            }
        }
        self.undo(Mended::Groups(kept));
    }

    /// Takes one change back; changes go back newest first.
    pub(crate) fn undo(&mut self, mended: Mended) {
        match mended {
            Mended::Count(group, count) => self.groups[group].count = count,
            Mended::Groups(len) => {
                self.groups.truncate(len);
                self.free.truncate(len * self.width);
            }
        }
    }

    /// The most that any admitted node has free of one resource.
    pub(crate) fn largest(&self, resource: usize, restrict: Option<&Restrict>) -> i64 {
        (0..self.groups.len())
            .filter(|i| self.groups[*i].count > 0 && self.admits(*i, restrict))
            .map(|i| self.row(i)[resource])
            .max()
            .unwrap_or(0)
    }
}

/// What is left of the resource that the pod uses most of, in millionths, after one pod.
fn remainder(free: &[i64], request: &[i64]) -> i64 {
    let mut dominant = (0_i64, 1_i64);
    for (free, need) in free.iter().zip(request) {
        let (tried, best) =
            (i128::from(*need) * i128::from(dominant.1), i128::from(dominant.0) * i128::from(*free));
        if *need > 0 && *free > 0 && tried > best {
            dominant = (*need, *free);
        }
    }
    let (need, free) = dominant;
    let share = match need.checked_mul(1_000_000) {
        Some(scaled) => scaled / free,
        None => i64::try_from(i128::from(need) * 1_000_000 / i128::from(free)).unwrap_or(i64::MAX),
    };
    1_000_000 - share
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Resources;
    use proptest::prelude::*;

    fn names() -> Names {
        Names::new(std::iter::empty())
    }

    fn shape(cpu: i64, count: u32) -> NodeShape {
        let free = Resources([("cpu".into(), cpu), ("memory".into(), cpu * 4), ("pods".into(), 10)].into());
        NodeShape { free, count, ..NodeShape::default() }
    }

    fn pod(cpu: i64) -> Pod<'static> {
        Pod { request: vec![cpu, cpu, 1], restrict: None }
    }

    #[test]
    fn twenty_cores_do_not_fit_nodes_of_four() {
        let shapes = [shape(4_000, 100)];
        let shapes = Shapes::new(&shapes, &names());
        assert_eq!(shapes.fits(&pod(20_000), 10), 0);
        assert_eq!(shapes.fits(&pod(3_000), 1_000), 100, "one per node, the rest of a node is lost");
        assert_eq!(shapes.fits(&pod(10), 5_000), 1_000, "the pods of a node bound it too");
        assert_eq!(shapes.largest(0, None), 4_000);
    }

    #[test]
    fn restricted_pods_use_only_admitted_nodes() {
        let mut a = shape(4_000, 2);
        a.attributes.insert("arch".into(), "arm64".into());
        let mut b = shape(4_000, 3);
        b.attributes.insert("arch".into(), "amd64".into());
        let shapes = [a, b, shape(4_000, 1)];
        let mut shapes = Shapes::new(&shapes, &names());
        let restrict: Restrict = [("arch".into(), vec!["arm64".into()])].into();
        let pod = Pod { request: vec![4_000, 0, 1], restrict: Some(&restrict) };
        assert_eq!(shapes.fits(&pod, 100), 3, "two of arm64 and one that does not say");
        assert_eq!(shapes.pack(&pod, 100, |_| {}), 3);
        assert_eq!(shapes.fits(&pod, 100), 0);
    }

    proptest! {
        /// Placement 44: the fullest resource is found by products as it would be by division.
        #[test]
        fn placement_44_the_dominant_resource_is_the_same_by_division(
            pairs in prop::collection::vec((0_i64..1 << 40, -5_i64..1 << 50), 1..5),
        ) {
            let (need, free): (Vec<i64>, Vec<i64>) = pairs.into_iter().unzip();
            let share = |(n, f): (&i64, &i64)| if *n > 0 && *f > 0 {
                i64::try_from(i128::from(*n) * 1_000_000 / i128::from(*f)).unwrap()
            } else { 0 };
            let most = need.iter().zip(&free).map(share).max().unwrap();
            prop_assert_eq!(remainder(&free, &need), 1_000_000 - most);
        }

        /// Placement 44: what fits has nodes, and a packing taken back leaves equal bytes.
        #[test]
        fn placement_44_what_fits_packs_and_undo_is_exact(
            groups in prop::collection::vec((1_i64..20, 1_u32..6), 1..5),
            pods in prop::collection::vec((1_i64..8, 1_u32..9), 1..6),
        ) {
            let shapes: Vec<NodeShape> = groups.iter().map(|(cpu, n)| shape(*cpu, *n)).collect();
            let mut shapes = Shapes::new(&shapes, &names());
            let before = shapes.clone();
            let mut log = Vec::new();
            for (cpu, count) in pods {
                let pod = pod(cpu);
                let fits = shapes.fits(&pod, u64::from(count));
                let packed = shapes.pack(&pod, count, |m| log.push(m));
                prop_assert_eq!(u64::from(packed), fits);
                prop_assert!(shapes.free.iter().all(|f| *f >= 0));
                let nodes: u32 = shapes.groups.iter().map(|g| g.count).sum();
                prop_assert_eq!(nodes, before.groups.iter().map(|g| g.count).sum::<u32>());
            }
            log.into_iter().rev().for_each(|m| shapes.undo(m));
            prop_assert_eq!(shapes, before);
        }
    }
}
