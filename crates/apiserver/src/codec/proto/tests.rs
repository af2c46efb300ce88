//! Protobuf against JSON: every message, there and back.

use base64::Engine;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Map, json};

use super::*;
use crate::codec::check_known;
use crate::model::schema::{Schema, Ty, TypeDef, TypeId, Zero};

/// Makes objects of a type in their stored form.
struct Maker<'a> {
    schema: &'a Schema,
    rng: StdRng,
}

impl Maker<'_> {
    fn object(&mut self, id: TypeId, depth: u32) -> Value {
        let schema = self.schema;
        let def = schema.get(id);
        let mut out = Map::new();
        for field in def.fields.iter().filter(|f| f.number != 0) {
            if self.rng.random_range(0..3) == 0 {
                continue;
            }
            let value = match special::either(&def.name, &field.name) {
                Some(form) => self.either(def, form, depth),
                None => self.value(&field.ty, depth),
            };
            let Some(value) = value else { continue };
            let lost = matches!(field.ty, Ty::List(_) | Ty::Map(_)) || field.zero == Zero::Dropped;
            if !(lost && crate::codec::check::is_zero(&value)) {
                out.insert(field.name.to_string(), value);
            }
        }
        Value::Object(out)
    }

    fn either(&mut self, def: &TypeDef, form: special::Either, depth: u32) -> Option<Value> {
        let id = self.schema.by_name(&def.name)?;
        let one = |maker: &mut Self| {
            if depth == 0 { json!({"type": "string"}) } else { maker.object(id, depth - 1) }
        };
        let first = self.rng.random_bool(0.5);
        Some(match form {
            special::Either::Bool if first => json!(self.rng.random_bool(0.5)),
            special::Either::List if first => json!([one(self), one(self)]),
            special::Either::Names => json!({"a": ["b", "c"], "d": one(self)}),
            _ => one(self),
        })
    }

    fn value(&mut self, ty: &Ty, depth: u32) -> Option<Value> {
        let n = self.rng.random_range(0..1000u32);
        Some(match ty {
            Ty::Any => json!({"any": n}),
            Ty::Raw => json!({"apiVersion": "v1", "kind": "X", "n": n}),
            Ty::FieldsV1 => json!({"f:spec": {}}),
            Ty::Bool => json!(n % 2 == 0),
            Ty::Int32 => json!(self.rng.random::<i32>()),
            Ty::Int64 => json!(self.rng.random::<i64>()),
            Ty::Float => json!(f64::from(n) / 8.0),
            Ty::Str => json!(format!("s{n}é")),
            Ty::Bytes => json!(base64::engine::general_purpose::STANDARD.encode(n.to_le_bytes())),
            Ty::Quantity => json!(["100m", "1Gi", "0", "5", "1500k"][n as usize % 5]),
            Ty::IntOrString if n % 2 == 0 => json!(n),
            Ty::IntOrString => json!(format!("{n}%")),
            Ty::Time => json!(format!("2026-01-02T03:04:{:02}Z", n % 60)),
            Ty::MicroTime => json!(format!("2026-01-02T03:04:05.{n:06}Z")),
            Ty::Duration => json!(format!("{}m{}s", 1 + n % 59, n % 60)),
            Ty::Struct(id) if depth > 0 => self.object(*id, depth - 1),
            Ty::Struct(_) => return None,
            Ty::List(list) => (0..n % 3).filter_map(|_| self.value(&list.item, depth)).collect(),
            Ty::Map(map) => (0..n % 3)
                .filter_map(|i| Some((format!("k{i}"), self.value(&map.value, depth)?)))
                .collect::<Map<_, _>>()
                .into(),
        })
    }
}

/// AS-10: object → protobuf → object → protobuf for every message; the typed check changes nothing.
#[test]
fn every_message_comes_back() {
    let schema = &builtin().schema;
    let mut maker = Maker { schema, rng: StdRng::seed_from_u64(36) };
    let mut messages = 0;
    for (id, def) in schema.iter().filter(|(_, def)| def.proto.is_some()) {
        for _ in 0..8 {
            let object = maker.object(id, 4);
            let bytes = encode(schema, id, &object);
            let back = decode(schema, id, &bytes).unwrap();
            assert_eq!(back, object, "{}", def.name);
            assert_eq!(encode(schema, id, &back), bytes, "{}", def.name);
            let mut checked = back;
            assert_eq!(check_known(schema, id, &mut checked).unwrap(), [], "{}", def.name);
            assert_eq!(checked, object, "{}", def.name);
        }
        messages += 1;
    }
    assert!(messages > 550, "{messages}");
}

/// AS-10: cut off anywhere, an object or an error comes out; no panic.
#[test]
fn truncated_messages_are_refused() {
    let schema = &builtin().schema;
    let mut maker = Maker { schema, rng: StdRng::seed_from_u64(1) };
    for name in ["core/v1.Pod", "apps/v1.Deployment", "apiextensions/v1.CustomResourceDefinition"] {
        let id = schema.by_name(name).unwrap();
        let mut bytes = encode(schema, id, &maker.object(id, 5));
        for end in 0..bytes.len().min(2000) {
            let _ = decode(schema, id, &bytes[..end]);
        }
        for _ in 0..2000 {
            let at = maker.rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << maker.rng.random_range(0..8);
            let _ = decode(schema, id, &bytes);
        }
    }
}

/// AS-10: unknown fields are dropped. AS-27: a broken envelope is refused, a custom kind has no protobuf form.
#[test]
fn envelopes_and_unknown_fields() {
    let schema = &builtin().schema;
    let id = schema.by_name("core/v1.ConfigMap").unwrap();
    let gvk = Gvk::new("", "v1", "ConfigMap");
    let object = json!({"metadata": {"name": "a"}, "data": {"k": "v"}});
    let mut raw = encode(schema, id, &object);
    put_bytes(&mut raw, 99, b"unknown");
    let bytes = wrap_envelope(&gvk, &raw);
    let (named, inner) = unwrap_envelope(&bytes).unwrap();
    assert_eq!((named, decode(schema, id, inner).unwrap()), (gvk, object));
    let whole =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
    assert_eq!(read_object(&bytes).unwrap(), whole);
    let options = wrap_envelope(&Gvk::new("apps", "v1", "DeleteOptions"), b"\x08\x05");
    assert_eq!(read_object(&options).unwrap()["gracePeriodSeconds"], 5);
    let custom = wrap_envelope(&Gvk::new("example.com", "v1", "Foo"), b"");
    assert_eq!(read_object(&custom).unwrap_err().to_status().code, 415);
    assert_eq!(unwrap_envelope(b"{}").unwrap_err(), ProtoError::NoPrefix);
    let error = unwrap_envelope(&bytes[..bytes.len() - 3]).unwrap_err();
    assert_eq!(error.to_status().code, 400);
}

/// Bytes as client-go writes them: a volume's source lies in a message of its own.
#[test]
fn inlined_messages_nest() {
    let schema = &builtin().schema;
    let id = schema.by_name("core/v1.Volume").unwrap();
    let volume = json!({"name": "v", "emptyDir": {"medium": "Memory"}});
    let bytes = encode(schema, id, &volume);
    assert_eq!(bytes, b"\x0a\x01v\x12\x0a\x12\x08\x0a\x06Memory");
    assert_eq!(decode(schema, id, &bytes).unwrap(), volume);
}
