//! What is asked of the writer, and what it answers.

use serde_json::Value;

use super::key::Key;
use super::record::{Index, Record};

/// What must hold of the stored object for a write to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: a put makes or replaces, a delete needs an object.
    Any,
    /// No object.
    Absent,
    /// An object at this RV.
    Rv(u64),
}

/// What is done to an object.
pub enum Op {
    /// The new state.
    Put {
        /// The object; `metadata.resourceVersion` in it is ignored.
        tree: Value,
        /// Its index.
        index: Index,
    },
    /// The new state, already in stored form: what a caller has that compared it with the old one.
    PutRecord(Record),
    /// Removes the object.
    Delete {
        /// Last state to show to watchers; the stored one when `None`. It gets the RV of the deletion.
        last: Option<Value>,
    },
}

/// A write of one object.
pub struct Write {
    /// The object.
    pub key: Key,
    /// Its precondition.
    pub expect: Expect,
    /// The change.
    pub op: Op,
}

impl Write {
    /// Makes an object that must not exist.
    pub fn create(key: Key, tree: Value, index: Index) -> Self {
        Self { key, expect: Expect::Absent, op: Op::Put { tree, index } }
    }

    /// Replaces an object that must be at `rv`.
    pub fn replace(key: Key, rv: u64, tree: Value, index: Index) -> Self {
        Self { key, expect: Expect::Rv(rv), op: Op::Put { tree, index } }
    }

    /// Deletes an object that must be at `rv`.
    pub fn delete(key: Key, rv: u64) -> Self {
        Self { key, expect: Expect::Rv(rv), op: Op::Delete { last: None } }
    }
}

/// Writes that happen all or not at all (K7). The first is the main one, the others are side writes.
#[derive(Default)]
pub struct Intent {
    /// The writes, in order: each sees what those before it did.
    pub writes: Vec<Write>,
    /// Not measured against the tenant's limits (Q9): status, and what the server itself must write.
    pub exempt: bool,
}

impl Intent {
    /// Of one write.
    pub fn one(write: Write) -> Self {
        Self { writes: vec![write], exempt: false }
    }

    /// Of several writes.
    pub fn of(writes: Vec<Write>) -> Self {
        Self { writes, exempt: false }
    }

    /// Frees it from the tenant's limits.
    pub fn exempt(mut self) -> Self {
        self.exempt = true;
        self
    }
}

/// A durable intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The RV of each write, in their order.
    pub rvs: Vec<u64>,
}

impl Committed {
    /// RV of the main write.
    pub fn rv(&self) -> u64 {
        self.rvs.first().copied().unwrap_or_default()
    }
}

/// Why an intent was not written. Nothing of it is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The object is at another RV.
    #[error("{key} is at another version")]
    Conflict {
        /// The object.
        key: Key,
        /// The RV that it has.
        current: u64,
    },
    /// The object was to be made and exists.
    #[error("{0} exists")]
    AlreadyExists(Key),
    /// The object was to be changed or deleted and does not exist.
    #[error("{0} does not exist")]
    Missing(Key),
    /// The disk is full: reads go on, writes return when there is room (K13).
    #[error("storage is full")]
    Full,
    /// The shard or the tenant cannot be written until the process is restarted (K13).
    #[error("storage has failed: {0}")]
    Failed(String),
    /// Too many intents wait (Q14).
    #[error("too many writes are waiting")]
    Busy,
    /// A limit of the tenant would be exceeded (Q9).
    #[error("exceeded tenant limit: {name}, requested: {requested}, used: {used}, limited: {limited}")]
    Limit {
        /// Name of the limit: `objects` or `bytes`.
        name: &'static str,
        /// What the intent would add.
        requested: u64,
        /// What is used.
        used: u64,
        /// What may be used.
        limited: u64,
    },
    /// The tenant is being deleted.
    #[error("the tenant is gone")]
    TenantGone,
}

impl CommitError {
    /// Stable name for metrics and logs.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Conflict { .. } => "conflict",
            Self::AlreadyExists(_) => "already_exists",
            Self::Missing(_) => "missing",
            Self::Full => "full",
            Self::Failed(_) => "failed",
            Self::Busy => "busy",
            Self::Limit { .. } => "limit",
            Self::TenantGone => "tenant_gone",
        }
    }
}
