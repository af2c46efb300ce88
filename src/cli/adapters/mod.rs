//! The API server's traits, carried out with the stages (architecture section 3), and what the syncer is fed with.

pub mod by_path;
pub mod clients;
pub mod directory;
pub mod gate;
pub mod hosts;
pub mod looks;
pub mod rules;
pub mod streams;
