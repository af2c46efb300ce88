//! Tenants and hosts as they come and go: lists on both sides, then open (EN24).

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{
    Engine, dispatch,
    dns::shown,
    hosts,
    observe::{HostSink, TenantSink},
    queue::{Lane, What},
    sources,
    state::{Host, Tenant},
};
use crate::{
    directory::{HostEntry, Reach, TenantEntry},
    kind::Kind,
    object::{HostObj, TenantObj},
    wire::WireError,
};

/// How long a host's nodes and classes are waited for: one that does not let them be listed is used all the same.
const LISTED: Duration = Duration::from_secs(10);

impl Engine {
    /// Takes the whole list of hosts.
    pub(crate) fn take_hosts(self: &Arc<Self>, list: &[HostEntry], stop: &CancellationToken) {
        let names: HashSet<&str> = list.iter().map(|h| &*h.name).collect();
        let mut hosts = self.hosts.write();
        hosts.retain(|name, host| {
            let keep = names.contains(&**name);
            if !keep {
                host.stop.cancel();
            }
            keep
        });
        for entry in list {
            if hosts.contains_key(&entry.name) {
                continue;
            }
            let (image, timings) = (self.image.clone(), self.timings.clone());
            let host = Arc::new(Host::new(entry.clone(), image, timings, stop.child_token()));
            hosts.insert(entry.name.clone(), host.clone());
            self.tasks.spawn(hosts::run(self.clone(), host.clone()));
            self.tasks.spawn(dispatch::run(self.clone(), host));
        }
    }

    /// Takes the whole list of tenants.
    pub(crate) fn take_tenants(self: &Arc<Self>, list: &[Arc<TenantEntry>], stop: &CancellationToken) {
        let wanted: HashMap<&str, &Arc<TenantEntry>> = list.iter().map(|t| (&*t.id, t)).collect();
        let gone: Vec<Arc<Tenant>> = {
            let tenants = self.tenants.read();
            let moved = |t: &Tenant| wanted.get(&*t.id).is_none_or(|e| e.host != t.host.entry.name);
            tenants.values().filter(|t| moved(t)).cloned().collect()
        };
        for tenant in gone {
            tenant.stop.cancel();
            tenant.host.queue.forget(&tenant.id);
            self.cache.lock().forget(&tenant.id);
            if let Some(servers) = &self.dns {
                servers.close(&tenant.id);
            }
            self.tenants.write().remove(&tenant.id);
        }
        for entry in list {
            let known = self.tenants.read().get(&entry.id).cloned();
            if let Some(tenant) = known {
                if Arc::ptr_eq(&tenant.entry(), entry) {
                    continue;
                }
                let confirmed = entry.owner.confirm_delete;
                let released = confirmed.is_some() && confirmed != tenant.entry().owner.confirm_delete;
                let changed = tenant.update(entry.clone());
                let before = tenant.replaced.load(Ordering::Acquire);
                self.check_identity(&tenant);
                let accepted = before && !tenant.replaced.load(Ordering::Acquire);
                if changed || released || accepted {
                    self.queue_all(&tenant);
                }
                tenant.host.queue.weight(&tenant.id, entry.effective.settings.weight);
                continue;
            }
            let Some(host) = self.hosts.read().get(&entry.host).cloned() else { continue };
            host.queue.weight(&entry.id, entry.effective.settings.weight);
            let tenant = Arc::new(Tenant::new(entry.clone(), host, stop.child_token()));
            self.tenants.write().insert(entry.id.clone(), tenant.clone());
            self.tasks.spawn(open(self.clone(), tenant));
        }
    }

    /// Whether a tenant that is not served may be so in a moment: it is listed, or no list is there yet.
    pub(crate) fn awaits(&self, tenant: &str) -> bool {
        self.listed.read().as_ref().is_none_or(|listed| listed.contains(tenant))
    }

    /// Queues everything of a tenant.
    pub(crate) fn queue_all(&self, tenant: &Tenant) {
        let (keys, namespaces, nodes): (Vec<_>, Vec<_>, Vec<_>) = {
            let mut model = tenant.model.lock();
            let kinds: Vec<Kind> = model.complete.iter().copied().collect();
            let confirmed = tenant.entry().owner.confirm_delete;
            for kind in kinds {
                model.guard(kind, confirmed);
            }
            (
                model.entries.keys().filter(|k| Kind::CARRIED.contains(&k.kind)).cloned().collect(),
                model.namespaces.keys().cloned().collect(),
                model.nodes.keys().cloned().collect(),
            )
        };
        for key in keys.into_iter().chain([shown::key()]) {
            tenant.queue_key(key, Lane::Change);
        }
        for name in namespaces {
            tenant.queue(What::Namespace(name), Lane::Change);
        }
        for name in nodes {
            tenant.queue(What::Node(name), Lane::Change);
        }
        let classes: Vec<Arc<str>> = tenant.host.classes.read().keys().cloned().collect();
        for name in classes {
            tenant.queue(What::Class(name), Lane::Change);
        }
    }
}

