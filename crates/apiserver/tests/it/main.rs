//! The server inside one process: what clients may rely on, by case of the design.

// Helpers of tests may fail as tests do; clippy sees only functions marked #[test].
#![allow(clippy::unwrap_used, clippy::panic)]

mod controllers;
mod crud;
mod custom;
mod dry_run;
mod events;
mod fairness;
mod forms;
mod front;
mod isolation;
mod jobs;
mod reserved;
mod selectors;
mod service_families;
mod services;
mod sets_validation;
mod stateful;
mod support;
mod tunnels;
mod validation;
mod watches;
mod wildcard;
mod wire;
