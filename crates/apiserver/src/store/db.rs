//! The store of a process: shards, and the tenants in them.

use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use tokio::sync::{broadcast, oneshot};

use super::backend::{HeadRow, Remaining, Store};
use super::base::Layer;
use super::config::{Limits, StoreConfig};
use super::cursor::CursorEnd;
use super::errors::{OpenError, TenantError};
use super::intent::CommitError;
use super::memory::MemoryStore;
use super::open;
use super::shard::{Control, Health, Held, Shard};
use super::tenant::{TenantState, TenantStore};
use super::touch::Touches;
use super::writer::Writer;
use crate::tenant::TenantId;

/// Objects removed per call of [`Db::drop_tenant`].
const DROP_CHUNK: usize = 2000;

/// The store of a process. Dropping it writes what waits and gives the files back; handles of tenants that live
/// on show what they showed and write nothing.
pub struct Db {
    shards: Vec<Arc<Shard>>,
    writers: Vec<JoinHandle<()>>,
    touches: broadcast::Sender<super::touch::Touch>,
}

/// The stored record of a tenant.
#[derive(Clone, Debug)]
pub struct TenantHead {
    /// The tenant.
    pub id: TenantId,
    /// What the server put there.
    pub head: Bytes,
    /// Its shard.
    pub shard: usize,
    /// Whether wildcard watches show it.
    pub in_wildcard: bool,
    /// Its deletion has begun: [`Db::drop_tenant`] is to be called again.
    pub dropping: bool,
    /// RV of its last write.
    pub rv: u64,
    /// Whether it is in memory.
    pub open: bool,
    /// A stored value of it is damaged: it cannot be opened (K13).
    pub failed: Option<String>,
}

/// A tenant to be made.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Its id.
    pub id: TenantId,
    /// Opaque bytes: specification and keys.
    pub head: Vec<u8>,
    /// Whether wildcard watches show it: role `Tenant`.
    pub in_wildcard: bool,
    /// The shard asked for; else the ready one with least bytes.
    pub shard: Option<usize>,
}

/// How a shard is.
#[derive(Clone, Debug)]
pub struct ShardStatus {
    /// Its number.
    pub number: usize,
    /// Its epoch: positions of another one mean nothing.
    pub epoch: u64,
    /// Stored bytes.
    pub bytes: u64,
    /// Whether it is served.
    pub health: Health,
}

impl Db {
    /// A store that ends with the process.
    pub fn memory(config: StoreConfig) -> Result<Self, OpenError> {
        Self::with_stores(vec![Box::new(MemoryStore::new())], config)
    }

    pub(super) fn with_stores(stores: Vec<Box<dyn Store>>, config: StoreConfig) -> Result<Self, OpenError> {
        let (touches, _) = broadcast::channel(config.touches.max(1));
        let (mut shards, mut writers) = (Vec::new(), Vec::new());
        for (number, store) in stores.into_iter().enumerate() {
            let reason = |reason: String| OpenError::Shard { shard: number, reason };
            let (shard, seq, log) = open::shard(number, store, config.clone(), touches.clone())
                .map_err(|fault| reason(fault.to_string()))?;
            let shard = Arc::new(shard);
            let writer = Writer::new(shard.clone(), seq, log);
            let thread = std::thread::Builder::new().name(format!("store-{number}"));
            writers.push(thread.spawn(move || writer.run()).map_err(|e| reason(e.to_string()))?);
            shards.push(shard);
        }
        Ok(Self { shards, writers, touches })
    }

