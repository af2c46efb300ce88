//! What tests and `cargo xtask` share: the real parts of Kubernetes as processes.

pub mod upstream;
