//! Capacity: a tree of hosts and members, node shapes at its roots, and a ledger of promises over both.

pub(crate) mod ledger;
pub(crate) mod shapes;
pub(crate) mod tree;

use crate::types::Restrict;

/// One kind of pod, its request as a row of amounts with the pod itself counted.
#[derive(Clone, Debug)]
pub(crate) struct Pod<'a> {
    pub(crate) request: Vec<i64>,
    pub(crate) restrict: Option<&'a Restrict>,
}

/// So many pods of each kind, the largest kind first, with the sum of their requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) total: Vec<i64>,
    /// (kind, count); each kind once.
    pub(crate) pods: Vec<(usize, u32)>,
}

impl Load {
    pub(crate) fn none(resources: usize) -> Self {
        Self { total: vec![0; resources], pods: Vec::new() }
    }

    /// Adds `count` pods of one kind.
    pub(crate) fn add(&mut self, kind: usize, pod: &Pod<'_>, count: u32) {
        if count == 0 {
            return;
        }
        match self.pods.iter_mut().find(|(k, _)| *k == kind) {
            Some((_, c)) => *c += count,
            None => self.pods.push((kind, count)),
        }
        for (sum, one) in self.total.iter_mut().zip(&pod.request) {
            *sum = sum.saturating_add(one.saturating_mul(i64::from(count)));
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.total.iter().all(|v| *v == 0)
    }

    pub(crate) fn count(&self, kind: usize) -> u32 {
        self.pods.iter().find(|(k, _)| *k == kind).map_or(0, |(_, c)| *c)
    }
}