    /// Every stored tenant, in order of their ids.
    pub fn tenants(&self) -> Vec<TenantHead> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.tenants.read().values().map(|held| describe(shard.number, held)));
        }
        all.sort_by_key(|head: &TenantHead| head.id);
        all
    }

    /// The record of one tenant.
    pub fn head(&self, id: TenantId) -> Option<TenantHead> {
        let shard = self.shard_of(id)?;
        shard.tenants.read().get(&id).map(|held| describe(shard.number, held))
    }

    /// Makes a tenant; it is durable on return.
    pub async fn create_tenant(
        &self,
        new: NewTenant,
        layer: Layer,
        limits: Limits,
    ) -> Result<TenantStore, TenantError> {
        let NewTenant { id, head, in_wildcard, shard } = new;
        let shard = self.choose(shard)?;
        let row = HeadRow { id, head: head.into(), in_wildcard, dropping: false };
        let state = Arc::new(open::fresh(&row, layer, limits));
        let held = Held {
            row: row.clone(),
            last: Vec::new(),
            state: Some(state.clone()),
            replayed: Vec::new(),
            failed: None,
        };
        // The id is taken before the record is durable, so that two calls cannot both make it.
        if !self.reserve(&shard, id, held) {
            return Err(TenantError::Exists(id));
        }
        let outcome = ask(&shard, |reply| Control::Head { row, created: true, reply }).await;
        if let Err(refusal) = outcome {
            shard.tenants.write().remove(&id);
            state.end(CursorEnd::TenantGone);
            return Err(refusal.into());
        }
        Ok(TenantStore { state, shard })
    }

    /// Opens a stored tenant: its objects are read into memory, once. `layer` must be what it was made with.
    pub async fn open(&self, id: TenantId, layer: Layer, limits: Limits) -> Result<TenantStore, TenantError> {
        let shard = self.shard_of(id).ok_or(TenantError::Unknown(id))?.clone();
        if let Some(state) = opened(&shard, id)? {
            return Ok(TenantStore { state, shard });
        }
        let _one = shard.opening.lock().await;
        if let Some(state) = opened(&shard, id)? {
            return Ok(TenantStore { state, shard: shard.clone() });
        }
        let loading = shard.clone();
        let loaded = tokio::task::spawn_blocking(move || open::tenant(&loading, id, layer, limits)).await;
        let state = loaded.unwrap_or_else(|_| Err(TenantError::Damaged("loading it failed".to_owned())))?;
        Ok(TenantStore { state, shard: shard.clone() })
    }

    /// The handle of a tenant that is in memory.
    pub fn get(&self, id: TenantId) -> Option<TenantStore> {
        let shard = self.shard_of(id)?;
        Some(TenantStore { state: shard.state(id)?, shard: shard.clone() })
    }

    /// Replaces the record of a tenant; durable on return.
    pub async fn update_head(&self, id: TenantId, head: Vec<u8>) -> Result<(), TenantError> {
        let shard = self.shard_of(id).ok_or(TenantError::Unknown(id))?;
        // Two changes of one record do not undo each other.
        let _one = shard.opening.lock().await;
        let mut row = self.row(shard, id)?;
        if row.dropping {
            return Err(TenantError::Dropping(id));
        }
        row.head = head.into();
        self.put_head(shard, row).await
    }

    /// Ends a tenant: its cursors end, its writes are refused, and some of its objects are removed. To be
    /// called until nothing remains; then the id is unknown.
    pub async fn drop_tenant(&self, id: TenantId) -> Result<Remaining, TenantError> {
        let shard = self.shard_of(id).ok_or(TenantError::Unknown(id))?;
        let _one = shard.opening.lock().await;
        let mut row = self.row(shard, id)?;
        let first = !row.dropping;
        if first {
            row.dropping = true;
            self.put_head(shard, row).await?;
        }
        let state = shard.tenants.write().get_mut(&id).and_then(|held| {
            held.replayed = Vec::new();
            held.state.take()
        });
        if let Some(state) = state {
            state.end(CursorEnd::TenantGone);
        }
        let remaining = ask(shard, |reply| Control::Drop { tenant: id, max: DROP_CHUNK, reply }).await?;
        if first {
            // After the writer's answer no batch can show anything of it.
            shard.feed.write().drop_tenant(id);
        }
        if remaining.0 == 0 {
            shard.tenants.write().remove(&id);
        }
        Ok(remaining)
    }

    /// Notices of every write from now on.
    pub fn touches(&self) -> Touches {
        Touches(self.touches.subscribe())
    }

    /// The shards.
    pub fn shards(&self) -> Vec<ShardStatus> {
        let status = |shard: &Arc<Shard>| ShardStatus {
            number: shard.number,
            epoch: shard.epoch,
            bytes: shard.store.bytes(),
            health: shard.health(),
        };
        self.shards.iter().map(status).collect()
    }

    pub(super) fn shard(&self, number: usize) -> Option<&Arc<Shard>> {
        self.shards.get(number)
    }

    /// The shard that has a tenant.
    fn shard_of(&self, id: TenantId) -> Option<&Arc<Shard>> {
        self.shards.iter().find(|shard| shard.tenants.read().contains_key(&id))
    }

    fn choose(&self, asked: Option<usize>) -> Result<Arc<Shard>, TenantError> {
        let ready = |shard: &&Arc<Shard>| shard.health() == Health::Ready;
        let chosen = match asked {
            Some(number) => self.shards.get(number),
            None if self.shards.len() == 1 => self.shards.first(),
            None => self.shards.iter().filter(ready).min_by_key(|shard| shard.store.bytes()),
        };
        chosen.cloned().ok_or(TenantError::NoShard)
    }

    /// Takes the id, unless a shard has it.
    fn reserve(&self, shard: &Arc<Shard>, id: TenantId, held: Held) -> bool {
        // Locked in order of the shards: two calls cannot wait for each other.
        let mut tables: Vec<_> = self.shards.iter().map(|shard| shard.tenants.write()).collect();
        if tables.iter().any(|table| table.contains_key(&id)) {
            return false;
        }
        match tables.get_mut(shard.number) {
            Some(table) => table.insert(id, held).is_none(),
            None => false,
        }
    }

    fn row(&self, shard: &Arc<Shard>, id: TenantId) -> Result<HeadRow, TenantError> {
        shard.tenants.read().get(&id).map(|held| held.row.clone()).ok_or(TenantError::Unknown(id))
    }

    async fn put_head(&self, shard: &Arc<Shard>, row: HeadRow) -> Result<(), TenantError> {
        ask(shard, |reply| Control::Head { row: row.clone(), created: false, reply }).await?;
        if let Some(held) = shard.tenants.write().get_mut(&row.id) {
            held.row = row;
        }
        Ok(())
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        self.shards.iter().for_each(|shard| shard.close());
        for writer in self.writers.drain(..) {
            // A writer that panicked has said so in its shard's health.
            let _ = writer.join();
        }
        // Handles of tenants may live on.
        self.shards.iter().for_each(|shard| shard.store.close());
    }
}

