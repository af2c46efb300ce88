//! Pods (4.5): the table of PO40 carried out, each row at most one write per side and pass.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    cache::Side,
    carry::{self, Next, Pass, StepError},
    decide::HostSide,
    decision::Decision,
    ledger, links,
    model::Key,
    namespaces,
    refused::{denied, not_first, refuse, taken},
    tell, tokens, upward,
    wanted::unwanted,
};
use crate::{
    kind::Kind,
    kinds::{
        Change, Translator,
        pod::{
            HostPod, Life, PodTranslator, REQUIRED_FIELDS, TenantPod, ended_status, gates_down, life,
            lost_status,
        },
        status_differs,
    },
    object::{Fields, HostObj, TenantObj, filled, items, text},
    refusal::{Reason, Refusal},
};

/// Looks at one pod.
pub(super) async fn pod(pass: &Pass, key: &Key) -> Next {
    if pass.settled(key)
        && let Some(next) = tokens::waiting(pass, key)
    {
        return Ok(next);
    }
    let tenant = pass.tenant_object(key).await?;
    let host = pass.host_object(key, false).await?;
    let next = match tenant {
        Some(tenant) => present(pass, key, &tenant, host).await?,
        None => absent(pass, key, host).await?,
    };
    pass.tenant.model.lock().prune(key);
    Ok(next)
}

/// Renews the tokens of a pod that runs, and does nothing else (EN29).
pub(super) async fn renew(pass: &Pass, key: &Key) -> Next {
    let (Some(tenant), Some(host)) = (pass.tenant_object(key).await?, pass.host_object(key, false).await?)
    else {
        return Ok(None);
    };
    if !matches!(pass.claim(key, &host), HostSide::Ours { deleting: false }) {
        return Ok(None);
    }
    tokens::ensure(pass, key, &tenant, &host, tokens::Made::Before).await
}

async fn absent(pass: &Pass, key: &Key, host: Option<HostObj>) -> Next {
    let Some(host) = host else { return Ok(None) };
    if pass.tenant.model.lock().held.contains_key(&Kind::Pod) {
        pass.decided(key, Decision::Held);
        return Ok(None);
    }
    let entry = pass.entry(key).unwrap_or_default();
    if !entry.deleted_seen && pass.fresh_tenant_object(key, entry.deleted_at).await?.is_some() {
        return Ok(Some(Duration::from_millis(100)));
    }
    act(pass, key, None, &TenantPod::Gone { last_grace: entry.grace }, Some(host)).await
}

async fn present(pass: &Pass, key: &Key, tenant: &TenantObj, host: Option<HostObj>) -> Next {
    if let Some(refusal) = carry::unreadable(tenant, host.as_ref()) {
        return refuse(pass, key, tenant, refusal).await;
    }
    let side = tenant_pod(tenant);
    if let Some(why) = unwanted(pass, key, tenant)
        && !tenant.deleting()
    {
        let bound = matches!(&side, TenantPod::Live { bound: Some(_), terminal: false });
        if bound && tenant.annotation("skerry.dev/sync") == Some("false") {
            let message = "a pod that runs cannot be kept away from its host; delete it";
            pass.tell(Kind::Pod, tenant, "SyncCannotStop", message, true).await;
        } else {
            pass.decided(key, why);
            if host.is_some() {
                pass.delete_host(key, None).await?;
            }
            pass.settle(key, Some(tenant), None);
            return Ok(None);
        }
    }
    act(pass, key, Some(tenant), &side, host).await
}

fn tenant_pod(tenant: &TenantObj) -> TenantPod {
    if tenant.deleting() {
        return TenantPod::Deleting { grace: tenant.deletion_grace().unwrap_or(0) };
    }
    let scheduled = items(&tenant.0, "/status/conditions")
        .iter()
        .any(|c| text(c, "type") == "PodScheduled" && text(c, "status") == "True");
    let node = tenant.text("/spec/nodeName");
    // A pod that was made with its node's name is bound only once its host has it.
    let bound = (!node.is_empty() && (scheduled || !tenant.text("/status/hostIP").is_empty()))
        .then(|| node.to_owned());
    TenantPod::Live { bound, terminal: matches!(tenant.text("/status/phase"), "Succeeded" | "Failed") }
}

