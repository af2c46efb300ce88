//! Spread constraints (Q4): domains, counts, and whether one more member somewhere is admissible.

use crate::filter::properties::property;
use crate::intern::Fleet;
use crate::types::{Request, Spread, Unsatisfiable};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Topology key of the member itself.
pub const MEMBER: &str = "skerry.dev/member";
/// Topology key of the root host.
pub const HOST: &str = "skerry.dev/host";

/// No domain: the member has no value for the topology.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// The domains of one topology key.
#[derive(Debug)]
pub(crate) struct Topology {
    /// Per member, its domain.
    pub(crate) of: Vec<u32>,
    pub(crate) domains: usize,
}

/// Topologies, each read once per planning.
#[derive(Default)]
pub(crate) struct Topologies(BTreeMap<String, Rc<Topology>>);

impl Topologies {
    pub(crate) fn get(&mut self, fleet: &Fleet<'_>, key: &str) -> Rc<Topology> {
        if let Some(known) = self.0.get(key) {
            return known.clone();
        }
        let value = |i: usize| -> Option<String> {
            let member = fleet.members[i];
            match key {
                MEMBER => Some(member.id.to_string()),
                HOST => Some(fleet.members[fleet.root(i)].id.to_string()),
                _ => member
                    .labels
                    .get(key)
                    .cloned()
                    .or_else(|| property(fleet, i, key).map(|v| v.into_owned())),
            }
        };
        let values: Vec<Option<String>> = (0..fleet.len()).map(value).collect();
        let mut names: BTreeMap<&str, u32> = values.iter().flatten().map(|v| (v.as_str(), 0)).collect();
        names.values_mut().enumerate().for_each(|(i, id)| *id = i as u32);
        let of = values.iter().map(|v| v.as_ref().map_or(NOWHERE, |v| names[v.as_str()])).collect();
        let topology = Rc::new(Topology { of, domains: names.len() });
        self.0.insert(key.to_owned(), topology.clone());
        topology
    }
}

/// One constraint with its counts.
#[derive(Clone)]
pub(crate) struct Constraint<'r> {
    pub(crate) rule: &'r Spread,
    topology: Rc<Topology>,
    /// Members bound per domain.
    count: Vec<u32>,
    /// Members that could still be bound per domain.
    open: Vec<u32>,
}

/// All constraints of one request.
#[derive(Clone)]
pub(crate) struct Spreads<'r>(pub(crate) Vec<Constraint<'r>>);

impl<'r> Spreads<'r> {
    pub(crate) fn new(topologies: &mut Topologies, fleet: &Fleet<'_>, request: &'r Request) -> Self {
        Self(
            (request.spread.iter())
                .map(|rule| {
                    let topology = topologies.get(fleet, &rule.topology);
                    let size = topology.domains;
                    Constraint { rule, topology, count: vec![0; size], open: vec![0; size] }
                })
                .collect(),
        )
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether no constraint is soft.
    pub(crate) fn all_hard(&self) -> bool {
        self.0.iter().all(Constraint::hard)
    }

    /// The hard constraint for which a member has no domain.
    pub(crate) fn nowhere(&self, member: usize) -> Option<&'r str> {
        let missing = |c: &&Constraint<'r>| c.hard() && c.domain(member).is_none();
        self.0.iter().find(missing).map(|c| c.rule.topology.as_str())
    }

    /// A number that is equal for members of equal domains in every constraint.
    pub(crate) fn key(&self, member: usize) -> u64 {
        self.0.iter().fold(0, |key, c| {
            let domain = c.domain(member).map_or(0, |d| d as u64 + 1);
            key.wrapping_mul(c.topology.domains as u64 + 1).wrapping_add(domain)
        })
    }

    pub(crate) fn open(&mut self, member: usize) {
        self.each(member, |c, d| c.open[d] += 1);
    }

    pub(crate) fn close(&mut self, member: usize) {
        self.each(member, |c, d| c.open[d] -= 1);
    }

    pub(crate) fn add(&mut self, member: usize) {
        self.each(member, |c, d| c.count[d] += 1);
    }

