//! The dispatcher of one controller kind: notices in, passes out, for all tenants.

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::queue::{Item, Queue};
use super::{Controller, Ctx, Failed, Next, View};
use crate::bus::Local;
use crate::listen::Server;
use crate::store::{Notice, Touch, Touches};
use crate::tenant::{Tenant, TenantId};

/// Passes of one controller that run at a time.
const IN_FLIGHT: usize = 16;

/// A running controller kind.
pub struct Dispatcher {
    server: Arc<Server>,
    controller: Arc<dyn Controller>,
    touches: Touches,
    queue: Queue,
    passes: JoinSet<(Item, Result<Next, Failed>)>,
}

/// Starts every controller; they end with the token.
pub fn start(server: &Arc<Server>, stop: &CancellationToken) -> JoinSet<()> {
    let mut all = JoinSet::new();
    for controller in super::all() {
        let dispatcher = Dispatcher::new(server.clone(), controller);
        let stop = stop.clone();
        all.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = dispatcher.run() => {}
            }
        });
    }
    all
}

impl Dispatcher {
    fn new(server: Arc<Server>, controller: Arc<dyn Controller>) -> Self {
        let touches = server.db().touches();
        Self { server, controller, touches, queue: Queue::default(), passes: JoinSet::new() }
    }

    async fn run(mut self) {
        self.rescan();
        loop {
            let due = self.queue.wake();
            self.begin();
            tokio::select! {
                notice = self.touches.next() => match notice {
                    Some(Notice::Touched(touch)) => self.touched(&touch),
                    Some(Notice::Overflow(_)) => self.rescan(),
                    None => return,
                },
                Some(done) = self.passes.join_next() => self.ended(done),
                () = sleep_until(due) => {}
            }
        }
    }

    /// Queues everything of every tenant in memory: after a start, and when notices were lost.
    fn rescan(&mut self) {
        for tenant in self.server.tenants().loaded() {
            let view = View::new(tenant.clone());
            for key in self.controller.all(&view) {
                self.queue.push((tenant.id, key));
            }
        }
    }

    fn touched(&mut self, touch: &Touch) {
        let watches = self.controller.watches();
        if !watches.is_empty() && !watches.contains(&&*touch.resource) {
            return;
        }
        let Some(tenant) = self.tenant(touch.tenant) else {
            self.queue.drop_tenant(touch.tenant);
            return;
        };
        let view = View::new(tenant);
        for key in self.controller.keys(&view, &touch.resource, &touch.change) {
            self.queue.push((touch.tenant, key));
        }
    }

    fn tenant(&self, id: TenantId) -> Option<Arc<Tenant>> {
        self.server.tenants().get(id)
    }

    fn begin(&mut self) {
        while self.passes.len() < IN_FLIGHT {
            let Some(item) = self.queue.pop() else { return };
            let Some(tenant) = self.tenant(item.0) else {
                self.queue.done(&item, None);
                self.queue.drop_tenant(item.0);
                continue;
            };
            let controller = self.controller.clone();
            let name = controller.name();
            let api = Local::new(self.server.clone(), tenant.clone(), controller.identity(), name);
            self.passes.spawn(async move {
                let ctx = Ctx { view: View::new(tenant), api };
                let result = controller.reconcile(ctx, item.1.clone()).await;
                (item, result)
            });
        }
    }

    fn ended(&mut self, done: Result<(Item, Result<Next, Failed>), tokio::task::JoinError>) {
        match done {
            Ok((item, Ok(Next::Done))) => self.queue.done(&item, None),
            Ok((item, Ok(Next::After(after)))) => self.queue.done(&item, Some(after)),
            Ok((item, Err(failed))) => {
                let (tenant, name) = &item;
                tracing::debug!(controller = self.controller.name(), %tenant, key = %name, error = %failed, "pass failed");
                self.queue.failed(&item);
            }
            Err(panicked) => {
                tracing::error!(controller = self.controller.name(), error = %panicked, "pass died")
            }
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
