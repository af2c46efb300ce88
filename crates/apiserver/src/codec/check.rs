//! The typed check of a built-in kind: what Go's decoder would refuse is refused with its sentence,
//! members the type lacks are reported and removed, values take their stored form.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Finding, FindingKind, Path};
use crate::model::clock;
use crate::model::quantity::{Quantity, REGEXP_MESSAGE};
use crate::model::schema::{Field, Schema, Ty, TypeDef, TypeId, Zero};

/// A value of the wrong type; upstream's sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeMismatch {
    /// The sentence, as `json: cannot unmarshal string into Go struct field …`.
    pub message: String,
    /// Where, with indices.
    pub path: String,
}

/// Checks `value` against a type, in place: unknown members are removed and returned as findings,
/// `null` and dropped zero values become absent, quantities and times take their canonical text.
pub fn check_known(schema: &Schema, root: TypeId, value: &mut Value) -> Result<Vec<Finding>, TypeMismatch> {
    let ty = Ty::Struct(root);
    let mut walk = Walk { schema, path: Path::default(), findings: Vec::new() };
    let def = schema.get(root);
    let place = Place { owner: def, field: "" };
    walk.value(&ty, value, place)?;
    Ok(walk.findings)
}

/// Whether a value is one that a dropped field loses.
pub fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) => s.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// The field a value stands in, for messages.
#[derive(Clone, Copy)]
struct Place<'a> {
    owner: &'a TypeDef,
    field: &'a str,
}

struct Walk<'a> {
    schema: &'a Schema,
    path: Path,
    findings: Vec<Finding>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, ty: &'a Ty, value: &mut Value, place: Place<'a>) -> Result<(), TypeMismatch> {
        match ty {
            Ty::Any | Ty::Raw | Ty::FieldsV1 => Ok(()),
            Ty::Struct(id) => match value {
                Value::Object(members) => self.members(self.schema.get(*id), members),
                other => Err(self.mismatch(ty, other, place)),
            },
            Ty::Map(map) => match value {
                Value::Object(members) => self.entries(&map.value, members, place),
                other => Err(self.mismatch(ty, other, place)),
            },
            Ty::List(list) => match value {
                Value::Array(items) => self.items(&list.item, items, place),
                other => Err(self.mismatch(ty, other, place)),
            },
            _ => self.scalar(ty, value, place),
        }
    }

    fn members(&mut self, def: &'a TypeDef, members: &mut Map<String, Value>) -> Result<(), TypeMismatch> {
        if !def.preserve_unknown && def.additional.is_none() {
            let unknown: Vec<String> = members.keys().filter(|k| def.field(k).is_none()).cloned().collect();
            for name in unknown {
                members.remove(&name);
                let path = self.path.member(&name, |path| path.text());
                self.findings.push(Finding { kind: FindingKind::Unknown, path });
            }
        }
        let mut gone = Vec::new();
        for (name, value) in members.iter_mut() {
            let Some(field) = def.field(name) else { continue };
            if !value.is_null() {
                let len = self.path.push_member(name);
                self.value(&field.ty, value, Place { owner: def, field: &field.name })?;
                self.path.truncate(len);
            }
            if is_absent(field, value) {
                gone.push(name.clone());
            }
        }
        gone.iter().for_each(|name| drop(members.remove(name)));
        Ok(())
    }

    fn entries(
        &mut self,
        ty: &'a Ty,
        members: &mut Map<String, Value>,
        place: Place<'a>,
    ) -> Result<(), TypeMismatch> {
        for (name, value) in members.iter_mut() {
            if value.is_null() {
                *value = zero_item(ty);
                continue;
            }
            let len = self.path.push_member(name);
            self.value(ty, value, place)?;
            self.path.truncate(len);
        }
        Ok(())
    }

    fn items(&mut self, ty: &'a Ty, items: &mut [Value], place: Place<'a>) -> Result<(), TypeMismatch> {
        for (i, value) in items.iter_mut().enumerate() {
            if value.is_null() {
                *value = zero_item(ty);
                continue;
            }
            let len = self.path.push_index(i);
            self.value(ty, value, place)?;
            self.path.truncate(len);
        }
        Ok(())
    }

    fn scalar(&self, ty: &'a Ty, value: &mut Value, place: Place<'a>) -> Result<(), TypeMismatch> {
        let fits = match (ty, &*value) {
            (Ty::Bool, Value::Bool(_)) | (Ty::Str, Value::String(_)) | (Ty::Float, Value::Number(_)) => true,
            (Ty::Int32 | Ty::IntOrString, Value::Number(n)) => {
                n.as_i64().is_some_and(|n| i32::try_from(n).is_ok())
            }
            (Ty::Int64, Value::Number(n)) => n.is_i64(),
            (Ty::IntOrString, Value::String(_)) => true,
            (Ty::Bytes, Value::String(text)) => return self.bytes(text),
            (Ty::Duration, Value::String(_)) => true,
            (Ty::Quantity, Value::String(_) | Value::Number(_)) => return self.quantity(value),
            (Ty::Time | Ty::MicroTime, Value::String(_)) => return self.time(ty, value),
            _ => false,
        };
        if fits { Ok(()) } else { Err(self.mismatch(ty, value, place)) }
    }

    fn fail(&self, message: String) -> TypeMismatch {
        TypeMismatch { message, path: self.path.text() }
    }

    fn bytes(&self, text: &str) -> Result<(), TypeMismatch> {
        use base64::Engine;
        let clean: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
        match base64::engine::general_purpose::STANDARD.decode(&clean) {
            Ok(_) => Ok(()),
            Err(error) => {
                let at = match error {
                    base64::DecodeError::InvalidByte(at, _)
                    | base64::DecodeError::InvalidLastSymbol(at, _) => at,
                    _ => clean.len() / 4 * 4,
                };
                Err(self.fail(format!("illegal base64 data at input byte {at}")))
            }
        }
    }

    fn quantity(&self, value: &mut Value) -> Result<(), TypeMismatch> {
        let text = match &*value {
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        let quantity = Quantity::parse(&text).ok_or_else(|| self.fail(REGEXP_MESSAGE.to_owned()))?;
        *value = Value::String(quantity.canonical());
        Ok(())
    }

    fn time(&self, ty: &Ty, value: &mut Value) -> Result<(), TypeMismatch> {
        let text = value.as_str().unwrap_or_default();
        let (layout, fraction) = match ty {
            Ty::Time => ("2006-01-02T15:04:05Z07:00", None),
            _ => ("2006-01-02T15:04:05.000000Z07:00", Some(6)),
        };
        let bad = |at: &str, want: &str| {
            self.fail(format!("parsing time {text:?} as {layout:?}: cannot parse {at:?} as {want:?}"))
        };
        let at = text.parse::<Timestamp>().map_err(|_| bad(text, "2006"))?;
        let rest = text.get(19..).unwrap_or_default();
        let digits = rest.strip_prefix('.').map(|r| r.bytes().take_while(u8::is_ascii_digit).count());
        if fraction.is_some() && digits != fraction {
            return Err(bad(rest, ".000000"));
        }
        let text = if *ty == Ty::Time { clock::format_seconds(at) } else { clock::format_micros(at) };
        *value = Value::String(text);
        Ok(())
    }

    fn mismatch(&self, ty: &Ty, value: &Value, place: Place<'_>) -> TypeMismatch {
        let got = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            Value::Number(n) if matches!(ty, Ty::Int32 | Ty::Int64 | Ty::IntOrString) => {
                format!("number {n}")
            }
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        let want = go_type(self.schema, ty);
        let message = if place.field.is_empty() {
            format!("json: cannot unmarshal {got} into Go value of type {want}")
        } else {
            let owner = go_name(&place.owner.name);
            let owner = owner.rsplit('.').next().unwrap_or_default().to_owned();
            let path = without_indices(&self.path.text());
            format!("json: cannot unmarshal {got} into Go struct field {owner}.{path} of type {want}")
        };
        self.fail(message)
    }
}

