//! Virtual clusters: ids, resolution, keys, life cycle. Knows no kinds.

pub mod id;
mod rbac;
mod state;
mod tenants;

pub use id::TenantId;
pub use state::Tenant;
pub use tenants::{Tenants, TenantsError};
