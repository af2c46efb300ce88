//! `metadata` of objects and of objects embedded in objects: its fields, what is dropped, what is wrong.

mod rules;

use serde_json::{Map, Value, json};

use super::node::{Additional, Node};
use super::path::Path;
use crate::model::schema::{Field, ListTy, MapTy, Patch, Schema, Topology, Ty, TypeDef, TypeId};
use crate::model::status::Cause;

pub use rules::check;

/// Kinds of the fields of `ObjectMeta`.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Whole,
    Flag,
    Time,
    TextMap,
    TextList,
    Any,
    /// A list of structs with these fields; the flag says whether empty ones are left out.
    Structs(&'static [(&'static str, Kind)], bool),
}

const OWNER: &[(&str, Kind)] = &[
    ("apiVersion", Kind::Text),
    ("blockOwnerDeletion", Kind::Flag),
    ("controller", Kind::Flag),
    ("kind", Kind::Text),
    ("name", Kind::Text),
    ("uid", Kind::Text),
];

const MANAGED: &[(&str, Kind)] = &[
    ("apiVersion", Kind::Text),
    ("fieldsType", Kind::Text),
    ("fieldsV1", Kind::Any),
    ("manager", Kind::Text),
    ("operation", Kind::Text),
    ("subresource", Kind::Text),
    ("time", Kind::Time),
];

const META: &[(&str, Kind)] = &[
    ("annotations", Kind::TextMap),
    ("creationTimestamp", Kind::Time),
    ("deletionGracePeriodSeconds", Kind::Whole),
    ("deletionTimestamp", Kind::Time),
    ("finalizers", Kind::TextList),
    ("generateName", Kind::Text),
    ("generation", Kind::Whole),
    ("labels", Kind::TextMap),
    ("managedFields", Kind::Structs(MANAGED, true)),
    ("name", Kind::Text),
    ("namespace", Kind::Text),
    ("ownerReferences", Kind::Structs(OWNER, false)),
    ("resourceVersion", Kind::Text),
    ("selfLink", Kind::Text),
    ("uid", Kind::Text),
];

/// Adds the type of `metadata` to an arena.
pub fn arena_type(schema: &mut Schema) -> TypeId {
    let fields = META.iter().map(|(name, kind)| field(name, ty(schema, name, *kind))).collect();
    schema.add(TypeDef { fields, ..TypeDef::default() })
}

pub(super) fn field(name: &str, ty: Ty) -> Field {
    Field {
        name: name.into(),
        number: 0,
        ty,
        required: false,
        nullable: false,
        default: None,
        zero: Default::default(),
        immutable: false,
        patch: Patch::default(),
    }
}

fn ty(schema: &mut Schema, name: &str, kind: Kind) -> Ty {
    match kind {
        Kind::Text => Ty::Str,
        Kind::Whole => Ty::Int64,
        Kind::Flag => Ty::Bool,
        Kind::Time => Ty::Time,
        Kind::Any => Ty::FieldsV1,
        Kind::TextMap => Ty::Map(Box::new(MapTy { value: Ty::Str, atomic: false })),
        Kind::TextList => Ty::List(Box::new(ListTy { item: Ty::Str, topology: Topology::Set })),
        Kind::Structs(fields, _) => {
            let fields = fields.iter().map(|(name, kind)| field(name, ty(schema, name, *kind))).collect();
            let owners = name == "ownerReferences";
            let item = schema.add(TypeDef { fields, atomic: owners, ..TypeDef::default() });
            let topology = if owners { Topology::Map(vec![("uid".into(), None)]) } else { Topology::Atomic };
            Ty::List(Box::new(ListTy { item: Ty::Struct(item), topology }))
        }
    }
}

/// Brings `metadata` into its own form: unknown members, nulls and empty values go. Returns paths of unknown members.
pub fn normalize(metadata: &mut Value, at: &Path<'_>) -> Result<Vec<String>, String> {
    let mut unknown = Vec::new();
    if metadata.is_null() {
        *metadata = json!({});
    }
    let Some(members) = metadata.as_object_mut() else {
        return Err(format!(
            "json: cannot unmarshal {} into Go value of type v1.ObjectMeta",
            kind_of(metadata)
        ));
    };
    fields(members, META, true, at, ("ObjectMeta", ""), &mut unknown)?;
    unknown.sort();
    Ok(unknown)
}

fn fields(
    members: &mut Map<String, Value>,
    table: &[(&str, Kind)],
    drop_empty: bool,
    at: &Path<'_>,
    (owner, above): (&str, &str),
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    let mut failed = Ok(());
    members.retain(|key, value| {
        let Some((_, kind)) = table.iter().find(|(known, _)| known == key) else {
            unknown.push(at.child(key).text());
            return false;
        };
        if value.is_null() {
            return false;
        }
        if let Err(error) = member(value, *kind, &at.child(key), &format!("{owner}.{above}{key}"), unknown) {
            failed = Err(error);
        }
        let empty = match value {
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(members) => members.is_empty() && *kind != Kind::Any,
            Value::Number(n) => *kind == Kind::Whole && key == "generation" && n.as_i64() == Some(0),
            _ => false,
        };
        !(empty && drop_empty)
    });
    failed?;
    if !drop_empty {
        // Owners always carry their four texts.
        for (key, _) in table.iter().filter(|(_, kind)| *kind == Kind::Text) {
            members.entry(*key).or_insert_with(|| "".into());
        }
    }
    Ok(())
}

