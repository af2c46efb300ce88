//! ClusterProperty of KEP-2149, as published.

use kube::CustomResource;

/// Its value.
#[derive(
    CustomResource,
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[kube(
    group = "about.k8s.io",
    version = "v1beta1",
    kind = "ClusterProperty",
    plural = "clusterproperties",
    category = "multicluster",
    status = "ClusterPropertyStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "One statement of a cluster about itself.",
    printcolumn(name = "value", type_ = "string", json_path = ".spec.value"),
    printcolumn(name = "age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
pub struct ClusterPropertySpec {
    /// The statement.
    #[schemars(length(min = 1))]
    pub value: String,
}

/// Nothing is observed.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct ClusterPropertyStatus {}
