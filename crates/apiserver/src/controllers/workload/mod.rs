//! Controllers of workloads: Deployments and ReplicaSets.

pub mod deployment;
mod plan;
pub mod pods;
pub mod replicaset;
mod revision;
mod status;
