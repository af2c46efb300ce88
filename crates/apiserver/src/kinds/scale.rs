//! The scale subresource of built-in and custom kinds.

use serde_json::{Value, json};

use crate::model::object::Object;
use crate::model::resource::Resource;

/// Where a kind keeps its counts: paths of spec replicas, status replicas, and the label selector text.
struct Paths {
    spec: Vec<String>,
    status: Vec<String>,
    selector: Vec<String>,
}

fn split(path: &str) -> Vec<String> {
    path.trim_start_matches('.').split('.').filter(|p| !p.is_empty()).map(str::to_owned).collect()
}

fn paths(resource: &Resource) -> Paths {
    match &resource.custom {
        Some(custom) => {
            let scale = custom.scale.as_ref();
            Paths {
                spec: split(scale.map_or("", |s| &s.spec_replicas)),
                status: split(scale.map_or("", |s| &s.status_replicas)),
                selector: split(scale.and_then(|s| s.selector.as_deref()).unwrap_or("")),
            }
        }
        None => {
            Paths { spec: split("spec.replicas"), status: split("status.replicas"), selector: Vec::new() }
        }
    }
}

fn refs(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// `a=b,c in (d)` of a `metav1.LabelSelector`.
pub fn selector_text(selector: &Value) -> String {
    let mut parts: Vec<String> = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
        .collect();
    for e in selector.items(&["matchExpressions"]) {
        let values: Vec<&str> = e.items(&["values"]).iter().filter_map(Value::as_str).collect();
        let key = e.text(&["key"]);
        parts.push(match e.text(&["operator"]) {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    parts.join(",")
}

/// The Scale of an object.
pub fn of(resource: &Resource, object: &Value) -> Value {
    let at = paths(resource);
    let count = |path: &[String]| object.at(&refs(path)).and_then(Value::as_i64).unwrap_or(0);
    let selector = if at.selector.is_empty() {
        match object.at(&["spec", "selector"]) {
            Some(s) if s.get("matchLabels").is_some() || s.get("matchExpressions").is_some() => {
                selector_text(s)
            }
            Some(Value::Object(plain)) if resource.custom.is_none() => {
                let parts: Vec<String> =
                    plain.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
                parts.join(",")
            }
            _ => String::new(),
        }
    } else {
        object.text(&refs(&at.selector)).to_owned()
    };
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.at(&["metadata", field]) {
            metadata[field] = value.clone();
        }
    }
    let mut status = json!({"replicas": count(&at.status)});
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": metadata,
           "spec": {"replicas": count(&at.spec)}, "status": status})
}

/// The object with the replicas of a Scale.
pub fn set(resource: &Resource, object: &Value, replicas: i64) -> Value {
    let mut object = object.clone();
    let at = paths(resource);
    object.put(&refs(&at.spec), replicas);
    object
}
