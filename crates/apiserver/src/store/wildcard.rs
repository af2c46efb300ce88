//! One watch of one resource over all tenants of a shard, for system identities (K14).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;

use super::base::BASE_RV;
use super::db::Db;
use super::event::Change;
use super::feed::Entry;
use super::key::NsName;
use super::record::Record;
use super::shard::{Health, Shard};
use super::snapshot::Snapshot;
use super::table::Root;
use crate::model::gvk::ResourceId;
use crate::tenant::TenantId;

/// Objects read at a time while a listing goes on.
const CHUNK: usize = 128;

/// A wildcard watch cannot begin or go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WildcardError {
    /// No such shard: 404.
    #[error("no such shard")]
    NoShard,
    /// The position is of another epoch, or what follows it is forgotten: 410.
    #[error("the position is no longer known")]
    Forgotten,
    /// The shard has failed.
    #[error("the store has failed")]
    Failed,
    /// Tenants of the shard are still being opened: 503, try again.
    #[error("{0} tenants are still being opened")]
    NotReady(usize),
}

/// What a wildcard watch tells.
#[derive(Clone, Debug)]
pub enum Frame {
    /// An object that is there: of the listing at the beginning, or of the base image of a new tenant. ADDED.
    Listed {
        /// Its tenant.
        tenant: TenantId,
        /// Its namespace and name.
        name: NsName,
        /// The object.
        record: Record,
        /// Position of the listing, or of the tenant's creation.
        seq: u64,
    },
    /// The listing is complete: BOOKMARK with the annotation of WatchList.
    ListingEnd {
        /// Position from which the changes follow.
        seq: u64,
    },
    /// A change; its `seq` is its position.
    Change {
        /// Its tenant.
        tenant: TenantId,
        /// The change.
        change: Change,
    },
}

/// A place in the changes of one resource of all tenants of a shard. Like a tenant's cursor it has no queue.
pub struct Wildcard {
    shard: Arc<Shard>,
    resource: ResourceId,
    position: u64,
    wake: watch::Receiver<u64>,
    /// Tenants to be listed; the position to tell with their objects.
    listing: VecDeque<(TenantId, Snapshot)>,
    /// The last name listed of the first of them.
    after: Option<NsName>,
    chunk: VecDeque<Frame>,
    /// The listing at the beginning has not ended.
    beginning: bool,
}

impl Db {
    /// Watches a resource over all tenants of a shard that were made for it: from a position (epoch, seq), or
    /// with a listing first.
    pub fn wildcard(
        &self,
        shard: usize,
        resource: &ResourceId,
        from: Option<(u64, u64)>,
    ) -> Result<Wildcard, WildcardError> {
        let shard = self.shard(shard).ok_or(WildcardError::NoShard)?.clone();
        // Roots are replaced under the feed's lock: all of them are of its position.
        let mut feed = shard.feed.write();
        let mut listing = VecDeque::new();
        let mut closed = 0;
        for (id, held) in shard.tenants.read().iter() {
            if !held.row.in_wildcard || held.row.dropping || held.failed.is_some() {
                continue;
            }
            match &held.state {
                None => closed += 1,
                // One that is being made follows as a change.
                Some(state) if state.made.load(Ordering::Acquire) => {
                    listing.push_back((*id, state.snapshot()))
                }
                Some(_) => {}
            }
        }
        if closed > 0 {
            return Err(WildcardError::NotReady(closed));
        }
        let position = match from {
            None => feed.seq,
            Some((epoch, _)) if epoch != shard.epoch => return Err(WildcardError::Forgotten),
            Some((_, seq)) => {
                listing.clear();
                feed.after(resource, seq).map_err(|_| WildcardError::Forgotten)?;
                seq
            }
        };
        let wake = feed.subscribe(resource);
        drop(feed);
        listing.make_contiguous().sort_by_key(|(id, _)| *id);
        Ok(Wildcard {
            shard,
            resource: resource.clone(),
            position,
            wake,
            listing,
            after: None,
            chunk: VecDeque::new(),
            beginning: from.is_none(),
        })
    }
}

impl Wildcard {
    /// The next frame; waits for it. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Frame, WildcardError> {
        loop {
            self.wake.borrow_and_update();
            if let Some(frame) = self.try_next()? {
                return Ok(frame);
            }
            // The sender lives in the shard's feed, which this watch keeps alive.
            if self.wake.changed().await.is_err() {
                return Err(WildcardError::Forgotten);
            }
        }
    }

    /// The next frame if there is one.
    pub fn try_next(&mut self) -> Result<Option<Frame>, WildcardError> {
        if matches!(self.shard.health(), Health::Failed(_)) {
            return Err(WildcardError::Failed);
        }
        loop {
            if let Some(frame) = self.chunk.pop_front() {
                return Ok(Some(frame));
            }
            if self.list() {
                continue;
            }
            if std::mem::take(&mut self.beginning) {
                return Ok(Some(Frame::ListingEnd { seq: self.position }));
            }
            let feed = self.shard.feed.read();
            match feed.after(&self.resource, self.position).map_err(|_| WildcardError::Forgotten)? {
                Some(Entry::Change(tenant, change)) => {
                    self.position = change.seq;
                    return Ok(Some(Frame::Change { tenant, change }));
                }
                Some(Entry::Created(tenant, seq)) => {
                    self.position = seq;
                    drop(feed);
                    // One that is gone again has nothing to show.
                    if let Some(state) = self.shard.state(tenant) {
                        let root = Arc::new(Root::new(BASE_RV));
                        self.listing.push_back((tenant, Snapshot { root, layer: state.layer.clone() }));
                    }
                }
                None => {
                    self.position = self.position.max(feed.seq);
                    return Ok(None);
                }
            }
        }
    }

    /// Reads more of a listing; `false` when none goes on.
    fn list(&mut self) -> bool {
        let Some((tenant, snapshot)) = self.listing.front() else { return false };
        let seq = self.position;
        let objects = snapshot.list(&self.resource, None, self.after.as_ref()).take(CHUNK);
        self.chunk.extend(objects.map(|(name, record)| Frame::Listed { tenant: *tenant, name, record, seq }));
        self.after = match self.chunk.back() {
            Some(Frame::Listed { name, .. }) if self.chunk.len() == CHUNK => Some(name.clone()),
            _ => {
                self.listing.pop_front();
                None
            }
        };
        true
    }

    /// Epoch and the position up to which everything was told: what a bookmark may carry. While a listing goes
    /// on there is none to resume from.
    pub fn position(&self) -> Option<(u64, u64)> {
        let complete = !self.beginning && self.listing.is_empty() && self.chunk.is_empty();
        complete.then_some((self.shard.epoch, self.position))
    }
}
