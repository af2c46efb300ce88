//! Virtual clusters: ids, resolution, keys, life cycle. Knows no kinds.

pub mod id;
mod panics;
mod state;
mod tenants;

pub use id::TenantId;
pub use panics::Panics;
pub use state::{Objects, Tenant};
pub use tenants::{Found, Layers, State, Tenants, TenantsError};
