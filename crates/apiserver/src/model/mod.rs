//! Pure data: types of kinds, resources, object access, quantities, selectors, `Status`. No I/O, no runtime.

<<<<<<< Updated upstream
pub mod clock;
pub mod defaults;
pub mod gvk;
pub mod names;
pub mod object;
=======
pub mod catalog;
pub mod defaults;
pub mod gvk;
pub mod resource;
>>>>>>> Stashed changes
pub mod schema;
pub mod selector;
pub mod status;
