//! Work, as published by the multi-cluster interest group: the delivery envelope of one binding.

use kube::CustomResource;

use crate::{Condition, schema};

/// Condition types of a Work and of its manifests.
pub mod conditions {
    #![allow(missing_docs, reason = "the words are listed in inventory section 10 and mean what they say")]
    pub const APPLIED: &str = "Applied";
    pub const PROGRESSING: &str = "Progressing";
    pub const AVAILABLE: &str = "Available";
    pub const DEGRADED: &str = "Degraded";
    pub const DRIFTED: &str = "skerry.dev/Drifted";
    pub const OBSERVED: &str = "skerry.dev/Observed";
    pub const REMOVED: &str = "skerry.dev/Removed";
}

optional! {
    /// What is to be applied.
    #[derive(CustomResource)]
    #[kube(
        group = "multicluster.x-k8s.io",
        version = "v1alpha1",
        kind = "Work",
        plural = "works",
        namespaced,
        status = "WorkStatus",
        derive = "PartialEq",
        derive = "Default",
        doc = "Manifests for one member, and what became of each."
    )]
    pub struct WorkSpec {
        /// The manifests.
        pub workload: Workload,
    }
}

optional! {
    /// Manifests.
    pub struct Workload {
        /// Whole objects, in the order in which they are applied.
        #[schemars(schema_with = "schema::embedded_objects")]
        pub manifests: Vec<serde_json::Value>,
    }
}

/// What became of the manifests.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkStatus {
    /// Of the Work as a whole.
    #[schemars(schema_with = "schema::plain_conditions")]
    pub conditions: Vec<Condition>,
    /// Of each manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_conditions: Option<Vec<ManifestCondition>>,
}

/// What became of one manifest.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct ManifestCondition {
    /// Which manifest.
    pub identifier: ResourceIdentifier,
    /// What became of it.
    #[schemars(schema_with = "schema::plain_conditions")]
    pub conditions: Vec<Condition>,
}

/// Identity of one manifest.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct ResourceIdentifier {
    /// Place in the list.
    #[schemars(schema_with = "schema::integer")]
    pub ordinal: i64,
    /// Group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Plural.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Namespace; empty for cluster scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
