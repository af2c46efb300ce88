//! kubectl's way from client-side to server-side apply (A6): the last-applied annotation says which fields
//! kubectl owned before there were managers.

use serde_json::Value;

use super::refusal::conflicts_of;
use super::typed::{At, Types};
use super::{Apply, Conflict};
use crate::apply::managers::{Manager, Operation};

const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// All annotations of an object together (keys and values) may be that long.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

/// The conflicts that stay when those are let go whose fields kubectl last applied with the value they have.
pub(super) fn remaining(
    request: &Apply<'_>,
    types: Types<'_>,
    root: At<'_>,
    live: &Value,
    conflicts: Vec<Conflict>,
) -> Vec<Conflict> {
    if request.manager != KUBECTL {
        return conflicts;
    }
    let Some(last) = annotation(live).and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
        return conflicts;
    };
    if last.get("apiVersion").and_then(Value::as_str) != Some(request.api_version)
        || !types.check(root, &last).is_empty()
    {
        return conflicts;
    }
    let mut allowed = types.fields_of(root, &last);
    let diff = types.compare(root, &last, live);
    allowed.subtract(&diff.modified);
    allowed.subtract(&diff.added);
    allowed.subtract(&diff.removed);
    // Paths are compared as they are printed: a conflict knows no more of its field.
    let nobody = Manager {
        name: String::new(),
        operation: Operation::Apply,
        api_version: String::new(),
        subresource: String::new(),
    };
    let allowed: std::collections::HashSet<String> =
        conflicts_of(&nobody, &allowed).into_iter().map(|c| c.path_text).collect();
    conflicts.into_iter().filter(|c| !allowed.contains(&c.path_text)).collect()
}

/// Keeps the annotation of an object up to date that kubectl applies by the server.
pub(super) fn refresh(request: &Apply<'_>, object: &mut Value) {
    if request.manager != KUBECTL || annotation(object).is_none_or(str::is_empty) {
        return;
    }
    let mut applied = request.applied.clone();
    if let Some(Value::Object(metadata)) = applied.get_mut("metadata")
        && let Some(Value::Object(annotations)) = metadata.get_mut("annotations")
    {
        annotations.remove(ANNOTATION);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    let text = format!("{applied}\n");
    let Some(Value::Object(annotations)) = object.get_mut("metadata").and_then(|m| m.get_mut("annotations"))
    else {
        return;
    };
    annotations.insert(ANNOTATION.to_owned(), Value::String(text));
    let size: usize = annotations.iter().map(|(k, v)| k.len() + v.as_str().map_or(0, str::len)).sum();
    if size > ANNOTATIONS_LIMIT {
        annotations.remove(ANNOTATION);
    }
}

fn annotation(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("annotations")?.get(ANNOTATION)?.as_str()
}
