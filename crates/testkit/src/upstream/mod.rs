//! The real parts of Kubernetes: a control plane on loopback, a node that executes containers, and kubectl; and Skerry
//! beside them, whole or in parts. Each ends with its value. The programs are built by `cargo xtask upstream build`.

pub mod client;
pub mod control_plane;
pub mod kubectl;
pub mod node;
pub mod parts;
pub mod processes;
pub mod programs;
pub mod wait;
pub mod world;
