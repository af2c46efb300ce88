//! What controllers share: guarded apply, backoff, endpoints, the isolation set.

pub mod apply;
pub mod backoff;
pub mod endpoint;
pub mod error;
pub mod isolation;
pub mod kubeconfig;
pub mod network;
pub mod orphans;

pub use endpoint::{Capability, ControlPlaneEndpoint, EndpointCredential, NetworkFacts};
