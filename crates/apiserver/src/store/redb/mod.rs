//! The redb backend: one file per shard (K3, K13, K15).
//!
//! | table | key | value |
//! |---|---|---|
//! | `heads` | id | flags and the server's record |
//! | `heads` | id ‖ group/resource | RV of the last write to the resource |
//! | `objects` | id ‖ group/resource ‖ 0 ‖ ns/name | index and body |
//! | `log` | seq | what was before a write |
//! | `meta` | name | format, epoch, number of shards, seq up to which the log was trimmed |

mod value;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use rand::Rng;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

use self::value::{Damage, FORMAT};
use super::backend::{Batch, HeadRow, LogRow, Position, Remaining, Store, StoreFault, StoredHead};
use super::config::StoreConfig;
use super::db::{Db, OpenError};
use super::key::Key;
use super::record::Record;
use super::table::Slot;
use crate::model::gvk::ResourceId;
use crate::tenant::TenantId;

type Bytes = &'static [u8];

const HEADS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("heads");
const OBJECTS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("objects");
const LOG: TableDefinition<'_, u64, Bytes> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Tenants in use are in memory: the file's pages need no great cache beside them.
const CACHE: usize = 16 << 20;

const ID_LEN: usize = 12;

/// How the file is opened: at start, and again after a full disk.
type Opener = Box<dyn Fn() -> Result<Database, redb::DatabaseError> + Send + Sync>;

/// One file.
pub(super) struct RedbStore {
    opener: Opener,
    /// `None` while it could not be opened anew.
    db: RwLock<Option<Database>>,
    path: PathBuf,
    /// The last error was a full disk: redb refuses everything until it is opened anew.
    full: AtomicBool,
}

/// Why a file could not be opened at start.
#[derive(Debug)]
pub(super) enum Refusal {
    Newer(u32),
    Shards(usize),
    Other(String),
}

impl Db {
    /// A store in files of a folder, one per shard. The number of shards is fixed at the first start.
    pub fn redb(folder: &Path, shards: usize, config: StoreConfig) -> Result<Self, OpenError> {
        let failed = |shard, reason: String| OpenError::Shard { shard, reason };
        std::fs::create_dir_all(folder).map_err(|error| failed(0, error.to_string()))?;
        let mut stores: Vec<Box<dyn Store>> = Vec::new();
        for number in 0..shards {
            let path = folder.join(format!("shard-{number}.redb"));
            let file = path.clone();
            let opener = Box::new(move || Database::builder().set_cache_size(CACHE).create(&file));
            let store = RedbStore::open(opener, path, shards).map_err(|refusal| match refusal {
                Refusal::Newer(found) => OpenError::Newer { found, known: FORMAT },
                Refusal::Shards(found) => OpenError::Shards { found, asked: shards },
                Refusal::Other(reason) => failed(number, reason),
            })?;
            stores.push(Box::new(store));
        }
        // The names of new files must be durable, too.
        let named = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
        named.map_err(|error| failed(0, error.to_string()))?;
        Self::with_stores(stores, config)
    }
}

impl RedbStore {
    pub(super) fn open(opener: Opener, path: PathBuf, shards: usize) -> Result<Self, Refusal> {
        let db = opener().map_err(|error| Refusal::Other(error.to_string()))?;
        prepare(&db, shards)?;
        Ok(Self { opener, db: RwLock::new(Some(db)), path, full: AtomicBool::new(false) })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        let db = self.db.read();
        let db = db.as_ref().ok_or(StoreFault::Full)?;
        read(&db.begin_read().map_err(|error| self.fault(error))?)
    }

