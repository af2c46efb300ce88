//! Pods as what a controller owns: made from a template, adopted, let go.

use serde_json::{Value, json};

use super::super::{Ctx, Failed};
use crate::bus::Patch;
use crate::model::object::Object;
use crate::model::status::ApiStatus;

/// Path of a namespace's pods.
pub fn pods_path(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

/// Path of a pod.
pub fn pod_path(pod: &Value) -> String {
    format!("{}/{}", pods_path(pod.meta("namespace")), pod.meta("name"))
}

/// The reference of an owner that controls.
pub fn reference(api_version: &str, kind: &str, owner: &Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": owner.meta("name"), "uid": owner.meta("uid"),
           "controller": true, "blockOwnerDeletion": true})
}

/// A pod of a template, to be named after `base`.
pub fn pod(template: &Value, base: &str, reference: Value) -> Value {
    let mut metadata = json!({"generateName": format!("{base}-"), "ownerReferences": [reference]});
    for field in ["labels", "annotations", "finalizers"] {
        if let Some(value) = template.at(&["metadata", field]) {
            metadata[field] = value.clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

/// Takes a pod that nobody controls.
pub async fn adopt(ctx: &Ctx, pod: &Value, reference: Value) -> Result<Value, Failed> {
    let mut owners = pod.items(&["metadata", "ownerReferences"]).to_vec();
    owners.push(reference);
    let body = json!({"metadata": {"uid": pod.meta("uid"), "ownerReferences": owners}});
    Ok(ctx.api.patch(&pod_path(pod), Patch::Merge, &body).await?)
}

/// Lets go of a pod whose labels no longer fit.
pub async fn release(ctx: &Ctx, pod: &Value, uid: &str) -> Result<(), Failed> {
    let owners: Vec<&Value> =
        pod.items(&["metadata", "ownerReferences"]).iter().filter(|o| o.text(&["uid"]) != uid).collect();
    let body = json!({"metadata": {"uid": pod.meta("uid"), "ownerReferences": owners}});
    gone_is_fine(ctx.api.patch(&pod_path(pod), Patch::Merge, &body).await)
}

/// Deletes an object as it was seen; whether it was there.
pub async fn delete(ctx: &Ctx, path: &str, object: &Value) -> Result<bool, ApiStatus> {
    match ctx.api.delete(path, &json!({"preconditions": {"uid": object.meta("uid")}})).await {
        Ok(_) => Ok(true),
        Err(status) if matches!(status.code, 404 | 409) => Ok(false),
        Err(status) => Err(status),
    }
}

/// What was asked of an object that is gone is not missed.
pub fn gone_is_fine(result: Result<Value, ApiStatus>) -> Result<(), Failed> {
    match result {
        Err(status) if status.code != 404 => Err(status.into()),
        _ => Ok(()),
    }
}
