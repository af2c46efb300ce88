//! The handle through which everything about one tenant's objects goes (K1).

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use tokio::sync::{Notify, oneshot};

use super::base::Layered;
use super::config::{Limits, Usage};
use super::cursor::{Cursor, CursorEnd};
use super::history::{Forgotten, History, PastError};
use super::intent::{CommitError, Committed, Intent};
use super::plan::Prepared;
use super::shard::{Health, Shard};
use super::snapshot::Snapshot;
use super::table::Root;
use crate::model::gvk::ResourceId;
use crate::tenant::TenantId;

/// What a process holds of a tenant in memory.
pub(super) struct TenantState {
    pub id: TenantId,
    pub layer: Arc<Layered>,
    /// Every shown change is durable.
    pub root: ArcSwap<Root>,
    pub history: RwLock<History>,
    pub limits: ArcSwap<Limits>,
    /// Highest RV that the writer gave away, also in batches that failed.
    pub assigned: AtomicU64,
    /// Whether wildcard watches show it.
    pub in_wildcard: bool,
    /// Its record is durable.
    pub made: AtomicBool,
    /// Why it answers nothing any more.
    pub ended: OnceLock<CursorEnd>,
    /// Told at every new root.
    pub moved: Notify,
}

impl TenantState {
    pub fn ended(&self) -> Option<CursorEnd> {
        self.ended.get().copied()
    }

    /// Ends cursors and refuses writes. The first reason stays.
    pub fn end(&self, why: CursorEnd) {
        self.ended.get_or_init(|| why);
        self.history.read().wake_all();
        self.moved.notify_waiters();
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot { root: self.root.load_full(), layer: self.layer.clone() }
    }
}

/// One tenant's objects. No call of it can reach another tenant's.
#[derive(Clone)]
pub struct TenantStore {
    pub(super) state: Arc<TenantState>,
    pub(super) shard: Arc<Shard>,
}

impl TenantStore {
    /// The tenant.
    pub fn id(&self) -> TenantId {
        self.state.id
    }

    /// Number of the shard that holds it.
    pub fn shard(&self) -> usize {
        self.shard.number
    }

    /// Writes all of an intent or nothing. On return it is durable and shown. A caller that stops waiting does
    /// not stop the write.
    pub async fn commit(&self, intent: Intent) -> Result<Committed, CommitError> {
        let (reply, answer) = oneshot::channel();
        self.shard.submit(Prepared::new(self.state.clone(), intent, reply))?;
        answer.await.unwrap_or_else(|_| Err(CommitError::Failed("the store is closed".to_owned())))
    }

    /// The objects as they are now.
    pub fn snapshot(&self) -> Snapshot {
        self.state.snapshot()
    }

    /// The objects of one resource as they were at `rv`. The snapshot shows no other resource.
    pub fn snapshot_at(&self, rv: u64, resource: &ResourceId) -> Result<Snapshot, PastError> {
        let history = self.state.history.read();
        // Roots are replaced under the history's lock only: both are of one RV here.
        let current = self.state.root.load_full();
        let root = history.past(&current, &self.state.layer, resource, rv, self.shard.oldest())?;
        Ok(Snapshot { root, layer: self.state.layer.clone() })
    }

    /// Keeps a snapshot for the pages of a list: [`TenantStore::snapshot_at`] gives it as long as `max_age`
    /// and Q15 allow.
    pub fn pin(&self, snapshot: &Snapshot) {
        let config = &self.shard.config;
        self.state.history.write().pin(snapshot.root.clone(), config.clock.now(), config.pins);
    }

    /// Changes of a resource after `from`.
    pub fn watch(&self, resource: &ResourceId, from: u64) -> Result<Cursor, Forgotten> {
        Cursor::open(self.state.clone(), resource.clone(), from)
    }

    /// RV of the last write, at least 1.
    pub fn current_rv(&self) -> u64 {
        self.state.root.load().rv
    }

    /// Waits until the tenant has reached an RV; `false` when it has not in time (L3).
    pub async fn wait_for(&self, rv: u64, timeout: Duration) -> bool {
        let reached = async {
            loop {
                let moved = self.state.moved.notified();
                if self.current_rv() >= rv {
                    return true;
                }
                if self.state.ended().is_some() {
                    return false;
                }
                moved.await;
            }
        };
        tokio::time::timeout(timeout, reached).await.unwrap_or(false)
    }

    /// What the tenant has stored.
    pub fn usage(&self) -> Usage {
        let history_bytes = self.state.history.read().bytes;
        let root = self.state.root.load();
        Usage { objects: root.objects, bytes: root.bytes, history_bytes, rv: root.rv }
    }

    /// Sets the tenant's limits; they hold from the next batch on.
    pub fn set_limits(&self, limits: Limits) {
        self.state.limits.store(Arc::new(limits));
    }

    /// Whether the tenant is being deleted.
    pub fn is_gone(&self) -> bool {
        self.state.ended() == Some(CursorEnd::TenantGone)
    }

    /// How its shard is: a failed one must answer nothing (K13).
    pub fn health(&self) -> Health {
        self.shard.health()
    }
}
