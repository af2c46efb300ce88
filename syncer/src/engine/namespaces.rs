//! Host namespaces: made before their first object, bounded by the isolation set, gone after the last (NM8, EN28).

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value};
use skerry_api::labels;
use skerry_kit::isolation::{HostNamespace, IsolationFacts, isolation};

use super::{
    cache::Side,
    carry::{Next, Pass, StepError},
    links,
    model::{Gone, Key},
    queue::What,
    sources,
};
use crate::{
    kind::Kind,
    kinds::{apply_change, data},
    mapping::{Claim, HostName, NamespaceOrigin, namespace_labels},
    object::{Fields, HostObj, items},
    wire::WireError,
};

/// What a pass waits for is not there yet; it is tried again in a moment.
pub(super) fn unready(message: &str) -> StepError {
    StepError::Host(WireError::Status {
        code: 409,
        reason: "Conflict".to_owned(),
        message: message.to_owned(),
        retry_after: Some(2),
    })
}

/// Makes sure that the host namespace of a tenant namespace holds its isolation set and env maps.
pub(super) async fn ensure(pass: &Pass, name: &Arc<str>) -> Result<(), StepError> {
    if pass.tenant.model.lock().prepared.contains(name) {
        return Ok(());
    }
    let _one = pass.tenant.prepare.lock().await;
    if pass.tenant.model.lock().prepared.contains(name) {
        return Ok(());
    }
    let Some(host) = pass.facts.host_namespace(name) else { return Ok(()) };
    let Some(fact) = pass.facts.namespaces.get(name).cloned() else { return Ok(()) };
    super::dns::ensure(pass).await?;
    let mut known = false;
    for object in isolation(&set_facts(pass), &namespace_of(pass, name, &host)) {
        let (live, existed) = ensure_object(pass, &object).await.map_err(StepError::Host)?;
        if object.get("kind") == Some(&Value::from("Namespace")) {
            if pass.facts.mapping.prove_namespace(&live).is_none() || live.deleting() {
                return Err(unready("the host namespace is not ready"));
            }
            known = existed;
            pass.tenant.zone.write().alias(&host, name);
            let mut model = pass.tenant.model.lock();
            model.spaces.insert(host.as_str().into(), name.clone());
            let namespaces = Arc::make_mut(&mut model.namespaces);
            if let Some(current) = namespaces.get_mut(name).filter(|f| f.uid == fact.uid) {
                current.host_uid = Some(live.uid().into());
            }
        }
    }
    pull_secrets(pass, &host).await?;
    links::write(pass, name, &host).await?;
    if known {
        data_versions(pass, name, &host).await?;
    }
    // What changed meanwhile is not in what was written: it is looked at again.
    let mut model = pass.tenant.model.lock();
    if model.namespaces.get(name).is_some_and(|now| now.uid == fact.uid && now.labels == fact.labels) {
        model.prepared.insert(name.clone());
    }
    Ok(())
}

/// What the isolation set of the tenant's namespaces is computed from.
pub(super) fn set_facts(pass: &Pass) -> IsolationFacts {
    let entry = pass.tenant.entry();
    let effective = &entry.effective;
    IsolationFacts {
        tenant: entry.id.to_string(),
        uid: entry.owner.uid.clone(),
        owner_namespace: entry.owner.namespace.clone(),
        class: effective.class.clone(),
        quota: effective.quota.clone(),
        limit_range: effective.limit_range.clone(),
        pod_security: effective.pod_security.clone(),
        network: pass.tenant.bounds(&entry),
        syncer: pass.tenant.host.entry.subject.clone(),
        served: *pass.tenant.host.served.read(),
    }
}

fn namespace_of(pass: &Pass, name: &Arc<str>, host: &HostName) -> HostNamespace {
    let fact = pass.facts.namespaces.get(name);
    let text = |map: Map<String, Value>| {
        map.into_iter().filter_map(|(k, v)| Some((k, v.as_str()?.to_owned()))).collect()
    };
    let uid = fact.map(|f| f.uid.to_string()).unwrap_or_default();
    HostNamespace {
        name: host.to_string(),
        labels: text(namespace_labels(name, fact.map(|f| &*f.labels))),
        annotations: [
            (labels::ORIGIN_KIND.to_owned(), "Namespace".to_owned()),
            (labels::ORIGIN_NAME.to_owned(), name.to_string()),
            (labels::ORIGIN_UID.to_owned(), uid),
        ]
        .into(),
    }
}

