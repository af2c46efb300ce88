//! The tables of a shard's file, read and written in single transactions.
//!
//! | table | key | value |
//! |---|---|---|
//! | `heads` | id | flags and the server's record |
//! | `heads` | id ‖ group/resource | RV of the last write to the resource |
//! | `objects` | id ‖ group/resource ‖ 0 ‖ ns/name | index and body |
//! | `log` | seq | what was before a write |
//! | `meta` | name | format, epoch, number of shards, and how far the tables are: seq, number of the last frame |

use rand::Rng;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};

use super::super::backend::{HeadRow, LogRow, Remaining, StoreFault, StoredHead};
use super::super::key::Key;
use super::super::record::Record;
use super::super::table::Slot;
use super::journal::{Frame, Target, each_row};
use super::value::{self, Damage, FORMAT};
use crate::tenant::TenantId;

type Bytes = &'static [u8];

const HEADS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("heads");
const OBJECTS: TableDefinition<'_, Bytes, Bytes> = TableDefinition::new("objects");
const LOG: TableDefinition<'_, u64, Bytes> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

const ID_LEN: usize = 12;

/// Why the tables did not do what they were asked.
#[derive(Debug)]
pub(super) enum Trouble {
    Redb(redb::Error),
    /// A value is not what was written.
    Corrupt(TenantId, String),
    /// A frame is.
    Frame,
}

macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for Trouble {
            fn from(error: redb::$error) -> Self {
                Self::Redb(error.into())
            }
        }
    )*};
}

from_redb!(TransactionError, TableError, StorageError, CommitError, DatabaseError);

/// Why a file could not be opened at start.
#[derive(Debug)]
pub(in super::super) enum Refusal {
    Newer(u32),
    Shards(usize),
    Other(String),
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        Self::Other(match trouble {
            Trouble::Redb(error) => error.to_string(),
            Trouble::Corrupt(_, detail) => detail,
            Trouble::Frame => "a frame of the journal cannot be read".to_owned(),
        })
    }
}

/// How far the tables are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub epoch: u64,
    pub seq: u64,
    /// Number of the last frame taken in.
    pub frame: u64,
}

/// Writes what a new file begins with, or checks what an old one says of itself.
pub(super) fn prepare(db: &Database, shards: usize) -> Result<(), Refusal> {
    let transaction = db.begin_write().map_err(Trouble::from)?;
    let found = {
        let meta = transaction.open_table(META).map_err(Trouble::from)?;
        let get = |name| meta.get(name).map(|value| value.map(|value| value.value())).map_err(Trouble::from);
        (get("format")?, get("shards")?)
    };
    match found {
        (Some(format), _) if format > u64::from(FORMAT) => {
            Err(Refusal::Newer(u32::try_from(format).unwrap_or(u32::MAX)))
        }
        (Some(_), found) if found != Some(shards as u64) => {
            Err(Refusal::Shards(usize::try_from(found.unwrap_or_default()).unwrap_or_default()))
        }
        (Some(_), _) => Ok(()),
        (None, _) => Ok(begin(transaction, shards)?),
    }
}

fn begin(transaction: WriteTransaction, shards: usize) -> Result<(), Trouble> {
    {
        let mut meta = transaction.open_table(META)?;
        // Positions in the data of another file must not mean anything in this one.
        meta.insert("epoch", u64::from(rand::rng().random::<u32>()))?;
        for (name, value) in
            [("format", u64::from(FORMAT)), ("shards", shards as u64), ("seq", 0), ("frame", 0)]
        {
            meta.insert(name, value)?;
        }
        transaction.open_table(HEADS)?;
        transaction.open_table(OBJECTS)?;
        transaction.open_table(LOG)?;
    }
    Ok(transaction.commit()?)
}

pub(super) fn progress(db: &Database) -> Result<Progress, Trouble> {
    let meta = db.begin_read()?.open_table(META)?;
    let get = |name| Ok::<_, Trouble>(meta.get(name)?.map(|value| value.value()).unwrap_or_default());
    Ok(Progress { epoch: get("epoch")?, seq: get("seq")?, frame: get("frame")? })
}

/// Takes in frames, which follow the last one taken in.
pub(super) fn apply(db: &Database, frames: &[Frame]) -> Result<(), Trouble> {
    let Some(last) = frames.last() else { return Ok(()) };
    let transaction = db.begin_write()?;
    {
        let mut heads = transaction.open_table(HEADS)?;
        let mut objects = transaction.open_table(OBJECTS)?;
        let mut log = transaction.open_table(LOG)?;
        for frame in frames {
            let read = each_row(&frame.payload, |target, key, value| {
                match (target, value) {
                    (Target::Heads, Some(value)) => drop(heads.insert(key, value)?),
                    (Target::Heads, None) => drop(heads.remove(key)?),
                    (Target::Objects, Some(value)) => drop(objects.insert(key, value)?),
                    (Target::Objects, None) => drop(objects.remove(key)?),
                    (Target::Log, value) => {
                        let seq = u64::from_le_bytes(key.try_into().map_err(|_| Trouble::Frame)?);
                        drop(log.insert(seq, value.unwrap_or_default())?);
                    }
                }
                Ok::<_, Trouble>(())
            })?;
            read.map_err(|_| Trouble::Frame)?;
        }
        let mut meta = transaction.open_table(META)?;
        meta.insert("seq", last.seq)?;
        meta.insert("frame", last.number)?;
    }
    Ok(transaction.commit()?)
}

