//! What comes up besides the status of pods: status of other kinds, volumes, classes, nodes, Events.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    Engine,
    cache::Side,
    carry::{Next, Pass, StepError},
    model::Key,
    state::Host,
};
use crate::{
    kind::Kind,
    kinds::{
        Translator,
        claim::{self, IMPORTED},
        contained, event, node as nodes, status_differs,
    },
    object::{Fields, HostObj, TenantObj, selects, text},
};

/// Status of a carried object, and for claims the volume behind it.
pub(super) async fn kind_up(
    pass: &Pass,
    key: &Key,
    kind: &dyn Translator,
    tenant: &TenantObj,
    host: &HostObj,
) -> Result<(), StepError> {
    if key.kind == Kind::PersistentVolumeClaim {
        volume(pass, key, tenant, host).await?;
    }
    let Some(up) = kind.up(tenant, host, &pass.facts) else { return Ok(()) };
    if up.as_object().is_none_or(|map| map.is_empty()) || !status_differs(tenant, &up) {
        return Ok(());
    }
    let body = json!({"apiVersion": key.kind.api_version(), "kind": key.kind.name(),
        "metadata": {"name": &*key.name, "namespace": &*key.namespace, "uid": tenant.uid()}, "status": up});
    let path = format!("{}/status", key.kind.path(&key.namespace, &key.name));
    match pass.write(Side::Tenant, "status", key.kind, pass.wire.apply(&path, &body)).await {
        Ok(value) => {
            pass.tenant.heard(true);
            pass.engine.tenant_seen(&pass.tenant, key.kind, TenantObj(value));
            Ok(())
        }
        Err(error) if error.not_found() || error.conflict() => Ok(()),
        Err(error) => Err(StepError::Tenant(error)),
    }
}

/// The volume of a bound claim, read-only in the tenant, then the claim's `volumeName` (KI3, KI4).
async fn volume(pass: &Pass, key: &Key, tenant: &TenantObj, host: &HostObj) -> Result<(), StepError> {
    let name = host.text("/spec/volumeName");
    if name.is_empty() {
        return Ok(());
    }
    let path = Kind::PersistentVolume.path("", name);
    if pass.entry(key).and_then(|e| e.volume).as_deref() != Some(name) {
        let Some(found) = pass.host().find(&path).await.map_err(StepError::Host)? else { return Ok(()) };
        let desired = claim::volume(&HostObj(found), tenant);
        imported(pass, Kind::PersistentVolume, name, &desired).await?;
        if let Some(entry) = pass.tenant.model.lock().entries.get_mut(key) {
            entry.volume = Some(name.into());
        }
    }
    if tenant.text("/spec/volumeName") != name {
        let body = json!({"metadata": {"uid": tenant.uid()}, "spec": {"volumeName": name}});
        let path = key.kind.path(&key.namespace, &key.name);
        let call = pass.wire.merge(&path, &body);
        let value = pass.write(Side::Tenant, "bind", key.kind, call).await.map_err(StepError::Tenant)?;
        pass.engine.tenant_seen(&pass.tenant, key.kind, TenantObj(value));
    }
    Ok(())
}

/// Whether a claim that was bound has no host claim any more.
pub(super) fn claim_lost(key: &Key, tenant: &TenantObj) -> bool {
    key.kind == Kind::PersistentVolumeClaim && matches!(tenant.text("/status/phase"), "Bound" | "Lost")
}

/// Whether the host's list of a kind is complete.
pub(super) fn complete(pass: &Pass, kind: Kind) -> bool {
    pass.tenant.host.complete.lock().contains(&kind)
}