/// Brings one object of our own to its state: read first, so that a pass that finds all in order writes nothing.
/// Gives the object and whether it was there before.
pub(super) async fn ensure_object(pass: &Pass, object: &Value) -> Result<(HostObj, bool), WireError> {
    let path = path_of(object);
    pass.cost.one();
    if let Some(found) = pass.host().find(&path).await? {
        return Ok((mend_object(pass, &path, object, found).await?, true));
    }
    match pass.write_of(Side::Host, "create", "isolation", pass.host().apply_new(&path, object)).await {
        Ok(value) => Ok((HostObj(value), false)),
        // The host makes some of these itself in a new namespace, the default ServiceAccount for one.
        Err(error) if error.conflict() => {
            let found = pass.host().get(&path).await?;
            Ok((mend_object(pass, &path, object, found).await?, true))
        }
        Err(error) => Err(error),
    }
}

/// Brings an object that is there to its state; a namespace that is not provably ours is left as it is.
async fn mend_object(
    pass: &Pass,
    path: &str,
    object: &Value,
    mut found: Value,
) -> Result<HostObj, WireError> {
    super::observe::slim(&mut found, Side::Host);
    let live = HostObj(found);
    let namespace = object.get("kind") == Some(&Value::from("Namespace"));
    let foreign = namespace && pass.facts.mapping.prove_namespace(&live).is_none();
    if foreign || apply_change(&HostObj(object.clone()), &live).is_none() {
        return Ok(live);
    }
    let call = pass.host().apply_to(path, live.uid(), object);
    Ok(HostObj(pass.write_of(Side::Host, "apply", "isolation", call).await?))
}

/// Path of an object of the isolation set.
fn path_of(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let prefix = match text("/apiVersion") {
        "v1" => "/api/v1".to_owned(),
        group => format!("/apis/{group}"),
    };
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    let plural = match text("/kind") {
        "Namespace" => return format!("{prefix}/namespaces/{name}"),
        "NetworkPolicy" => "networkpolicies".to_owned(),
        kind => format!("{}s", kind.to_lowercase()),
    };
    format!("{prefix}/namespaces/{namespace}/{plural}/{name}")
}

/// Host Secrets with registry credentials, copied into the namespace.
async fn pull_secrets(pass: &Pass, host: &HostName) -> Result<(), StepError> {
    for pull in &pass.facts.settings.to_host.pods.pull_secrets {
        let source = Kind::Secret.path(&pull.namespace, &pull.name);
        let Some(found) = pass.host().find(&source).await.map_err(StepError::Host)? else { continue };
        let values = found.get("data").and_then(Value::as_object).cloned().unwrap_or_default();
        let name = crate::mapping::Mapping::pull_secret(&pull.namespace, &pull.name);
        let mut copy = data::own(Kind::Secret, &pass.facts, host.as_str(), name.as_str(), values).0;
        copy["type"] = found.get("type").cloned().unwrap_or_else(|| Value::from("Opaque"));
        ensure_object(pass, &copy).await.map_err(StepError::Host)?;
    }
    Ok(())
}

/// Versions of ConfigMaps and Secrets that lie in a host namespace, by metadata (EN4).
pub(super) async fn data_versions(pass: &Pass, name: &Arc<str>, host: &HostName) -> Result<(), StepError> {
    let Some(fact) = pass.facts.namespaces.get(name) else { return Ok(()) };
    let origin = NamespaceOrigin { name: name.to_string(), uid: fact.uid.to_string() };
    for kind in [Kind::ConfigMap, Kind::Secret] {
        let path = format!(
            "{}?resourceVersion=0&labelSelector={}",
            kind.collection(host.as_str()),
            pass.tenant.entry().selector()
        );
        pass.cost.one();
        let list = pass.host().list_metadata(&path).await.map_err(StepError::Host)?;
        let mut seen = std::collections::HashSet::new();
        for item in items(&list, "/items") {
            let object = HostObj(item.clone());
            let Claim::Ours(found) = pass.facts.mapping.prove(kind, &object, &origin) else { continue };
            let key = Key::new(kind, &found.namespace, &found.name);
            seen.insert(key.clone());
            if pass.tenant.model.lock().host_seen(&key, &object) {
                pass.tenant.queue_key(key, super::queue::Lane::Patrol);
            }
        }
        let lost: Vec<(Key, Arc<str>)> = {
            let model = pass.tenant.model.lock();
            let here = model.within(kind, name).filter(|(k, _)| !seen.contains(*k));
            here.filter_map(|(k, e)| Some((k.clone(), e.host.as_ref()?.uid.clone()))).collect()
        };
        for (key, uid) in lost {
            pass.engine.host_gone(&pass.tenant, &key, &uid, Gone::Absent);
            pass.engine.mismatch(&pass.tenant, "missing_on_host");
            pass.tenant.queue_key(key, super::queue::Lane::Patrol);
        }
    }
    Ok(())
}

