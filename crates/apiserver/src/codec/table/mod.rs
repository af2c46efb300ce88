//! Projections (N3, N4): `meta.k8s.io` Table with the columns of a kind, PartialObjectMetadata.

mod age;
mod cells;
mod format;
mod jsonpath;
mod network;
mod pod;
mod workload;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Value, json};

pub use self::age::human_duration;
pub use self::jsonpath::JsonPath;
use crate::model::object::Object;
use crate::model::resource::{CellSource, Column, Resource};

fn group_version(version: &str) -> String {
    format!("meta.k8s.io/{version}")
}

/// Column definitions of a kind.
pub fn columns(resource: &Resource) -> Value {
    let column = |c: &Column| json!({"name": c.name, "type": c.ty, "format": c.format, "description": c.description, "priority": c.priority});
    resource.columns.iter().map(column).collect()
}

fn row(resource: &Resource, object: &Value, version: &str, include: &str, now: Timestamp) -> Value {
    let shown = match include {
        "None" => Value::Null,
        "Object" => object.clone(),
        _ => partial(object, version),
    };
    let cells: Value = resource.columns.iter().map(|column| cell(resource, column, object, now)).collect();
    let mut out = json!({"cells": cells, "object": shown});
    if let Some(conditions) = pod::row_conditions(resource, object) {
        out["conditions"] = conditions;
    }
    out
}

fn cell(resource: &Resource, column: &Column, object: &Value, now: Timestamp) -> Value {
    match &column.source {
        CellSource::Hook(name) => cells::hook(name, object, now),
        CellSource::Path(path) => {
            let found = JsonPath::parse(path).and_then(|p| p.first(object)).cloned();
            if resource.custom.is_some() {
                cells::custom(&column.ty, found, now)
            } else {
                found.unwrap_or_else(|| cells::zero(&column.ty))
            }
        }
    }
}

fn table(resource: &Resource, rows: Vec<Value>, metadata: Value, version: &str) -> Value {
    json!({"apiVersion": group_version(version), "kind": "Table", "metadata": metadata,
           "columnDefinitions": columns(resource), "rows": rows})
}

/// The Table of one object.
pub fn of_object(resource: &Resource, object: &Value, version: &str, include: &str) -> Value {
    let rows = vec![row(resource, object, version, include, Timestamp::now())];
    table(resource, rows, json!({"resourceVersion": object.meta("resourceVersion")}), version)
}

/// The Table of a list.
pub fn of_list(
    resource: &Resource,
    objects: &[Value],
    metadata: Value,
    version: &str,
    include: &str,
) -> Value {
    let now = Timestamp::now();
    let rows = objects.iter().map(|o| row(resource, o, version, include, now)).collect();
    table(resource, rows, metadata, version)
}

/// The metadata of one object.
pub fn partial(object: &Value, version: &str) -> Value {
    let metadata = object.at(&["metadata"]).cloned().unwrap_or_default();
    json!({"apiVersion": group_version(version), "kind": "PartialObjectMetadata", "metadata": metadata})
}

/// The metadata of a list's objects.
pub fn partial_list(objects: &[Value], metadata: Value, version: &str) -> Value {
    let items: Vec<Value> = objects.iter().map(|o| partial(o, version)).collect();
    json!({"apiVersion": group_version(version), "kind": "PartialObjectMetadataList", "metadata": metadata, "items": items})
}
