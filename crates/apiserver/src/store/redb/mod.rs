//! The redb backend: per shard a file of tables and a journal before it (K3, K13, K15).
//!
//! A batch is durable when its frame is in the journal: one write and one sync. The tables take frames in when
//! there are enough of them, in one transaction that also says which frame was the last; a start takes in what
//! they lack. What is not in the tables yet is in the journal, so nothing is read from tables before that.

mod applier;
mod journal;
mod tables;
mod value;
mod wire;

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, RwLock};
use redb::Database;

use self::applier::{Inner, State, closed, is_full};
pub(super) use self::journal::Medium;
use self::journal::{AppendError, Frame, Journal, Rows, Target};
use self::tables::Progress;
pub(super) use self::tables::Refusal;
#[cfg(test)]
pub(super) use self::tables::tamper;
use self::value::FORMAT;
use super::backend::{Batch, LogRow, Position, Remaining, Store, StoreFault, StoredHead};
use super::config::StoreConfig;
use super::db::Db;
use super::errors::OpenError;
use super::key::Key;
use super::record::Record;
use super::table::Slot;
use crate::tenant::TenantId;

/// Tenants in use are in memory: the file's pages need no great cache beside them.
const CACHE: usize = 16 << 20;
/// The journal grows to this before writers wait for the tables.
const JOURNAL_MOST: u64 = 64 << 20;

/// How the tables are opened: at start, and again after a full disk.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, redb::DatabaseError> + Send + Sync>;

/// What a shard is kept in.
pub(super) struct Files {
    pub tables: Opener,
    pub journal: [Box<dyn Medium>; 2],
    /// The tables' file, where their size is looked up.
    pub path: PathBuf,
}

/// The data of one shard.
pub(super) struct RedbStore {
    inner: Arc<Inner>,
    applier: Mutex<Option<JoinHandle<()>>>,
}

impl Db {
    /// A store in files of a folder. The number of shards is fixed at the first start.
    pub fn redb(folder: &Path, shards: usize, config: StoreConfig) -> Result<Self, OpenError> {
        let failed = |shard, reason: String| OpenError::Shard { shard, reason };
        std::fs::create_dir_all(folder).map_err(|error| failed(0, error.to_string()))?;
        let mut stores: Vec<Box<dyn Store>> = Vec::new();
        for number in 0..shards {
            let files = files(folder, number).map_err(|error| failed(number, error.to_string()))?;
            let store = RedbStore::open(files, shards, config.clone()).map_err(|refusal| match refusal {
                Refusal::Newer(found) => OpenError::Newer { found, known: FORMAT },
                Refusal::Shards(found) => OpenError::Shards { found, asked: shards },
                Refusal::Other(reason) => failed(number, reason),
            })?;
            stores.push(Box::new(store));
        }
        // The names of new files must be durable, too.
        let named = File::open(folder).and_then(|folder| folder.sync_all());
        named.map_err(|error| failed(0, error.to_string()))?;
        Self::with_stores(stores, config)
    }
}

