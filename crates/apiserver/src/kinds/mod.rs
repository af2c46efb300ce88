//! Hooks: a file per kind that needs one. Pure functions.

pub mod crd;
pub mod defaults;
