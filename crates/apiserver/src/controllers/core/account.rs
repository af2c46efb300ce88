//! The `default` ServiceAccount and the `kube-root-ca.crt` ConfigMap of every living namespace.

use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::super::{Controller, Ctx, Failed, Next, View};
use crate::kinds::namespace::is_terminating;
use crate::model::gvk::ResourceId;
use crate::store::{BASE_RV, Change, NsName};

const ROOT_CA: &str = "kube-root-ca.crt";
const BASE_NAMESPACES: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "default"];

fn namespace_key(resource: &ResourceId, change: &Change) -> Vec<NsName> {
    let name = &change.key.name;
    match &**resource {
        "/namespaces" => vec![NsName::new("", name.name())],
        _ => vec![NsName::new("", name.namespace())],
    }
}

fn is_alive(ctx: &Ctx, namespace: &str) -> bool {
    ctx.view.get("/namespaces", "", namespace).is_some_and(|ns| !is_terminating(&ns))
}

/// Keeps `default` ServiceAccounts.
pub struct ServiceAccounts;

impl Controller for ServiceAccounts {
    fn name(&self) -> &'static str {
        "service-account-controller"
    }

    fn watches(&self) -> &[&'static str] {
        &["/namespaces", "/serviceaccounts"]
    }

    fn keys(&self, _view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName> {
        namespace_key(resource, change)
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        view.names("/namespaces")
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let namespace = key.name();
            if !is_alive(&ctx, namespace)
                || ctx.view.record("/serviceaccounts", namespace, "default").is_some()
            {
                return Ok(Next::Done);
            }
            let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
            unless_there(ctx.api.create(&path, &json!({"metadata": {"name": "default"}})).await)
        })
    }
}

/// Keeps `kube-root-ca.crt`, as the base image has it.
pub struct RootCa;

impl Controller for RootCa {
    fn name(&self) -> &'static str {
        "root-ca-cert-publisher"
    }

    fn watches(&self) -> &[&'static str] {
        &["/namespaces", "/configmaps"]
    }

    fn keys(&self, _view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName> {
        let name = &change.key.name;
        match &**resource {
            "/configmaps" if name.name() != ROOT_CA => Vec::new(),
            _ => namespace_key(resource, change),
        }
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        view.names("/namespaces")
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            let namespace = key.name();
            let Some(bundle) = bundle(&ctx.view) else { return Ok(Next::Done) };
            if !is_alive(&ctx, namespace) {
                return Ok(Next::Done);
            }
            let path = format!("/api/v1/namespaces/{namespace}/configmaps");
            let wanted = json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": {"ca.crt": bundle},
                "metadata": {"name": ROOT_CA, "annotations": {"kubernetes.io/description":
                    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."}},
            });
            match ctx.view.get("/configmaps", namespace, ROOT_CA) {
                None => unless_there(ctx.api.create(&path, &wanted).await),
                Some(live) if live["data"] != wanted["data"] => {
                    let mut live = live;
                    live["data"] = wanted["data"].clone();
                    ctx.api.update(&format!("{path}/{ROOT_CA}"), &live).await?;
                    Ok(Next::Done)
                }
                Some(_) => Ok(Next::Done),
            }
        })
    }
}

/// The bundle as the base image has it, read where the tenant has not written over it.
fn bundle(view: &View) -> Option<Value> {
    BASE_NAMESPACES
        .iter()
        .filter_map(|namespace| view.record("/configmaps", namespace, ROOT_CA))
        .find(|record| record.rv() == BASE_RV)
        .and_then(|record| record.tree().pointer("/data/ca.crt").cloned())
}

/// Somebody else was faster, or the namespace is ending: both are fine.
fn unless_there(result: Result<Value, crate::model::status::ApiStatus>) -> Result<Next, Failed> {
    match result {
        Ok(_) => Ok(Next::Done),
        Err(status) if matches!(status.reason, "AlreadyExists" | "NotFound") => Ok(Next::Done),
        Err(status) if status.details.causes.iter().any(|c| c.reason == "NamespaceTerminating") => {
            Ok(Next::Done)
        }
        Err(status) => Err(status.into()),
    }
}
