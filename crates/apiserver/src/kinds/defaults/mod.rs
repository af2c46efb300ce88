//! Defaults that depend on other fields of the object. They run after the constant ones, on every
//! write, and change nothing the second time.

mod api;
mod pod;
mod resources;
mod service;
mod workload;

use serde_json::Value;

use crate::model::gvk::Gvk;

/// Fills in what follows from the rest of the object.
pub fn computed(gvk: &Gvk, object: &mut Value) {
    if let Some(path) = pod::spec_path(gvk)
        && let Some(spec) = object.pointer_mut(path)
    {
        pod::spec(spec);
    }
    match (&*gvk.group, &*gvk.kind) {
        ("", "Pod") => pod::pod(object),
        ("", "Service") => service::service(object),
        ("", "ReplicationController") => workload::replication_controller(object),
        ("", "Namespace") => api::namespace(object),
        ("", "Node") => api::node(object),
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "DaemonSet") => workload::daemon_set(object),
        ("apps", "StatefulSet") => workload::stateful_set(object),
        ("batch", "Job") => workload::job(object),
        ("autoscaling", "HorizontalPodAutoscaler") if &*gvk.version == "v2" => workload::autoscaler(object),
        ("networking.k8s.io", "NetworkPolicy") => api::network_policy(object),
        ("resource.k8s.io", "ResourceClaim") => {
            object.get_mut("spec").into_iter().for_each(resources::device_requests);
        }
        ("resource.k8s.io", "ResourceClaimTemplate") => {
            object.pointer_mut("/spec/spec").into_iter().for_each(resources::device_requests);
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => api::binding(object),
        _ => {}
    }
}

/// The value of a member that is there and not `null`.
fn has(value: &Value, name: &str) -> bool {
    value.get(name).is_some_and(|v| !v.is_null())
}

/// Sets a member that is absent or `null`; nothing happens where `value` is no object.
fn absent(value: &mut Value, name: &str, default: impl Into<Value>) {
    if let Value::Object(members) = value
        && members.get(name).is_none_or(Value::is_null)
    {
        members.insert(name.into(), default.into());
    }
}

/// Items of a list member.
fn each<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests;