/// Opens a tenant: lists on both sides, then its reconciles may run. Watches that keep it current run besides.
async fn open(engine: Arc<Engine>, tenant: Arc<Tenant>) {
    let entry = tenant.entry();
    if entry.reach == Reach::Own {
        for kind in Kind::TENANT {
            let sink = TenantSink { engine: engine.clone(), tenant: tenant.clone(), kind };
            let (wire, stop) = (tenant.wire(), tenant.stop.clone());
            engine.tasks.spawn(async move {
                sources::follow(wire, kind, String::new(), false, &sink, stop).await;
            });
        }
    } else {
        engine.wait_live(&tenant.stop).await;
    }
    let mut failures = 0_u32;
    loop {
        let result = tokio::select! {
            () = tenant.stop.cancelled() => return,
            result = list_both(&engine, &tenant) => result,
        };
        match result {
            Ok(()) => break,
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::debug!(tenant = &*tenant.id, category = error.category(), "tenant not listed yet");
                let delay = Duration::from_secs((1_u64 << failures.min(6)).min(60));
                tokio::select! {
                    () = tenant.stop.cancelled() => return,
                    () = tokio::time::sleep(delay) => {}
                }
            }
        }
    }
    tenant.open.store(true, Ordering::Release);
    engine.queue_all(&tenant);
    engine.stirred.notify_one();
}

/// Lists a tenant's kinds, then its objects on the host.
async fn list_both(engine: &Arc<Engine>, tenant: &Arc<Tenant>) -> Result<(), WireError> {
    for kind in Kind::TENANT {
        list_tenant(engine, tenant, kind).await?;
    }
    engine.check_identity(tenant);
    while !tenant.host.ready.load(Ordering::Acquire) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What tenants' objects are judged by comes first: a class that is not listed yet is not one that is not shared.
    let judged_by =
        || [Kind::Node, Kind::StorageClass].iter().all(|k| tenant.host.complete.lock().contains(k));
    let until = tokio::time::Instant::now() + LISTED;
    while !judged_by() && tokio::time::Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    list_host(engine, tenant).await
}

/// Lists one kind of a tenant.
pub(super) async fn list_tenant(
    engine: &Arc<Engine>,
    tenant: &Arc<Tenant>,
    kind: Kind,
) -> Result<(), WireError> {
    let wire = tenant.wire();
    let mut all = HashSet::new();
    // As of before the question: what a watch tells meanwhile may be newer than the list.
    let newest = tenant.model.lock().newest.get(&kind).copied().unwrap_or_default();
    let begins = |version: u64| {
        let mut model = tenant.model.lock();
        if version < newest {
            model.rewind_tenant(kind);
        }
        let known = model.newest.entry(kind).or_default();
        *known = version.max(*known);
    };
    let each = |item: serde_json::Value| {
        let object = TenantObj(item);
        all.insert(super::observe::name_of(&object.0));
        engine.tenant_seen(tenant, kind, object);
    };
    let result = sources::list_from(&wire, kind, "", begins, each).await;
    match result {
        Ok(version) => {
            tenant.heard(true);
            engine.tenant_listed(tenant, kind, &all, version);
            Ok(())
        }
        Err(error) if error.unserved(kind) => {
            engine.tenant_listed(tenant, kind, &all, u64::MAX);
            Ok(())
        }
        Err(error) => {
            if error.unreachable() {
                tenant.heard(false);
            }
            Err(error)
        }
    }
}

/// Lists what lies on the host for a tenant, and finds host namespaces that are left over.
pub(super) async fn list_host(engine: &Arc<Engine>, tenant: &Arc<Tenant>) -> Result<(), WireError> {
    let selector = tenant.entry().selector();
    let mapping = tenant.entry().mapping();
    let mut spaces = Vec::new();
    sources::list(&tenant.host.wire, Kind::Namespace, &selector, |item| spaces.push(HostObj(item))).await?;
    engine.host_namespaces(tenant, &mapping, &spaces);
    for kind in Kind::CARRIED.into_iter().filter(|kind| kind.host_watched()) {
        let sink = HostSink { engine: engine.clone(), host: tenant.host.clone(), kind };
        let result = sources::list(&tenant.host.wire, kind, &selector, |item| sink.object(item, false)).await;
        match result {
            Ok(_) => {}
            Err(error) if error.unserved(kind) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