pub(super) fn heads(db: &Database) -> Result<Vec<StoredHead>, Trouble> {
    let table = db.begin_read()?.open_table(HEADS)?;
    let mut all: Vec<StoredHead> = Vec::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        let (id, resource) = key.value().split_at_checked(ID_LEN).unwrap_or_default();
        let Ok(id) = TenantId::try_from(id) else {
            tracing::error!("a head has no tenant's key");
            continue;
        };
        if resource.is_empty() {
            all.push(head(id, value.value()));
        } else if let Some(head) = all.last_mut().filter(|head| head.row.id == id) {
            let rv = value.value().try_into().map(u64::from_le_bytes).unwrap_or_default();
            head.last.push((std::str::from_utf8(resource).unwrap_or_default().into(), rv));
        }
    }
    Ok(all)
}

fn head(id: TenantId, value: &[u8]) -> StoredHead {
    let (row, failed) = match value::read_head(id, value) {
        Ok(row) => (row, None),
        Err(damage) => {
            let row = HeadRow { id, head: Vec::new().into(), in_wildcard: false, dropping: false };
            let fault = StoreFault::Corrupt { tenant: id, detail: format!("its record: {damage}") };
            (row, Some(fault.to_string()))
        }
    };
    StoredHead { row, last: Vec::new(), failed }
}

/// Every key of a tenant lies between these.
fn bounds(tenant: TenantId) -> (Vec<u8>, Vec<u8>) {
    (tenant.as_bytes().to_vec(), [&tenant.as_bytes()[..], &[0xff]].concat())
}

pub(super) fn load(db: &Database, tenant: TenantId) -> Result<Vec<(Key, Slot)>, Trouble> {
    let table = db.begin_read()?.open_table(OBJECTS)?;
    let (from, to) = bounds(tenant);
    let mut rows = Vec::new();
    for entry in table.range(&from[..]..&to[..])? {
        let (key, value) = entry?;
        let damaged = |damage: Damage| {
            let name =
                String::from_utf8_lossy(key.value().get(ID_LEN..).unwrap_or_default()).replace('\0', " ");
            Trouble::Corrupt(tenant, format!("{name}: {damage}"))
        };
        let slot = value::read_object(key.value(), value.value()).map_err(damaged)?;
        rows.push((value::read_object_key(key.value()).map_err(damaged)?, slot));
    }
    Ok(rows)
}

pub(super) fn read(db: &Database, tenant: TenantId, key: &Key) -> Result<Option<Record>, Trouble> {
    let table = db.begin_read()?.open_table(OBJECTS)?;
    let at = value::object_key(tenant, key);
    let Some(value) = table.get(&at[..])? else { return Ok(None) };
    match value::read_object(&at, value.value()) {
        Ok(slot) => Ok(slot.live().cloned()),
        Err(damage) => Err(Trouble::Corrupt(tenant, format!("{key}: {damage}"))),
    }
}

pub(super) fn log(db: &Database) -> Result<Vec<LogRow>, Trouble> {
    let table = db.begin_read()?.open_table(LOG)?;
    let mut rows = Vec::new();
    for entry in table.iter()? {
        let (seq, value) = entry?;
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
}

pub(super) fn trim(db: &Database, upto: u64) -> Result<(), Trouble> {
    let transaction = db.begin_write()?;
    transaction.open_table(LOG)?.retain_in(..=upto, |_, _| false)?;
    Ok(transaction.commit()?)
}

pub(super) fn drop_tenant(db: &Database, tenant: TenantId, max: usize) -> Result<Remaining, Trouble> {
    let (from, to) = bounds(tenant);
    let transaction = db.begin_write()?;
    let mut seen = 0;
    transaction.open_table(OBJECTS)?.retain_in(&from[..]..&to[..], |_, _| {
        seen += 1;
        seen > max
    })?;
    let remaining = seen.saturating_sub(max);
    if remaining == 0 {
        transaction.open_table(HEADS)?.retain_in(&from[..]..&to[..], |_, _| false)?;
    }
    transaction.commit()?;
    Ok(Remaining(remaining))
}

#[cfg(test)]
pub(in super::super) mod tamper {
    //! What tests do to a file.

    use super::*;

    /// Flips a bit in the body of an object.
    pub(in super::super::super) fn damage(db: &Database, tenant: TenantId, key: &Key) {
        let transaction = db.begin_write().unwrap();
        {
            let mut table = transaction.open_table(OBJECTS).unwrap();
            let at = value::object_key(tenant, key);
            let mut value = table.get(&at[..]).unwrap().unwrap().value().to_vec();
            *value.last_mut().unwrap() ^= 1;
            table.insert(&at[..], &value[..]).unwrap();
        }
        transaction.commit().unwrap();
    }

    /// Says that a later version wrote the file.
    pub(in super::super::super) fn set_format(db: &Database, format: u64) {
        let transaction = db.begin_write().unwrap();
        transaction.open_table(META).unwrap().insert("format", format).unwrap();
        transaction.commit().unwrap();
    }
}