/// Whether a field holding this value is stored without it.
pub(crate) fn is_absent(field: &Field, value: &Value) -> bool {
    if value.is_null() {
        return !field.nullable;
    }
    match field.zero {
        Zero::Kept => false,
        Zero::Dropped => is_zero(value),
        // Empty lists and maps go through protobuf, which has no such thing. Where there is a default,
        // upstream puts it in the place of a zero.
        Zero::Shown => {
            is_zero(value) && (matches!(field.ty, Ty::List(_) | Ty::Map(_)) || field.default.is_some())
        }
    }
}

/// What Go makes of a `null` item.
fn zero_item(ty: &Ty) -> Value {
    match ty {
        Ty::Bool => false.into(),
        Ty::Int32 | Ty::Int64 | Ty::Float | Ty::IntOrString => 0.into(),
        Ty::Str | Ty::Bytes => "".into(),
        Ty::Quantity => "0".into(),
        Ty::Struct(_) | Ty::Map(_) => Value::Object(Map::new()),
        Ty::List(_) => Value::Array(Vec::new()),
        _ => Value::Null,
    }
}

fn without_indices(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

/// `v1.PodSpec` of `core/v1.PodSpec`.
fn go_name(name: &str) -> String {
    name.rsplit_once('/').map_or(name, |(_, name)| name).to_owned()
}

fn go_type(schema: &Schema, ty: &Ty) -> String {
    match ty {
        Ty::Any => "interface {}".into(),
        Ty::Bool => "bool".into(),
        Ty::Int32 | Ty::IntOrString => "int32".into(),
        Ty::Int64 => "int64".into(),
        Ty::Float => "float64".into(),
        Ty::Str | Ty::Time | Ty::MicroTime | Ty::Duration | Ty::Quantity => "string".into(),
        Ty::Bytes => "[]uint8".into(),
        Ty::Raw => "runtime.RawExtension".into(),
        Ty::FieldsV1 => "v1.FieldsV1".into(),
        Ty::Struct(id) => go_name(&schema.get(*id).name),
        Ty::Map(map) => format!("map[string]{}", go_type(schema, &map.value)),
        Ty::List(list) => format!("[]{}", go_type(schema, &list.item)),
    }
}