fn host_pod(pass: &Pass, key: &Key, host: Option<&HostObj>) -> HostPod {
    let Some(host) = host else { return HostPod::Gone };
    match pass.claim(key, host) {
        HostSide::Older { deleting } => HostPod::Older { deleting },
        HostSide::Ours { deleting } => {
            let terminal = matches!(host.text("/status/phase"), "Succeeded" | "Failed");
            let ended = ["/status/containerStatuses", "/status/initContainerStatuses"]
                .iter()
                .flat_map(|list| items(&host.0, list))
                .all(|status| {
                    status.pointer("/state/terminated").is_some()
                        || status.pointer("/state/running").is_none()
                });
            let node = host.text("/spec/nodeName");
            HostPod::Ours {
                node: (!node.is_empty()).then(|| node.to_owned()),
                deleting: deleting.then(|| host.deletion_grace().unwrap_or(0)),
                ended: terminal && ended,
            }
        }
        _ => HostPod::Foreign,
    }
}

async fn act(
    pass: &Pass,
    key: &Key,
    tenant: Option<&TenantObj>,
    side: &TenantPod,
    host: Option<HostObj>,
) -> Next {
    let found = host_pod(pass, key, host.as_ref());
    let action = life(side, &found);
    if let Some(decision) = Decision::of_pod(side, &found, &action) {
        pass.decided(key, decision);
    }
    match (action, tenant, host) {
        (Life::Nothing, tenant, host) => {
            pass.settle(key, tenant, host.as_ref());
            Ok(None)
        }
        (Life::Wait, ..) => Ok(Some(Duration::from_secs(5))),
        (Life::Create, Some(tenant), _) => create(pass, key, tenant).await,
        (Life::Carry, Some(tenant), Some(host)) => carry_on(pass, key, tenant, host).await,
        (Life::StatusOnly, Some(tenant), Some(host)) => {
            let tenant = bind(pass, key, tenant, &host).await?;
            status(pass, key, &tenant, &host).await?;
            pass.settle(key, Some(&tenant), Some(&host));
            Ok(None)
        }
        (Life::Lost, Some(tenant), _) => {
            if !pass.tenant.host.complete.lock().contains(&Kind::Pod) {
                return Ok(Some(Duration::from_secs(1)));
            }
            if pass.host_object(key, true).await?.is_some() {
                return Ok(Some(Duration::ZERO));
            }
            lost(pass, key, tenant, Reason::HostPodDeleted.as_str()).await
        }
        (Life::Mismatch, Some(tenant), _) => {
            pass.delete_host(key, None).await?;
            lost(pass, key, tenant, "NodeMismatch").await
        }
        (Life::DeleteHost { grace }, _, _) => {
            pass.delete_host(key, grace).await?;
            Ok(None)
        }
        (Life::FinishTenant, Some(tenant), host) => {
            let last = pass.tenant.model.lock().last_seen.remove(key);
            let host = host.or(last);
            if let Some(host) = host.filter(|h| matches!(pass.claim(key, h), HostSide::Ours { .. })) {
                status(pass, key, tenant, &host).await?;
            } else if held_running(tenant) {
                write_status(pass, key, tenant, ended_status(tenant, &tell::now())).await?;
            }
            finish(pass, key, tenant).await
        }
        (Life::NameTaken, Some(tenant), _) => refuse(pass, key, tenant, taken(tenant)).await,
        _ => Ok(None),
    }
}

/// Whether finalizers will keep a pod that is said to run, though its host pod is gone.
fn held_running(tenant: &TenantObj) -> bool {
    let over = matches!(tenant.text("/status/phase"), "Succeeded" | "Failed");
    !over && !tenant.text("/spec/nodeName").is_empty() && !items(&tenant.0, "/metadata/finalizers").is_empty()
}

