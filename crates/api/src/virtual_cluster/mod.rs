//! VirtualCluster (tenancy section 1): one object is the whole request of a tenant.
//!
//! The schema has no defaults (V3): what is left open is decided by the merge of class and built-in values (C3).

mod network;
pub mod reasons;
mod spec;
mod status;
mod sync;

pub use network::*;
pub use spec::*;
pub use status::*;
pub use sync::*;
