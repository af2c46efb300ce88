//! What a request needs, in rows of amounts: whole copies, the part that every copy has, and the part that is split.

use crate::capacity::{Load, Pod};
use crate::intern::{Fleet, Names};
use crate::types::{NeedsMode, ReplicasMode, Request, Share};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The needs of one request.
pub(crate) struct Need<'a> {
    /// Whether there is anything to reserve.
    pub(crate) counted: bool,
    /// Largest pods first.
    pods: Vec<PodUse<'a>>,
    /// Targets that are split, in target order; empty when Duplicated.
    pub(crate) divided: Vec<Divided<'a>>,
    /// Whether a copy's size depends on the member's nodes.
    per_node: bool,
    whole: Rc<Load>,
    fixed: Rc<Load>,
}

struct PodUse<'a> {
    kind: usize,
    target: &'a str,
    replicas: u32,
    split: bool,
    per_node: bool,
}

/// One target whose replicas are split.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Divided<'a> {
    pub(crate) target: &'a str,
    pub(crate) kind: usize,
    pub(crate) replicas: u32,
}

/// Pod kinds of all requests.
pub(crate) struct Kinds<'a> {
    pub(crate) pods: Vec<Pod<'a>>,
    known: BTreeMap<(Vec<i64>, &'a crate::types::Restrict), usize>,
}

impl<'a> Kinds<'a> {
    pub(crate) fn new() -> Self {
        Self { pods: Vec::new(), known: BTreeMap::new() }
    }

    fn kind(&mut self, request: Vec<i64>, restrict: &'a crate::types::Restrict) -> usize {
        *self.known.entry((request, restrict)).or_insert_with_key(|(request, restrict)| {
            let restrict = (!restrict.is_empty()).then_some(*restrict);
            self.pods.push(Pod { request: request.clone(), restrict });
            self.pods.len() - 1
        })
    }

    /// Share of the fleet that one pod takes.
    pub(crate) fn size(&self, kind: usize, totals: &[i64]) -> i128 {
        dominant(&self.pods[kind].request, totals)
    }

    /// A kind for pods nobody describes any more: the average of a promise, rounded up.
    pub(crate) fn average(&mut self, total: &[i64], count: u32) -> usize {
        let count = i64::from(count.max(1));
        self.pods
            .push(Pod { request: total.iter().map(|t| (t + count - 1) / count).collect(), restrict: None });
        self.pods.len() - 1
    }
}

impl<'a> Need<'a> {
    /// `totals` is what the whole fleet has of each resource, to tell large pods from small ones.
    pub(crate) fn new(request: &'a Request, names: &Names, kinds: &mut Kinds<'a>, totals: &[i64]) -> Self {
        let split = request.replicas.mode == ReplicasMode::Divided;
        let listed = if request.needs.mode == NeedsMode::None { &[][..] } else { &request.needs.pods[..] };
        let mut pods: Vec<PodUse<'a>> = (listed.iter())
            .map(|pod| {
                let mut row = names.row(&pod.request, 0);
                if let Some(i) = names.find("pods") {
                    row[i] = 1;
                }
                PodUse {
                    kind: kinds.kind(row, &pod.restrict),
                    target: &pod.target,
                    replicas: pod.replicas,
                    split: split && pod.divisible && !pod.per_node,
                    per_node: pod.per_node,
                }
            })
            .collect();
        let size = |kind: usize| dominant(&kinds.pods[kind].request, totals);
        pods.sort_by(|a, b| size(b.kind).cmp(&size(a.kind)).then_with(|| a.target.cmp(b.target)));
        let mut divided: Vec<Divided<'a>> = (pods.iter().filter(|p| p.split))
            .map(|p| Divided { target: p.target, kind: p.kind, replicas: p.replicas })
            .collect();
        divided.sort_by(|a, b| a.target.cmp(b.target));
        let mut need = Self {
            counted: !pods.is_empty(),
            per_node: pods.iter().any(|p| p.per_node),
            divided,
            pods,
            whole: Rc::new(Load::none(names.len())),
            fixed: Rc::new(Load::none(names.len())),
        };
        need.whole = Rc::new(need.build(&kinds.pods, 0, |p| p.replicas));
        need.fixed = Rc::new(need.build(&kinds.pods, 0, |p| if p.split { 0 } else { p.replicas }));
        need
    }

