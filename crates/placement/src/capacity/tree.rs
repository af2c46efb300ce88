//! The capacity tree: what each node may carry, what it carries by its own report, and how old that is.

use super::shapes::Shapes;
use crate::intern::{Fleet, Names};
use crate::types::{Capacity, Millis, Report, Resources};

/// An amount without a bound.
pub(crate) const UNBOUNDED: i64 = i64::MAX;

/// Capacity of every node, as rows of amounts.
pub(crate) struct Tree<'a> {
    pub(crate) width: usize,
    pub(crate) ceiling: Vec<i64>,
    pub(crate) used: Vec<i64>,
    /// Whether the whole path of a member has figures.
    pub(crate) known: Vec<bool>,
    /// Whether some report on the path of a member is too old for new promises (C4).
    pub(crate) stale: Vec<bool>,
    pub(crate) shapes: Vec<Option<Shapes<'a>>>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(fleet: &Fleet<'a>, names: &Names, at: Millis) -> Self {
        let width = names.len();
        let mut tree = Self {
            width,
            ceiling: Vec::with_capacity(fleet.len() * width),
            used: Vec::with_capacity(fleet.len() * width),
            known: Vec::new(),
            stale: Vec::new(),
            shapes: Vec::with_capacity(fleet.len()),
        };
        for member in &fleet.members {
            match &member.report.capacity {
                Capacity::Known(figures) => {
                    let is_root = member.parents.is_empty();
                    let mut ceiling = names.row(&figures.ceiling, if is_root { 0 } else { UNBOUNDED });
                    if let (Some(pods), false) = (names.find("pods"), figures.ceiling.0.contains_key("pods"))
                    {
                        ceiling[pods] = UNBOUNDED;
                    }
                    tree.ceiling.extend(ceiling);
                    tree.used.extend(names.row(&figures.used, 0));
                    tree.shapes
                        .push((!figures.shapes.is_empty()).then(|| Shapes::new(&figures.shapes, names)));
                }
                Capacity::Unknown(_) => {
                    tree.ceiling.extend(std::iter::repeat_n(UNBOUNDED, width));
                    tree.used.extend(std::iter::repeat_n(0, width));
                    tree.shapes.push(None);
                }
            }
        }
        let known = |i: &usize| matches!(fleet.members[*i].report.capacity, Capacity::Known(_));
        tree.known = fleet.paths.iter().map(|path| path.iter().all(known)).collect();
        tree.stale = (fleet.paths.iter())
            .map(|path| path.iter().any(|i| stale_at(&fleet.members[*i].report).is_some_and(|t| at >= t)))
            .collect();
        tree
    }
}

/// When a report becomes too old for new promises: after three intervals without report or heartbeat.
pub(crate) fn stale_at(report: &Report) -> Option<Millis> {
    let fresh = report.observed.max(report.heartbeat);
    (report.interval > 0).then(|| fresh.saturating_add(report.interval.saturating_mul(3)).saturating_add(1))
}

/// What is free along a member's path by the reports alone, without promises: the computed property `available-*`.
pub(crate) fn available(fleet: &Fleet<'_>, member: usize, resource: &str) -> Option<i64> {
    let mut least: Option<i64> = None;
    for node in &fleet.paths[member] {
        let node = fleet.members[*node];
        let Capacity::Known(figures) = &node.report.capacity else { return None };
        let ceiling = match figures.ceiling.0.get(resource) {
            Some(ceiling) => *ceiling,
            None if node.parents.is_empty() => 0,
            None => continue,
        };
        let free = (ceiling - figures.used.get(resource)).max(0);
        least = Some(least.map_or(free, |l| l.min(free)));
    }
    least
}

/// Allocatable of the nodes that carry a member: the computed property `allocatable-*`.
pub(crate) fn allocatable<'a>(fleet: &Fleet<'a>, member: usize) -> Option<&'a Resources> {
    match &fleet.members[fleet.root(member)].report.capacity {
        Capacity::Known(figures) => Some(&figures.allocatable),
        Capacity::Unknown(_) => None,
    }
}
