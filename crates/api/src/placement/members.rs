//! Which members, and how many.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Toleration;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::{LabelSelector, schema};

optional! {
    /// Which members come into question.
    pub struct Members {
        /// One group; absent: every member that is visible.
        #[schemars(length(max = 1))]
        pub groups: Vec<Group>,
        /// What raises or lowers a member's rank.
        #[schemars(length(max = 20))]
        pub preferred: Vec<Preference>,
        /// Taints that are put up with.
        #[schemars(schema_with = "schema::tolerations")]
        pub tolerations: Vec<Toleration>,
        /// What happens to a held member that stops matching without an edit of this spec; absent: Keep.
        pub when_unmatched: WhenUnmatched,
        /// Members without a capacity report; absent: Allow.
        pub unknown_capacity: UnknownCapacity,
    }
}

words! {
    /// What happens to a held member that stops matching.
    pub enum WhenUnmatched {
        /// It keeps the workload.
        Keep,
        /// It loses it.
        Evict,
    }
}

words! {
    /// Members without a capacity report.
    pub enum UnknownCapacity {
        /// May be picked.
        Allow,
        /// May not.
        Deny,
    }
}

/// A group of members.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Group {
    /// Name.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// Members that match any of these; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10))]
    pub any: Option<Vec<Term>>,
    /// Members that match any of these are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 10))]
    pub exclude: Option<Vec<Term>>,
}

optional! {
    /// All parts of a term must hold.
    pub struct Term {
        /// Labels of the ClusterProfile.
        #[schemars(schema_with = "schema::selector")]
        pub label_selector: LabelSelector,
        /// Properties of the ClusterProfile, and computed ones.
        pub property_selector: PropertySelector,
        /// ClusterProfiles as name or namespace/name.
        #[schemars(length(max = 100), inner(length(max = 317)))]
        pub names: Vec<String>,
    }
}

optional! {
    /// Properties.
    pub struct PropertySelector {
        /// Properties that must have these values.
        #[schemars(schema_with = "schema::text_map")]
        pub match_properties: BTreeMap<String, String>,
        /// Requirements that must all hold.
        #[schemars(length(max = 20))]
        pub match_expressions: Vec<PropertyExpression>,
    }
}

words! {
    /// How a property relates to the values.
    pub enum PropertyOperator {
        /// One of them.
        In,
        /// None of them.
        NotIn,
        /// It is there.
        Exists,
        /// It is not there.
        DoesNotExist,
        /// Equal.
        Eq,
        /// Not equal.
        Ne,
        /// Greater.
        Gt,
        /// Greater or equal.
        Ge,
        /// Less.
        Lt,
        /// Less or equal.
        Le,
    }
}

/// One requirement on a property.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct PropertyExpression {
    /// Property.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
    /// How it relates to the values.
    pub operator: PropertyOperator,
    /// Values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 1024)))]
    pub values: Vec<String>,
}

/// What raises or lowers a member's rank: a term or a sort.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Preference {
    /// Weight, -100 to 100, not 0.
    #[schemars(range(min = -100, max = 100))]
    pub weight: i32,
    /// Labels of the ClusterProfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub label_selector: Option<LabelSelector>,
    /// Properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property_selector: Option<PropertySelector>,
    /// ClusterProfiles as name or namespace/name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(max = 317)))]
    pub names: Option<Vec<String>>,
    /// Order by a property.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Sort>,
}

words! {
    /// Direction.
    pub enum SortOrder {
        /// Small is good.
        Ascending,
        /// Large is good.
        Descending,
    }
}

/// Order by a property.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Sort {
    /// Property.
    #[schemars(length(min = 1, max = 253))]
    pub property: String,
    /// Direction.
    pub order: SortOrder,
}

words! {
    /// How members are counted.
    pub enum SelectMode {
        /// Every one that is eligible.
        All,
        /// So many.
        Count,
        /// The named ones.
        Fixed,
    }
}

words! {
    /// What to do when there are too few.
    pub enum WhenShort {
        /// Take those there are.
        Partial,
        /// Take none.
        Refuse,
    }
}

