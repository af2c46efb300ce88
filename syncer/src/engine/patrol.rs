//! Patrol (EN22, EN23): every object is looked at from memory; what differs is queued again and counted.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use skerry_kit::error::chain;
use tokio_util::sync::CancellationToken;

use super::{
    Engine,
    carry::{Pass, StepError},
    deep, drain,
    model::{Entry, Key},
    namespaces,
    queue::{Lane, What},
    state::Tenant,
    upward,
};
use crate::{facts::NamespaceFact, kind::Kind};

/// Runs patrols, deep walks and drains until stopped.
pub(super) async fn run(engine: Arc<Engine>, stop: CancellationToken) {
    let mut walked = Instant::now();
    let mut deep = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(drain::PERIOD.min(engine.periods.patrol)) => {}
        }
        let all: Vec<Arc<Tenant>> = engine.tenants.read().values().cloned().collect();
        for tenant in all.iter().filter(|t| t.entry().owner.draining && !drain::drained(t)) {
            if !tenant.host.ready.load(Ordering::Acquire) {
                continue;
            }
            if let Err(error) = drain::pass(&engine, tenant).await {
                tracing::debug!(tenant = &*tenant.id, category = error.category(), "drain goes on later");
            }
        }
        // Never later than it says: repairs are promised within that time (PF10).
        let period = engine.periods.patrol.mul_f64(rand::random_range(0.85..0.95));
        if walked.elapsed() >= period {
            walked = Instant::now();
            let thorough = deep.elapsed() >= engine.periods.deep;
            if thorough {
                deep = Instant::now();
            }
            for tenant in all.iter().filter(|t| t.writable()) {
                patrol(&engine, tenant, thorough).await;
            }
        }
    }
}

/// A host that has not answered for so long: its nodes are Unknown (NO4).
const UNREACHABLE: Duration = Duration::from_secs(60);

/// What a patrol may find; a difference of the first four is written at once.
pub const CLASSES: [&str; 6] =
    ["missing_on_host", "extra_on_host", "spec", "status", "foreign", "stale_cache"];

/// What patrols of a tenant have found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// When the last one ended.
    pub last: Option<Instant>,
    /// How many of each class.
    pub classes: BTreeMap<&'static str, u64>,
}

impl Engine {
    /// Counts a difference.
    pub(super) fn mismatch(&self, tenant: &Tenant, class: &'static str) {
        self.counts.add("patrol_mismatch_total", class);
        *tenant.found.lock().classes.entry(class).or_default() += 1;
    }
}

/// Both walks of one tenant at once, and what was found meanwhile, by class. What a watch has lost is waited for as long
/// as by the walk that comes by itself.
pub(super) async fn now(
    engine: &Arc<Engine>,
    tenant: &Arc<Tenant>,
) -> Result<BTreeMap<&'static str, u64>, StepError> {
    let before = tenant.found.lock().classes.clone();
    from_memory(engine, tenant).await;
    let behind = deep::walk(engine, tenant).await?;
    renew(tenant);
    deep::mend(engine, tenant, behind).await;
    let after = tenant.found.lock().classes.clone();
    let count = |counts: &BTreeMap<_, u64>, class| counts.get(class).copied().unwrap_or_default();
    Ok(CLASSES.into_iter().map(|class| (class, count(&after, class) - count(&before, class))).collect())
}

/// One patrol of one tenant.
async fn patrol(engine: &Arc<Engine>, tenant: &Arc<Tenant>, thorough: bool) {
    if thorough {
        match deep::walk(engine, tenant).await {
            Ok(behind) => {
                let (engine, tenant) = (engine.clone(), tenant.clone());
                engine.tasks.clone().spawn(async move { deep::mend(&engine, &tenant, behind).await });
            }
            Err(error) => {
                tracing::debug!(tenant = &*tenant.id, error = %chain(&error), "deep walk goes on later");
            }
        }
        renew(tenant);
    }
    from_memory(engine, tenant).await;
}

/// The isolation sets of a tenant are compared anew (EN28).
fn renew(tenant: &Tenant) {
    tenant.model.lock().prepared.clear();
    let names: Vec<Arc<str>> = tenant.model.lock().namespaces.keys().cloned().collect();
    for name in names {
        tenant.queue(What::Namespace(name), Lane::Patrol);
    }
}

/// The walk from memory (EN22).
async fn from_memory(engine: &Arc<Engine>, tenant: &Arc<Tenant>) {
    let pass = Pass::new(engine.clone(), tenant.clone());
    if tenant.silent.lock().is_some() {
        let answer = pass.wire.find(&Kind::Namespace.path("", "kube-system")).await;
        tenant.heard(!answer.is_err_and(|error| error.unreachable()));
    }
    let spaces: Vec<Arc<str>> = {
        let model = tenant.model.lock();
        // Before its isolation set lies there, the syncer has no rights in a namespace.
        let is_ready = |(name, fact): &(&Arc<str>, &NamespaceFact)| {
            fact.host_uid.is_some() && model.prepared.contains(*name)
        };
        model.namespaces.iter().filter(is_ready).map(|(name, _)| name.clone()).collect()
    };
    for name in spaces {
        let Some(host) = pass.facts.host_namespace(&name) else { continue };
        if let Err(error) = namespaces::data_versions(&pass, &name, &host).await {
            tracing::debug!(tenant = &*tenant.id, error = %error, "data not compared");
        }
    }
    if tenant.host.silence() > UNREACHABLE {
        upward::unreachable_nodes(&pass).await;
        return;
    }
    for what in namespaces::empty_spaces(&pass) {
        tenant.queue(what, Lane::Patrol);
    }
    let found: Vec<(Key, &'static str)> = {
        let model = tenant.model.lock();
        let epoch = model.epoch;
        model
            .entries
            .iter()
            .filter(|(key, _)| Kind::CARRIED.contains(&key.kind))
            .filter_map(|(key, entry)| Some((key.clone(), mismatch(entry, epoch)?)))
            .collect()
    };
    for (key, class) in found {
        engine.mismatch(tenant, class);
        tenant.queue_key(key, Lane::Patrol);
    }
    tenant.found.lock().last = Some(Instant::now());
}

/// What differs by memory alone; a refused object waits for its own time.
fn mismatch(entry: &Entry, epoch: u64) -> Option<&'static str> {
    if entry.refusal.is_some() {
        return None;
    }
    let version = |seen: &Option<super::model::Seen>| seen.as_ref().map_or(0, |s| s.version);
    if entry.settled == Some((version(&entry.tenant), version(&entry.host), epoch)) {
        return None;
    }
    Some(match (&entry.tenant, &entry.host) {
        (Some(_), None) => "missing_on_host",
        (None, Some(_)) => "extra_on_host",
        (None, None) => return None,
        (Some(_), Some(_)) => "spec",
    })
}
