//! Between journal and tables: which frames the tables lack, and the thread that brings them there.

use std::collections::HashSet;
use std::io::ErrorKind::{QuotaExceeded, StorageFull};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};
use redb::Database;

use super::super::backend::StoreFault;
use super::super::config::StoreConfig;
use super::Opener;
use super::journal::{Frame, Journal};
use super::tables::{self, Trouble};
use crate::tenant::TenantId;

/// How often tables that have no room are tried again.
const RETRY: Duration = Duration::from_millis(250);

/// What is durable and what of it the tables lack.
pub(super) struct State {
    pub journal: Journal,
    /// Frames of the active half of the journal.
    pub pending: Vec<Frame>,
    pub pending_bytes: usize,
    pub since: Instant,
    /// Frames of the other half, on their way into the tables.
    pub frozen: Arc<Vec<Frame>>,
    /// Tenants of which the tables lack something.
    pub touched: HashSet<TenantId>,
    /// The last frame and how far the shard is with it.
    pub number: u64,
    pub seq: u64,
    pub closing: bool,
    /// The tables could not take frames in.
    pub fault: Option<StoreFault>,
}

pub(super) struct Inner {
    pub opener: Opener,
    pub path: PathBuf,
    pub config: StoreConfig,
    pub epoch: u64,
    /// `None` while they could not be opened anew.
    pub tables: RwLock<Option<Database>>,
    pub state: Mutex<State>,
    /// Frames came, or the store closes.
    pub came: Condvar,
    /// Frames are in the tables.
    pub applied: Condvar,
    /// One at a time brings frames into the tables.
    pub applying: Mutex<()>,
    /// The tables are not opened again.
    pub closed: AtomicBool,
}

impl Inner {
    /// Brings frames into the tables when there are enough of them or they have waited enough.
    pub fn run(&self) {
        let _end = Ending(self);
        loop {
            let mut state = self.state.lock();
            let failed = state.fault.is_some();
            let due = state.since + self.config.tables_after;
            if state.closing {
                break;
            } else if failed || !state.frozen.is_empty() {
                self.came.wait_for(&mut state, RETRY);
            } else if state.pending.is_empty() {
                self.came.wait(&mut state);
                continue;
            } else if state.pending_bytes < self.config.tables_bytes && Instant::now() < due {
                self.came.wait_until(&mut state, due);
                continue;
            }
            drop(state);
            // What went wrong is told to the next who writes.
            let _ = self.step();
        }
        let _ = self.flush();
    }

    /// Brings the frozen frames into the tables, or freezes the pending ones and brings these.
    fn step(&self) -> Result<(), StoreFault> {
        let _one = self.applying.lock();
        let frames = {
            let mut state = self.state.lock();
            if let Some(failed @ StoreFault::Failed(_)) = &state.fault {
                return Err(failed.clone());
            }
            if state.frozen.is_empty() {
                if state.pending.is_empty() {
                    return Ok(());
                }
                state.frozen = Arc::new(std::mem::take(&mut state.pending));
                state.pending_bytes = 0;
                state.journal.turn();
            }
            state.frozen.clone()
        };
        // Taking a frame in twice does no harm, should a full disk leave it open whether it is in.
        let outcome = self.with_tables(|db| tables::apply(db, &frames));
        let mut state = self.state.lock();
        if outcome.is_ok() {
            state.frozen = Arc::default();
            if state.pending.is_empty() {
                state.touched.clear();
            }
        }
        state.fault = outcome.clone().err();
        self.applied.notify_all();
        outcome
    }

    /// Until the tables have everything.
    pub fn flush(&self) -> Result<(), StoreFault> {
        loop {
            let state = self.state.lock();
            if state.pending.is_empty() && state.frozen.is_empty() {
                return Ok(());
            }
            drop(state);
            self.step()?;
        }
    }

    fn open_again(&self) -> Result<(), StoreFault> {
        let mut tables = self.tables.write();
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        if tables.is_none() {
            *tables = Some((self.opener)().map_err(|error| fault(error.into()))?);
        }
        Ok(())
    }

    /// Gives the tables' file back for good.
    pub fn close(&self) {
        let mut tables = self.tables.write();
        self.closed.store(true, Ordering::Release);
        *tables = None;
    }

    pub fn with_tables<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, Trouble>,
    ) -> Result<T, StoreFault> {
        let outcome = {
            let mut tables = self.tables.read();
            if tables.is_none() {
                drop(tables);
                self.open_again()?;
                tables = self.tables.read();
            }
            work(tables.as_ref().ok_or(StoreFault::Full)?).map_err(fault)
        };
        if outcome.as_ref().err() == Some(&StoreFault::Full) {
            // It refuses everything until it is opened anew.
            *self.tables.write() = None;
        }
        outcome
    }
}

/// Nobody waits for an applier that is gone.
struct Ending<'a>(&'a Inner);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state.lock().fault = Some(StoreFault::Failed("the tables' thread stopped".to_owned()));
            self.0.applied.notify_all();
        }
    }
}

pub(super) fn closed() -> StoreFault {
    StoreFault::Failed("the store is closed".to_owned())
}

pub(super) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

fn fault(trouble: Trouble) -> StoreFault {
    match trouble {
        Trouble::Redb(redb::Error::Io(error)) if is_full(&error) => StoreFault::Full,
        Trouble::Redb(error) => StoreFault::Failed(error.to_string()),
        Trouble::Corrupt(tenant, detail) => StoreFault::Corrupt { tenant, detail },
        Trouble::Frame => StoreFault::Failed("a frame of the journal cannot be read".to_owned()),
    }
}
