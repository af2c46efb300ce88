//! Endpoints and EndpointSlices of Services with a selector.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::{Controller, Ctx, Failed, Next, View};
use crate::controllers::workload::pods::is_over;
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::store::{Change, NsName, Record};

const SERVICES: &str = "/services";
const PODS: &str = "/pods";
const SLICES: &str = "discovery.k8s.io/endpointslices";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const SLICE_MANAGER: &str = "endpointslice-controller.k8s.io";
/// Endpoints in one slice.
const SLICE_MAX: usize = 100;

/// Keeps EndpointSlices.
pub struct Slices;
/// Keeps Endpoints.
pub struct Endpoints;

fn selector_of(service: &Value) -> Option<&serde_json::Map<String, Value>> {
    let selector = service.at(&["spec", "selector"])?.as_object()?;
    (!selector.is_empty() && service.text(&["spec", "type"]) != "ExternalName").then_some(selector)
}

/// Services whose selector fits a pod before or after its change.
fn services_of(view: &View, change: &Change) -> Vec<NsName> {
    let fits = |record: &Record, selector: &serde_json::Map<String, Value>| {
        selector.iter().all(|(k, v)| record.index().label(k) == v.as_str())
    };
    view.records(SERVICES, Some(change.key.name.namespace()))
        .into_iter()
        .filter(|(_, record)| {
            let service = record.tree();
            let Some(selector) = selector_of(&service) else { return false };
            fits(&change.new, selector) || change.prev.as_ref().is_some_and(|prev| fits(prev, selector))
        })
        .map(|(name, _)| name)
        .collect()
}

fn keys(view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName> {
    match &**resource {
        PODS => services_of(view, change),
        SLICES => {
            let service = change.new.index().label(SERVICE_NAME).unwrap_or_default();
            vec![NsName::new(change.key.name.namespace(), service)]
        }
        _ => vec![change.key.name.clone()],
    }
}

impl Controller for Slices {
    fn name(&self) -> &'static str {
        "endpointslice-controller"
    }

    fn watches(&self) -> &[&'static str] {
        &[SERVICES, PODS, SLICES]
    }

    fn keys(&self, view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName> {
        keys(view, resource, change)
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        view.names(SERVICES)
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let Some(service) = ctx.view.get(SERVICES, key.namespace(), key.name()) else {
                return Ok(Next::Done);
            };
            if service.is_deleting()
                || selector_of(&service).is_none()
                || ctx.view.is_template(key.namespace())
            {
                return Ok(Next::Done);
            }
            reconcile_slices(&ctx, &service).await?;
            Ok(Next::Done)
        })
    }
}

impl Controller for Endpoints {
    fn name(&self) -> &'static str {
        "endpoint-controller"
    }

    fn watches(&self) -> &[&'static str] {
        &[SERVICES, PODS, "/endpoints"]
    }

    fn keys(&self, view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName> {
        keys(view, resource, change)
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        view.names(SERVICES)
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let (namespace, name) = (key.namespace(), key.name());
            let path = format!("/api/v1/namespaces/{namespace}/endpoints");
            let service = ctx.view.get(SERVICES, namespace, name);
            let live = ctx.view.get("/endpoints", namespace, name);
            let Some(service) =
                service.filter(|s| selector_of(s).is_some() && !ctx.view.is_template(namespace))
            else {
                return Ok(Next::Done);
            };
            let subsets = subsets(&ctx.view, &service);
            match live {
                Some(live) if live.items(&["subsets"]) == subsets => {}
                Some(mut live) => {
                    live["subsets"] = subsets.into();
                    ctx.api.update(&format!("{path}/{name}"), &live).await?;
                }
                None => {
                    let mut labels =
                        service.at(&["metadata", "labels"]).cloned().unwrap_or_else(|| json!({}));
                    labels["endpoints.kubernetes.io/managed-by"] = "endpoint-controller".into();
                    let body = json!({"metadata": {"name": name, "labels": labels,
                        "ownerReferences": [reference(&service)]}, "subsets": subsets});
                    match ctx.api.create(&path, &body).await {
                        Err(status)
                            if !matches!(status.reason, "AlreadyExists" | "NotFound")
                                && status.code != 403 =>
                        {
                            return Err(status.into());
                        }
                        _ => {}
                    }
                }
            }
            Ok(Next::Done)
        })
    }
}

