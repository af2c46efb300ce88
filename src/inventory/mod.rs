//! Keeps the list of members true: virtual clusters as they come and go, real members that joined, what each has and
//! how it is (inventory).
//!
//! | module | does |
//! |---|---|
//! | [`register`] | VirtualCluster → ClusterProfile, ClusterReport |
//! | [`join`] | a real cluster becomes a member (push) |
//! | [`collect`] | nodes and pods → figures |
//! | [`health`] | evidence → verdict |
//! | [`properties`] | what a member says about itself |
//! | [`leave`] | a member goes, step by step |
//! | [`snapshot`] | all of it as one plain value, for placement |

pub mod collect;
pub mod front_door;
pub mod health;
pub mod join;
pub mod leave;
pub mod names;
pub mod profile;
pub mod properties;
pub mod real;
pub mod register;
mod renew;
pub mod rights;
mod settings;
pub mod snapshot;
mod state;

#[cfg(test)]
mod tests;

pub use settings::{ClusterSet, InventorySettings};
pub use state::InventoryState;
