//! The in-process client and touch notices.

mod local;

pub use local::{Local, Patch};
