//! The whole input of one planning: present time, seed, configuration, inventory, requests, and what is held.

use super::{Change, InCause, MemberId, Millis, OutCause, Request, RequestId, Resources, Snapshot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Input of one planning. Equal inputs, in any list order, give equal plans.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The present.
    pub at: Millis,
    /// Key of the tie-break lot.
    pub seed: u64,
    /// Configuration of the engine.
    pub config: &'a Config,
    /// Inventory.
    pub fleet: &'a Snapshot,
    /// Every request there is, evaluated in this cycle or not.
    pub requests: Vec<Request>,
    /// Which of them are evaluated; `None` = all.
    pub evaluate: Option<BTreeSet<RequestId>>,
    /// Which of the others wait for room: they are evaluated too if this cycle frees some.
    pub blocked: BTreeSet<RequestId>,
    /// Bindings as they stand.
    pub held: Vec<Held>,
    /// Objects that are owned on a member already.
    pub claims: Vec<Claim>,
    /// Edits of a what-if; empty when live. They are applied first, so the digest is that of the edited input.
    pub changes: &'a [Change],
}

/// Configuration of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Config {
    /// How equal members are told apart.
    pub tie_break: TieBreak,
}

/// How equal members are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TieBreak {
    /// By a keyed hash of Placement and member, so that equal members share load.
    #[default]
    Hash,
    /// By member id.
    Name,
}

/// A binding as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Held {
    /// Whose.
    pub request: RequestId,
    /// Where.
    pub member: MemberId,
    /// Bound or on its way out.
    pub state: State,
    /// Why it came.
    pub cause: InCause,
    /// Why it goes, when Draining.
    pub out: Option<OutCause>,
    /// Group it was picked from.
    pub group: String,
    /// Replicas per divided target; empty = whole.
    pub shares: Vec<Share>,
    /// What the ledger holds for it.
    pub promise: Resources,
    /// Whether anything of it was released to the member.
    pub delivered: bool,
    /// Whether it is Available.
    pub available: bool,
    /// Since when its request does not see the member any more; kept by the driver. After five minutes it goes.
    pub hidden_since: Option<Millis>,
    /// Somebody wants it gone from there.
    pub eviction: Option<Eviction>,
}

/// State of a binding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of ClusterBinding spec.state")]
pub enum State {
    #[default]
    Bound,
    Draining,
}

/// A wish that a binding leave its member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Eviction {
    /// `Drained` (the whole member is emptied) or `Evicted` (this binding alone).
    pub cause: OutCause,
}

/// Replicas of one target on one member.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// `apps/Deployment/web`.
    pub target: String,
    /// How many.
    pub replicas: u32,
}

/// An object on a member that a request owns there.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// Where.
    pub member: MemberId,
    /// `group/Kind/namespace/name`.
    pub object: String,
    /// Whose.
    pub owner: RequestId,
}
