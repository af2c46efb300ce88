//! Placement and ClusterPlacement (placement section 2): what goes where, and how it is delivered.
//!
//! A field is here from the stage on that acts on it, so that nothing is ignored in silence.

mod delivery;
mod members;
pub mod reasons;
mod status;
mod workload;

pub use delivery::*;
pub use members::*;
pub use status::*;
pub use workload::*;

use kube::CustomResource;

macro_rules! placement_kinds {
    ($( $(#[$kind_meta:meta])* $name:ident; )*) => {
        $(
            /// What goes where, and how.
            #[derive(
                CustomResource, Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
            )]
            #[serde(rename_all = "camelCase")]
            $(#[$kind_meta])*
            pub struct $name {
                /// What is delivered.
                pub workload: Workload,
                /// Which members come into question.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub members: Option<Members>,
                /// How many of them.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub select: Option<Select>,
                /// How they are spread over topologies.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                #[schemars(length(max = 8))]
                pub spread: Option<Vec<Spread>>,
                /// How replicas are divided.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub replicas: Option<Replicas>,
                /// What a good choice is.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub objective: Option<Objective>,
                /// How objects are applied and removed.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub delivery: Option<Delivery>,
                /// How a new revision spreads.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub rollout: Option<Rollout>,
                /// Stops delivery; deciding goes on.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub suspend: Option<Suspend>,
                /// How the decision is published.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub output: Option<Output>,
            }
        )*
    };
}

placement_kinds! {
    #[kube(
        group = "skerry.dev",
        version = "v1alpha1",
        kind = "Placement",
        plural = "placements",
        shortname = "pl",
        category = "skerry",
        namespaced,
        status = "PlacementStatus",
        derive = "PartialEq",
        derive = "Default",
        doc = "What of a namespace goes to which members of the inventory, and how it is delivered there.",
        printcolumn(name = "Wanted", type_ = "integer", json_path = ".status.members.wanted"),
        printcolumn(name = "Selected", type_ = "integer", json_path = ".status.members.selected"),
        printcolumn(name = "Available", type_ = "integer", json_path = ".status.members.available"),
        printcolumn(name = "Placed", type_ = "string", json_path = ".status.conditions[?(@.type==\"Placed\")].status"),
        printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
    )]
    PlacementSpec;
    #[kube(
        group = "skerry.dev",
        version = "v1alpha1",
        kind = "ClusterPlacement",
        plural = "clusterplacements",
        shortname = "cpl",
        category = "skerry",
        status = "PlacementStatus",
        derive = "PartialEq",
        derive = "Default",
        doc = "As a Placement, by the platform: sees all members and may deliver whole namespaces and cluster-wide objects.",
        printcolumn(name = "Wanted", type_ = "integer", json_path = ".status.members.wanted"),
        printcolumn(name = "Selected", type_ = "integer", json_path = ".status.members.selected"),
        printcolumn(name = "Available", type_ = "integer", json_path = ".status.members.available"),
        printcolumn(name = "Placed", type_ = "string", json_path = ".status.conditions[?(@.type==\"Placed\")].status"),
        printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
        printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
    )]
    ClusterPlacementSpec;
}

impl From<ClusterPlacementSpec> for PlacementSpec {
    fn from(spec: ClusterPlacementSpec) -> Self {
        let ClusterPlacementSpec {
            workload,
            members,
            select,
            spread,
            replicas,
            objective,
            delivery,
            rollout,
            suspend,
            output,
        } = spec;
        Self { workload, members, select, spread, replicas, objective, delivery, rollout, suspend, output }
    }
}