/// Phase Lost, in the tenant (KI3).
pub(super) async fn tell_claim_lost(pass: &Pass, key: &Key, tenant: &TenantObj) -> Result<(), StepError> {
    if tenant.text("/status/phase") == "Lost" {
        return Ok(());
    }
    let body = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": &*key.name, "namespace": &*key.namespace, "uid": tenant.uid()}, "status": {"phase": "Lost"}});
    let path = format!("{}/status", key.kind.path(&key.namespace, &key.name));
    let call = pass.wire.apply(&path, &body);
    let value = pass.write(Side::Tenant, "status", key.kind, call).await.map_err(StepError::Tenant)?;
    pass.engine.tenant_seen(&pass.tenant, key.kind, TenantObj(value));
    Ok(())
}

/// Takes the volume of a claim that is gone out of the tenant.
pub(super) async fn forget_volume(pass: &Pass, key: &Key) -> Result<(), StepError> {
    let Some(host) = pass.host_object(key, false).await? else { return Ok(()) };
    let name = host.text("/spec/volumeName");
    if name.is_empty() {
        return Ok(());
    }
    withdraw(pass, Kind::PersistentVolume, name).await
}

/// Keeps an imported object as it should be; one that the tenant made itself is left alone. False: left alone.
async fn imported(pass: &Pass, kind: Kind, name: &str, desired: &Value) -> Result<bool, StepError> {
    let path = kind.path("", name);
    let found = pass.wire.find(&path).await.map_err(StepError::Tenant)?.map(TenantObj);
    if let Some(found) = &found {
        if found.annotation(IMPORTED).is_none() {
            return Ok(false);
        }
        if contained(desired, &found.0) {
            return Ok(true);
        }
    }
    match pass.write(Side::Tenant, "apply", kind, pass.wire.apply(&path, desired)).await {
        Ok(_) => Ok(true),
        Err(error) if error.code() == 422 => {
            tracing::debug!(tenant = &*pass.tenant.id, kind = kind.name(), error = %error, "not shown");
            Ok(true)
        }
        Err(error) => Err(StepError::Tenant(error)),
    }
}

/// Removes an imported object from the tenant.
async fn withdraw(pass: &Pass, kind: Kind, name: &str) -> Result<(), StepError> {
    let path = kind.path("", name);
    let Some(found) = pass.wire.find(&path).await.map_err(StepError::Tenant)?.map(TenantObj) else {
        return Ok(());
    };
    if found.annotation(IMPORTED).is_none() {
        return Ok(());
    }
    match pass.write(Side::Tenant, "delete", kind, pass.wire.delete(&path, found.uid(), None)).await {
        Ok(_) => Ok(()),
        Err(error) if error.conflict() => Ok(()),
        Err(error) => Err(StepError::Tenant(error)),
    }
}

/// Looks at a storage class: shown while the host has it and it is selected (KI14).
pub(super) async fn class(pass: &Pass, name: &Arc<str>) -> Next {
    let shared = &pass.facts.settings.from_host.storage_classes;
    let host = pass.tenant.host.classes.read().get(name).cloned();
    let shown = host.filter(|class| {
        shared.enabled && {
            let class = TenantObj((**class).clone());
            selects(&shared.selector, |label| class.label(label))
        }
    });
    match shown {
        Some(class) => {
            let desired = claim::storage_class(&HostObj((*class).clone()));
            imported(pass, Kind::StorageClass, name, &desired).await?;
        }
        None => withdraw(pass, Kind::StorageClass, name).await?,
    }
    Ok(None)
}

/// Makes sure that the tenant has the Node, before a pod is bound to it (NO1).
pub(super) async fn ensure_node(pass: &Pass, name: &str) -> Result<(), StepError> {
    if pass.tenant.model.lock().nodes.contains_key(name) {
        return Ok(());
    }
    let known = pass.tenant.host.nodes.read().get(name).cloned();
    let host = match known {
        Some(node) => (*node).clone(),
        None => match pass.host().find(&Kind::Node.path("", name)).await.map_err(StepError::Host)? {
            Some(node) => node,
            None => return Ok(()),
        },
    };
    write_node(pass, name, &HostObj(host), None).await
}