    fn build(&self, pods: &[Pod<'_>], nodes: u32, count: impl Fn(&PodUse<'_>) -> u32) -> Load {
        let width = pods.first().map_or(0, |p| p.request.len()).max(self.whole.total.len());
        let mut load = Load::none(width);
        for pod in &self.pods {
            let times = if pod.per_node { nodes } else { 1 };
            load.add(pod.kind, &pods[pod.kind], count(pod).saturating_mul(times));
        }
        load
    }

    /// A whole copy on a member.
    pub(crate) fn whole(&self, pods: &[Pod<'_>], fleet: &Fleet<'_>, member: usize) -> Rc<Load> {
        if !self.per_node {
            return self.whole.clone();
        }
        Rc::new(self.build(pods, nodes(fleet, member), |p| p.replicas))
    }

    /// The row of a whole copy, borrowed where it is the same everywhere.
    pub(crate) fn whole_row<'s>(
        &'s self,
        pods: &[Pod<'_>],
        fleet: &Fleet<'_>,
        member: usize,
    ) -> std::borrow::Cow<'s, [i64]> {
        if self.per_node {
            self.whole(pods, fleet, member).total.clone().into()
        } else {
            self.whole.total.as_slice().into()
        }
    }

    /// What every copy has, whatever its share.
    pub(crate) fn bare(&self, pods: &[Pod<'_>], fleet: &Fleet<'_>, member: usize) -> Rc<Load> {
        if !self.per_node {
            return self.fixed.clone();
        }
        Rc::new(self.build(pods, nodes(fleet, member), |p| if p.split { 0 } else { p.replicas }))
    }

    /// What a copy with these shares takes; `shares` is in the order of `divided`.
    pub(crate) fn with_shares(
        &self,
        pods: &[Pod<'_>],
        fleet: &Fleet<'_>,
        member: usize,
        shares: &[u32],
    ) -> Load {
        let mut load = if self.per_node {
            self.build(pods, nodes(fleet, member), |p| if p.split { 0 } else { p.replicas })
        } else {
            (*self.fixed).clone()
        };
        for (divided, share) in self.divided.iter().zip(shares) {
            load.add(divided.kind, &pods[divided.kind], *share);
        }
        // Largest first again, as packing wants it.
        let order = |kind: usize| self.pods.iter().position(|p| p.kind == kind);
        load.pods.sort_by_key(|(kind, _)| order(*kind));
        load
    }

    /// Shares of a binding in the order of `divided`.
    pub(crate) fn shares(&self, shares: &[Share]) -> Vec<u32> {
        let of = |target| shares.iter().find(|s| s.target == target).map_or(0, |s| s.replicas);
        self.divided.iter().map(|d| of(d.target)).collect()
    }

    /// Largest share of the fleet that one full copy takes of any resource, in billionths (G3).
    pub(crate) fn dominant(&self, totals: &[i64]) -> i128 {
        dominant(&self.whole.total, totals)
    }

    /// Kind of the largest pod, for figures that people read.
    pub(crate) fn largest(&self) -> Option<usize> {
        self.pods.first().map(|p| p.kind)
    }
}

fn nodes(fleet: &Fleet<'_>, member: usize) -> u32 {
    let own = fleet.members[member].schedulable_nodes;
    if own > 0 { own } else { fleet.members[fleet.root(member)].schedulable_nodes }
}

fn dominant(row: &[i64], totals: &[i64]) -> i128 {
    let share = |(need, total): (&i64, &i64)| i128::from(*need) * 1_000_000_000 / i128::from((*total).max(1));
    row.iter().zip(totals).map(share).max().unwrap_or(0)
}
