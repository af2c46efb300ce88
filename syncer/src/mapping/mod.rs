//! Names, proof, metadata and selectors (section 3).
//!
//! The only place that builds a host name from tenant text. Forward is a function of the tenant's id and UIDs,
//! reverse is the annotations of the host object, so nothing is stored apart and nothing can disagree (NM6).

mod hash;
mod metadata;
mod names;
mod origin;
mod selectors;
#[cfg(test)]
mod tests;

pub(crate) use hash::h;
pub(crate) use metadata::namespace_labels;
pub use metadata::{Metadata, MetadataRules};
pub(crate) use names::HOSTS_FILE;
pub use names::{HostName, HostRef, Mapping};
pub use origin::{Claim, NamespaceOrigin, Origin};
pub(crate) use selectors::{namespace_selector, pod_selector};
