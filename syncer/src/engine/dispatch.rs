//! Work is taken from a host's queue as its window allows (EN19): no fixed number of workers.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use skerry_kit::error::chain;

use super::{
    Engine,
    cache::Side,
    carry::{self, Pass, StepError},
    namespaces, pods,
    queue::{Item, Outcome, What},
    state::{Host, Tenant},
    upward,
};
use crate::{kind::Kind, wire::WireError};

/// Most characters of a failure that are kept.
const LONGEST: usize = 300;

/// Runs the work of one host until it is stopped.
pub(super) async fn run(engine: Arc<Engine>, host: Arc<Host>) {
    loop {
        let size = host.window.lock().size();
        if host.inflight.load(Ordering::Acquire) < size
            && let Some(item) = host.queue.next((size / 4).max(4))
        {
            host.inflight.fetch_add(1, Ordering::AcqRel);
            let (engine, host) = (engine.clone(), host.clone());
            engine.clone().tasks.spawn(async move { work(engine, host, item).await });
            continue;
        }
        let due = host.queue.next_due().unwrap_or_else(|| Instant::now() + Duration::from_secs(60));
        tokio::select! {
            () = host.stop.cancelled() => return,
            () = host.queue.wake.notified() => {}
            () = tokio::time::sleep_until(due.into()) => {}
        }
    }
}

async fn work(engine: Arc<Engine>, host: Arc<Host>, item: Item) {
    let tenant = engine.tenants.read().get(&item.tenant).cloned();
    let since = host.queue.since(&item);
    let mut cost = 1;
    let outcome = match tenant.filter(|t| Arc::ptr_eq(&t.host, &host)) {
        None => Outcome::Done,
        Some(tenant) if !tenant.writable() => paused(&engine, &host, tenant, &item).await,
        Some(tenant) => {
            let stop = tenant.stop.clone();
            let pass = Pass::new(engine.clone(), tenant);
            let result = tokio::select! {
                () = stop.cancelled() => Ok(None),
                result = one(&pass, &item.what) => result,
            };
            if let (What::Object(key), Some(since), Ok(_)) = (&item.what, since, &result) {
                for side in Side::ALL.into_iter().filter(|side| pass.has_written(*side)) {
                    engine.timings.passed(key.kind, since.elapsed(), side);
                }
            }
            cost = pass.cost.total().max(1);
            pass.tenant.moved.store(true, Ordering::Release);
            tracing::trace!(tenant = &*pass.tenant.id, what = ?item.what, cost, result = ?result, "looked at");
            settle(&pass.tenant, &host, &item, result)
        }
    };
    host.inflight.fetch_sub(1, Ordering::AcqRel);
    host.queue.done(&item, cost, outcome);
}

/// While nothing is written for a tenant, the tokens of its pods are still renewed if it is paused (EN29).
async fn paused(engine: &Arc<Engine>, host: &Host, tenant: Arc<Tenant>, item: &Item) -> Outcome {
    match &item.what {
        What::Object(key) if key.kind == Kind::Pod && tenant.renews() => {
            let pass = Pass::new(engine.clone(), tenant);
            let result = pods::renew(&pass, key).await;
            settle(&pass.tenant, host, item, result)
        }
        _ => Outcome::Done,
    }
}

async fn one(pass: &Pass, what: &What) -> Result<Option<Duration>, StepError> {
    match what {
        What::Object(key) => carry::object(pass, key).await,
        What::Namespace(name) => namespaces::namespace(pass, name).await,
        What::Leftover(name) => namespaces::leftover(pass, name).await,
        What::Node(name) => upward::node(pass, name).await,
        What::Class(name) => upward::class(pass, name).await,
    }
}

fn settle(tenant: &Tenant, host: &Host, item: &Item, result: Result<Option<Duration>, StepError>) -> Outcome {
    match result {
        Ok(delay) => {
            host.window.lock().grow();
            delay.map_or(Outcome::Done, Outcome::After)
        }
        Err(StepError::Host(error)) => {
            if error.pushback() {
                host.window.lock().shrink();
            }
            host.heard(!error.unreachable());
            failed(error, item, "host")
        }
        Err(StepError::Tenant(error)) => {
            tenant.heard(!error.unreachable());
            failed(error, item, "tenant")
        }
    }
}

fn failed(error: WireError, item: &Item, side: &str) -> Outcome {
    tracing::debug!(tenant = &*item.tenant, side, category = error.category(), %error, "to be tried again");
    let at_least = match error {
        WireError::Status { retry_after: Some(seconds), .. } => Duration::from_secs(seconds),
        _ => Duration::ZERO,
    };
    let is_secret = matches!(&item.what, What::Object(key) if key.kind == Kind::Secret);
    let error = if is_secret { error.without_message() } else { error };
    let why: String = format!("{side}: {}", chain(&error)).chars().take(LONGEST).collect();
    Outcome::Failed { at_least, why: why.into() }
}
