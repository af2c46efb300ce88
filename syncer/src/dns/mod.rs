//! DNS for tenants (section 7): one process answers for all tenants of a host, each at a port of its own.
//!
//! ```text
//! pod ─► Service `dns` of its home namespace ─► EndpointSlice ─► tenant's port ─► Zone ─► its own names
//!                                                                                └─► resolver: all other names
//! ```
//! | module | does |
//! |---|---|
//! | [`spec`] | `spec.network.dns` → settings of a zone |
//! | [`facts`] | Services, slices, pods → what is kept of them |
//! | [`zone`] | a name and a kind of record → what is found |
//! | [`message`] | packets |
//! | [`forward`] | names of others |
//! | [`serve`] | sockets, limits |

mod facts;
mod forward;
mod message;
mod names;
mod serve;
mod spec;
mod zone;

#[cfg(test)]
mod tests;

pub use serve::Servers;
pub use spec::DnsSpec;
pub(crate) use zone::Zone;
