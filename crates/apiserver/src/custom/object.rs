//! What happens to an object of a custom kind on its way in and out.

use serde_json::Value;

use super::compile::CustomVersion;
use super::definition::{Definition, Scale};
use super::path::Path;
use super::{fill, formats, lists, meta, prune as pruning, validate as schema};
use crate::model::go_text;
use crate::model::status::Cause;

/// A body that cannot be read as the object it claims to be (400).
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Malformed(String);

/// Drops what the schema does not know and nulls that stand for nothing, and brings all metadata into its own form.
/// Returns the paths that were dropped as unknown: those of the metadata first, as upstream lists them.
pub fn prune(version: &CustomVersion, object: &mut Value) -> Result<Vec<String>, Malformed> {
    let mut unknown = Vec::new();
    if let Some(metadata) = object.get_mut("metadata") {
        unknown = meta::normalize(metadata, &Path::new("metadata")).map_err(Malformed)?;
    }
    let Some(node) = &version.node else { return Ok(unknown) };
    if !version.preserve_unknown {
        unknown.extend(pruning::unknown(object, node, true));
        // The metadata has been seen to.
        if let Some(members) = object.as_object_mut() {
            for (key, member) in members.iter_mut().filter(|(key, _)| *key != "metadata") {
                pruning::nulls(member, node.property(key));
            }
            members.retain(|key, member| {
                let schema = node.property(key).filter(|_| member.is_null());
                !schema.is_some_and(|s| !s.nullable && s.default.is_none())
            });
        }
    }
    let embedded = meta::coerce(&Path::ROOT, object, node, false);
    unknown.extend(embedded.map_err(|cause| Malformed(format!("{}: {}", cause.field, cause.message)))?);
    Ok(unknown)
}

/// Fills in defaults: on write before validation, and on read.
pub fn default(version: &CustomVersion, object: &mut Value) {
    if let Some(node) = &version.node {
        fill::fill(object, node);
    }
}

/// Everything wrong with an object, the rules of `metadata` that all kinds share aside. With `old` unchanged values
/// pass (ratcheting).
pub fn validate(version: &CustomVersion, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut found = type_errors(version, new);
    if !found.is_empty() {
        return found;
    }
    if let Some(node) = &version.node {
        found.extend(schema::validate("", node, new, old));
    }
    if let Some(scale) = &version.scale {
        scale_replicas(&scale.spec_replicas, new, &mut found);
        scale_status(scale, new, &mut found);
    }
    if let Some(node) = &version.node {
        found.extend(meta::check(&Path::ROOT, new, node, false));
        if old.is_none_or(|old| lists::check(node, old).is_empty()) {
            found.extend(lists::check(node, new));
        }
    }
    note_unchecked_rules(version, &mut found);
    found
}

/// Everything wrong with an object written through `/status`.
pub fn validate_status(version: &CustomVersion, new: &Value, old: &Value) -> Vec<Cause> {
    let mut found = type_errors(version, new);
    if !found.is_empty() {
        return found;
    }
    let node = version.node.as_ref();
    if let (Some(status), Some(schema)) = (new.get("status"), node.and_then(|n| n.property("status"))) {
        found.extend(self::schema::validate("status", schema, status, old.get("status")));
    }
    if let Some(scale) = &version.scale {
        scale_status(scale, new, &mut found);
    }
    if let Some(node) = node {
        let wrong = lists::check(node, new);
        if !wrong.is_empty() && lists::check(node, old).is_empty() {
            found.extend(wrong);
        }
    }
    note_unchecked_rules(version, &mut found);
    found
}

/// Turns an object into that of another version: its name changes (strategy `None`), and what the other version does
/// not know goes. Defaults are those of the version that was sent, and on read those of the stored one.
pub fn convert(object: &mut Value, to: &CustomVersion) -> Result<(), Malformed> {
    let wanted = to.gvk.api_version();
    if object["apiVersion"] == wanted.as_str() {
        return Ok(());
    }
    object["apiVersion"] = wanted.into();
    prune(to, object).map(drop)
}

/// Turns a finished object into what is stored.
pub fn to_storage(version: &CustomVersion, object: &mut Value) -> Result<(), Malformed> {
    version.storage_version().map_or(Ok(()), |storage| convert(object, &storage))
}

/// Turns what is stored, in whichever version, into this version. What the definition has come to know since it was
/// written is filled in, what it has forgotten goes.
pub fn from_storage(version: &CustomVersion, object: &mut Value) -> Result<(), Malformed> {
    let sibling = object["apiVersion"].as_str().and_then(|v| version.sibling(v));
    let stored = sibling.as_deref().unwrap_or(version);
    prune(stored, object)?;
    default(stored, object);
    convert(object, version)
}