    pub(crate) fn remove(&mut self, member: usize) {
        self.each(member, |c, d| c.count[d] -= 1);
    }

    fn each(&mut self, member: usize, mut change: impl FnMut(&mut Constraint<'r>, usize)) {
        for constraint in &mut self.0 {
            if let Some(domain) = constraint.domain(member) {
                change(constraint, domain);
            }
        }
    }

    /// Smallest count per constraint as it stands; valid until a count changes.
    pub(crate) fn floors(&self) -> Vec<Floor> {
        self.0.iter().map(Constraint::floor).collect()
    }

    /// The first hard constraint that a further member of this domain tuple would break.
    pub(crate) fn blocked(&self, member: usize, floors: &[Floor]) -> Option<&'r str> {
        let blocks = |(c, floor): &(&Constraint<'r>, &Floor)| c.hard() && !c.admits(member, floor);
        self.0.iter().zip(floors).find(blocks).map(|(c, _)| c.rule.topology.as_str())
    }

    /// The balance term of a further member, weighted: soft constraints only.
    pub(crate) fn balance(&self, member: usize, floors: &[Floor]) -> i64 {
        (self.0.iter().zip(floors))
            .filter(|(c, _)| !c.hard())
            .map(|(c, floor)| i64::from(c.rule.weight) * c.balance(member, floor))
            .sum()
    }

    /// By how much counts of hard constraints differ beyond what is allowed.
    pub(crate) fn excess(&self) -> u64 {
        let excess = |c: &Constraint<'_>| {
            let most = c.count.iter().copied().max().unwrap_or(0);
            u64::from((most - c.least(&c.floor()).min(most)).saturating_sub(c.rule.max_skew))
        };
        self.0.iter().filter(|c| c.hard()).map(excess).sum()
    }
}

/// What a constraint looks like between two picks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    /// Smallest count over the domains that count; 0 while there are too few of them.
    least: u32,
    /// Smallest count over the domains that count, whatever their number.
    smallest: u32,
    /// Domains with a member.
    used: u32,
}

impl Constraint<'_> {
    fn hard(&self) -> bool {
        self.rule.when_unsatisfiable == Unsatisfiable::DoNotSchedule
    }

    fn domain(&self, member: usize) -> Option<usize> {
        let domain = self.topology.of[member];
        (domain != NOWHERE).then_some(domain as usize)
    }

    fn floor(&self) -> Floor {
        let mut smallest = u32::MAX;
        let (mut domains, mut used) = (0, 0);
        for (count, open) in self.count.iter().zip(&self.open) {
            if *count > 0 || *open > 0 {
                smallest = smallest.min(*count);
                domains += 1;
            }
            used += u32::from(*count > 0);
        }
        let smallest = if domains == 0 { 0 } else { smallest };
        Floor { least: if domains < self.rule.min_domains { 0 } else { smallest }, smallest, used }
    }

    fn admits(&self, member: usize, floor: &Floor) -> bool {
        let Some(domain) = self.domain(member) else { return false };
        let count = self.count[domain];
        let may_open = count > 0 || self.rule.max_domains == 0 || floor.used < self.rule.max_domains;
        may_open && count + 1 - self.least(floor).min(count) <= self.rule.max_skew
    }

    /// The count that skew is measured from. With all domains opened that may be, the others hold nobody down.
    fn least(&self, floor: &Floor) -> u32 {
        if self.rule.max_domains == 0 || floor.used < self.rule.max_domains {
            return floor.least;
        }
        let used = self.count.iter().filter(|c| **c > 0);
        let (domains, least) = used.fold((0, u32::MAX), |(n, least), c| (n + 1, least.min(*c)));
        if domains < self.rule.min_domains { 0 } else { least }
    }

    fn balance(&self, member: usize, floor: &Floor) -> i64 {
        let Some(domain) = self.domain(member) else { return 0 };
        1000 - 250 * i64::from((self.count[domain] - floor.smallest.min(self.count[domain])).min(4))
    }
}
