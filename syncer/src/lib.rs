//! Carries a virtual cluster's objects to its host, and their status back.

pub mod facts;
pub mod kind;
pub mod kinds;
pub mod mapping;
mod net;
pub mod object;
pub mod refusal;
pub mod settings;
pub mod wire;
