//! How objects are applied, how a revision spreads, how the decision is published.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Term;
use crate::schema;

words! {
    /// How objects are applied.
    pub enum DeliveryMode {
        /// Created and kept.
        Apply,
        /// Created and left alone.
        CreateOnly,
        /// Only compared.
        ReportOnly,
    }
}

words! {
    /// What to do with an object that is already there.
    pub enum TakeOver {
        /// Leave it.
        Never,
        /// Take it if nothing differs.
        IfNoDiff,
        /// Take it.
        Always,
    }
}

words! {
    /// What to do with a changed object.
    pub enum WhenDrifted {
        /// Restore it.
        Reapply,
        /// Leave it until it agrees or the template changes.
        Hold,
        /// Say so.
        Report,
    }
}

words! {
    /// Which fields count as drift.
    pub enum Compare {
        /// Those that are applied.
        Managed,
        /// All.
        Full,
    }
}

words! {
    /// What becomes of objects.
    pub enum Removal {
        /// They are deleted.
        Delete,
        /// They stay.
        Orphan,
    }
}

optional! {
    /// Delivery.
    pub struct Delivery {
        /// How objects are applied; absent: Apply.
        pub mode: DeliveryMode,
        /// Target namespace; absent: as the source's, or prefixed where the member is not the namespace's own.
        #[schemars(length(max = 63))]
        pub namespace: String,
        /// Whether the target namespace is made; absent: true.
        pub create_namespace: bool,
        /// Objects that are already there; absent: IfNoDiff.
        pub take_over: TakeOver,
        /// May touch objects that another deliverer marks as its own.
        pub allow_co_owners: bool,
        /// Changed objects; absent: Reapply.
        pub when_drifted: WhenDrifted,
        /// Which fields count; absent: Managed.
        pub compare: Compare,
        /// Objects that leave the workload; absent: Delete.
        pub when_removed: Removal,
        /// Objects on a member that leaves; absent: Orphan.
        pub when_member_leaves: Removal,
    }
}

words! {
    /// What starts a rollout.
    pub enum Trigger {
        /// A new revision.
        Auto,
        /// A person.
        Manual,
    }
}

optional! {
    /// How a new revision spreads.
    pub struct Rollout {
        /// What starts it; absent: Auto.
        pub trigger: Trigger,
        /// Members that may be without a working copy at once; absent: 25%.
        #[schemars(schema_with = "schema::count_or_percent")]
        pub max_unavailable: IntOrString,
        /// Members above the wanted number; absent: 25%.
        #[schemars(schema_with = "schema::count_or_percent")]
        pub max_surge: IntOrString,
        /// Objects without a known health count as available after this.
        #[schemars(schema_with = "schema::duration")]
        pub untrackable_after: String,
        /// A member that takes longer has failed.
        #[schemars(schema_with = "schema::duration")]
        pub progress_deadline: String,
        /// Revisions kept.
        #[schemars(range(min = 1, max = 1000))]
        pub history: i32,
        /// Edits within this time make one revision.
        #[schemars(schema_with = "schema::duration")]
        pub settle: String,
    }
}

optional! {
    /// Stops delivery; deciding goes on.
    pub struct Suspend {
        /// To all.
        pub all: bool,
        /// To members that match any of these.
        #[schemars(length(max = 10))]
        pub members: Vec<Term>,
    }
}

optional! {
    /// How the decision is published.
    pub struct Output {
        /// Value of the placement-key label; empty: the name.
        #[schemars(length(max = 63))]
        pub placement_key: String,
        /// Copies of the decisions; only in a ClusterPlacement.
        #[schemars(length(max = 10), inner(length(max = 63)))]
        pub namespaces: Vec<String>,
    }
}
