//! A shard: one backend, one writer thread, the tenants it holds (K6).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::{broadcast, oneshot};

use super::backend::{HeadRow, Remaining, Store};
use super::clock::millis;
use super::config::StoreConfig;
use super::cursor::CursorEnd;
use super::event::Change;
use super::feed::Feed;
use super::intent::CommitError;
use super::plan::Prepared;
use super::queue::{Queue, Sizes};
use super::tenant::TenantState;
use super::touch::Touch;
use crate::model::gvk::ResourceId;
use crate::tenant::TenantId;

/// How a shard is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Served.
    Ready,
    /// Reads are served, writes answer 503 until there is room again.
    Full,
    /// Nothing may be answered from it until the process is restarted; with the reason.
    Failed(String),
}

/// What the writer is asked beside intents.
pub(super) enum Control {
    /// Puts the record of a tenant; `created` when it is a new one.
    Head { row: HeadRow, created: bool, reply: oneshot::Sender<Result<(), CommitError>> },
    /// Removes some objects of a tenant that is gone.
    Drop { tenant: TenantId, max: usize, reply: oneshot::Sender<Result<Remaining, CommitError>> },
}

/// A tenant that the shard holds.
pub(super) struct Held {
    pub row: HeadRow,
    /// RV of the last write of each resource when the process started.
    pub last: Vec<(ResourceId, u64)>,
    /// The tenant in memory, once it was opened.
    pub state: Option<Arc<TenantState>>,
    /// Changes of the log window, for the tenant's history when it is opened.
    pub replayed: Vec<Replayed>,
    /// A stored value of it is damaged.
    pub failed: Option<String>,
}

/// A change brought back by a restart.
pub(super) struct Replayed {
    pub change: Change,
    /// RV of the write to the resource before it.
    pub before: u64,
}

#[derive(Default)]
struct Inbox {
    queue: Queue,
    controls: Vec<Control>,
    closing: bool,
}

/// What the writer works on next.
pub(super) enum Turn {
    Work(Vec<Control>, Vec<Prepared>),
    /// Nothing came for a while.
    Sweep,
    Close,
}

/// How long the writer lets a batch fill. Those who were answered a moment ago come again together: without
/// this, the first of them would start a sync alone and the others would wait for it.
#[derive(Clone, Copy, Default)]
pub(super) struct Gather {
    /// Intents that make waiting longer pointless: those of the last batch.
    pub want: usize,
    /// A part of what a sync takes.
    pub at_most: Duration,
}

pub(super) struct Shard {
    pub number: usize,
    pub epoch: u64,
    pub store: Box<dyn Store>,
    pub config: StoreConfig,
    pub tenants: RwLock<HashMap<TenantId, Held>>,
    pub feed: RwLock<Feed>,
    pub touches: broadcast::Sender<Touch>,
    /// Tenants are opened, and their records changed, one after the other.
    pub opening: tokio::sync::Mutex<()>,
    inbox: Mutex<Inbox>,
    arrived: Condvar,
    health: ArcSwap<Health>,
}

impl Shard {
    pub fn new(
        number: usize,
        epoch: u64,
        store: Box<dyn Store>,
        config: StoreConfig,
        feed: Feed,
        touches: broadcast::Sender<Touch>,
    ) -> Self {
        Self {
            number,
            epoch,
            store,
            config,
            tenants: RwLock::default(),
            feed: RwLock::new(feed),
            touches,
            opening: tokio::sync::Mutex::default(),
            inbox: Mutex::default(),
            arrived: Condvar::new(),
            health: ArcSwap::from_pointee(Health::Ready),
        }
    }

    pub fn health(&self) -> Health {
        Health::clone(&self.health.load())
    }

    pub fn set_health(&self, health: Health) {
        if **self.health.load() != health {
            tracing::warn!(shard = self.number, ?health, "the shard's state changed");
            self.health.store(Arc::new(health));
        }
    }

    /// Nothing is answered from it any more: writes are refused and cursors end (K13).
    pub fn fail(&self, reason: &str) {
        self.set_health(Health::Failed(reason.to_owned()));
        let states: Vec<_> = self.tenants.read().values().filter_map(|held| held.state.clone()).collect();
        states.iter().for_each(|state| state.end(CursorEnd::Failed));
        for wake in self.feed.read().wakes() {
            wake.send_replace(0);
        }
    }

    /// The time until which history is forgotten.
    pub fn oldest(&self) -> u64 {
        self.config.clock.now().saturating_sub(millis(self.config.max_age))
    }

    fn sizes(&self) -> Sizes {
        let c = &self.config;
        Sizes {
            max_writes: c.max_writes,
            max_bytes: c.max_bytes,
            max_per_tenant: c.max_per_tenant,
            tenant_queue: c.tenant_queue,
            shard_queue: c.shard_queue,
        }
    }

    /// Hands an intent to the writer.
    pub fn submit(&self, intent: Prepared) -> Result<(), CommitError> {
        let mut inbox = self.inbox.lock();
        self.may_write(&inbox)?;
        inbox.queue.push(intent, &self.sizes())?;
        drop(inbox);
        self.arrived.notify_one();
        Ok(())
    }

    /// Hands something else to the writer.
    pub fn control(&self, control: Control) -> Result<(), CommitError> {
        let mut inbox = self.inbox.lock();
        self.may_write(&inbox)?;
        if inbox.controls.len() >= self.config.shard_queue {
            return Err(CommitError::Busy);
        }
        inbox.controls.push(control);
        drop(inbox);
        self.arrived.notify_one();
        Ok(())
    }

    fn may_write(&self, inbox: &Inbox) -> Result<(), CommitError> {
        if let Health::Failed(reason) = self.health() {
            return Err(CommitError::Failed(reason));
        }
        if inbox.closing {
            return Err(CommitError::Failed("the store is closed".to_owned()));
        }
        Ok(())
    }

    /// Waits for work. What gathered while the last batch was written is one batch (K6).
    pub fn next_turn(&self, patience: Option<Duration>, gather: Gather) -> Turn {
        let mut inbox = self.inbox.lock();
        while inbox.queue.is_empty() && inbox.controls.is_empty() {
            if inbox.closing {
                return Turn::Close;
            }
            match patience {
                None => self.arrived.wait(&mut inbox),
                Some(patience) if self.arrived.wait_for(&mut inbox, patience).timed_out() => {
                    return Turn::Sweep;
                }
                Some(_) => {}
            }
        }
        let until = Instant::now() + self.config.linger.max(gather.at_most);
        let want = if self.config.linger.is_zero() { gather.want } else { self.config.max_writes };
        while inbox.queue.len() < want && !inbox.closing {
            if self.arrived.wait_until(&mut inbox, until).timed_out() {
                break;
            }
        }
        let controls = std::mem::take(&mut inbox.controls);
        Turn::Work(controls, inbox.queue.take(&self.sizes()))
    }

    /// No more work is taken; what waits is still written.
    pub fn close(&self) {
        self.inbox.lock().closing = true;
        self.arrived.notify_all();
    }

    /// The writer is gone: whoever waits is told by the end of its channel.
    pub fn abandon(&self) {
        let mut inbox = self.inbox.lock();
        *inbox = Inbox { closing: true, ..Inbox::default() };
    }

    pub fn state(&self, tenant: TenantId) -> Option<Arc<TenantState>> {
        self.tenants.read().get(&tenant).and_then(|held| held.state.clone())
    }
}
