//! Skerry: virtual clusters, one inventory, placement that explains itself.
//!
//! ```text
//! VirtualCluster ─► provision ─► control_plane ─► (syncer) ─► inventory ─► placement ─► rollout
//! ```
//!
//! Modules stand in the order of the pipeline; [`manager`] runs the stages, [`cli`] composes processes.

pub mod provision;

pub mod control_plane;

pub mod inventory;

pub mod placement;

pub mod rollout;

pub mod cli;

pub mod context;
pub mod manager;
pub mod metrics;
pub mod subject;
