//! A backend that forgets with the process: for tests and for `--allow-data-loss`. It shares its bytes with the
//! tenants' roots and keeps no log, so that a tenant opened anew remembers nothing.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use rand::Rng;

use super::backend::{Batch, HeadRow, LogRow, Position, Remaining, RowOp, Store, StoreFault, StoredHead};
use super::key::Key;
use super::record::Record;
use super::table::Slot;
use crate::model::gvk::ResourceId;
use crate::tenant::TenantId;

#[derive(Default)]
struct Tables {
    seq: u64,
    heads: BTreeMap<TenantId, HeadRow>,
    last: BTreeMap<(TenantId, ResourceId), u64>,
    objects: BTreeMap<TenantId, BTreeMap<Key, Slot>>,
}

/// Tables in memory.
pub(super) struct MemoryStore {
    epoch: u64,
    tables: Mutex<Tables>,
}

impl MemoryStore {
    pub fn new() -> Self {
        // Positions of an earlier process must not mean anything in this one.
        Self { epoch: u64::from(rand::rng().random::<u32>()), tables: Mutex::default() }
    }
}

impl Store for MemoryStore {
    fn position(&self) -> Result<Position, StoreFault> {
        let seq = self.tables.lock().seq;
        Ok(Position { epoch: self.epoch, seq })
    }

    fn heads(&self) -> Result<Vec<StoredHead>, StoreFault> {
        let tables = self.tables.lock();
        let last_of = |id| {
            let all = tables.last.iter().filter(move |((tenant, _), _)| *tenant == id);
            all.map(|((_, resource), rv)| (resource.clone(), *rv)).collect()
        };
        Ok(tables
            .heads
            .values()
            .map(|row| StoredHead { row: row.clone(), last: last_of(row.id), failed: None })
            .collect())
    }

    fn load(&self, tenant: TenantId) -> Result<Vec<(Key, Slot)>, StoreFault> {
        let tables = self.tables.lock();
        let rows = tables.objects.get(&tenant).into_iter().flatten();
        Ok(rows.map(|(key, slot)| (key.clone(), slot.clone())).collect())
    }

    fn read(&self, tenant: TenantId, key: &Key) -> Result<Option<Record>, StoreFault> {
        let tables = self.tables.lock();
        Ok(tables.objects.get(&tenant).and_then(|rows| rows.get(key)).and_then(Slot::live).cloned())
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreFault> {
        let mut tables = self.tables.lock();
        tables.seq = batch.seq;
        for row in &batch.heads {
            tables.heads.insert(row.id, row.clone());
        }
        for row in &batch.rows {
            tables.last.insert((row.tenant, row.key.resource.clone()), row.rv);
            let objects = tables.objects.entry(row.tenant).or_default();
            match &row.op {
                RowOp::Put(record) => objects.insert(row.key.clone(), Slot::Live(record.clone())),
                RowOp::Whiteout { .. } => objects.insert(row.key.clone(), Slot::Whiteout),
                RowOp::Remove => objects.remove(&row.key),
            };
        }
        Ok(())
    }

    fn log(&self) -> Result<Vec<LogRow>, StoreFault> {
        Ok(Vec::new())
    }

    fn trim(&self, _upto: u64) -> Result<(), StoreFault> {
        Ok(())
    }

    fn drop_tenant(&self, tenant: TenantId, max: usize) -> Result<Remaining, StoreFault> {
        let mut tables = self.tables.lock();
        let objects = tables.objects.entry(tenant).or_default();
        for _ in 0..max {
            if objects.pop_first().is_none() {
                break;
            }
        }
        let remaining = objects.len();
        if remaining == 0 {
            tables.objects.remove(&tenant);
            tables.heads.remove(&tenant);
            tables.last.retain(|(id, _), _| *id != tenant);
        }
        Ok(Remaining(remaining))
    }

    fn reopen(&self) -> Result<Position, StoreFault> {
        self.position()
    }

    fn bytes(&self) -> u64 {
        let tables = self.tables.lock();
        let live = tables.objects.values().flat_map(BTreeMap::values).filter_map(Slot::live);
        live.map(|record| record.size() as u64).sum()
    }
}
