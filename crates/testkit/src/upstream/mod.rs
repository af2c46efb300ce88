//! The real parts of Kubernetes, run beside Skerry: a control plane on loopback, a node that executes containers, and
//! kubectl. Each ends with its value. The programs are built by `cargo xtask upstream build`.

pub mod control_plane;
pub mod kubectl;
pub mod node;
pub mod wait;
