//! Controllers every tenant has: namespaces, service accounts, root CA, garbage, roles, definitions.

pub mod account;
pub mod aggregation;
pub mod csr;
pub mod definition;
pub mod event;
pub mod garbage;
pub mod namespace;