fn describe(shard: usize, held: &Held) -> TenantHead {
    let stored = held.last.iter().map(|(_, rv)| *rv).max();
    let rv = held.state.as_ref().map(|state| state.root.load().rv).or(stored);
    TenantHead {
        id: held.row.id,
        head: held.row.head.clone(),
        shard,
        in_wildcard: held.row.in_wildcard,
        dropping: held.row.dropping,
        rv: rv.unwrap_or(super::base::BASE_RV),
        open: held.state.is_some(),
        failed: held.failed.clone(),
    }
}

fn opened(shard: &Shard, id: TenantId) -> Result<Option<Arc<TenantState>>, TenantError> {
    let tenants = shard.tenants.read();
    let held = tenants.get(&id).ok_or(TenantError::Unknown(id))?;
    if held.row.dropping {
        return Err(TenantError::Dropping(id));
    }
    if let Some(reason) = &held.failed {
        return Err(TenantError::Damaged(reason.clone()));
    }
    Ok(held.state.clone())
}

async fn ask<T>(
    shard: &Shard,
    make: impl FnOnce(oneshot::Sender<Result<T, CommitError>>) -> Control,
) -> Result<T, CommitError> {
    let (reply, answer) = oneshot::channel();
    shard.control(make(reply))?;
    answer.await.unwrap_or_else(|_| Err(CommitError::Failed("the store is closed".to_owned())))
}
