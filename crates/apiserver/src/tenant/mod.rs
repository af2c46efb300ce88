//! Virtual clusters: ids, resolution, keys, life cycle. Knows no kinds.

pub mod id;
mod names;
mod panics;
mod process;
mod state;
mod tenants;

pub use id::TenantId;
pub use names::HostNames;
pub use panics::Panics;
pub use process::{ProcessError, process_authority, process_id};
pub use state::{Objects, Tenant};
pub use tenants::{Found, Layers, State, Tenants, TenantsError};
