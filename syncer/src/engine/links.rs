//! The env maps of a workload namespace (PO16): written at most once a second as Services change, and at once when a pod
//! is about to be made that would miss one.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use super::{
    carry::{self, Pass, StepError},
    dns::shown,
    model::Key,
};
use crate::{
    kind::Kind,
    kinds::{
        data,
        pod::{API_MAP, LINKS_MAP, ServiceEnv, env_maps},
    },
    mapping::HostName,
    object::Fields,
};

/// Between two writes that no pod waits for.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// What is known of a namespace's env maps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Links {
    /// How often its Services have changed.
    changes: u64,
    /// What lies on the host: after how many changes it was made, and its hash.
    written: Option<(u64, u64)>,
}

impl Links {
    /// A Service came, changed or went.
    pub(super) fn change(&mut self) {
        self.changes += 1;
    }

    fn current(&self) -> bool {
        self.written.is_some_and(|(changes, _)| changes == self.changes)
    }
}

/// Before a pod with service links: the maps hold every Service that its tenant made before it.
pub(super) async fn ahead(pass: &Pass, namespace: &Arc<str>) -> Result<(), StepError> {
    if !pass.facts.services_agreed {
        // One that fails has no variables until it is there.
        let services = pass.tenant.model.lock().uncarried(Kind::Service, namespace);
        carry::ahead(pass, services).await;
    }
    if known(pass, namespace).current() {
        return Ok(());
    }
    let Some(host) = pass.facts.host_namespace(namespace) else { return Ok(()) };
    current(pass, namespace, &host).await
}

fn known(pass: &Pass, namespace: &Arc<str>) -> Links {
    pass.tenant.model.lock().links.get(namespace).copied().unwrap_or_default()
}

/// Writes the env maps if a Service changed since; one writer at a time, the others wait for what it wrote.
pub(super) async fn current(pass: &Pass, namespace: &Arc<str>, host: &HostName) -> Result<(), StepError> {
    let _one = pass.tenant.prepare.lock().await;
    if known(pass, namespace).current() {
        return Ok(());
    }
    write(pass, namespace, host).await
}

/// Writes the env maps where they differ.
pub(super) async fn write(pass: &Pass, namespace: &Arc<str>, host: &HostName) -> Result<(), StepError> {
    let before = known(pass, namespace);
    let mut services = Vec::new();
    let keys: Vec<Key> = {
        let model = pass.tenant.model.lock();
        let here = model.within(Kind::Service, namespace).filter(|(_, e)| e.tenant.is_some());
        here.map(|(k, _)| k.clone()).collect()
    };
    for key in keys {
        if let Some(service) = pass.tenant_object(&key).await? {
            services.push(if pass.facts.services_agreed {
                service.0
            } else {
                mirrored(pass, &key, service.0).await?
            });
        }
    }
    let env = env_maps(services.iter(), &pass.facts.network);
    let hash = hash_of(&env);
    if before.written.is_none_or(|(_, written)| written != hash) {
        for (map, values) in [(LINKS_MAP, &env.links), (API_MAP, &env.api)] {
            let object =
                data::own(Kind::ConfigMap, &pass.facts, host.as_str(), map, ServiceEnv::data(values));
            super::namespaces::ensure_object(pass, &object.0).await.map_err(StepError::Host)?;
        }
    }
    let mut model = pass.tenant.model.lock();
    model.links.entry(namespace.clone()).or_default().written = Some((before.changes, hash));
    Ok(())
}

/// A Service whose host address is another than its own shows the host's (SV1, Mirrored), and none before it has one.
async fn mirrored(pass: &Pass, key: &Key, mut service: Value) -> Result<Value, StepError> {
    if matches!(service.pointer("/spec/clusterIP").and_then(Value::as_str), None | Some("None")) {
        return Ok(service);
    }
    let host = pass.host_object(key, false).await?;
    if host.is_none() && *key == shown::key() {
        return Ok(service);
    }
    let address = host.as_ref().map(|h| h.text("/spec/clusterIP").to_owned()).unwrap_or_default();
    service["spec"]["clusterIP"] = Value::from(address);
    Ok(service)
}

fn hash_of(env: &ServiceEnv) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    env.links.hash(&mut hasher);
    env.api.hash(&mut hasher);
    hasher.finish()
}
