//! The deep walk (EN23): both sides are listed in pages and compared with memory. What a watch has lost is found here,
//! and counted: a watched kind whose count grows is a fault.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{
    Engine,
    carry::StepError,
    model::{Gone, Key},
    observe::name_of,
    queue::Lane,
    sources,
    state::Tenant,
};
use crate::{
    kind::Kind,
    object::{Fields, HostObj, TenantObj},
    wire::WireError,
};

/// What a watch has not told after so long it will not tell any more (EN17).
const TOLD: Duration = Duration::from_secs(5);

/// Where memory differs from a list.
#[derive(Default)]
pub(super) struct Behind {
    of_tenant: Vec<(Kind, TenantObj)>,
    of_host: Vec<(Kind, Key, HostObj)>,
    /// Keys whose tenant object is in memory alone, and the list's version.
    gone_in_tenant: Vec<(Key, u64)>,
    /// Keys whose host object is in memory alone: its UID and the version that is known.
    gone_on_host: Vec<(Key, Arc<str>, u64)>,
}

impl Behind {
    fn is_empty(&self) -> bool {
        let Self { of_tenant, of_host, gone_in_tenant, gone_on_host } = self;
        of_tenant.is_empty() && of_host.is_empty() && gone_in_tenant.is_empty() && gone_on_host.is_empty()
    }
}

/// Walks one tenant.
pub(super) async fn walk(engine: &Arc<Engine>, tenant: &Arc<Tenant>) -> Result<Behind, StepError> {
    let mut behind = Behind::default();
    for kind in Kind::TENANT {
        in_tenant(tenant, kind, &mut behind).await.map_err(StepError::Tenant)?;
    }
    on_host(engine, tenant, &mut behind).await.map_err(StepError::Host)?;
    Ok(behind)
}

/// What differed is looked at once more when the watches have had their time.
pub(super) async fn mend(engine: &Arc<Engine>, tenant: &Arc<Tenant>, behind: Behind) {
    if behind.is_empty() {
        return;
    }
    tokio::select! {
        () = tenant.stop.cancelled() => {}
        () = tokio::time::sleep(TOLD.min(engine.periods.patrol)) => take_in(engine, tenant, behind),
    }
}

async fn in_tenant(tenant: &Arc<Tenant>, kind: Kind, behind: &mut Behind) -> Result<(), WireError> {
    let (wire, mut all) = (tenant.wire(), HashSet::new());
    let each = |item| {
        let object = TenantObj(item);
        let key = Key::new(kind, object.namespace(), object.name());
        all.insert(name_of(&object.0));
        if tenant.model.lock().is_behind_tenant(&key, &object) {
            behind.of_tenant.push((kind, object));
        }
    };
    let version = match sources::list(&wire, kind, "", each).await {
        Ok(version) => version,
        Err(error) if error.unserved(kind) => return Ok(()),
        Err(error) => return Err(error),
    };
    let model = tenant.model.lock();
    let is_missing = |key: &Key| !all.contains(&(key.namespace.to_string(), key.name.to_string()));
    let known = model.of(kind).filter(|(_, e)| e.tenant.as_ref().is_some_and(|s| s.version <= version));
    behind
        .gone_in_tenant
        .extend(known.filter(|(key, _)| is_missing(key)).map(|(key, _)| (key.clone(), version)));
    Ok(())
}

async fn on_host(engine: &Arc<Engine>, tenant: &Arc<Tenant>, behind: &mut Behind) -> Result<(), WireError> {
    let (selector, mapping) = (tenant.entry().selector(), tenant.entry().mapping());
    let mut spaces = Vec::new();
    sources::list(&tenant.host.wire, Kind::Namespace, &selector, |item| spaces.push(HostObj(item))).await?;
    engine.host_namespaces(tenant, &mapping, &spaces);
    for kind in Kind::CARRIED.into_iter().filter(|kind| kind.host_watched()) {
        let mut all = HashSet::new();
        let each = |item| {
            let object = HostObj(item);
            let Some(key) = engine.proven(tenant, kind, &object) else { return };
            if tenant.model.lock().is_behind_host(&key, &object) {
                behind.of_host.push((kind, key.clone(), object));
            }
            all.insert(key);
        };
        let version = match sources::list(&tenant.host.wire, kind, &selector, each).await {
            Ok(version) => version,
            Err(error) if error.unserved(kind) => continue,
            Err(error) => return Err(error),
        };
        let model = tenant.model.lock();
        let known = model.of(kind).filter_map(|(key, entry)| Some((key, entry.host.as_ref()?)));
        let known = known.filter(|(key, seen)| seen.version <= version && !all.contains(*key));
        behind.gone_on_host.extend(known.map(|(key, seen)| (key.clone(), seen.uid.clone(), seen.version)));
    }
    Ok(())
}

/// What is still not known is taken in, queued and counted.
fn take_in(engine: &Arc<Engine>, tenant: &Arc<Tenant>, behind: Behind) {
    let Behind { of_tenant, of_host, gone_in_tenant, gone_on_host } = behind;
    let stale = |key: Key| {
        engine.mismatch(tenant, "stale_cache");
        tracing::warn!(tenant = &*tenant.id, kind = key.kind.name(), "a watch has lost an event");
        if Kind::CARRIED.contains(&key.kind) {
            tenant.queue_key(key, Lane::Patrol);
        }
    };
    for (kind, object) in of_tenant {
        let key = Key::new(kind, object.namespace(), object.name());
        if tenant.model.lock().is_behind_tenant(&key, &object) {
            engine.tenant_seen(tenant, kind, object);
            stale(key);
        }
    }
    for (kind, key, object) in of_host {
        if tenant.model.lock().is_behind_host(&key, &object) {
            engine.host_seen(tenant, kind, object);
            stale(key);
        }
    }
    for (key, version) in gone_in_tenant {
        let is_known = tenant
            .model
            .lock()
            .entries
            .get(&key)
            .is_some_and(|e| e.tenant.as_ref().is_some_and(|seen| seen.version <= version));
        if is_known {
            engine.tenant_gone(tenant, &key, version, false);
            stale(key);
        }
    }
    for (key, uid, version) in gone_on_host {
        let is_known =
            tenant.model.lock().entries.get(&key).is_some_and(|e| {
                e.host.as_ref().is_some_and(|seen| seen.uid == uid && seen.version == version)
            });
        if is_known && engine.host_gone(tenant, &key, &uid, Gone::Absent) {
            stale(key);
        }
    }
}
