//! Edits of a what-if, and its answer.

use super::{Digest, InCause, Member, MemberId, OutCause, Report, Request, RequestId, Taint, TaintEffect};
use serde::{Deserialize, Serialize};

/// One edit of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// A member joins.
    Add(Box<Member>),
    /// A member is gone.
    Remove(MemberId),
    /// No new picks there.
    Cordon(MemberId),
    /// New picks again; pending evictions there are cancelled.
    Uncordon(MemberId),
    /// Cordoned, with everything on it; what is bound there is to go.
    Drain(MemberId),
    /// Sets a taint (of the same key and effect), or removes it.
    Taint {
        /// Where.
        member: MemberId,
        /// What; its key and effect name the one to remove.
        taint: Taint,
        /// Set or remove.
        present: bool,
    },
    /// Sets or removes a label.
    Relabel {
        /// Where.
        member: MemberId,
        /// Key.
        key: String,
        /// `None` removes.
        value: Option<String>,
    },
    /// Sets or removes a property.
    SetProperty {
        /// Where.
        member: MemberId,
        /// Key.
        key: String,
        /// `None` removes.
        value: Option<String>,
    },
    /// Another capacity report.
    Capacity {
        /// Where.
        member: MemberId,
        /// Report.
        report: Box<Report>,
    },
    /// A host and everything on it is down.
    HostDown(MemberId),
    /// A new placement.
    CreatePlacement(Box<Request>),
    /// Another spec of a placement.
    EditPlacement(Box<Request>),
    /// A placement is deleted.
    DeletePlacement(RequestId),
    /// Other replicas of one target of a placement.
    Scale {
        /// Which.
        request: RequestId,
        /// Target, `apps/Deployment/web`.
        target: String,
        /// How many.
        replicas: u32,
    },
    /// Decide one placement from nothing.
    Replan(RequestId),
    /// Let time pass.
    AdvanceTime(i64),
}

impl Change {
    /// A NoSchedule taint, the common case.
    pub fn taint(member: &str, key: &str) -> Self {
        let taint = Taint {
            key: key.to_owned(),
            value: String::new(),
            effect: TaintEffect::NoSchedule,
            time_added: 0,
        };
        Self::Taint { member: member.into(), taint, present: true }
    }
}

/// Answer of a what-if: what the changes would do, beside what would happen anyway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlanDiff {
    /// Bindings that would be there and are not without the changes.
    pub added: Vec<Shift>,
    /// Bindings that would be gone.
    pub dropped: Vec<Shift>,
    /// Bindings that would change their member.
    pub moved: Vec<Shift>,
    /// Replicas on bindings that are added or moved.
    pub replicas_moved: u64,
    /// Members or replicas wanted and not found: before, after.
    pub unplaced: (u64, u64),
    /// Roots of the tree that carry a promise: before, after.
    pub roots_used: (u32, u32),
    /// Digest of the plan without the changes.
    pub live: Digest,
    /// Digest of the plan with them: that of the real plan once they are real.
    pub changed: Digest,
}

/// One binding that differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shift {
    /// Whose.
    pub request: RequestId,
    /// Where it is without the changes.
    pub from: Option<MemberId>,
    /// Where it is with them.
    pub to: Option<MemberId>,
    /// Its replicas.
    pub replicas: u32,
    /// Why it came.
    pub came: Option<InCause>,
    /// Why it went.
    pub went: Option<OutCause>,
}
