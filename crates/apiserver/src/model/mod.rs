//! Pure data: types of kinds, resources, object access, quantities, selectors, `Status`. No I/O, no runtime.

pub mod gvk;
pub mod schema;
pub mod status;