fn reference(service: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "name": service.meta("name"), "uid": service.meta("uid"),
           "controller": true, "blockOwnerDeletion": true})
}

/// Pods behind a Service that have an address, in order of their names.
fn backends(view: &View, service: &Value) -> Vec<Value> {
    let Some(selector) = selector_of(service) else { return Vec::new() };
    view.records(PODS, Some(service.meta("namespace")))
        .into_iter()
        .filter(|(_, record)| selector.iter().all(|(k, v)| record.index().label(k) == v.as_str()))
        .map(|(_, record)| record.tree())
        .filter(|pod| !pod.text(&["status", "podIP"]).is_empty())
        .filter(|pod| !is_over(pod))
        .collect()
}

fn is_ready(service: &Value, pod: &Value) -> bool {
    let always = service.at(&["spec", "publishNotReadyAddresses"]) == Some(&Value::Bool(true));
    always || (super::super::workload::pods::is_ready(pod) && !pod.is_deleting())
}

/// Number of a target port in a pod: as written, or found by name.
fn target_port(port: &Value, pod: &Value) -> Option<i64> {
    let target = port.get("targetPort").filter(|t| !t.is_null());
    match target {
        Some(Value::Number(n)) if n.as_i64() != Some(0) => n.as_i64(),
        Some(Value::String(name)) => pod
            .items(&["spec", "containers"])
            .iter()
            .flat_map(|c| c.items(&["ports"]))
            .find(|p| p.text(&["name"]) == name && protocol(p) == protocol(port))
            .and_then(|p| p.get("containerPort")?.as_i64()),
        _ => port.get("port")?.as_i64(),
    }
}

fn protocol(port: &Value) -> &str {
    match port.text(&["protocol"]) {
        "" => "TCP",
        other => other,
    }
}

/// Ports of a Service as one pod offers them.
fn ports_of(service: &Value, pod: &Value, with_null_name: bool) -> Vec<Value> {
    service
        .items(&["spec", "ports"])
        .iter()
        .filter_map(|port| {
            let mut out = json!({"port": target_port(port, pod)?, "protocol": protocol(port)});
            let name = port.text(&["name"]);
            if !name.is_empty() || with_null_name {
                out["name"] = name.into();
            }
            if let Some(app) = port.get("appProtocol") {
                out["appProtocol"] = app.clone();
            }
            Some(out)
        })
        .collect()
}

fn target(pod: &Value) -> Value {
    json!({"kind": "Pod", "namespace": pod.meta("namespace"), "name": pod.meta("name"), "uid": pod.meta("uid")})
}

fn subsets(view: &View, service: &Value) -> Vec<Value> {
    let mut groups: BTreeMap<String, (Value, Vec<Value>, Vec<Value>)> = BTreeMap::new();
    for pod in backends(view, service) {
        let ports = Value::from(ports_of(service, &pod, false));
        let group = groups.entry(ports.to_string()).or_insert_with(|| (ports, Vec::new(), Vec::new()));
        let mut address = json!({"ip": pod.text(&["status", "podIP"]), "targetRef": target(&pod)});
        if !pod.text(&["spec", "nodeName"]).is_empty() {
            address["nodeName"] = pod.text(&["spec", "nodeName"]).into();
        }
        if is_ready(service, &pod) {
            group.1.push(address);
        } else if !pod.is_deleting() {
            group.2.push(address);
        }
    }
    let filled = groups.into_values().filter(|(_, ready, not)| !ready.is_empty() || !not.is_empty());
    filled
        .map(|(ports, ready, not_ready)| {
            let mut subset = json!({});
            for (field, list) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
                if !list.is_empty() {
                    subset[field] = list.into();
                }
            }
            if ports.as_array().is_some_and(|p| !p.is_empty()) {
                subset["ports"] = ports;
            }
            subset
        })
        .collect()
}

