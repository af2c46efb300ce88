//! ClusterProfile of KEP-4322, as published.

use kube::CustomResource;

use crate::{Condition, Time, schema};

/// The member's identity; a well-known property.
pub const PROPERTY_ID: &str = "cluster.clusterset.k8s.io";
/// The member's set; a well-known property.
pub const PROPERTY_SET: &str = "clusterset.k8s.io";
/// Extension of an access entry that carries what exec plugins need.
pub const EXEC_EXTENSION: &str = "client.authentication.k8s.io/exec";

/// Condition: the member belongs to the inventory (inventory P5).
pub const JOINED: &str = "Joined";
/// Condition: its API answers (inventory section 5).
pub const CONTROL_PLANE_HEALTHY: &str = "ControlPlaneHealthy";

/// Reasons of [`JOINED`].
pub mod joined {
    #![allow(missing_docs, reason = "the words are listed in inventory P5 and mean what they say")]
    pub const JOINED: &str = "Joined";
    pub const REGISTERING: &str = "Registering";
    pub const DRAINING: &str = "Draining";
    pub const MEMBER_ID_TAKEN: &str = "MemberIdTaken";
    pub const MEMBER_ID_MISMATCH: &str = "MemberIdMismatch";
    pub const CREDENTIAL_INVALID: &str = "CredentialInvalid";
}

/// Reasons of [`CONTROL_PLANE_HEALTHY`].
pub mod healthy {
    #![allow(missing_docs, reason = "the words are listed in inventory section 5 and mean what they say")]
    pub const HEALTHY: &str = "Healthy";
    pub const HOST_DOWN: &str = "HostDown";
    pub const LINK_LOST: &str = "LinkLost";
    pub const API_SERVER_UNHEALTHY: &str = "APIServerUnhealthy";
    pub const NO_OBSERVATION: &str = "NoObservation";
    pub const PAUSED: &str = "Paused";
}

/// Who manages the member, and its name for people.
#[derive(
    CustomResource,
    Clone,
    Debug,
    Default,
    PartialEq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "multicluster.x-k8s.io",
    version = "v1alpha1",
    kind = "ClusterProfile",
    plural = "clusterprofiles",
    namespaced,
    status = "ClusterProfileStatus",
    derive = "PartialEq",
    derive = "Default",
    doc = "A cluster of the inventory: who manages it, whether it answers, and how to reach it."
)]
pub struct ClusterProfileSpec {
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Who manages the profile; immutable.
    pub cluster_manager: ClusterManager,
}

/// Manager of a profile.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct ClusterManager {
    /// Name, the same as in the label `x-k8s.io/cluster-manager`.
    pub name: String,
}

optional! {
    /// What is known about the member.
    pub struct ClusterProfileStatus {
        /// Joined, ControlPlaneHealthy.
        #[schemars(schema_with = "schema::conditions")]
        pub conditions: Vec<Condition>,
        /// Versions.
        pub version: ClusterVersion,
        /// Properties by name.
        #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
        pub properties: Vec<Property>,
        /// Ways to reach it, by name.
        #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
        pub access_providers: Vec<AccessProvider>,
        /// The older name of accessProviders.
        #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
        pub credential_providers: Vec<AccessProvider>,
    }
}

optional! {
    /// Versions of a member.
    pub struct ClusterVersion {
        /// Of Kubernetes.
        pub kubernetes: String,
    }
}

/// A property.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Property {
    /// Name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Value.
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
    /// When this value was first seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub last_observed_time: Option<Time>,
}

/// A way to reach the member.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct AccessProvider {
    /// Name, by which consumers choose.
    pub name: String,
    /// Address and trust, as in a kubeconfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<AccessCluster>,
}

/// A cluster entry of a kubeconfig.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AccessCluster {
    /// URL.
    pub server: String,
    /// Server name to ask for and to check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_server_name: Option<String>,
    /// Whether the certificate goes unchecked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub insecure_skip_tls_verify: Option<bool>,
    /// File with the CA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<String>,
    /// The CA as base64 of PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "byte"))]
    pub certificate_authority_data: Option<String>,
    /// Proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<String>,
    /// Whether answers go uncompressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disable_compression: Option<bool>,
    /// More, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<Extension>>,
}

/// An extension of a cluster entry.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct Extension {
    /// Name.
    pub name: String,
    /// Content.
    #[schemars(schema_with = "schema::free_object")]
    pub extension: serde_json::Value,
}
