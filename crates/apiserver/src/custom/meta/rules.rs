//! What is wrong with embedded objects: type, kind, metadata.

use serde_json::{Map, Value};

use super::super::names;
use super::super::node::{Additional, Node};
use super::super::path::{Path, json as as_json};
use super::normalize;
use crate::model::status::Cause;

/// All findings below `path`; with `root` the value itself is an object of its own.
pub fn check(path: &Path<'_>, value: &Value, schema: &Node, root: bool) -> Vec<Cause> {
    let mut found = Vec::new();
    check_at(path, value, schema, root || schema.embedded, &mut found);
    found
}

fn check_at(path: &Path<'_>, value: &Value, schema: &Node, embedded: bool, found: &mut Vec<Cause>) {
    match value {
        Value::Object(members) => {
            if embedded {
                check_embedded(path, members, found);
            }
            for (key, member) in members {
                if let Some(property) = schema.property(key) {
                    check_at(&path.child(key), member, property, property.embedded, found);
                } else if let Some(Additional::Schema(inner)) = &schema.additional {
                    check_at(&path.key(key), member, inner, inner.embedded, found);
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = &schema.items {
                for (i, item) in items.iter().enumerate() {
                    check_at(&path.index(i), item, inner, inner.embedded, found);
                }
            }
        }
        _ => {}
    }
}

fn check_embedded(path: &Path<'_>, members: &Map<String, Value>, found: &mut Vec<Cause>) {
    for name in ["apiVersion", "kind"] {
        let at = path.child(name);
        let text = match members.get(name) {
            None => {
                found.push(at.required(""));
                continue;
            }
            Some(Value::String(text)) => text,
            Some(other) => {
                found.push(at.invalid(other, "must be a string"));
                continue;
            }
        };
        if text.is_empty() {
            found.push(at.invalid_text(text, "must not be empty"));
        } else if name == "apiVersion" && text.matches('/').count() > 1 {
            found.push(at.invalid_text(text, &format!("unexpected GroupVersion string: {text}")));
        } else if name == "kind" {
            let rules = names::dns_1035_label(&text.to_lowercase());
            if !rules.is_empty() {
                let detail = format!("may have mixed case, but should otherwise match: {}", rules.join(","));
                found.push(at.invalid_text(text, &detail));
            }
        }
    }
    if let Some(metadata) = members.get("metadata") {
        check_object_meta(&path.child("metadata"), metadata, found);
    }
}

/// The rules of `metadata` that do not depend on the kind. Any path segment is a name.
fn check_object_meta(path: &Path<'_>, metadata: &Value, found: &mut Vec<Cause>) {
    let mut copy = metadata.clone();
    if let Err(why) = normalize(&mut copy, path) {
        found.push(path.invalid(metadata, &why));
        return;
    }
    let mut texts = |at: Path<'_>, text: &str, rules: Vec<String>| {
        found.extend(rules.iter().map(|rule| at.invalid_text(text, rule)));
    };
    for (name, prefix) in [("generateName", true), ("name", false)] {
        if let Some(text) = copy[name].as_str() {
            texts(path.child(name), text, names::path_segment(text, prefix));
        }
    }
    if let Some(namespace) = copy["namespace"].as_str() {
        texts(path.child("namespace"), namespace, names::dns_1123_label(namespace));
    }
    for (key, value) in copy["labels"].as_object().into_iter().flatten() {
        texts(path.child("labels"), key, names::qualified(key));
        let value = value.as_str().unwrap_or_default();
        texts(path.child("labels"), value, names::label_value(value));
    }
    for (key, _) in copy["annotations"].as_object().into_iter().flatten() {
        texts(path.child("annotations"), key, names::qualified(&key.to_lowercase()));
    }
    for finalizer in copy["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        texts(path.child("finalizers"), finalizer, names::qualified(finalizer));
    }
    if copy["generation"].as_i64().is_some_and(|g| g < 0) {
        let detail = "must be greater than or equal to 0";
        found.push(path.child("generation").invalid(&copy["generation"], detail));
    }
    let at = path.child("ownerReferences");
    for owner in copy["ownerReferences"].as_array().into_iter().flatten() {
        for (name, detail) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if owner[name].as_str().unwrap_or_default().is_empty() {
                found.push(at.child(name).invalid_text("", detail));
            }
        }
    }
    let controllers: Vec<String> = copy["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|o| o["controller"] == true)
        .map(|o| {
            format!("{}/{}", o["kind"].as_str().unwrap_or_default(), o["name"].as_str().unwrap_or_default())
        })
        .collect();
    for second in controllers.iter().skip(1) {
        let message = format!(
            "Invalid value: {}: Only one reference can have Controller set to true. Found \"true\" in references for {} and {second}",
            shown_owners(&copy["ownerReferences"]),
            controllers[0]
        );
        found.push(Cause::new("FieldValueInvalid", at.to_string(), message));
    }
}

/// Owners as messages show them: members in the order of upstream's struct.
fn shown_owners(owners: &Value) -> String {
    let one = |owner: &Value| {
        let members = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];
        let text: Vec<String> = members
            .into_iter()
            .filter_map(|name| Some(format!("{}:{}", as_json(&name.into()), as_json(owner.get(name)?))))
            .collect();
        format!("{{{}}}", text.join(","))
    };
    let all: Vec<String> = owners.as_array().into_iter().flatten().map(one).collect();
    format!("[{}]", all.join(","))
}
