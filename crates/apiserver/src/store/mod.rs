//! Objects of tenants: the types, durable group commit, snapshots, history and its cursors.
//!
//! A write goes `TenantStore::commit` → queue → writer thread: batch planned → durable → shown. A read takes the
//! tenant's root, one `Arc`, and never waits for a writer. Nothing is reached without a tenant's own handle.

mod backend;
mod base;
mod clock;
mod config;
mod cursor;
mod db;
mod errors;
mod event;
mod feed;
mod history;
mod intent;
mod key;
mod memory;
mod open;
mod plan;
mod queue;
mod record;
mod redb;
mod shard;
mod snapshot;
mod table;
mod tenant;
mod touch;
mod wildcard;
mod writer;

#[cfg(test)]
mod tests;

pub use backend::Remaining;
pub use base::{BASE_RV, BaseImage, Layer, slot};
pub use clock::Clock;
pub use config::{Limits, StoreConfig, Usage};
pub use cursor::{Cursor, CursorEnd};
pub use db::{Db, NewTenant, ShardStatus, TenantHead};
pub use errors::{OpenError, TenantError};
pub use event::{Change, ChangeKind, Event};
pub use history::{Forgotten, PastError};
pub use intent::{CommitError, Committed, Expect, Intent, Op, Write};
pub use key::{Key, NsName};
pub use record::{Index, Record};
pub use shard::Health;
pub use snapshot::{List, Snapshot};
pub use tenant::TenantStore;
pub use touch::{Notice, Touch, Touches};
pub use wildcard::{Frame, Wildcard, WildcardError};
