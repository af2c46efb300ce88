//! Conditions of Placements and ClusterBindings and their reasons (placement section 2).
#![allow(missing_docs, reason = "the words are listed in placement section 2 and mean what they say")]

pub const ACCEPTED: &str = "Accepted";
pub const PLACED: &str = "Placed";
pub const ROLLED_OUT: &str = "RolledOut";
pub const APPLIED: &str = "Applied";
pub const AVAILABLE: &str = "Available";
pub const DRIFTED: &str = "Drifted";
pub const CONTESTED: &str = "Contested";
pub const READY: &str = "Ready";

/// Field managers, one per condition.
pub mod managers {
    /// Writes decisions: Accepted, Placed, selection, ClusterBindings, PlacementDecisions.
    pub const PLACEMENT: &str = "skerry-placement";
    /// Writes the rest of the status of Placements and ClusterBindings.
    pub const ROLLOUT: &str = "skerry-rollout";
    /// Applies objects on members.
    pub const FLEET: &str = "skerry-fleet";
}

pub mod accepted {
    pub const ACCEPTED: &str = "Accepted";
    pub const INVALID: &str = "Invalid";
    pub const SOURCE_NOT_FOUND: &str = "SourceNotFound";
    pub const SOURCE_NOT_TEMPLATE: &str = "SourceNotTemplate";
    pub const SOURCE_UNREADABLE: &str = "SourceUnreadable";
    pub const CLUSTER_SCOPED_OBJECT: &str = "ClusterScopedObject";
    pub const TOO_LARGE: &str = "TooLarge";
}

pub mod placed {
    pub const PLACED: &str = "Placed";
    pub const PARTIAL: &str = "Partial";
    pub const NO_MEMBER: &str = "NoMember";
    pub const SHORT: &str = "Short";
    pub const INSUFFICIENT: &str = "Insufficient";
    pub const SPREAD_UNSATISFIABLE: &str = "SpreadUnsatisfiable";
    pub const EVALUATING: &str = "Evaluating";
    pub const PLAN_REJECTED: &str = "PlanRejected";
}

pub mod rolled_out {
    pub const UP_TO_DATE: &str = "UpToDate";
    pub const PROGRESSING: &str = "Progressing";
    pub const MANUAL: &str = "Manual";
    pub const FAILED: &str = "Failed";
    pub const SUSPENDED: &str = "Suspended";
}

pub mod delivered {
    pub const ALL_APPLIED: &str = "AllApplied";
    pub const ALL_AVAILABLE: &str = "AllAvailable";
    pub const OBJECT_CLAIMED: &str = "ObjectClaimed";
    pub const CONFLICT: &str = "Conflict";
    pub const NOT_OWNED: &str = "NotOwned";
    pub const FORBIDDEN: &str = "Forbidden";
    pub const INVALID: &str = "Invalid";
    pub const UNREACHABLE: &str = "Unreachable";
    pub const PROGRESSING: &str = "Progressing";
    pub const DEGRADED: &str = "Degraded";
    pub const FAILED: &str = "Failed";
    pub const UNKNOWN: &str = "Unknown";
    pub const DRIFTED: &str = "Drifted";
    pub const HELD: &str = "Held";
    pub const IN_SYNC: &str = "InSync";
    pub const FIELD_FIGHT: &str = "FieldFight";
    pub const QUIET: &str = "Quiet";
    pub const READY: &str = "Ready";
}
