//! Sizes of batches, queues and history, per process and per tenant.

use std::time::Duration;

use super::clock::Clock;

/// How the store of a process behaves: `store.commit` and `store.history` of the configuration, and Q14.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Writes in a batch.
    pub max_writes: usize,
    /// Bytes of bodies in a batch.
    pub max_bytes: usize,
    /// Intents of one tenant in a batch.
    pub max_per_tenant: usize,
    /// How long a batch waits for company.
    pub linger: Duration,
    /// History is kept at least this long, unless `tenant_hard_bytes` says otherwise.
    pub min_age: Duration,
    /// History is kept at most this long.
    pub max_age: Duration,
    /// Bytes of a tenant's history that override `min_age`.
    pub tenant_hard_bytes: usize,
    /// Bytes of the durable log of a shard, and of what it keeps for wildcard watches.
    pub shard_bytes: usize,
    /// Bytes that wait in the journal before they are brought into the tables.
    pub tables_bytes: usize,
    /// How long they wait at most.
    pub tables_after: Duration,
    /// How often history is looked through while nothing is written.
    pub sweep: Duration,
    /// Intents that may wait per tenant.
    pub tenant_queue: usize,
    /// Intents that may wait per shard.
    pub shard_queue: usize,
    /// Snapshots that a tenant may pin (Q15).
    pub pins: usize,
    /// Touch notices kept for a dispatcher that lags.
    pub touches: usize,
    /// The clock by which history ages.
    pub clock: Clock,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            max_writes: 512,
            max_bytes: 8 << 20,
            max_per_tenant: 64,
            linger: Duration::ZERO,
            min_age: Duration::from_secs(90),
            max_age: Duration::from_secs(300),
            tenant_hard_bytes: 32 << 20,
            shard_bytes: 256 << 20,
            tables_bytes: 4 << 20,
            tables_after: Duration::from_millis(500),
            sweep: Duration::from_secs(10),
            tenant_queue: 256,
            shard_queue: 4096,
            pins: 64,
            touches: 16_384,
            clock: Clock::system(),
        }
    }
}

/// What one tenant may store, and its share of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Stored objects (Q9).
    pub objects: u64,
    /// Bytes of stored objects (Q9).
    pub bytes: u64,
    /// Bytes of history beyond which events older than `min_age` are forgotten (Q15).
    pub history_bytes: usize,
    /// Intents taken per turn of the round robin, 1-100.
    pub weight: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { objects: 50_000, bytes: 256 << 20, history_bytes: 4 << 20, weight: 10 }
    }
}

/// What a tenant has stored of its own; the base image is nobody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Objects.
    pub objects: u64,
    /// Bytes of their canonical bodies.
    pub bytes: u64,
    /// Bytes of history.
    pub history_bytes: usize,
    /// RV of the last write.
    pub rv: u64,
}
