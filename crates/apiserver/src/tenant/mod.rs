//! Virtual clusters: ids, resolution, keys, life cycle. Knows no kinds.

pub mod id;

pub use id::TenantId;
