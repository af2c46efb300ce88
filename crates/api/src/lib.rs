//! CRD types, names, labels and conditions of Skerry. No client, no runtime.

#![allow(
    clippy::duplicated_attributes,
    reason = "printer columns of one kind repeat the names of their parts"
)]

#[macro_use]
mod macros;

pub mod class;
pub mod cluster_binding;
pub mod cluster_profile;
pub mod cluster_property;
pub mod cluster_report;
pub mod condition;
pub mod crds;
pub mod guard;
pub mod ids;
pub mod labels;
pub mod placement;
pub mod placement_decision;
pub mod quantity;
pub mod rights;
pub mod rules;
pub mod schema;
pub mod standard_class;
pub mod virtual_cluster;
pub mod work;

pub use class::VirtualClusterClass;
pub use cluster_binding::ClusterBinding;
pub use cluster_profile::ClusterProfile;
pub use cluster_property::ClusterProperty;
pub use cluster_report::ClusterReport;
pub use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
pub use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
pub use placement::{ClusterPlacement, Placement};
pub use placement_decision::PlacementDecision;
pub use virtual_cluster::VirtualCluster;
pub use work::Work;
