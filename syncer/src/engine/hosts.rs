//! Host facts (EN5) and host watches (EN4).

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use skerry_api::labels;
use skerry_kit::isolation::Served;

use super::{Engine, observe::HostSink, sources, state::Host};
use crate::{
    facts::HostFacts,
    kind::Kind,
    kinds::pod::REQUIRED_FIELDS,
    object::items,
    wire::{Wire, WireError},
};

/// Oldest minor that is served.
const OLDEST: u32 = 32;

/// Reads a host's facts, proves the guard, then follows it until stopped.
pub(super) async fn run(engine: Arc<Engine>, host: Arc<Host>) {
    if !known(&host).await {
        return;
    }
    host.ready.store(true, Ordering::Release);
    let ours = format!("{}%3Dsyncer", labels::MANAGED_BY);
    let watched = [
        (Kind::Namespace, ours.clone(), false),
        (Kind::Node, String::new(), false),
        (Kind::StorageClass, String::new(), false),
        (Kind::PersistentVolumeClaim, ours.clone(), false),
        (Kind::Service, ours.clone(), false),
        (Kind::EndpointSlice, ours.clone(), false),
        (Kind::NetworkPolicy, ours.clone(), false),
        (Kind::Pod, ours, false),
        (Kind::Event, String::new(), true),
    ];
    for (kind, selector, from_now) in watched {
        let sink = HostSink { engine: engine.clone(), host: host.clone(), kind };
        let (wire, stop) = (host.wire.clone(), host.stop.clone());
        engine.tasks.spawn(async move { sources::follow(wire, kind, selector, from_now, &sink, stop).await });
    }
    upgrades(&engine, &host).await;
}

/// Reads facts until there are some; false: stopped.
async fn known(host: &Host) -> bool {
    let mut delay = Duration::from_millis(250);
    loop {
        let result = tokio::select! {
            () = host.stop.cancelled() => return false,
            result = learn(host) => result,
        };
        match result {
            Ok(None) => {
                *host.unsupported.write() = None;
                host.heard(true);
                return true;
            }
            Ok(Some(why)) => *host.unsupported.write() = Some(why),
            Err(error) => {
                host.heard(!error.unreachable());
                tracing::debug!(host = &*host.entry.name, error = %error, "host facts not read yet");
            }
        }
        tokio::select! {
            () = host.stop.cancelled() => return false,
            () = tokio::time::sleep(delay) => {}
        }
        delay = (delay * 2).min(Duration::from_secs(60));
    }
}

/// Asks for the version now and then; under another one facts are read and the guard is proven again, and whatever
/// waits for a feature is looked at (FM10). What runs is not touched by it.
async fn upgrades(engine: &Arc<Engine>, host: &Arc<Host>) {
    loop {
        tokio::select! {
            () = host.stop.cancelled() => return,
            () = tokio::time::sleep(engine.periods.patrol) => {}
        }
        let Ok(version) = host.wire.get("/version").await else { continue };
        if *host.version.lock() == named(&version) {
            continue;
        }
        host.ready.store(false, Ordering::Release);
        if !known(host).await {
            return;
        }
        host.ready.store(true, Ordering::Release);
        let tenants: Vec<_> =
            engine.tenants.read().values().filter(|t| Arc::ptr_eq(&t.host, host)).cloned().collect();
        for tenant in tenants {
            tenant.model.lock().epoch += 1;
            engine.queue_all(&tenant);
        }
    }
}

