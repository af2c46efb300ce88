//! The in-process clients and touch notices.

mod client;
mod local;
mod switch;

pub use client::client;
pub use local::{Local, Patch};