fn endpoint(service: &Value, pod: &Value) -> Value {
    let serving = super::super::workload::pods::is_ready(pod);
    let mut out = json!({
        "addresses": [pod.text(&["status", "podIP"])], "targetRef": target(pod),
        "conditions": {"ready": is_ready(service, pod), "serving": serving, "terminating": pod.is_deleting()},
    });
    if !pod.text(&["spec", "nodeName"]).is_empty() {
        out["nodeName"] = pod.text(&["spec", "nodeName"]).into();
    }
    let host = pod.text(&["spec", "hostname"]);
    if !host.is_empty() && pod.text(&["spec", "subdomain"]) == service.meta("name") {
        out["hostname"] = host.into();
    }
    out
}

/// Wanted slices: (ports, endpoints) of at most a hundred endpoints each.
fn wanted(view: &View, service: &Value) -> Vec<(Value, Vec<Value>)> {
    let mut groups: BTreeMap<String, (Value, Vec<Value>)> = BTreeMap::new();
    for pod in backends(view, service) {
        let ports = Value::from(ports_of(service, &pod, true));
        groups
            .entry(ports.to_string())
            .or_insert_with(|| (ports, Vec::new()))
            .1
            .push(endpoint(service, &pod));
    }
    groups
        .into_values()
        .flat_map(|(ports, endpoints)| {
            endpoints.chunks(SLICE_MAX).map(|c| (ports.clone(), c.to_vec())).collect::<Vec<_>>()
        })
        .collect()
}

fn family(service: &Value) -> &'static str {
    match service.items(&["spec", "ipFamilies"]).first().and_then(Value::as_str) {
        Some("IPv6") => "IPv6",
        _ => "IPv4",
    }
}

fn slice_labels(service: &Value) -> Value {
    let own = service.at(&["metadata", "labels"]).and_then(Value::as_object).cloned().unwrap_or_default();
    let mut labels = Value::Object(own);
    labels[MANAGED_BY] = SLICE_MANAGER.into();
    labels[SERVICE_NAME] = service.meta("name").into();
    if service.text(&["spec", "clusterIP"]) == "None" {
        labels["service.kubernetes.io/headless"] = "".into();
    }
    labels
}

async fn reconcile_slices(ctx: &Ctx, service: &Value) -> Result<(), Failed> {
    let (namespace, name) = (service.meta("namespace"), service.meta("name"));
    let path = format!("/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices");
    let mut live: Vec<Value> = ctx
        .view
        .records(SLICES, Some(namespace))
        .into_iter()
        .filter(|(_, r)| {
            r.index().label(SERVICE_NAME) == Some(name) && r.index().label(MANAGED_BY) == Some(SLICE_MANAGER)
        })
        .map(|(_, record)| record.tree())
        .collect();
    let mut slices = wanted(&ctx.view, service);
    if slices.is_empty() {
        slices.push((json!([]), Vec::new()));
    }
    let labels = slice_labels(service);
    for (ports, endpoints) in slices {
        let at = live.iter().position(|s| s["ports"] == ports).or((!live.is_empty()).then_some(0));
        match at.map(|i| live.swap_remove(i)) {
            Some(mut slice) => {
                let same = slice.items(&["endpoints"]) == endpoints
                    && slice.items(&["ports"]) == ports.as_array().map(Vec::as_slice).unwrap_or_default()
                    && slice.at(&["metadata", "labels"]) == Some(&labels);
                if !same {
                    slice["endpoints"] = endpoints.into();
                    slice["ports"] = ports;
                    slice["metadata"]["labels"] = labels.clone();
                    ctx.api.update(&format!("{path}/{}", slice.meta("name").to_owned()), &slice).await?;
                }
            }
            None => {
                let body = json!({
                    "addressType": family(service), "endpoints": endpoints, "ports": ports,
                    "metadata": {"generateName": format!("{name}-"), "labels": labels, "ownerReferences": [reference(service)]},
                });
                match ctx.api.create(&path, &body).await {
                    Err(status) if status.code != 403 && status.code != 404 => return Err(status.into()),
                    _ => {}
                }
            }
        }
    }
    for slice in live {
        match ctx.api.delete(&format!("{path}/{}", slice.meta("name")), &json!({})).await {
            Err(status) if status.code != 404 => return Err(status.into()),
            _ => {}
        }
    }
    Ok(())
}