/// Looks at a Node of the tenant: figures follow the host, and it goes when no pod has kept it for a while.
pub(super) async fn node(pass: &Pass, name: &Arc<str>) -> Next {
    let (shown, kept) = {
        let model = pass.tenant.model.lock();
        (model.nodes.get(name).cloned(), model.keeps_node(name))
    };
    let Some(shown) = shown.filter(|node| node.imported) else { return Ok(None) };
    if !kept {
        let idle = {
            let mut model = pass.tenant.model.lock();
            model.idle_nodes.entry(name.clone()).or_insert_with(Instant::now).elapsed()
        };
        let left = pass.engine.periods.idle_node.saturating_sub(idle);
        if !left.is_zero() {
            return Ok(Some(left));
        }
        let path = Kind::Node.path("", name);
        let call = pass.wire.delete(&path, &shown.uid, None);
        pass.write(Side::Tenant, "delete", Kind::Node, call).await.map_err(StepError::Tenant)?;
        pass.tenant.model.lock().idle_nodes.remove(name);
        return Ok(None);
    }
    pass.tenant.model.lock().idle_nodes.remove(name);
    let host = pass.tenant.host.nodes.read().get(name).cloned();
    let Some(host) = host else { return Ok(None) };
    let path = Kind::Node.path("", name);
    let live = pass.wire.find(&path).await.map_err(StepError::Tenant)?.map(TenantObj);
    write_node(pass, name, &HostObj((*host).clone()), live.as_ref()).await?;
    Ok(None)
}

/// Nodes of a host that does not answer: Ready is Unknown, told on change (NO4). The host's own word replaces it.
pub(super) async fn unreachable_nodes(pass: &Pass) {
    let shown: Vec<Arc<str>> = {
        let model = pass.tenant.model.lock();
        model.nodes.iter().filter(|(_, node)| node.imported).map(|(name, _)| name.clone()).collect()
    };
    for name in shown {
        let Some(host) = pass.tenant.host.nodes.read().get(&name).cloned() else { continue };
        let mut status = nodes::status(&HostObj((*host).clone()), &pass.facts);
        let conditions = status.get_mut("conditions").and_then(Value::as_array_mut);
        for condition in conditions.into_iter().flatten().filter(|c| text(c, "type") == "Ready") {
            condition["status"] = json!("Unknown");
            condition["reason"] = json!("HostUnreachable");
            condition["message"] = json!("the host does not answer");
        }
        let path = Kind::Node.path("", &name);
        let Ok(Some(live)) = pass.wire.find(&path).await else { continue };
        if contained(&status, live.get("status").unwrap_or(&Value::Null)) {
            continue;
        }
        let body =
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": &*name}, "status": status});
        let path = format!("{path}/status");
        let call = pass.wire.apply(&path, &body);
        if let Err(error) = pass.write(Side::Tenant, "status", Kind::Node, call).await {
            tracing::debug!(
                tenant = &*pass.tenant.id,
                category = error.category(),
                "node status not written"
            );
        }
    }
}

async fn write_node(
    pass: &Pass,
    name: &str,
    host: &HostObj,
    live: Option<&TenantObj>,
) -> Result<(), StepError> {
    let spec = nodes::spec(host, &pass.facts);
    let path = Kind::Node.path("", name);
    let mut current = live.cloned();
    if live.is_none_or(|live| !contained(&spec, &live.0)) {
        let call = pass.wire.apply(&path, &spec);
        let value = pass.write(Side::Tenant, "apply", Kind::Node, call).await.map_err(StepError::Tenant)?;
        current = Some(TenantObj(value));
    }
    let status = nodes::status(host, &pass.facts);
    if current.as_ref().is_none_or(|live| !contained(&status, live.0.get("status").unwrap_or(&Value::Null))) {
        let body = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status});
        let path = format!("{path}/status");
        let call = pass.wire.apply(&path, &body);
        let value = pass.write(Side::Tenant, "status", Kind::Node, call).await.map_err(StepError::Tenant)?;
        current = Some(TenantObj(value));
    }
    if let Some(node) = current {
        pass.engine.tenant_seen(&pass.tenant, Kind::Node, node);
    }
    Ok(())
}