fn files(folder: &Path, shard: usize) -> std::io::Result<Files> {
    let path = folder.join(format!("shard-{shard}.redb"));
    let half = |n: usize| {
        let path = folder.join(format!("shard-{shard}.journal-{n}"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        std::io::Result::Ok(Box::new(file) as Box<dyn Medium>)
    };
    let at = path.clone();
    let tables: Opener = Box::new(move || Database::builder().set_cache_size(CACHE).create(&at));
    Ok(Files { tables, journal: [half(0)?, half(1)?], path })
}

impl RedbStore {
    pub(super) fn open(files: Files, shards: usize, config: StoreConfig) -> Result<Self, Refusal> {
        let other = |error: &dyn std::fmt::Display| Refusal::Other(error.to_string());
        let Files { tables: opener, journal, path } = files;
        // The tables' lock keeps other processes from the journal, too.
        let db = opener().map_err(|error| other(&error))?;
        tables::prepare(&db, shards)?;
        let Progress { epoch, seq, frame } = tables::progress(&db)?;
        let (journal, frames) = Journal::open(journal, epoch, frame).map_err(|error| other(&error))?;
        tables::apply(&db, &frames)?;
        let (number, seq) = frames.last().map_or((frame, seq), |last| (last.number, last.seq));
        let state = State {
            journal,
            pending: Vec::new(),
            pending_bytes: 0,
            since: Instant::now(),
            frozen: Arc::default(),
            touched: HashSet::new(),
            number,
            seq,
            closing: false,
            fault: None,
        };
        let inner = Arc::new(Inner {
            opener,
            path,
            config,
            epoch,
            tables: RwLock::new(Some(db)),
            state: Mutex::new(state),
            came: Condvar::new(),
            applied: Condvar::new(),
            applying: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        let working = inner.clone();
        let thread = std::thread::Builder::new().name("store-tables".to_owned());
        let applier = thread.spawn(move || working.run()).map_err(|error| other(&error))?;
        Ok(Self { inner, applier: Mutex::new(Some(applier)) })
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// The rows of a batch, as the tables will have them.
fn rows(batch: &Batch) -> Vec<u8> {
    let mut rows = Rows::default();
    for row in &batch.heads {
        rows.put(Target::Heads, row.id.as_bytes(), Some(&value::head(row)));
    }
    for (seq, tenant) in &batch.created {
        rows.put(Target::Log, &seq.to_le_bytes(), Some(&value::log_created(*seq, *tenant, batch.at)));
    }
    for row in &batch.rows {
        let key = value::object_key(row.tenant, &row.key);
        rows.put(Target::Objects, &key, value::object(&key, &row.op).as_deref());
        rows.put(Target::Log, &row.seq.to_le_bytes(), Some(&value::log_write(row, batch.at)));
        let mark = [row.tenant.as_bytes(), row.key.resource.as_bytes()].concat();
        rows.put(Target::Heads, &mark, Some(&row.rv.to_le_bytes()));
    }
    rows.0
}

impl Store for RedbStore {
    fn position(&self) -> Result<Position, StoreFault> {
        Ok(Position { epoch: self.inner.epoch, seq: self.inner.state.lock().seq })
    }

    fn heads(&self) -> Result<Vec<StoredHead>, StoreFault> {
        self.inner.flush()?;
        self.inner.with_tables(tables::heads)
    }

    fn load(&self, tenant: TenantId) -> Result<Vec<(Key, Slot)>, StoreFault> {
        let touched = self.inner.state.lock().touched.contains(&tenant);
        if touched {
            self.inner.flush()?;
        }
        self.inner.with_tables(|db| tables::load(db, tenant))
    }

    fn read(&self, tenant: TenantId, key: &Key) -> Result<Option<Record>, StoreFault> {
        self.inner.flush()?;
        self.inner.with_tables(|db| tables::read(db, tenant, key))
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreFault> {
        let payload = rows(batch);
        let mut state = self.inner.state.lock();
        if state.closing {
            return Err(closed());
        }
        while state.journal.len() > JOURNAL_MOST && state.fault.is_none() {
            self.inner.applied.wait(&mut state);
        }
        match &state.fault {
            Some(StoreFault::Full) if state.journal.len() <= JOURNAL_MOST => {}
            Some(fault) => return Err(fault.clone()),
            None => {}
        }
        let frame = Frame { number: state.number + 1, seq: batch.seq, payload };
        match state.journal.append(&frame) {
            Ok(()) => {}
            Err(AppendError::Write(error)) if is_full(&error) => return Err(StoreFault::Full),
            Err(AppendError::Write(error) | AppendError::Sync(error)) => {
                let fault = StoreFault::Failed(format!("the journal cannot be written: {error}"));
                state.fault = Some(fault.clone());
                return Err(fault);
            }
        }
        (state.number, state.seq) = (frame.number, frame.seq);
        state.touched.extend(batch.heads.iter().map(|row| row.id));
        state.touched.extend(batch.rows.iter().map(|row| row.tenant));
        if state.pending.is_empty() {
            state.since = Instant::now();
            self.inner.came.notify_one();
        }
        state.pending_bytes += frame.payload.len();
        state.pending.push(frame);
        if state.pending_bytes >= self.inner.config.tables_bytes {
            self.inner.came.notify_one();
        }
        Ok(())
    }

    fn log(&self) -> Result<Vec<LogRow>, StoreFault> {
        self.inner.flush()?;
        self.inner.with_tables(tables::log)
    }

    fn trim(&self, upto: u64) -> Result<(), StoreFault> {
        self.inner.flush()?;
        self.inner.with_tables(|db| tables::trim(db, upto))
    }

    fn drop_tenant(&self, tenant: TenantId, max: usize) -> Result<Remaining, StoreFault> {
        self.inner.flush()?;
        self.inner.with_tables(|db| tables::drop_tenant(db, tenant, max))
    }

    /// The journal says what is durable, and is tried again as it is.
    fn reopen(&self) -> Result<Position, StoreFault> {
        self.position()
    }

    fn close(&self) {
        self.inner.state.lock().closing = true;
        self.inner.came.notify_all();
        if let Some(applier) = self.applier.lock().take() {
            // What it could not bring into the tables is in the journal.
            let _ = applier.join();
        }
        self.inner.close();
    }

    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.inner.path).map(|file| file.len()).unwrap_or_default()
    }
}

#[cfg(test)]
impl RedbStore {
    /// Lets a test change the tables.
    pub(super) fn tamper(&self, work: impl FnOnce(&Database)) {
        self.inner.flush().unwrap();
        let change = |db: &Database| {
            work(db);
            Ok(())
        };
        self.inner.with_tables(change).unwrap();
    }
}