async fn create(pass: &Pass, key: &Key, tenant: &TenantObj) -> Next {
    if !items(&tenant.0, "/spec/schedulingGates").is_empty() {
        pass.decided(key, Decision::PodGated);
        pass.settle(key, Some(tenant), None);
        return Ok(None);
    }
    if let Err(refusal) = PodTranslator.down(tenant, &pass.facts) {
        return refuse(pass, key, tenant, refusal).await;
    }
    namespaces::ensure(pass, &key.namespace).await?;
    let refs = PodTranslator.refs(tenant).into_iter().map(|r| Key::new(r.kind, &key.namespace, &r.name));
    carry::ahead(pass, refs.filter(|r| pass.entry(r).is_some_and(|e| e.is_uncarried())).collect()).await;
    if tenant.value().pointer("/spec/enableServiceLinks").and_then(Value::as_bool) != Some(false) {
        links::ahead(pass, &key.namespace).await?;
    }
    // They go before a pod that they may select.
    let policies = pass.tenant.model.lock().uncarried(Kind::NetworkPolicy, &key.namespace);
    carry::ahead(pass, policies).await;
    // The namespace is there now: its UID owns the pod.
    let facts = pass.tenant.facts();
    let desired = match PodTranslator.down(tenant, &facts) {
        Ok(desired) => desired,
        Err(refusal) => return refuse(pass, key, tenant, refusal).await,
    };
    let figures = ledger::figures(Kind::Pod, &desired);
    let effective = pass.tenant.entry().effective.clone();
    let reserved = ledger::reserve(&mut pass.tenant.model.lock().used, &effective.quota, &figures);
    if let Err(refusal) = reserved {
        return refuse(pass, key, tenant, refusal).await.map(|_| Some(Duration::from_secs(5)));
    }
    let path = Kind::Pod.collection(desired.namespace());
    let call = pass.host().create(&path, &desired.0);
    let host = pass.write(Side::Host, "create", Kind::Pod, call).await.map(|value| pass.took(key, value));
    ledger::add(&mut pass.tenant.model.lock().used, &figures, -1);
    match host {
        Ok(host) => made(pass, key, tenant, &desired, host).await,
        Err(error) if error.conflict() => not_first(pass, key, tenant).await,
        Err(error) => denied(pass, key, tenant, error).await,
    }
}

async fn made(pass: &Pass, key: &Key, tenant: &TenantObj, desired: &HostObj, host: HostObj) -> Next {
    if let Some(field) = dropped(desired, &host) {
        pass.delete_host(key, Some(0)).await?;
        let message = format!("spec.{field} was dropped by the host");
        return refuse(pass, key, tenant, Refusal::new(Reason::HostFeatureMissing, message)).await;
    }
    if PodTranslator.change(desired, &host).is_some() {
        pass.overridden(key, tenant, desired, &host).await;
    }
    pass.carried(key);
    // As it was sent: what the namespace brought is known by now.
    pass.notes(Kind::Pod, tenant, PodTranslator.notes(tenant, &pass.tenant.facts())).await;
    let next = tokens::ensure(pass, key, tenant, &host, tokens::Made::Now).await?;
    status(pass, key, tenant, &host).await?;
    pass.settle(key, Some(tenant), Some(&host));
    Ok(next)
}

/// A field that was sent and that the host silently left out.
fn dropped(desired: &HostObj, host: &HostObj) -> Option<&'static str> {
    REQUIRED_FIELDS.iter().filter(|(schema, _)| *schema == "PodSpec").map(|(_, field)| *field).find(|field| {
        let path = format!("/spec/{field}");
        desired.0.pointer(&path).is_some_and(filled) && host.0.pointer(&path).is_none()
    })
}

async fn carry_on(pass: &Pass, key: &Key, tenant: &TenantObj, mut host: HostObj) -> Next {
    match PodTranslator.down(tenant, &pass.facts) {
        Ok(desired) => {
            if let Some(Change::Patch(patch)) = PodTranslator.change(&desired, &host) {
                if let Some(wait) = pass.rival(key, tenant, &desired, &host).await {
                    status(pass, key, tenant, &host).await?;
                    return Ok(Some(wait));
                }
                let path = Kind::Pod.path(host.namespace(), host.name());
                let call = pass.host().strategic(&path, &patch);
                match pass.write(Side::Host, "patch", Kind::Pod, call).await {
                    Ok(value) => {
                        host = pass.took(key, value);
                        if PodTranslator.change(&desired, &host).is_some() {
                            pass.overridden(key, tenant, &desired, &host).await;
                        }
                    }
                    Err(error) if error.conflict() || error.not_found() => {
                        pass.host_object(key, true).await?;
                        return Ok(Some(Duration::from_millis(200)));
                    }
                    Err(error) => return denied(pass, key, tenant, error).await,
                }
            }
        }
        // A class that became stricter harms nothing that runs (C6).
        Err(refusal) => {
            tracing::debug!(tenant = &*pass.tenant.id, reason = refusal.reason.as_str(), "runs on")
        }
    }
    let gates = gates_down(tenant, &host);
    if !gates.is_empty() {
        let body = json!({"metadata": {"uid": host.uid()}, "status": {"conditions": gates}});
        let path = format!("{}/status", Kind::Pod.path(host.namespace(), host.name()));
        let call = pass.host().strategic(&path, &body);
        let value = pass.write(Side::Host, "status", Kind::Pod, call).await.map_err(StepError::Host)?;
        host = pass.took(key, value);
    }
    let tenant = bind(pass, key, tenant, &host).await?;
    status(pass, key, &tenant, &host).await?;
    let next = tokens::ensure(pass, key, &tenant, &host, tokens::Made::Before).await?;
    pass.carried(key);
    pass.agreed(key);
    pass.settle(key, Some(&tenant), Some(&host));
    Ok(next)
}

