//! Object trees to messages.

use serde_json::{Map, Value};

use super::number_at;
use super::special::{self, Either};
use super::wire::{FIXED64, put_bytes, put_int, put_message, put_tag};
use crate::model::schema::{Field, Schema, Ty, TypeDef, TypeId};

/// Writes an object as a message of its type. Members the type lacks are left out.
pub fn encode(schema: &Schema, root: TypeId, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = Encoder { schema };
    if let Value::Object(members) = value {
        encoder.fields(schema.get(root), 0, 0, members, &mut out);
    }
    out
}

struct Encoder<'a> {
    schema: &'a Schema,
}

impl Encoder<'_> {
    /// Writes the fields of a message, or of one inlined into it, by number.
    fn fields(
        &self,
        def: &TypeDef,
        prefix: u32,
        level: u32,
        members: &Map<String, Value>,
        out: &mut Vec<u8>,
    ) {
        let mut here: Vec<(u32, Option<&Field>)> = Vec::new();
        for field in &def.fields {
            match number_at(field.number, prefix, level) {
                Some((number, true)) => here.push((number, Some(field))),
                Some((number, false)) => here.push((number, None)),
                None => {}
            }
        }
        here.sort_by_key(|(number, _)| *number);
        here.dedup_by(|a, b| a.0 == b.0 && a.1.is_none() && b.1.is_none());
        for (number, field) in here {
            let Some(field) = field else {
                let prefix = prefix | number << (super::BITS * level);
                put_message(out, number, |out| self.fields(def, prefix, level + 1, members, out));
                continue;
            };
            let Some(value) = members.get(&*field.name).filter(|v| !v.is_null()) else { continue };
            match special::either(&def.name, &field.name) {
                Some(form) => self.either(def, form, number, value, out),
                None => self.value(&field.ty, number, value, out),
            }
        }
    }

    fn value(&self, ty: &Ty, number: u32, value: &Value, out: &mut Vec<u8>) {
        match (ty, value) {
            (Ty::List(list), Value::Array(items)) => {
                items.iter().for_each(|item| self.item(&list.item, number, item, out));
            }
            (Ty::Map(map), Value::Object(members)) => {
                for (key, value) in members {
                    put_message(out, number, |out| {
                        put_bytes(out, 1, key.as_bytes());
                        self.item(&map.value, 2, value, out);
                    });
                }
            }
            _ => self.item(ty, number, value, out),
        }
    }

    fn item(&self, ty: &Ty, number: u32, value: &Value, out: &mut Vec<u8>) {
        match (ty, value) {
            (Ty::Struct(id), Value::Object(members)) => {
                put_message(out, number, |out| self.fields(self.schema.get(*id), 0, 0, members, out));
            }
            // A list where protobuf can have none is wrapped into a message.
            (Ty::List(list), Value::Array(items)) => {
                put_message(out, number, |out| {
                    items.iter().for_each(|item| self.item(&list.item, 1, item, out))
                });
            }
            (Ty::Bool, Value::Bool(flag)) => put_int(out, number, i64::from(*flag)),
            (Ty::Int32 | Ty::Int64, Value::Number(n)) => put_int(out, number, n.as_i64().unwrap_or_default()),
            (Ty::Float, Value::Number(n)) => {
                put_tag(out, number, FIXED64);
                out.extend_from_slice(&n.as_f64().unwrap_or_default().to_le_bytes());
            }
            (Ty::Str, Value::String(text)) => put_bytes(out, number, text.as_bytes()),
            (Ty::Bytes, _) => put_bytes(out, number, &special::bytes_of(value)),
            (Ty::Bool | Ty::Int32 | Ty::Int64 | Ty::Float | Ty::Str, _) => {}
            (Ty::Struct(_) | Ty::List(_) | Ty::Map(_), _) => {}
            _ => put_message(out, number, |out| special::encode_message(ty, value, out)),
        }
    }

    fn either(&self, def: &TypeDef, form: Either, number: u32, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Object(members) if form == Either::Names => {
                for (key, value) in members {
                    put_message(out, number, |out| {
                        put_bytes(out, 1, key.as_bytes());
                        put_message(out, 2, |out| self.alternative(def, form, value, out));
                    });
                }
            }
            _ => put_message(out, number, |out| self.alternative(def, form, value, out)),
        }
    }

    fn alternative(&self, def: &TypeDef, form: Either, value: &Value, out: &mut Vec<u8>) {
        let schema = |out: &mut Vec<u8>, number: u32, value: &Value| {
            if let Value::Object(members) = value {
                put_message(out, number, |out| self.fields(def, 0, 0, members, out));
            }
        };
        match (form, value) {
            (Either::Bool, Value::Bool(allows)) => put_int(out, 1, i64::from(*allows)),
            (Either::Bool, value) => {
                put_int(out, 1, 1);
                schema(out, 2, value);
            }
            (Either::List, Value::Array(items)) => items.iter().for_each(|item| schema(out, 2, item)),
            (Either::Names, Value::Array(names)) => {
                for name in names.iter().filter_map(Value::as_str) {
                    put_bytes(out, 2, name.as_bytes());
                }
            }
            (_, value) => schema(out, 1, value),
        }
    }
}
