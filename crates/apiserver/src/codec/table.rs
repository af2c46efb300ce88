//! Projections: `meta.k8s.io` Table with the name column, PartialObjectMetadata.

use serde_json::{Value, json};

use crate::model::object::Object;
use crate::model::resource::Resource;

fn group_version(version: &str) -> String {
    format!("meta.k8s.io/{version}")
}

fn row(object: &Value, version: &str, include: &str) -> Value {
    let shown = match include {
        "None" => Value::Null,
        "Object" => object.clone(),
        _ => partial(object, version),
    };
    json!({"cells": [object.meta("name")], "object": shown})
}

fn table(rows: Vec<Value>, metadata: Value, version: &str) -> Value {
    let columns =
        json!([{"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0}]);
    json!({"apiVersion": group_version(version), "kind": "Table", "metadata": metadata,
           "columnDefinitions": columns, "rows": rows})
}

/// The Table of one object.
pub fn of_object(_resource: &Resource, object: &Value, version: &str, include: &str) -> Value {
    table(
        vec![row(object, version, include)],
        json!({"resourceVersion": object.meta("resourceVersion")}),
        version,
    )
}

/// The Table of a list.
pub fn of_list(
    _resource: &Resource,
    objects: &[Value],
    metadata: Value,
    version: &str,
    include: &str,
) -> Value {
    table(objects.iter().map(|o| row(o, version, include)).collect(), metadata, version)
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
