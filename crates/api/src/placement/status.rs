//! What is known about a Placement; per-member state is in ClusterBindings and PlacementDecisions.

use crate::{Condition, schema};

optional! {
    /// Status.
    pub struct PlacementStatus {
        /// Generation that was last looked at.
        pub observed_generation: i64,
        /// Plan that decided last.
        pub plan_generation: i64,
        /// Counts of members.
        pub members: MemberCounts,
        /// Counts of replicas.
        pub replicas: ReplicaCounts,
        /// Revisions.
        pub revision: RevisionStatus,
        /// Why members were not chosen, largest count first.
        #[schemars(length(max = 10))]
        pub rejected: Vec<Rejected>,
        /// Notes of the last evaluation.
        #[schemars(schema_with = "schema::names")]
        pub notes: Vec<String>,
        /// Accepted, Placed, RolledOut, Applied, Available, Ready and others.
        #[schemars(schema_with = "schema::conditions")]
        pub conditions: Vec<Condition>,
    }
}

optional! {
    /// Counts of members.
    pub struct MemberCounts {
        /// Wanted.
        pub wanted: i64,
        /// Selected.
        pub selected: i64,
        /// With a working copy.
        pub available: i64,
        /// On their way out.
        pub draining: i64,
        /// With drift.
        pub drifted: i64,
        /// Failed.
        pub failed: i64,
    }
}

optional! {
    /// Counts of replicas.
    pub struct ReplicaCounts {
        /// Wanted.
        pub wanted: i64,
        /// Placed.
        pub placed: i64,
        /// That fit nowhere.
        pub unplaced: i64,
        /// Ready.
        pub ready: i64,
    }
}

optional! {
    /// Revisions.
    pub struct RevisionStatus {
        /// That all members have.
        pub current: String,
        /// On its way.
        pub target: String,
    }
}

optional! {
    /// Members that were not chosen for one reason.
    pub struct Rejected {
        /// Reason.
        pub reason: String,
        /// How many.
        pub count: i64,
        /// For people.
        #[schemars(length(max = 256))]
        pub detail: String,
    }
}