/// Looks at a namespace of the tenant: labels, env maps, and whether an older one left something.
pub(super) async fn namespace(pass: &Pass, name: &Arc<str>) -> Next {
    let stale = std::mem::take(&mut pass.tenant.model.lock().stale);
    if stale {
        let selector = pass.tenant.entry().selector();
        let mut spaces = Vec::new();
        let result =
            sources::list(pass.host(), Kind::Namespace, &selector, |item| spaces.push(HostObj(item))).await;
        if let Err(error) = result {
            pass.tenant.model.lock().stale = true;
            return Err(StepError::Host(error));
        }
        pass.engine.host_namespaces(&pass.tenant, &pass.facts.mapping, &spaces);
    }
    let Some(fact) = pass.facts.namespaces.get(name) else { return Ok(None) };
    if fact.host_uid.is_none() || fact.deleting {
        return Ok(None);
    }
    ensure(pass, name).await?;
    if let Some(host) = pass.facts.host_namespace(name) {
        links::current(pass, name, &host).await?;
    }
    Ok(None)
}

/// A host namespace whose tenant namespace is gone, or that holds nothing any more: ours go by proof, foreign
/// objects stay, and the namespace goes when it is empty (NM8).
pub(super) async fn leftover(pass: &Pass, host: &Arc<str>) -> Next {
    let path = Kind::Namespace.path("", host);
    let Some(found) = pass.host().find(&path).await.map_err(StepError::Host)? else { return Ok(None) };
    let space = HostObj(found);
    let Some(origin) = pass.facts.mapping.prove_namespace(&space) else { return Ok(None) };
    if space.deleting() {
        return Ok(None);
    }
    let live = pass.wire.find(&Kind::Namespace.path("", &origin.name)).await.map_err(StepError::Tenant)?;
    let current =
        live.is_some_and(|ns| ns.pointer("/metadata/uid").and_then(Value::as_str) == Some(&origin.uid));
    if current {
        let mut model = pass.tenant.model.lock();
        let busy = model.entries.iter().any(|(k, e)| *k.namespace == *origin.name && e.host.is_some());
        if busy {
            return Ok(None);
        }
        model.prepared.remove(origin.name.as_str());
        model.links.remove(origin.name.as_str());
        if let Some(fact) = Arc::make_mut(&mut model.namespaces).get_mut(origin.name.as_str()) {
            fact.host_uid = None;
        }
    }
    let swept = super::drain::sweep(pass, &space, &origin, false).await.map_err(StepError::Host)?;
    if swept.ours > 0 {
        return Ok(Some(Duration::from_secs(2)));
    }
    if swept.foreign > 0 {
        pass.engine.mismatch(&pass.tenant, "foreign");
        return Ok(Some(Duration::from_secs(600)));
    }
    let call = pass.host().delete(&path, space.uid(), None);
    pass.write(Side::Host, "delete", Kind::Namespace, call).await.map_err(StepError::Host)?;
    pass.tenant.model.lock().spaces.remove(host);
    Ok(None)
}

/// Host namespaces in which nothing is carried any more.
pub(super) fn empty_spaces(pass: &Pass) -> Vec<What> {
    let model = pass.tenant.model.lock();
    let holds = |key: &Key, e: &super::model::Entry| {
        e.host.is_some() || (key.kind == Kind::Pod && e.tenant.is_some())
    };
    let busy: std::collections::HashSet<&Arc<str>> =
        model.entries.iter().filter(|(k, e)| holds(k, e)).map(|(k, _)| &k.namespace).collect();
    model
        .namespaces
        .iter()
        .filter(|(name, fact)| fact.host_uid.is_some() && !busy.contains(name))
        .map(|(name, fact)| What::Leftover(pass.facts.mapping.namespace(name, &fact.uid).as_str().into()))
        .collect()
}
