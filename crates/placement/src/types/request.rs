//! What one Placement asks for. Close in shape to its spec, so that conversion is a mapping; what the driver has
//! resolved (needs of the selected objects, kinds, identities) stands beside it.

use super::{LabelSelector, Millis, PropertySelector, Resources, Sort, Term, Toleration};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// UID of a Placement or ClusterPlacement.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(pub Arc<str>);

impl From<&str> for RequestId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose eyes the request has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// A Placement: sees what its namespace owns or was granted.
    #[default]
    Namespace,
    /// A ClusterPlacement: sees all.
    Cluster,
}

/// One Placement to decide.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    /// UID.
    pub id: RequestId,
    /// Placement or ClusterPlacement.
    pub scope: Scope,
    /// Its namespace; empty for a ClusterPlacement.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// The generation that the bindings were last decided for (`status.observedGeneration`). While it lags behind,
    /// members that fail the terms as they are now are released (M6).
    pub decided: i64,
    /// Value of annotation `skerry.dev/replan`.
    pub replan: String,
    /// The value it had when last decided; a difference decides anew from nothing.
    pub replanned: String,
    /// Since when it has waited for members it could not get, if it does.
    pub waiting_since: Option<Millis>,
    /// Cluster sets granted to its namespace (annotation `skerry.dev/clustersets`).
    pub grants: Vec<String>,
    /// What one full copy of the workload needs.
    pub needs: Needs,
    /// Kinds that a member must serve.
    pub apis: Vec<ApiNeed>,
    /// Identities of the objects at their target, `group/Kind/namespace/name`: one owner per member each (I12).
    pub objects: Vec<String>,
    /// Member groups in order; none = everything visible. This version reads the first.
    #[serde(serialize_with = "crate::digest::ordered")]
    pub groups: Vec<Group>,
    /// Preferences.
    pub preferred: Vec<Preferred>,
    /// Tolerations.
    pub tolerations: Vec<Toleration>,
    /// What a held member does that stops matching.
    pub when_unmatched: Unmatched,
    /// Members without a capacity report.
    pub unknown_capacity: UnknownCapacity,
    /// How many.
    pub select: Select,
    /// Spread constraints.
    pub spread: Vec<Spread>,
    /// How replicas go over the members.
    pub replicas: Replicas,
    /// What a good member is.
    pub objective: Objective,
    /// Higher goes first.
    pub priority: i32,
}

impl Request {
    /// The namespace for visibility; `None` sees all.
    pub fn eyes(&self) -> Option<&str> {
        match self.scope {
            Scope::Namespace => Some(&self.namespace),
            Scope::Cluster => None,
        }
    }

    /// Name of the group that picks belong to.
    pub fn group_name(&self) -> &str {
        self.groups.first().map_or("", |g| g.name.as_str())
    }
}

/// What a full copy needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Needs {
    /// Whether capacity is looked at.
    pub mode: NeedsMode,
    /// Per pod template (W6, at most 20 shapes).
    pub pods: Vec<PodNeed>,
}

/// Whether and how needs are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of spec.workload.needs.mode")]
pub enum NeedsMode {
    #[default]
    Derived,
    Declared,
    None,
}

/// Pods of one template.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodNeed {
    /// The object, `apps/Deployment/web`.
    pub target: String,
    /// How many pods a full copy has; for `per_node`, pods per schedulable node.
    pub replicas: u32,
    /// Whether `Divided` splits them (Deployment, ReplicaSet, StatefulSet, Job); others run whole on every member.
    pub divisible: bool,
    /// One set per schedulable node (DaemonSet).
    pub per_node: bool,
    /// Request of one pod; the pod itself is counted by the engine.
    pub request: Resources,
    /// Node attributes the template demands.
    pub restrict: Restrict,
}

/// Allowed values by node attribute (zone, arch, os, accelerator, pool); shapes without the attribute are assumed
/// to fit (C3).
pub type Restrict = BTreeMap<String, Vec<String>>;

/// A kind the member must serve.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiNeed {
    /// `apps/v1`.
    pub group_version: String,
    /// `Deployment`.
    pub kind: String,
}

impl fmt::Display for ApiNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.group_version, self.kind)
    }
}

