//! One watch event as a line of JSON, encoded once per form for all watchers of that form (W7).

use bytes::Bytes;
use serde_json::{Value, json};

use crate::codec::table;
use crate::model::resource::Resource;
use crate::model::status::ApiStatus;
use crate::registry::view;
use crate::request::{Accept, Encoding, Form};
use crate::store::Record;

/// How one watcher wants its events.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Projection and encoding.
    pub accept: Accept,
    /// The first Table of a stream carries the columns.
    pub with_columns: bool,
}

fn line(kind: &str, object: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(object.len() + kind.len() + 24);
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\",\"object\":");
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
    out.into()
}

/// The event `kind` about `record`. `rv` replaces the record's version where the event has one of its own (deletions).
pub fn event(resource: &Resource, kind: &str, record: &Record, shape: Shape, include: &str) -> Bytes {
    if shape.accept.form == Form::Object && resource.gvk == resource.storage {
        return line(kind, &record.json());
    }
    let object = view(resource, record);
    let projected = match shape.accept.form {
        Form::Object => object,
        Form::Table(version) => {
            let mut table = table::of_object(resource, &object, version, include);
            if !shape.with_columns {
                table["columnDefinitions"] = Value::Null;
            }
            table
        }
        Form::Partial(version) => table::partial(&object, version),
    };
    line(kind, &serde_json::to_vec(&projected).unwrap_or_default())
}

/// A bookmark at a version; `initial_end` marks the end of initial events.
pub fn bookmark(resource: &Resource, rv: u64, initial_end: bool, form: Form) -> Bytes {
    let mut metadata = json!({"resourceVersion": rv.to_string(), "creationTimestamp": null});
    if initial_end {
        metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
    }
    let object = match form {
        Form::Object => {
            json!({"apiVersion": resource.gvk.api_version(), "kind": &*resource.gvk.kind, "metadata": metadata})
        }
        Form::Partial(v) => {
            json!({"apiVersion": format!("meta.k8s.io/{v}"), "kind": "PartialObjectMetadata", "metadata": metadata})
        }
        Form::Table(v) => json!({
            "apiVersion": format!("meta.k8s.io/{v}"), "kind": "Table", "columnDefinitions": null,
            "metadata": {"resourceVersion": rv.to_string()},
            "rows": [{"cells": [], "object": {"apiVersion": format!("meta.k8s.io/{v}"), "kind": "PartialObjectMetadata", "metadata": metadata}}],
        }),
    };
    line("BOOKMARK", &serde_json::to_vec(&object).unwrap_or_default())
}

/// The end of a stream that cannot go on.
pub fn error(status: &ApiStatus) -> Bytes {
    line("ERROR", &serde_json::to_vec(&status.to_value()).unwrap_or_default())
}

/// Encoding of watch streams is always JSON lines.
pub fn content_type(accept: &Accept) -> &'static str {
    match (accept.form, accept.encoding) {
        (Form::Object, Encoding::Json | Encoding::Pretty | Encoding::Yaml) => "application/json",
        (Form::Table("v1beta1"), _) => "application/json;as=Table;v=v1beta1;g=meta.k8s.io",
        (Form::Table(_), _) => "application/json;as=Table;v=v1;g=meta.k8s.io",
        (Form::Partial("v1beta1"), _) => "application/json;as=PartialObjectMetadata;v=v1beta1;g=meta.k8s.io",
        (Form::Partial(_), _) => "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    }
}
