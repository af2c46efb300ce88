//! What tables alone can object to: absent required members, and changed immutable ones.

use serde_json::{Map, Value};

use super::schema::{Schema, Ty, TypeDef, TypeId};
use super::status::Cause;

struct Walk<'a> {
    schema: &'a Schema,
    causes: Vec<Cause>,
}

/// Objections to what a client writes: everything but `metadata` and `status`. `old` is the object before
/// an update.
pub fn content(schema: &Schema, root: TypeId, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut walk = Walk { schema, causes: Vec::new() };
    let written = |object: &Value| {
        let mut members = object.as_object().cloned().unwrap_or_default();
        ["metadata", "status"].iter().for_each(|name| drop(members.remove(*name)));
        members
    };
    walk.members(schema.get(root), "", &written(new), old.map(written).as_ref());
    walk.causes
}

/// Whether a required member says nothing: upstream's types cannot tell a zero value from none.
fn is_missing(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Number(number)) => number.as_f64() == Some(0.0),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        Some(Value::Bool(_)) => false,
    }
}

impl Walk<'_> {
    fn value(&mut self, ty: &Ty, path: &str, new: &Value, old: Option<&Value>) {
        match (ty, new) {
            (Ty::Struct(id), Value::Object(members)) => {
                self.members(self.schema.get(*id), path, members, old.and_then(Value::as_object));
            }
            (Ty::Map(map), Value::Object(members)) => {
                for (key, value) in members {
                    self.value(&map.value, &format!("{path}[{key}]"), value, old.and_then(|o| o.get(key)));
                }
            }
            (Ty::List(list), Value::Array(items)) => {
                for (i, item) in items.iter().enumerate() {
                    self.value(&list.item, &format!("{path}[{i}]"), item, None);
                }
            }
            _ => {}
        }
    }

    fn members(
        &mut self,
        def: &TypeDef,
        path: &str,
        new: &Map<String, Value>,
        old: Option<&Map<String, Value>>,
    ) {
        for field in &def.fields {
            let at = || match path {
                "" => field.name.to_string(),
                path => format!("{path}.{}", field.name),
            };
            let value = new.get(&*field.name).filter(|v| !v.is_null());
            let before = old.and_then(|o| o.get(&*field.name)).filter(|v| !v.is_null());
            if field.required && is_missing(value) {
                self.causes.push(Cause::required(at(), ""));
            }
            if field.immutable && old.is_some() && value != before {
                self.causes.push(Cause::invalid(at(), value.unwrap_or(&Value::Null), "field is immutable"));
                continue;
            }
            if let Some(value) = value {
                self.value(&field.ty, &at(), value, before);
            }
        }
    }
}
