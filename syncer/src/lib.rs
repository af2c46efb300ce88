//! Carries a virtual cluster's objects to its host, and their status back.
//!
//! ```text
//! tenant API ─watch─► source ─┐                                              ┌─► host API    create, apply, patch, delete
//!                             ├─► fair queue ─► reconcile(key) ─► Translator ┤
//! host API ───watch─► source ─┘        ▲        (decides)         (pure)     └─► tenant API  status, binding, events, nodes
//!                                      └── patrol: every 60 s, what differs is queued again and counted
//! ```
//!
//! The tenant's spec wins and is repaired on the host; the host's status wins and is repaired in the tenant; every
//! field has one owner, and the owner is written in `managedFields`, not in our memory.
//!
//! The composition gives [`TenantEntry`]s and [`HostEntry`]s as whole lists over watch channels, runs [`Syncer::run`],
//! reads [`SyncState`]s from [`SyncerHandle::states`], and joins [`SyncerHandle::reserve`] and its sisters to the API
//! server's Service gate, [`SyncerHandle::open`] to its tunnel.
//!
//! Absent here: any host name that is not built by [`mapping`]; any write without a proof of origin; any decision that
//! reads a clock of another machine.

mod directory;
mod dns;
mod engine;
pub mod facts;
pub mod kind;
pub mod kinds;
pub mod mapping;
mod net;
pub mod object;
mod raw;
pub mod refusal;
pub mod settings;
mod status;
mod wire;

pub use directory::{Effective, EmbeddedSource, HostEntry, Owner, Reach, TenantEntry};
pub use dns::Servers as DnsServers;
pub use engine::{
    Held, Periods, Syncer, SyncerConfig, SyncerHandle,
    gate::{Allocation, ReserveError},
    look,
    tunnel::{HostStream, PodStream, StreamError, StreamHead},
};
pub use status::{Problem, Remaining, SyncState, SyncStates};