optional! {
    /// How many members.
    pub struct Select {
        /// How they are counted; absent: by which of count and names is set, else All.
        pub mode: SelectMode,
        /// 0 to 1000, or a percentage of the eligible ones, rounded up.
        #[schemars(schema_with = "schema::count_or_percent")]
        pub count: IntOrString,
        /// Fewest for Placed=True; absent: the full number, with All 1.
        #[schemars(range(min = 0, max = 1000))]
        pub min: i32,
        /// Names, with Fixed.
        #[schemars(length(max = 1000), inner(length(max = 317)))]
        pub names: Vec<String>,
        /// What to do when there are too few; absent: Partial.
        pub when_short: WhenShort,
    }
}

words! {
    /// Whether a constraint must hold.
    pub enum WhenUnsatisfiable {
        /// It must.
        DoNotSchedule,
        /// It should.
        ScheduleAnyway,
    }
}

/// A spread constraint.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// Label, property, skerry.dev/member or skerry.dev/host.
    #[schemars(length(min = 1, max = 316))]
    pub topology: String,
    /// Largest difference between domains; absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_skew: Option<i32>,
    /// Whether it must hold; absent: DoNotSchedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_unsatisfiable: Option<WhenUnsatisfiable>,
    /// With fewer domains the least one counts as 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub min_domains: Option<i32>,
    /// No further domain is opened; 0: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub max_domains: Option<i32>,
    /// Weight of a soft constraint; absent: 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub weight: Option<i32>,
}

words! {
    /// Whether replicas are divided.
    pub enum ReplicaMode {
        /// Each member gets all.
        Duplicated,
        /// Members share them.
        Divided,
    }
}

words! {
    /// By what replicas are divided.
    pub enum DivideBy {
        /// By what fits.
        Capacity,
        /// By weights.
        Weighted,
        /// Evenly.
        Even,
        /// On as few members as possible.
        Aggregated,
    }
}

words! {
    /// What a changed total does.
    pub enum OnChange {
        /// Only the difference moves.
        Steady,
        /// All is divided anew.
        Fresh,
    }
}

optional! {
    /// Replicas.
    pub struct Replicas {
        /// Whether they are divided; absent: Duplicated.
        pub mode: ReplicaMode,
        /// By what; absent: Capacity.
        pub by: DivideBy,
        /// Weights; the first match counts, no match is 0.
        #[schemars(length(max = 50))]
        pub weights: Vec<ReplicaWeight>,
        /// Fewest per member.
        #[schemars(range(min = 0))]
        pub min: i64,
        /// Most per member; 0: no limit.
        #[schemars(range(min = 0))]
        pub max: i64,
        /// What a changed total does; absent: Steady.
        pub on_change: OnChange,
    }
}

/// Weight of the members that match.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaWeight {
    /// Weight.
    #[schemars(range(min = 0, max = 1000))]
    pub weight: i32,
    /// Labels of the ClusterProfile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub label_selector: Option<LabelSelector>,
    /// Properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property_selector: Option<PropertySelector>,
    /// ClusterProfiles as name or namespace/name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(max = 317)))]
    pub names: Option<Vec<String>>,
}

words! {
    /// What a good choice is.
    pub enum Prefer {
        /// Even load.
        Spread,
        /// Full members first.
        Pack,
        /// Load does not count.
        None,
    }
}

optional! {
    /// What a good choice is.
    pub struct Objective {
        /// In general; absent: Spread.
        pub prefer: Prefer,
        /// Weights of the built-in terms.
        pub weights: ObjectiveWeights,
    }
}

optional! {
    /// Weights of the built-in terms, 0 to 100.
    pub struct ObjectiveWeights {
        /// How full the member would be.
        #[schemars(range(min = 0, max = 100))]
        pub fit: i32,
        /// Untolerated PreferNoSchedule taints.
        #[schemars(range(min = 0, max = 100))]
        pub avoid: i32,
        /// Recent falls from Healthy.
        #[schemars(range(min = 0, max = 100))]
        pub restless: i32,
    }
}
