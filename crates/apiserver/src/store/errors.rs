//! Why a store was not opened, and why a call about a tenant did not succeed.

use super::backend::StoreFault;
use super::intent::CommitError;
use crate::tenant::TenantId;

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The files cannot be used.
    #[error("shard {shard} of the store cannot be opened: {reason}")]
    Shard {
        /// The shard.
        shard: usize,
        /// Why.
        reason: String,
    },
    /// The files were written by a later version.
    #[error("the store has format {found}, this version reads up to {known}")]
    Newer {
        /// Format of the files.
        found: u32,
        /// The newest known format.
        known: u32,
    },
    /// The number of shards is fixed at the first start.
    #[error("the store has {found} shards, {asked} are configured")]
    Shards {
        /// Shards of the files.
        found: usize,
        /// Shards asked for.
        asked: usize,
    },
}

/// A call about a tenant did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// No tenant of this id.
    #[error("no tenant {0}")]
    Unknown(TenantId),
    /// The id is taken.
    #[error("tenant {0} exists")]
    Exists(TenantId),
    /// Its deletion has begun.
    #[error("tenant {0} is being deleted")]
    Dropping(TenantId),
    /// A stored value of it is damaged: it stays closed, others are served (K13).
    #[error("tenant failed: {0}")]
    Damaged(String),
    /// No such shard, or none that can be written.
    #[error("no shard to put it on")]
    NoShard,
    /// The writer refused.
    #[error(transparent)]
    Refused(#[from] CommitError),
}

impl From<StoreFault> for TenantError {
    fn from(fault: StoreFault) -> Self {
        match fault {
            StoreFault::Full => CommitError::Full.into(),
            StoreFault::Corrupt { .. } => TenantError::Damaged(fault.to_string()),
            StoreFault::Failed(reason) => CommitError::Failed(reason).into(),
        }
    }
}
