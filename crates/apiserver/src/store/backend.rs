//! What keeps a shard's data when the process ends (K2). Reads of an active tenant never come here.

use bytes::Bytes;

use super::event::ChangeKind;
use super::key::Key;
use super::record::Record;
use super::table::Slot;
use crate::model::gvk::ResourceId;
use crate::tenant::TenantId;

/// Why a backend did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoreFault {
    /// No room on the disk; nothing was written.
    #[error("storage is full")]
    Full,
    /// A stored value of this tenant is not what was written.
    #[error("a stored value of tenant {tenant} is damaged: {detail}")]
    Corrupt { tenant: TenantId, detail: String },
    /// Anything else. It is not known what was written.
    #[error("{0}")]
    Failed(String),
}

/// The record of a tenant: opaque bytes of the server, beside what the store itself must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeadRow {
    pub id: TenantId,
    pub head: Bytes,
    pub in_wildcard: bool,
    pub dropping: bool,
}

/// A head with what the tenant's writes left behind.
#[derive(Clone, Debug)]
pub(super) struct StoredHead {
    pub row: HeadRow,
    /// RV of the last write of each resource.
    pub last: Vec<(ResourceId, u64)>,
    /// The head is damaged.
    pub failed: Option<String>,
}

/// What a write leaves in place of the object.
pub(super) enum RowOp {
    Put(Record),
    /// Hides an object of the base image.
    Whiteout {
        rv: u64,
    },
    Remove,
}

/// One write of a batch.
pub(super) struct Row {
    pub tenant: TenantId,
    pub key: Key,
    pub seq: u64,
    pub rv: u64,
    pub kind: ChangeKind,
    pub op: RowOp,
    pub prev: Option<Record>,
    /// The state shown with a deletion, where it is not `prev`.
    pub last: Option<Record>,
    /// RV of the write to this resource before this one: the floor if this is the oldest one remembered.
    pub before: u64,
}

/// What becomes durable at once.
#[derive(Default)]
pub(super) struct Batch {
    /// The highest sequence number given away so far.
    pub seq: u64,
    /// Wall time.
    pub at: u64,
    pub heads: Vec<HeadRow>,
    /// Heads that are new, with the sequence number of their creation.
    pub created: Vec<(u64, TenantId)>,
    pub rows: Vec<Row>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.rows.is_empty()
    }
}

/// A remembered write, as the durable log has it: without the state that it made, which is the state before
/// the next write of the object, or the stored one.
#[derive(Debug, PartialEq)]
pub(super) struct LogRow {
    pub seq: u64,
    pub at: u64,
    pub tenant: TenantId,
    pub what: Logged,
}

#[derive(Debug, PartialEq)]
pub(super) enum Logged {
    /// The tenant was made.
    Created,
    Write {
        key: Key,
        rv: u64,
        kind: ChangeKind,
        prev: Option<Record>,
        last: Option<Record>,
        before: u64,
    },
}

/// Objects of a dropped tenant that are still stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining(pub usize);

/// Where a shard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// Another epoch: sequence numbers of before mean nothing.
    pub epoch: u64,
    /// The last durable sequence number.
    pub seq: u64,
}

/// A backend of one shard. `commit` is called by one thread only.
pub(super) trait Store: Send + Sync {
    fn position(&self) -> Result<Position, StoreFault>;
    /// At start.
    fn heads(&self) -> Result<Vec<StoredHead>, StoreFault>;
    /// All objects of a tenant.
    fn load(&self, tenant: TenantId) -> Result<Vec<(Key, Slot)>, StoreFault>;
    /// One object.
    fn read(&self, tenant: TenantId, key: &Key) -> Result<Option<Record>, StoreFault>;
    /// All or nothing, durable on return.
    fn commit(&self, batch: &Batch) -> Result<(), StoreFault>;
    /// The log, oldest first: all of it, or what follows a damaged entry.
    fn log(&self) -> Result<Vec<LogRow>, StoreFault>;
    /// Drops the log up to and with a sequence number.
    fn trim(&self, upto: u64) -> Result<(), StoreFault>;
    /// Removes up to `max` objects of a tenant, with the last of them its head.
    fn drop_tenant(&self, tenant: TenantId, max: usize) -> Result<Remaining, StoreFault>;
    /// After [`StoreFault::Full`]: opens the data anew and says what of it is durable.
    fn reopen(&self) -> Result<Position, StoreFault>;
    /// Gives its files back: nothing is asked of it any more.
    fn close(&self) {}
    /// Bytes on disk, for choosing a shard.
    fn bytes(&self) -> u64;
}