fn member(
    value: &mut Value,
    kind: Kind,
    at: &Path<'_>,
    name: &str,
    unknown: &mut Vec<String>,
) -> Result<(), String> {
    let wrong = |value: &Value, ty: &str| {
        Err(format!("json: cannot unmarshal {} into Go struct field {name} of type {ty}", kind_of(value)))
    };
    match (kind, value) {
        (Kind::Text, Value::String(_)) | (Kind::Flag, Value::Bool(_)) | (Kind::Any, _) => Ok(()),
        (Kind::Text, other) => wrong(other, "string"),
        (Kind::Flag, other) => wrong(other, "bool"),
        (Kind::Whole, Value::Number(n)) if n.is_i64() => Ok(()),
        (Kind::Whole, other) => wrong(other, "int64"),
        (Kind::Time, time) => normalize_time(time),
        (Kind::TextMap, Value::Object(members)) => {
            for value in members.values_mut() {
                match value {
                    Value::String(_) => {}
                    Value::Null => *value = "".into(),
                    other => return wrong(other, "string"),
                }
            }
            Ok(())
        }
        (Kind::TextMap, other) => wrong(other, "map[string]string"),
        (Kind::TextList, Value::Array(items)) => {
            for item in items {
                match item {
                    Value::String(_) => {}
                    Value::Null => *item = "".into(),
                    other => return wrong(other, "string"),
                }
            }
            Ok(())
        }
        (Kind::TextList, other) => wrong(other, "[]string"),
        (Kind::Structs(table, drop_empty), Value::Array(items)) => {
            for (i, item) in items.iter_mut().enumerate() {
                match item {
                    Value::Null => *item = json!({}),
                    Value::Object(members) => {
                        let owner = struct_name(name).trim_start_matches("v1.");
                        let above = name.split_once('.').map_or("", |(_, above)| above);
                        let names = (owner, &*format!("{above}."));
                        fields(members, table, drop_empty, &at.index(i), names, unknown)?;
                    }
                    other => return wrong(other, struct_name(name)),
                }
            }
            Ok(())
        }
        (Kind::Structs(..), other) => wrong(other, &format!("[]{}", struct_name(name))),
    }
}

fn struct_name(name: &str) -> &'static str {
    if name.ends_with("ownerReferences") { "v1.OwnerReference" } else { "v1.ManagedFieldsEntry" }
}

fn normalize_time(value: &mut Value) -> Result<(), String> {
    let Some(text) = value.as_str() else {
        return Err(format!("json: cannot unmarshal {} into Go value of type string", kind_of(value)));
    };
    let parsed: jiff::Timestamp = text.parse().map_err(|_| {
        let quoted = super::path::quote(text);
        format!("parsing time {quoted} as \"2006-01-02T15:04:05Z07:00\": cannot parse {quoted} as \"2006\"")
    })?;
    *value = parsed.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
    Ok(())
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Normalizes the metadata of embedded objects. Returns paths of unknown members, or the first wrong value.
pub fn coerce(path: &Path<'_>, value: &mut Value, schema: &Node, root: bool) -> Result<Vec<String>, Cause> {
    let mut unknown = Vec::new();
    coerce_at(path, value, schema, root || schema.embedded, &mut unknown)?;
    unknown.sort();
    Ok(unknown)
}

fn coerce_at(
    path: &Path<'_>,
    value: &mut Value,
    schema: &Node,
    embedded: bool,
    unknown: &mut Vec<String>,
) -> Result<(), Cause> {
    match value {
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                let at = path.child(key);
                match key.as_str() {
                    "apiVersion" | "kind" if embedded && !member.is_string() => {
                        return Err(at.invalid(member, "must be a string"));
                    }
                    "metadata" if embedded => {
                        let shown = member.clone();
                        unknown.extend(normalize(member, &at).map_err(|why| at.invalid(&shown, &why))?);
                    }
                    _ => {}
                }
                if let Some(property) = schema.property(key) {
                    coerce_at(&at, member, property, property.embedded, unknown)?;
                } else if let Some(Additional::Schema(inner)) = &schema.additional {
                    coerce_at(&path.key(key), member, inner, inner.embedded, unknown)?;
                }
            }
        }
        Value::Array(items) => {
            if let Some(inner) = &schema.items {
                for (i, item) in items.iter_mut().enumerate() {
                    coerce_at(&path.index(i), item, inner, inner.embedded, unknown)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}