/// Host node set, tenant's not: the Node first, then the binding (PO37).
async fn bind(pass: &Pass, key: &Key, tenant: &TenantObj, host: &HostObj) -> Result<TenantObj, StepError> {
    let node = host.text("/spec/nodeName");
    if node.is_empty() || tenant.text("/spec/nodeName") == node || tenant.deleting() {
        return Ok(tenant.clone());
    }
    upward::ensure_node(pass, node).await?;
    let body = json!({"apiVersion": "v1", "kind": "Binding",
        "metadata": {"name": &*key.name, "namespace": &*key.namespace, "uid": tenant.uid()},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node}});
    let path = format!("{}/binding", Kind::Pod.path(&key.namespace, &key.name));
    match pass.write(Side::Tenant, "bind", Kind::Pod, pass.wire.create(&path, &body)).await {
        Ok(_) => {}
        // Bound already, by ourselves in an earlier life.
        Err(error) if error.conflict() => {}
        Err(error) => return Err(StepError::Tenant(error)),
    }
    let mut bound = tenant.clone();
    bound.0["spec"]["nodeName"] = Value::from(node);
    let model = &mut pass.tenant.model.lock();
    if let Some(entry) = model.entries.get_mut(key) {
        let keeps = tenant.controller().is_none_or(|c| text(c, "kind") != "DaemonSet");
        entry.node = Some((node.into(), keeps));
    }
    Ok(bound)
}

/// The host's status, where it differs (PO36).
async fn status(pass: &Pass, key: &Key, tenant: &TenantObj, host: &HostObj) -> Result<(), StepError> {
    let Some(mut up) = PodTranslator.up(tenant, host, &pass.facts) else { return Ok(()) };
    let refused = items(&tenant.0, "/status/conditions").iter().find(|c| text(c, "type") == tell::CARRIED);
    if let Some(was) = refused
        && let Some(map) = up.as_object_mut()
    {
        let since = if text(was, "status") == "True" {
            text(was, "lastTransitionTime").to_owned()
        } else {
            tell::now()
        };
        let conditions = map.entry("conditions").or_insert_with(|| json!([]));
        if let Some(list) = conditions.as_array_mut() {
            list.push(json!({"type": tell::CARRIED, "status": "True", "reason": "Carried", "lastTransitionTime": since}));
        }
    }
    if up.as_object().is_none_or(|map| map.is_empty()) || !status_differs(tenant, &up) {
        return Ok(());
    }
    write_status(pass, key, tenant, up).await
}

async fn write_status(pass: &Pass, key: &Key, tenant: &TenantObj, up: Value) -> Result<(), StepError> {
    let body = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": &*key.name, "namespace": &*key.namespace, "uid": tenant.uid()}, "status": up});
    let path = format!("{}/status", Kind::Pod.path(&key.namespace, &key.name));
    match pass.write(Side::Tenant, "status", Kind::Pod, pass.wire.apply(&path, &body)).await {
        Ok(value) => {
            pass.tenant.heard(true);
            pass.engine.tenant_seen(&pass.tenant, Kind::Pod, TenantObj(value));
            Ok(())
        }
        // Gone or replaced meanwhile: its own event is on the way.
        Err(error) if error.not_found() || error.conflict() => Ok(()),
        Err(error) => Err(StepError::Tenant(error)),
    }
}

/// A host pod that is lost is reported, then its controller replaces it (PO41).
async fn lost(pass: &Pass, key: &Key, tenant: &TenantObj, reason: &str) -> Next {
    write_status(pass, key, tenant, lost_status(tenant, reason, &tell::now())).await?;
    pass.tell(Kind::Pod, tenant, reason, "the pod was deleted on its host", true).await;
    if tenant.controller().is_some() {
        return finish(pass, key, tenant).await;
    }
    Ok(None)
}

async fn finish(pass: &Pass, key: &Key, tenant: &TenantObj) -> Next {
    let path = Kind::Pod.path(&key.namespace, &key.name);
    let call = pass.wire.delete(&path, tenant.uid(), Some(0));
    match pass.write(Side::Tenant, "delete", Kind::Pod, call).await {
        Ok(_) => Ok(None),
        Err(error) if error.conflict() => Ok(None),
        Err(error) => Err(StepError::Tenant(error)),
    }
}
