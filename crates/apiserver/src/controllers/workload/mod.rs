//! Controllers of workloads: Deployments, ReplicaSets, StatefulSets and Jobs.

mod children;
pub mod deployment;
pub mod job;
mod plan;
pub mod pods;
pub mod replicaset;
mod revision;
pub mod stateful;
mod status;
