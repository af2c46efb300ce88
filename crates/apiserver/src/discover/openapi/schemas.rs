//! Published schemas of built-in types, from the tables.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use crate::model::schema::Zero;
use crate::model::tables::{FieldLine, TableError, TypeLine, files};

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const EXTENSIONS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.";

/// Published name of a table type, as `io.k8s.api.core.v1.PodSpec` of `core/v1.PodSpec`.
pub fn published_name(name: &str) -> String {
    let (package, ty) = name.rsplit_once('.').unwrap_or(("", name));
    let package = package.replace('/', ".");
    match package.split('.').next().unwrap_or_default() {
        "meta" => format!("{META}{ty}"),
        "apiextensions" => format!("{EXTENSIONS}{ty}"),
        "apiregistration" => format!("io.k8s.kube-aggregator.pkg.apis.{package}.{ty}"),
        _ => format!("io.k8s.api.{package}.{ty}"),
    }
}

/// Published name of a type with a form of its own, and that form.
fn special(word: &str, dialect: Dialect) -> Option<(&'static str, Value)> {
    let v3 = dialect == Dialect::V3;
    let time = json!({"type": "string", "format": "date-time"});
    Some(match word {
        "quantity" if v3 => (
            "io.k8s.apimachinery.pkg.api.resource.Quantity",
            json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
        ),
        "quantity" => ("io.k8s.apimachinery.pkg.api.resource.Quantity", json!({"type": "string"})),
        "intOrString" if v3 => (
            "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
            json!({"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"}),
        ),
        "intOrString" => (
            "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
            json!({"type": "string", "format": "int-or-string"}),
        ),
        "time" => ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", time),
        "microTime" => ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", time),
        "duration" => ("io.k8s.apimachinery.pkg.apis.meta.v1.Duration", json!({"type": "string"})),
        "fieldsV1" => ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", json!({"type": "object"})),
        "raw" => ("io.k8s.apimachinery.pkg.runtime.RawExtension", json!({"type": "object"})),
        "patch" => ("io.k8s.apimachinery.pkg.apis.meta.v1.Patch", json!({"type": "object"})),
        "any" => ("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", json!({})),
        _ => return None,
    })
}

/// Members of the schema of schemas that are one of two shapes.
fn either(field: &str) -> &'static str {
    match field {
        "additionalItems" | "additionalProperties" => "JSONSchemaPropsOrBool",
        "items" => "JSONSchemaPropsOrArray",
        "dependencies" => "JSONSchemaPropsOrStringArray",
        _ => "JSON",
    }
}

/// Every published schema of built-in types by name.
pub fn all(dialect: Dialect) -> Result<BTreeMap<String, Value>, TableError> {
    let mut out = BTreeMap::new();
    for line in files()?.iter().flat_map(|f| &f.types) {
        out.insert(published_name(line.name), schema(line, dialect));
    }
    for word in ["quantity", "intOrString", "time", "microTime", "duration", "fieldsV1", "raw", "patch"] {
        out.extend(special(word, dialect).map(|(name, form)| (name.to_owned(), form)));
    }
    for field in ["items", "additionalItems", "dependencies", ""] {
        out.insert(format!("{EXTENSIONS}{}", either(field)), json!({}));
    }
    Ok(out)
}

fn schema(line: &TypeLine, dialect: Dialect) -> Value {
    let mut out = json!({"type": "object"});
    let mut properties = Map::new();
    for field in &line.fields {
        properties.insert(field.name.into(), property(field, dialect));
    }
    if !properties.is_empty() {
        out["properties"] = properties.into();
    }
    let required: Vec<&str> = line.fields.iter().filter(|f| f.required).map(|f| f.name).collect();
    if !required.is_empty() {
        out["required"] = json!(required);
    }
    if !line.kinds.is_empty() {
        out["x-kubernetes-group-version-kind"] = line.kinds.iter().map(|kind| gvk(kind)).collect();
    }
    if let Some(map) = line.map {
        out["x-kubernetes-map-type"] = map.into();
    }
    if let Some(unions) = line.unions.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        out["x-kubernetes-unions"] = unions;
    }
    out
}

/// `apps/v1.Deployment` as an extension's value.
fn gvk(kind: &str) -> Value {
    let (group_version, kind) = kind.rsplit_once('.').unwrap_or(("", kind));
    let (group, version) = group_version.rsplit_once('/').unwrap_or(("", group_version));
    json!({"group": group, "kind": kind, "version": version})
}

fn property(field: &FieldLine, dialect: Dialect) -> Value {
    let mut out = word(field.ty, field.name, dialect);
    if let Some(reference) = out.get("$ref").is_some().then(|| out.clone())
        && dialect == Dialect::V3
    {
        out = json!({"allOf": [reference]});
        if field.ty.contains('/') && field.zero != Zero::Kept {
            out["default"] = json!({});
        }
    } else if dialect == Dialect::V3 && field.zero == Zero::Shown {
        out.as_object_mut().into_iter().for_each(|o| o.extend(zero(field.ty)));
    }
    if let Some(default) = field.default.and_then(|text| serde_json::from_str::<Value>(text).ok())
        && dialect == Dialect::V3
    {
        out["default"] = default;
    }
    if let Some((list, keys)) = field.list.map(|l| l.split_once(':').unwrap_or((l, ""))) {
        out["x-kubernetes-list-type"] = list.into();
        if !keys.is_empty() {
            out["x-kubernetes-list-map-keys"] = keys.split(',').collect();
        }
    }
    if let Some(map) = field.map {
        out["x-kubernetes-map-type"] = map.into();
    }
    if let Some((strategy, key)) = field.patch.map(|p| p.split_once(':').unwrap_or((p, ""))) {
        out["x-kubernetes-patch-strategy"] = strategy.into();
        if !key.is_empty() {
            out["x-kubernetes-patch-merge-key"] = key.into();
        }
    }
    out
}

/// The zero value upstream publishes as the default of a scalar that is always shown.
fn zero(ty: &str) -> Option<(String, Value)> {
    let value = match ty {
        "string" => json!(""),
        "bool" => json!(false),
        "int32" | "int64" | "double" => json!(0),
        _ => return None,
    };
    Some(("default".into(), value))
}

fn word(ty: &str, field: &str, dialect: Dialect) -> Value {
    if let Some(item) = ty.strip_prefix("[]") {
        return json!({"type": "array", "items": inner(item, field, dialect)});
    }
    if let Some(value) = ty.strip_prefix("map[]") {
        return json!({"type": "object", "additionalProperties": inner(value, field, dialect)});
    }
    if ty == "any" {
        return dialect.reference(&format!("{EXTENSIONS}{}", either(field)));
    }
    if let Some((name, _)) = special(ty, dialect) {
        return dialect.reference(name);
    }
    match ty {
        "string" => json!({"type": "string"}),
        "bytes" => json!({"type": "string", "format": "byte"}),
        "bool" => json!({"type": "boolean"}),
        "int32" | "int64" => json!({"type": "integer", "format": ty}),
        "double" => json!({"type": "number", "format": "double"}),
        name => dialect.reference(&published_name(name)),
    }
}

/// An item or a map's value.
fn inner(ty: &str, field: &str, dialect: Dialect) -> Value {
    let mut out = word(ty, field, dialect);
    if dialect == Dialect::V3 {
        if ty.contains('/') && !ty.starts_with('[') && !ty.starts_with("map[") {
            out = json!({"allOf": [out], "default": {}});
        } else if let Some((name, value)) = zero(ty) {
            out[name] = value;
        }
    }
    out
}
