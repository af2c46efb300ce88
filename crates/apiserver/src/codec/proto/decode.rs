//! Messages to object trees.

use serde_json::{Map, Value};

use super::special::{self, Either, each};
use super::wire::{Fields, Raw};
use super::{ProtoError, number_at};
use crate::codec::Limits;
use crate::codec::check::is_absent;
use crate::model::schema::{Schema, Ty, TypeDef, TypeId};

/// Reads a message of a type. Unknown fields are dropped, as are zero values a stored object loses.
pub fn decode(schema: &Schema, root: TypeId, bytes: &[u8]) -> Result<Value, ProtoError> {
    let mut decoder = Decoder { schema, limits: Limits::default(), depth: 0, values: 0 };
    decoder.message(root, bytes)
}

struct Decoder<'a> {
    schema: &'a Schema,
    limits: Limits,
    depth: usize,
    values: usize,
}

impl Decoder<'_> {
    fn count(&mut self) -> Result<(), ProtoError> {
        self.values += 1;
        if self.values > self.limits.values { Err(ProtoError::TooMany(self.limits.values)) } else { Ok(()) }
    }

    fn message(&mut self, id: TypeId, bytes: &[u8]) -> Result<Value, ProtoError> {
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(ProtoError::TooDeep(self.limits.depth));
        }
        let schema = self.schema;
        let def = schema.get(id);
        let mut out = Map::new();
        self.fields(def, 0, 0, bytes, &mut out)?;
        out.retain(|name, value| !def.field(name).is_some_and(|field| is_absent(field, value)));
        self.depth -= 1;
        Ok(Value::Object(out))
    }

    /// Reads the fields of a message, or of one inlined into it.
    fn fields(
        &mut self,
        def: &TypeDef,
        prefix: u32,
        level: u32,
        bytes: &[u8],
        out: &mut Map<String, Value>,
    ) -> Result<(), ProtoError> {
        let mut fields = Fields::new(bytes);
        while let Some((number, raw)) = fields.next_field()? {
            let found = def.fields.iter().find_map(|field| {
                let (here, own) = number_at(field.number, prefix, level)?;
                (here == number).then_some((field, own))
            });
            match found {
                None => {}
                Some((_, false)) => {
                    let prefix = prefix | number << (super::BITS * level);
                    self.fields(def, prefix, level + 1, raw.bytes()?, out)?;
                }
                Some((field, true)) => {
                    self.count()?;
                    let slot = out.entry(&*field.name).or_insert(Value::Null);
                    match special::either(&def.name, &field.name) {
                        Some(form) => self.either(def, form, raw, slot)?,
                        None => self.value(&field.ty, raw, slot)?,
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads one occurrence of a field into its slot: lists and maps grow, the last scalar holds.
    fn value(&mut self, ty: &Ty, raw: Raw<'_>, slot: &mut Value) -> Result<(), ProtoError> {
        match ty {
            Ty::List(list) => {
                let item = match (&list.item, raw) {
                    // Packed numbers, which Go accepts too.
                    (Ty::Int32 | Ty::Int64 | Ty::Bool, Raw::Bytes(_)) => {
                        return Err(ProtoError::Value("proto: packed numbers are not expected"));
                    }
                    _ => self.item(&list.item, raw)?,
                };
                match slot {
                    Value::Array(items) => items.push(item),
                    _ => *slot = Value::Array(vec![item]),
                }
            }
            Ty::Map(map) => {
                let (key, value) = self.entry(raw, |decoder, raw| decoder.item(&map.value, raw))?;
                let value = value.unwrap_or_else(|| empty(&map.value));
                put_entry(slot, key, value);
            }
            _ => *slot = self.item(ty, raw)?,
        }
        Ok(())
    }

    fn item(&mut self, ty: &Ty, raw: Raw<'_>) -> Result<Value, ProtoError> {
        self.count()?;
        match ty {
            Ty::Struct(id) => self.message(*id, raw.bytes()?),
            // A list where protobuf can have none is wrapped into a message.
            Ty::List(list) => {
                let mut items = Vec::new();
                each(raw, |number, field| {
                    if number == 1 {
                        items.push(self.item(&list.item, field)?);
                    }
                    Ok(())
                })?;
                Ok(Value::Array(items))
            }
            _ => special::decode(ty, raw),
        }
    }

    fn entry(
        &mut self,
        raw: Raw<'_>,
        mut value: impl FnMut(&mut Self, Raw<'_>) -> Result<Value, ProtoError>,
    ) -> Result<(String, Option<Value>), ProtoError> {
        let (mut key, mut out) = (String::new(), None);
        each(raw, |number, field| {
            match number {
                1 => key = String::from_utf8_lossy(field.bytes()?).into_owned(),
                2 => out = Some(value(self, field)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok((key, out))
    }

    fn either(
        &mut self,
        def: &TypeDef,
        form: Either,
        raw: Raw<'_>,
        slot: &mut Value,
    ) -> Result<(), ProtoError> {
        let Some(id) = self.schema.by_name(&def.name) else { return Ok(()) };
        if form == Either::Names {
            let (key, value) = self.entry(raw, |decoder, raw| decoder.alternative(id, form, raw))?;
            put_entry(slot, key, value.unwrap_or(Value::Null));
        } else {
            *slot = self.alternative(id, form, raw)?;
        }
        Ok(())
    }

    fn alternative(&mut self, id: TypeId, form: Either, raw: Raw<'_>) -> Result<Value, ProtoError> {
        let (mut one, mut many, mut allows) = (None, Vec::new(), false);
        each(raw, |number, field| {
            match (form, number) {
                (Either::Bool, 1) => allows = field.int()? != 0,
                (Either::Bool, 2) | (Either::List | Either::Names, 1) => {
                    one = Some(self.message(id, field.bytes()?)?);
                }
                (Either::List, 2) => many.push(self.message(id, field.bytes()?)?),
                (Either::Names, 2) => {
                    many.push(Value::String(String::from_utf8_lossy(field.bytes()?).into_owned()));
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(match one {
            Some(schema) => schema,
            None if form == Either::Bool => Value::Bool(allows),
            None => Value::Array(many),
        })
    }
}

fn put_entry(slot: &mut Value, key: String, value: Value) {
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    if let Value::Object(members) = slot {
        members.insert(key, value);
    }
}

/// What an entry without a value holds.
fn empty(ty: &Ty) -> Value {
    match ty {
        Ty::Struct(_) | Ty::Map(_) => Value::Object(Map::new()),
        Ty::List(_) => Value::Array(Vec::new()),
        Ty::Bool => false.into(),
        Ty::Int32 | Ty::Int64 | Ty::Float => 0.into(),
        Ty::Quantity => "0".into(),
        _ => "".into(),
    }
}