/// A group of members.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Terms, OR; none = all.
    pub any: Vec<Term>,
    /// Terms whose members are left out.
    pub exclude: Vec<Term>,
}

/// A preference with its weight, −100..100.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Preferred {
    /// Weight.
    pub weight: i32,
    /// What is preferred.
    #[serde(flatten)]
    pub by: PreferredBy,
}

/// The kinds of preference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PreferredBy {
    /// Members that match.
    Term(Term),
    /// Members by a property.
    Sort(Sort),
}

/// Keep or release a held member that stops matching without an edit of the spec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of spec.members.whenUnmatched")]
pub enum Unmatched {
    #[default]
    Keep,
    Evict,
}

/// Members whose capacity nobody reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of spec.members.unknownCapacity")]
pub enum UnknownCapacity {
    #[default]
    Allow,
    Deny,
}

/// How many members.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Select {
    /// The mode.
    pub mode: Mode,
    /// Fewest members for Placed=True; default the full number, with All 1.
    pub min: Option<u32>,
    /// What to do when there are too few.
    pub when_short: WhenShort,
}

/// All, so many, or these.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Every eligible member.
    #[default]
    All,
    /// So many.
    Count(SelectCount),
    /// These ClusterProfiles, `name` or `namespace/name`.
    Fixed(Vec<String>),
}

/// A number or a share of the eligible members, rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SelectCount {
    /// A number.
    Number(u32),
    /// 0..100.
    Percent(u32),
}

/// When members are short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum WhenShort {
    /// Take what there is.
    #[default]
    Partial,
    /// All or none.
    Refuse,
}

/// A spread constraint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spread {
    /// A label, a property, `skerry.dev/member`, or `skerry.dev/host`.
    pub topology: String,
    /// Largest difference between domains, ≥1.
    pub max_skew: u32,
    /// Hard or soft.
    #[serde(default)]
    pub when_unsatisfiable: Unsatisfiable,
    /// Fewer domains than this: the smallest counts as 0.
    #[serde(default)]
    pub min_domains: u32,
    /// At most so many domains are opened; 0 = no limit.
    #[serde(default)]
    pub max_domains: u32,
    /// Weight of the balance term when soft.
    pub weight: i32,
}

/// Hard or soft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of core/v1")]
pub enum Unsatisfiable {
    #[default]
    DoNotSchedule,
    ScheduleAnyway,
}

/// How replicas go over the members.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Replicas {
    /// Whole on each, or split.
    pub mode: ReplicasMode,
    /// By what they are split.
    pub by: DivideBy,
    /// With Weighted: first match counts, no match is 0.
    #[serde(serialize_with = "crate::digest::ordered")]
    pub weights: Vec<WeightRule>,
    /// Fewest on a member that has any.
    pub min: u32,
    /// Most on a member; 0 = no limit.
    pub max: u32,
    /// Move only the difference, or decide anew.
    pub on_change: OnChange,
}

/// Whole or split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of spec.replicas.mode")]
pub enum ReplicasMode {
    #[default]
    Duplicated,
    Divided,
}

/// By what replicas are split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are those of spec.replicas.by")]
pub enum DivideBy {
    #[default]
    Capacity,
    Weighted,
    Even,
    Aggregated,
}

/// A weight for members that match.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeightRule {
    /// Which.
    pub term: Term,
    /// 0..1000.
    pub weight: u32,
}

/// What a changed total moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OnChange {
    /// Only the difference.
    #[default]
    Steady,
    /// Whatever a decision from nothing gives.
    Fresh,
}

/// What a good member is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Objective {
    /// Direction of the fit term.
    pub prefer: Prefer,
    /// Weights 0..100 that replace the defaults of fit, avoid and restless.
    pub weights: BTreeMap<String, i32>,
}

/// Direction of the fit term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Prefer {
    /// Emptier members.
    #[default]
    Spread,
    /// Fuller members.
    Pack,
    /// Neither.
    None,
}

/// A label selector as term, for tests and for weights.
impl From<LabelSelector> for Term {
    fn from(selector: LabelSelector) -> Self {
        Self { label_selector: Some(selector), ..Self::default() }
    }
}

impl From<PropertySelector> for Term {
    fn from(selector: PropertySelector) -> Self {
        Self { property_selector: Some(selector), ..Self::default() }
    }
}
