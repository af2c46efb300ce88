//! Pure data: types of kinds, resources, object access, quantities, selectors, `Status`. No I/O, no runtime.

pub mod catalog;
pub mod clock;
pub mod defaults;
pub(crate) mod go_text;
pub mod gvk;
pub mod names;
pub mod object;
pub mod quantity;
pub mod resource;
pub mod schema;
pub mod selector;
pub mod status;
pub mod tables;
pub mod validate;
