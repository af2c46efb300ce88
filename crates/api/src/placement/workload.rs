//! What is delivered.

use std::collections::BTreeMap;

use crate::{LabelSelector, Quantity, schema};

optional! {
    /// What is delivered: selected objects, whole namespaces, inline manifests.
    pub struct Workload {
        /// Where selected objects are read; absent: the hub, this namespace.
        pub source: Source,
        /// Objects, any of these.
        #[schemars(length(max = 100))]
        pub select: Vec<ObjectSelector>,
        /// Whole namespaces; only in a ClusterPlacement.
        #[schemars(length(max = 20))]
        pub namespaces: Vec<NamespaceSelector>,
        /// Inline objects.
        #[schemars(schema_with = "schema::manifests")]
        pub manifests: Vec<serde_json::Value>,
        /// What the workload needs on a member.
        pub needs: Needs,
    }
}

optional! {
    /// Where selected objects are read.
    pub struct Source {
        /// A VirtualCluster of this namespace (ClusterPlacement: ns/name); empty: the hub.
        #[schemars(length(max = 317))]
        pub virtual_cluster: String,
        /// Namespace there; empty: that of the Placement.
        #[schemars(length(max = 63))]
        pub namespace: String,
    }
}

/// Objects of one kind, by name or by labels; neither: all.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectSelector {
    /// API group; absent or empty: core.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub group: Option<String>,
    /// Kind.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::selector")]
    pub label_selector: Option<LabelSelector>,
}

words! {
    /// What of a namespace is delivered.
    pub enum NamespaceContents {
        /// The namespace and all in it.
        All,
        /// The namespace only.
        NamespaceOnly,
        /// The namespace and what `select` matches in it.
        Selected,
    }
}

optional! {
    /// Namespaces by name or by labels.
    pub struct NamespaceSelector {
        /// Name.
        #[schemars(length(max = 63))]
        pub name: String,
        /// Labels.
        #[schemars(schema_with = "schema::selector")]
        pub label_selector: LabelSelector,
        /// What of them; absent: All.
        pub contents: NamespaceContents,
    }
}

words! {
    /// Where needs come from.
    pub enum NeedsMode {
        /// From the objects.
        Derived,
        /// From here.
        Declared,
        /// Capacity is not looked at.
        None,
    }
}

optional! {
    /// What the workload needs on a member.
    pub struct Needs {
        /// Where that comes from; absent: Derived.
        pub mode: NeedsMode,
        /// Replicas; with Declared.
        #[schemars(range(min = 0))]
        pub replicas: i64,
        /// Resources of one replica; with Declared.
        #[schemars(schema_with = "schema::resources")]
        pub per_replica: BTreeMap<String, Quantity>,
    }
}