impl Engine {
    /// Carries an Event of the host up, when it is about an object of a tenant and there is room (KI16).
    pub(super) fn host_event(self: &Arc<Self>, host: &Arc<Host>, object: &HostObj, gone: bool) {
        let namespace = object.text("/involvedObject/namespace");
        if gone || !namespace.starts_with("sk-t") {
            return;
        }
        let Some(tenant) = namespace.get(3..15).and_then(|id| self.tenants.read().get(id).cloned()) else {
            return;
        };
        if !Arc::ptr_eq(&tenant.host, host) || !tenant.writable() {
            return;
        }
        if !tenant.entry().effective.settings.from_host.events.enabled {
            return;
        }
        let Some(kind) = Kind::of(object.text("/involvedObject/kind")).filter(|k| Kind::CARRIED.contains(k))
        else {
            return;
        };
        let found = {
            let model = tenant.model.lock();
            let space = model.spaces.get(namespace).cloned();
            space.and_then(|space| {
                let name = object.text("/involvedObject/name");
                let mapping = tenant.entry().mapping();
                let uid = model.namespaces.get(&space)?.uid.clone();
                let fits = |key: &Key| {
                    key.namespace == space && mapping.name(kind, &space, &uid, &key.name).as_str() == name
                };
                let direct = Key::new(kind, &space, name);
                let key = if model.entries.contains_key(&direct) && fits(&direct) {
                    Some(direct)
                } else {
                    model.of(kind).map(|(key, _)| key).find(|key| fits(key)).cloned()
                }?;
                let entry = model.entries.get(&key)?;
                Some((
                    key.clone(),
                    entry.tenant.as_ref()?.uid.clone(),
                    entry.host.as_ref().map(|h| h.uid.clone()),
                ))
            })
        };
        let Some((key, uid, host_uid)) = found else { return };
        if event::is_of_ours(object, &uid) {
            return;
        }
        let about = object.text("/involvedObject/uid");
        if !about.is_empty() && host_uid.is_some_and(|h| *h != *about) {
            return;
        }
        if !tenant.bucket.lock().take(Instant::now()) {
            self.counts.add("events_dropped_total", "rate");
            return;
        }
        let involved =
            TenantObj(json!({"metadata": {"name": &*key.name, "namespace": &*key.namespace, "uid": &*uid}}));
        let host_involved =
            HostObj(json!({"metadata": {"name": object.text("/involvedObject/name"), "namespace": namespace,
            "uid": about}}));
        let (object, engine) = (object.clone(), self.clone());
        self.tasks.spawn(async move {
            let pass = Pass::new(engine, tenant);
            let event = event::up(&object, kind, &involved, &host_involved, &pass.facts);
            let sent = tokio::time::timeout(Duration::from_secs(10), write_event(&pass, &event)).await;
            if !matches!(sent, Ok(true)) {
                pass.engine.counts.add("events_dropped_total", "refused");
            }
        });
    }
}

async fn write_event(pass: &Pass, event: &Value) -> bool {
    let (namespace, name) = (text(&event["metadata"], "namespace"), text(&event["metadata"], "name"));
    let path = Kind::Event.collection(namespace);
    match pass.write(Side::Tenant, "create", Kind::Event, pass.wire.create(&path, event)).await {
        Ok(_) => true,
        Err(error) if error.conflict() => {
            let mut patch = event.clone();
            if let Some(map) = patch.as_object_mut() {
                map.retain(|key, _| ["count", "lastTimestamp", "series", "message"].contains(&key.as_str()));
            }
            pass.wire.merge(&Kind::Event.path(namespace, name), &patch).await.is_ok()
        }
        Err(_) => false,
    }
}