/// A version as the server names it.
fn named(version: &Value) -> String {
    version.get("gitVersion").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Reads facts; `Some`: why the host cannot be used.
async fn learn(host: &Host) -> Result<Option<String>, WireError> {
    let version = host.wire.get("/version").await?;
    let minor = version.get("minor").and_then(Value::as_str).unwrap_or_default();
    let minor: u32 = minor.trim_end_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or_default();
    if minor < OLDEST {
        return Ok(Some(format!("the host is Kubernetes 1.{minor}, older than 1.{OLDEST}")));
    }
    let served = Served {
        quotas: serves(&host.wire, "/api/v1", "resourcequotas").await?,
        limit_ranges: serves(&host.wire, "/api/v1", "limitranges").await?,
        network_policies: serves(&host.wire, "/apis/networking.k8s.io/v1", "networkpolicies").await?,
        role_bindings: serves(&host.wire, "/apis/rbac.authorization.k8s.io/v1", "rolebindings").await?,
    };
    *host.served.write() = served;
    if let Some(why) = guard(&host.wire).await? {
        return Ok(Some(why));
    }
    let missing = missing_fields(&host.wire).await;
    let dns = own_dns(&host.wire).await?;
    *host.version.lock() = named(&version);
    let mut facts = host.facts.write();
    *facts =
        Arc::new(HostFacts { minor, missing, dns, simulated: host.entry.simulated, ..(**facts).clone() });
    Ok(None)
}

/// Addresses of the host's DNS, by the name that it has in every cluster; none where it has no such Service.
async fn own_dns(wire: &Wire) -> Result<Vec<String>, WireError> {
    let found = match wire.find(&Kind::Service.path("kube-system", "kube-dns")).await {
        Err(error) if error.code() == 403 => None,
        found => found?,
    };
    let ips = found.as_ref().map(|service| items(service, "/spec/clusterIPs")).unwrap_or_default();
    Ok(ips.iter().filter_map(Value::as_str).filter(|ip| *ip != "None").map(str::to_owned).collect())
}

async fn serves(wire: &Wire, group: &str, plural: &str) -> Result<bool, WireError> {
    let list = match wire.get(group).await {
        Ok(list) => list,
        Err(error) if error.code() == 404 => return Ok(false),
        Err(error) => return Err(error),
    };
    Ok(items(&list, "/resources").iter().any(|r| r.get("name").and_then(Value::as_str) == Some(plural)))
}

/// The create guard of EN13, by dry runs on a name that is absent and on one that is present.
async fn guard(wire: &Wire) -> Result<Option<String>, WireError> {
    let probe = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name,
            "resourceVersion": crate::wire::NEVER, "labels": {labels::TENANT: "probe", "skerry.dev/probe": "true"}}})
    };
    let path = |name: &str| {
        format!("/api/v1/namespaces/{name}?dryRun=All&force=true&fieldManager={}", crate::wire::FIELD_MANAGER)
    };
    let absent = "sk-skerry-guard-probe";
    match wire.apply_raw(&path(absent), &probe(absent)).await {
        Ok(_) => {}
        Err(error) if error.unreachable() || error.pushback() => return Err(error),
        Err(error) => return Ok(Some(format!("the host refuses a guarded create: {error}"))),
    }
    match wire.apply_raw(&path("default"), &probe("default")).await {
        Ok(_) => Ok(Some("the host merges a guarded create into an existing object".to_owned())),
        Err(error) if error.unreachable() || error.pushback() => Err(error),
        Err(error) if error.conflict() => Ok(None),
        Err(error) => Ok(Some(format!("the host does not compare versions before it refuses: {error}"))),
    }
}

/// Fields of ours that the host's published schema lacks; a host that publishes none is taken to have them all.
async fn missing_fields(wire: &Wire) -> Vec<String> {
    let Ok(document) = wire.get("/openapi/v3/api/v1").await else { return Vec::new() };
    let Some(schemas) = document.pointer("/components/schemas") else { return Vec::new() };
    let mut out = Vec::new();
    for (schema, field) in REQUIRED_FIELDS {
        let properties =
            schemas.get(format!("io.k8s.api.core.v1.{schema}")).and_then(|s| s.get("properties"));
        if properties.is_some_and(|p| p.get(field).is_none()) {
            out.push(format!("{schema}.{field}"));
        }
    }
    out
}
