//! The result of a planning: immutable, complete, with a reason for everything that is not there.

use super::{MemberId, Millis, RequestId, Resources, Share};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// SHA-256 over the canonical encoding (`crate::digest`).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What shall be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Plan {
    /// One more than the parent's.
    pub generation: u64,
    /// Generation of the plan before.
    pub parent: u64,
    /// Digest of the input.
    pub input: Digest,
    /// One per evaluated request, by id.
    #[serde(serialize_with = "crate::digest::ordered")]
    pub decisions: Vec<Decision>,
    /// What the ledger's promises become, node by node.
    pub ledger: LedgerDelta,
    /// What somebody should know.
    pub notes: Vec<Note>,
    /// When time alone will change something, so that the driver needs no timers of its own.
    pub next_wake: Option<Millis>,
    /// Digest of all of the above.
    pub digest: Digest,
}

impl Plan {
    /// Whether carrying it out changes nothing.
    pub fn is_empty(&self) -> bool {
        self.decisions.iter().all(Decision::is_empty)
    }

    /// The decision on one request, if it was evaluated.
    pub fn decision(&self, id: &RequestId) -> Option<&Decision> {
        self.decisions.binary_search_by(|d| d.request.cmp(id)).ok().map(|i| &self.decisions[i])
    }
}

/// The decision on one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Decision {
    /// Which.
    pub request: RequestId,
    /// How it ended.
    pub outcome: Outcome,
    /// All members it is bound to after this plan, by id.
    #[serde(serialize_with = "crate::digest::ordered")]
    pub picks: Vec<Pick>,
    /// Members that are let go by this plan, by id.
    pub drops: Vec<Drop>,
    /// Why the others are not there.
    pub tally: Tally,
}

impl Decision {
    /// Whether carrying it out changes nothing.
    pub fn is_empty(&self) -> bool {
        self.drops.is_empty() && self.picks.iter().all(|p| p.step == Step::Keep)
    }
}

/// How a decision ended; with [`Verdict`] the reason of condition Placed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Outcome {
    /// The reason.
    pub verdict: Verdict,
    /// Members wanted.
    pub wanted: u32,
    /// Members bound after this plan.
    pub selected: u32,
    /// Replicas wanted in all (Divided).
    pub replicas: u32,
    /// Replicas that found no place (Divided).
    pub unplaced: u32,
    /// What was in the way, when capacity was.
    pub tightest: Option<Tight>,
    /// The spread topology that was in the way, when one was.
    pub blocked_by: String,
    /// Names asked for that are not there or not visible; the two are not told apart (placement 9).
    pub unknown: Vec<String>,
}

impl Outcome {
    /// Value of condition Placed.
    pub fn placed(&self) -> bool {
        matches!(self.verdict, Verdict::Placed | Verdict::Partial)
    }
}

/// Reasons of condition Placed that this version knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// Everything asked for.
    Placed,
    /// Less than asked for, at least `min`.
    Partial,
    /// No member at all.
    #[default]
    NoMember,
    /// Fewer members than `min`.
    Short,
    /// Capacity is in the way.
    Insufficient,
    /// A hard spread constraint is in the way.
    SpreadUnsatisfiable,
}

/// Where capacity is tightest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tight {
    /// Resource, or `nodes` when it is there but in pieces too small.
    pub resource: String,
    /// Node of the tree; `shared host` where the request may not know its name.
    pub node: String,
}

/// One member of the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pick {
    /// Which.
    pub member: MemberId,
    /// What carrying it out does.
    pub step: Step,
    /// Why it is bound.
    pub cause: InCause,
    /// Group it belongs to.
    pub group: Arc<str>,
    /// Replicas per divided target; empty = whole.
    pub shares: Vec<Share>,
    /// What the ledger holds for it.
    pub promise: Arc<Resources>,
    /// Its score in this cycle.
    pub score: Score,
}

/// What carrying out a pick does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    /// Nothing.
    Keep,
    /// A new binding, or a Draining one taken back.
    Add,
    /// Other shares or another promise.
    Change,
}

/// Score of a pick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Score {
    /// Weighted sum.
    pub total: i64,
    /// 1 = best.
    pub rank: u32,
    /// Of so many ranked members.
    pub of: u32,
}

/// One member that is let go: Bound becomes Draining.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drop {
    /// Which.
    pub member: MemberId,
    /// Why.
    pub cause: OutCause,
}

/// Why a member came (B3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InCause {
    /// Picked by the placement.
    #[default]
    Selected,
    /// Picked for one that was let go in the same cycle.
    Moved,
    /// Picked later, when the placement had been short.
    Filled,
}

/// Why a member goes (B3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the closed list of rule B3")]
pub enum OutCause {
    ScaleIn,
    SpecChanged,
    NotMatched,
    Drained,
    Evicted,
    MemberLeft,
    PlacementDeleted,
}

/// Why a member was refused, in the order of the filters (M3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of rule M3")]
pub enum Reason {
    NotMatched,
    CelError,
    Excluded,
    Leaving,
    Cordoned,
    Unhealthy,
    UntoleratedTaint,
    ApiMissing,
    ObjectClaimed,
    Avoided,
    CapacityUnknown,
    ReportStale,
    Insufficient,
    Fragmented,
    Spread,
}

/// Counts of the members that were refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tally {
    /// Members the request sees.
    pub visible: u32,
    /// Members it does not see: a count, no names.
    pub hidden: u32,
    /// Visible members that passed every filter or are held.
    pub eligible: u32,
    /// Refusals, largest first.
    pub rejected: Vec<Rejected>,
}

impl Tally {
    /// How many members were refused for `reason`.
    pub fn count(&self, reason: Reason) -> u32 {
        self.rejected.iter().filter(|r| r.reason == reason).map(|r| r.count).sum()
    }
}

/// So many members refused for one reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// Reason.
    pub reason: Reason,
    /// What exactly: taint key, verdict, kind, resource, topology.
    pub detail: Arc<str>,
    /// How many.
    pub count: u32,
}

/// Why one member cannot take the need.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unfit {
    /// Insufficient or Fragmented.
    pub reason: Reason,
    /// Resource.
    pub resource: String,
    /// Node of the tree.
    pub node: MemberId,
    /// What one step needs.
    pub needed: i64,
    /// What is free there (Fragmented: on the largest node).
    pub free: i64,
}

/// Promises by node before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LedgerDelta(pub Vec<LedgerRow>);

/// One changed promise sum.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerRow {
    /// Node.
    pub node: MemberId,
    /// Resource.
    pub resource: String,
    /// Open promises before.
    pub before: i64,
    /// Open promises after.
    pub after: i64,
}

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// About which request.
    pub request: Option<RequestId>,
    /// What.
    pub reason: NoteReason,
    /// With what text.
    pub text: String,
}

/// Kinds of note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NoteReason {
    /// A term holds a CEL expression, which this version does not evaluate.
    CelError,
    /// An eviction waits for its budget.
    EvictionPending,
    /// A Fixed placement cannot be evicted: edit the names.
    NotEvictable,
    /// Pod templates without requests: one pod each is counted.
    NoRequests,
    /// A held copy cannot grow to what the workload asks for now.
    GrowthRefused,
}