    fn write<T>(
        &self,
        write: impl FnOnce(&redb::WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreFault> {
        let db = self.db.read();
        let db = db.as_ref().ok_or(StoreFault::Full)?;
        let transaction = db.begin_write().map_err(|error| self.fault(error))?;
        let outcome = write(&transaction).map_err(|error| self.fault(error))?;
        transaction.commit().map_err(|error| self.fault(error))?;
        Ok(outcome)
    }

    fn fault(&self, error: impl Into<redb::Error>) -> StoreFault {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.into() {
            redb::Error::Io(error) if matches!(error.kind(), StorageFull | QuotaExceeded) => {
                self.full.store(true, Ordering::Relaxed);
                StoreFault::Full
            }
            redb::Error::PreviousIo if self.full.load(Ordering::Relaxed) => StoreFault::Full,
            error => StoreFault::Failed(error.to_string()),
        }
    }
}

/// Writes what a new file begins with, or checks what an old one says of itself.
fn prepare(db: &Database, shards: usize) -> Result<(), Refusal> {
    let other = |error: redb::Error| Refusal::Other(error.to_string());
    let transaction = db.begin_write().map_err(|error| other(error.into()))?;
    {
        let mut meta = transaction.open_table(META).map_err(|error| other(error.into()))?;
        let get = |name| meta.get(name).map(|value| value.map(|value| value.value()));
        let format = get("format").map_err(|error| other(error.into()))?;
        let found = get("shards").map_err(|error| other(error.into()))?;
        match format.map(|format| u32::try_from(format).unwrap_or(u32::MAX)) {
            Some(format) if format > FORMAT => return Err(Refusal::Newer(format)),
            Some(_) => {
                let found = usize::try_from(found.unwrap_or_default()).unwrap_or_default();
                return if found == shards { Ok(()) } else { Err(Refusal::Shards(found)) };
            }
            None => {}
        }
        let epoch = u64::from(rand::rng().random::<u32>());
        let begin = [("format", u64::from(FORMAT)), ("shards", shards as u64), ("epoch", epoch), ("seq", 0)];
        for (name, value) in begin {
            meta.insert(name, value).map_err(|error| other(error.into()))?;
        }
        transaction.open_table(HEADS).map_err(|error| other(error.into()))?;
        transaction.open_table(OBJECTS).map_err(|error| other(error.into()))?;
        transaction.open_table(LOG).map_err(|error| other(error.into()))?;
    }
    transaction.commit().map_err(|error| other(error.into()))
}

/// Every key of a tenant lies between these.
fn bounds(tenant: TenantId) -> (Vec<u8>, Vec<u8>) {
    (tenant.as_bytes().to_vec(), [&tenant.as_bytes()[..], &[0xff]].concat())
}

fn corrupt(tenant: TenantId, what: &str, damage: &Damage) -> StoreFault {
    StoreFault::Corrupt { tenant, detail: format!("{what}: {damage}") }
}

fn read_head(id: TenantId, value: &[u8]) -> StoredHead {
    let (row, failed) = match value::read_head(id, value) {
        Ok(row) => (row, None),
        Err(damage) => {
            let row = HeadRow { id, head: Vec::new().into(), in_wildcard: false, dropping: false };
            (row, Some(corrupt(id, "its record", &damage).to_string()))
        }
    };
    StoredHead { row, last: Vec::new(), failed }
}

fn mark_key(tenant: TenantId, resource: &ResourceId) -> Vec<u8> {
    [tenant.as_bytes(), resource.as_bytes()].concat()
}

fn write_batch(batch: &Batch, transaction: &redb::WriteTransaction) -> Result<(), redb::Error> {
    let mut heads = transaction.open_table(HEADS)?;
    let mut log = transaction.open_table(LOG)?;
    for row in &batch.heads {
        heads.insert(&row.id.as_bytes()[..], &value::head(row)[..])?;
    }
    for (seq, tenant) in &batch.created {
        log.insert(seq, &value::log_created(*seq, *tenant, batch.at)[..])?;
    }
    let mut objects = transaction.open_table(OBJECTS)?;
    for row in &batch.rows {
        let key = value::object_key(row.tenant, &row.key);
        match value::object(&key, &row.op) {
            Some(value) => drop(objects.insert(&key[..], &value[..])?),
            None => drop(objects.remove(&key[..])?),
        }
        log.insert(row.seq, &value::log_write(row, batch.at)[..])?;
        heads.insert(&mark_key(row.tenant, &row.key.resource)[..], &row.rv.to_le_bytes()[..])?;
    }
    Ok(())
}

impl Store for RedbStore {
    fn position(&self) -> Result<Position, StoreFault> {
        self.read(|transaction| {
            let meta = transaction.open_table(META).map_err(|error| self.fault(error))?;
            let get = |name| match meta.get(name) {
                Ok(value) => Ok(value.map(|value| value.value()).unwrap_or_default()),
                Err(error) => Err(self.fault(error)),
            };
            let log = transaction.open_table(LOG).map_err(|error| self.fault(error))?;
            let last = log.last().map_err(|error| self.fault(error))?.map(|(seq, _)| seq.value());
            Ok(Position { epoch: get("epoch")?, seq: get("seq")?.max(last.unwrap_or_default()) })
        })
    }

    fn heads(&self) -> Result<Vec<StoredHead>, StoreFault> {
        self.read(|transaction| {
            let table = transaction.open_table(HEADS).map_err(|error| self.fault(error))?;
            let mut all: Vec<StoredHead> = Vec::new();
            for entry in table.iter().map_err(|error| self.fault(error))? {
                let (key, value) = entry.map_err(|error| self.fault(error))?;
                let (id, resource) = key.value().split_at_checked(ID_LEN).unwrap_or_default();
                let id = TenantId::try_from(id).map_err(|error| StoreFault::Failed(error.to_string()))?;
                if resource.is_empty() {
                    all.push(read_head(id, value.value()));
                } else if let Some(head) = all.last_mut().filter(|head| head.row.id == id) {
                    let rv = value.value().try_into().map(u64::from_le_bytes).unwrap_or_default();
                    let resource = std::str::from_utf8(resource).unwrap_or_default();
                    head.last.push((resource.into(), rv));
                }
            }
            Ok(all)
        })
    }

    fn load(&self, tenant: TenantId) -> Result<Vec<(Key, Slot)>, StoreFault> {
        self.read(|transaction| {
            let table = transaction.open_table(OBJECTS).map_err(|error| self.fault(error))?;
            let (from, to) = bounds(tenant);
            let mut rows = Vec::new();
            for entry in table.range(&from[..]..&to[..]).map_err(|error| self.fault(error))? {
                let (key, value) = entry.map_err(|error| self.fault(error))?;
                let name = String::from_utf8_lossy(key.value()).replace('\0', " ");
                let damaged = |damage| corrupt(tenant, &name, &damage);
                let slot = value::read_object(key.value(), value.value()).map_err(damaged)?;
                rows.push((value::read_object_key(key.value()).map_err(damaged)?, slot));
            }
            Ok(rows)
        })
    }

    fn read(&self, tenant: TenantId, key: &Key) -> Result<Option<Record>, StoreFault> {
        RedbStore::read(self, |transaction| {
            let table = transaction.open_table(OBJECTS).map_err(|error| self.fault(error))?;
            let at = value::object_key(tenant, key);
            let Some(value) = table.get(&at[..]).map_err(|error| self.fault(error))? else { return Ok(None) };
            match value::read_object(&at, value.value()) {
                Ok(slot) => Ok(slot.live().cloned()),
                Err(damage) => Err(corrupt(tenant, &key.to_string(), &damage)),
            }
        })
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreFault> {
        self.write(|transaction| write_batch(batch, transaction))
    }

    fn log(&self) -> Result<Vec<LogRow>, StoreFault> {
        self.read(|transaction| {
            let table = transaction.open_table(LOG).map_err(|error| self.fault(error))?;
            let mut rows = Vec::new();
            for entry in table.iter().map_err(|error| self.fault(error))? {
                let (seq, value) = entry.map_err(|error| self.fault(error))?;
                let seq = seq.value();
                match value::read_log(seq, value.value()) {
                    Ok(row) => rows.push(row),
                    Err(damage) => {
                        tracing::error!(seq, %damage, "history up to this log entry is forgotten");
                        rows.clear();
                    }
                }
            }
            Ok(rows)
        })
    }

    fn trim(&self, upto: u64) -> Result<(), StoreFault> {
        self.write(|transaction| {
            // The last entry is what says how far the shard is, unless this does.
            transaction.open_table(META)?.insert("seq", upto)?;
            transaction.open_table(LOG)?.retain_in(..=upto, |_, _| false)?;
            Ok(())
        })
    }

    fn drop_tenant(&self, tenant: TenantId, max: usize) -> Result<Remaining, StoreFault> {
        let (from, to) = bounds(tenant);
        self.write(|transaction| {
            let mut objects = transaction.open_table(OBJECTS)?;
            let mut removed = 0;
            objects.retain_in(&from[..]..&to[..], |_, _| {
                removed += 1;
                removed > max
            })?;
            let remaining = removed.saturating_sub(max);
            if remaining == 0 {
                transaction.open_table(HEADS)?.retain_in(&from[..]..&to[..], |_, _| false)?;
            }
            Ok(Remaining(remaining))
        })
    }

    fn reopen(&self) -> Result<Position, StoreFault> {
        let mut db = self.db.write();
        // The lock of the file is given back first.
        *db = None;
        *db = Some((self.opener)().map_err(|error| self.fault(error))?);
        self.full.store(false, Ordering::Relaxed);
        drop(db);
        self.position()
    }

    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map(|file| file.len()).unwrap_or_default()
    }
}

#[cfg(test)]
impl RedbStore {
    /// Runs a write of a test on the open file.
    pub(super) fn tamper(&self, write: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>) {
        RedbStore::write(self, write).unwrap();
    }
}
