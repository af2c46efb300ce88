//! PlacementDecision of KEP-5313, as published: its content stands beside metadata, without a spec.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::NamespaceResourceScope;

/// Set on all slices of one decision; value: UID of the Placement.
pub const DECISION_KEY: &str = "multicluster.x-k8s.io/decision-key";
/// Order of a slice, where order matters.
pub const DECISION_INDEX: &str = "multicluster.x-k8s.io/decision-index";
/// Name by which consumers find the decision.
pub const PLACEMENT_KEY: &str = "multicluster.x-k8s.io/placement-key";
/// Plan generation of the last change.
pub const DECISION_REVISION: &str = "skerry.dev/decision-revision";
/// Members in one slice, at most.
pub const SLICE_LIMIT: usize = 100;

/// One slice of a decision.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlacementDecision {
    /// Always `multicluster.x-k8s.io/v1alpha1`.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// Always `PlacementDecision`.
    #[serde(default = "kind")]
    pub kind: String,
    /// Metadata.
    pub metadata: ObjectMeta,
    /// Chosen members.
    pub decisions: Vec<ClusterDecision>,
    /// Who chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler_name: Option<String>,
}

fn api_version() -> String {
    "multicluster.x-k8s.io/v1alpha1".to_owned()
}

fn kind() -> String {
    "PlacementDecision".to_owned()
}

impl PlacementDecision {
    /// A slice with this metadata.
    pub fn new(metadata: ObjectMeta, decisions: Vec<ClusterDecision>, scheduler: &str) -> Self {
        Self {
            api_version: api_version(),
            kind: kind(),
            metadata,
            decisions,
            scheduler_name: Some(scheduler.to_owned()),
        }
    }
}

impl kube::Resource for PlacementDecision {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;
    fn kind(_: &()) -> std::borrow::Cow<'_, str> {
        "PlacementDecision".into()
    }
    fn group(_: &()) -> std::borrow::Cow<'_, str> {
        "multicluster.x-k8s.io".into()
    }
    fn version(_: &()) -> std::borrow::Cow<'_, str> {
        "v1alpha1".into()
    }
    fn plural(_: &()) -> std::borrow::Cow<'_, str> {
        "placementdecisions".into()
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// A chosen member.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDecision {
    /// Its ClusterProfile.
    pub cluster_profile_ref: ClusterProfileRef,
    /// Why it was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A ClusterProfile.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
pub struct ClusterProfileRef {
    /// Name.
    pub name: String,
    /// Namespace; absent: the decision's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}
