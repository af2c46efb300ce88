//! A watcher's place in history. It has no queue: one that never reads costs what one that reads does (W6).

use std::sync::Arc;

use tokio::sync::watch;

use super::event::Change;
use super::history::Forgotten;
use super::tenant::TenantState;
use crate::model::gvk::ResourceId;

/// Why a cursor gives nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorEnd {
    /// It fell behind what is remembered: ERROR 410.
    #[error(transparent)]
    Forgotten(#[from] Forgotten),
    /// The tenant is being deleted.
    #[error("the tenant is gone")]
    TenantGone,
    /// Its shard has failed: nothing more is answered from it (K13).
    #[error("the store has failed")]
    Failed,
}

/// Changes of one resource of one tenant, from a place in its history on.
pub struct Cursor {
    state: Arc<TenantState>,
    resource: ResourceId,
    position: u64,
    wake: watch::Receiver<u64>,
}

impl Cursor {
    pub(super) fn open(state: Arc<TenantState>, resource: ResourceId, from: u64) -> Result<Self, Forgotten> {
        let mut history = state.history.write();
        history.after(&resource, from)?;
        let wake = history.subscribe(&resource);
        drop(history);
        Ok(Self { state, resource, position: from, wake })
    }

    /// The next change; waits for it. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Change, CursorEnd> {
        loop {
            self.wake.borrow_and_update();
            if let Some(change) = self.try_next()? {
                return Ok(change);
            }
            // The sender lives in the tenant's history, which this cursor keeps alive.
            if self.wake.changed().await.is_err() {
                return Err(CursorEnd::TenantGone);
            }
        }
    }

    /// The next change if there is one.
    pub fn try_next(&mut self) -> Result<Option<Change>, CursorEnd> {
        if let Some(end) = self.state.ended() {
            return Err(end);
        }
        let history = self.state.history.read();
        match history.after(&self.resource, self.position)? {
            Some(change) => {
                self.position = change.rv;
                Ok(Some(change))
            }
            None => {
                self.position = self.position.max(history.rv);
                Ok(None)
            }
        }
    }

    /// The RV up to which this cursor has given every change: what a bookmark may carry (W4).
    pub fn position(&self) -> u64 {
        self.position
    }
}