/// Numbers as they are when they have been written and read again: whole ones have no fraction.
pub fn settle(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|_| !number.is_i64());
            match float {
                Some(f) if f.fract() == 0.0 && f >= i64::MIN as f64 && f < i64::MAX as f64 => {
                    *value = (f as i64).into()
                }
                Some(f) if !number.is_f64() => *value = f.into(),
                _ => {}
            }
        }
        Value::Array(items) => items.iter_mut().for_each(settle),
        Value::Object(members) => members.values_mut().for_each(settle),
        _ => {}
    }
}

/// Warnings about a definition that is written: formats nobody checks, rules that are not enforced (M3).
pub fn warnings(crd: &Value, old: Option<&Value>) -> Vec<String> {
    let unknown = |def: &Definition| {
        let mut formats: Vec<String> = Vec::new();
        def.any_node(&mut |node| {
            if !formats::recognized(node) {
                formats.push(node.checks().format.to_string());
            }
            false
        });
        formats
    };
    let new = Definition::parse(crd);
    let known = old.map(|old| unknown(&Definition::parse(old))).unwrap_or_default();
    let mut all: Vec<String> = Vec::new();
    for format in unknown(&new).into_iter().filter(|format| !known.contains(format)) {
        let warning = format!("unrecognized format {}", super::path::quote(&format));
        if !all.contains(&warning) {
            all.push(warning);
        }
    }
    if new.has_rules() {
        all.push("x-kubernetes-validations are not enforced".into());
    }
    all
}

fn type_errors(version: &CustomVersion, object: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    for (name, want) in [("kind", version.gvk.kind.to_string()), ("apiVersion", version.gvk.api_version())] {
        let got = object[name].as_str().unwrap_or_default();
        if got != want {
            found.push(Path::new(name).invalid_text(got, &format!("must be {want}")));
        }
    }
    found
}

/// Where rules exist, upstream says that they were not run on an object of the wrong shape.
fn note_unchecked_rules(version: &CustomVersion, found: &mut Vec<Cause>) {
    const BLOCKING: [&str; 5] = [
        "FieldValueNotSupported",
        "FieldValueRequired",
        "FieldValueTooLong",
        "FieldValueTooMany",
        "FieldValueTypeInvalid",
    ];
    if version.has_rules && found.iter().any(|cause| BLOCKING.contains(&cause.reason)) {
        found.push(Path::ROOT.invalid(
            &Value::Null,
            "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
        ));
    }
}

fn scale_status(scale: &Scale, object: &Value, found: &mut Vec<Cause>) {
    scale_replicas(&scale.status_replicas, object, found);
    let Some(selector) = &scale.selector else { return };
    let at = Path::new(selector);
    match nested(object, selector) {
        Ok(None | Some(Value::String(_))) => {}
        Ok(Some(other)) => {
            found.push(at.invalid_text("", &wrong_type(selector, other, "string")));
        }
        Err(why) => found.push(at.invalid_text("", &why)),
    }
}

fn scale_replicas(path: &str, object: &Value, found: &mut Vec<Cause>) {
    let at = Path::new(path);
    let replicas = match nested(object, path) {
        Ok(None) => return,
        Ok(Some(value)) => value.as_i64().ok_or_else(|| wrong_type(path, value, "int64")),
        Err(why) => Err(why),
    };
    match replicas {
        Err(why) => found.push(at.invalid(&0.into(), &why)),
        Ok(n) if n < 0 => found.push(at.invalid(&n.into(), "should be a non-negative integer")),
        Ok(n) if n > i64::from(i32::MAX) => {
            let detail = format!("should be less than or equal to {}", i32::MAX);
            found.push(at.invalid(&n.into(), &detail));
        }
        Ok(_) => {}
    }
}

/// The value at a dotted path, or how the way there is blocked.
fn nested<'v>(object: &'v Value, path: &str) -> Result<Option<&'v Value>, String> {
    let mut value = object;
    let steps: Vec<&str> = path.trim_start_matches('.').split('.').collect();
    for (i, step) in steps.iter().enumerate() {
        match value {
            Value::Object(members) => match members.get(*step) {
                Some(member) => value = member,
                None => return Ok(None),
            },
            Value::Null => return Ok(None),
            other => {
                return Err(wrong_type(
                    &format!(".{}", steps[..=i].join(".")),
                    other,
                    "map[string]interface{}",
                ));
            }
        }
    }
    Ok(Some(value))
}

fn wrong_type(path: &str, value: &Value, want: &str) -> String {
    let shown = match value {
        Value::String(text) => text.clone(),
        Value::Null => "<nil>".into(),
        other => super::path::shown(other),
    };
    format!("{path} accessor error: {shown} is of the type {}, expected {want}", go_text::type_name(value))
}
