//! Which pods the tenant's policies select, by what lies on the host: such pods carry a label, and the platform's allow
//! rules leave them alone (tenancy I6).

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};
use skerry_kit::isolation::{POLICY_EGRESS, POLICY_INGRESS};

use crate::object::{Fields, HostObj, items, selects};

/// A direction of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Into pods.
    Ingress,
    /// Out of pods.
    Egress,
}

impl Direction {
    /// Both, in the order in which they stand in objects.
    pub const ALL: [Direction; 2] = [Direction::Ingress, Direction::Egress];

    /// As in `policyTypes`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Ingress => "Ingress",
            Direction::Egress => "Egress",
        }
    }

    /// The label of pods that a policy selects.
    pub const fn label(self) -> &'static str {
        match self {
            Direction::Ingress => POLICY_INGRESS,
            Direction::Egress => POLICY_EGRESS,
        }
    }

    pub(super) const fn member(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }

    pub(super) const fn peers(self) -> &'static str {
        match self {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        }
    }

    pub(super) const fn definition(self) -> &'static str {
        match self {
            Direction::Ingress => "NetworkPolicyIngressRule",
            Direction::Egress => "NetworkPolicyEgressRule",
        }
    }
}

/// Directions of a spec; one that names none restricts what comes in, and what goes out if it has a rule for it.
pub(super) fn directions(spec: &Value) -> Vec<Direction> {
    let types = items(spec, "/policyTypes");
    let named = |d: &Direction| types.iter().any(|t| t.as_str() == Some(d.as_str()));
    let implied = |d: &Direction| *d == Direction::Ingress || !items(spec, "/egress").is_empty();
    Direction::ALL.into_iter().filter(|d| if types.is_empty() { implied(d) } else { named(d) }).collect()
}

/// A policy as it lies on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyFact {
    /// Its `podSelector` there.
    pub selector: Arc<Value>,
    /// What it restricts.
    pub directions: Vec<Direction>,
}

impl PolicyFact {
    /// Of a host object.
    pub fn of(host: &HostObj) -> Self {
        let spec = host.value().get("spec").cloned().unwrap_or_default();
        let selector = spec.get("podSelector").cloned().unwrap_or_default();
        Self { selector: Arc::new(selector), directions: directions(&spec) }
    }
}

/// Policies of one tenant namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    /// Rises with every change.
    pub generation: u64,
    /// By name.
    pub all: BTreeMap<Arc<str>, PolicyFact>,
}

/// Policies by tenant namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policies(pub BTreeMap<Arc<str>, Space>);

impl Policies {
    /// The generation of a namespace.
    pub fn generation(&self, namespace: &str) -> u64 {
        self.0.get(namespace).map_or(0, |space| space.generation)
    }

    /// Puts labels on a host pod for each direction in which a policy selects it.
    pub fn mark(&self, namespace: &str, labels: &mut Map<String, Value>) {
        let Some(space) = self.0.get(namespace) else { return };
        let mut found: Vec<Direction> = space
            .all
            .values()
            .filter(|policy| selects(&policy.selector, |key| labels.get(key).and_then(Value::as_str)))
            .flat_map(|policy| policy.directions.iter().copied())
            .collect();
        found.sort_unstable();
        found.dedup();
        for direction in found {
            labels.insert(direction.label().to_owned(), Value::from("true"));
        }
    }
}
