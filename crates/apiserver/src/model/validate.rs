//! What tables alone can object to: absent required members of the spec, and changed immutable ones.

use serde_json::{Map, Value};

use super::schema::{Schema, Ty, TypeDef, TypeId};
use super::status::Cause;

struct Walk<'a> {
    schema: &'a Schema,
    causes: Vec<Cause>,
}

/// Objections to the members below `spec`. `old` is the object before an update.
pub fn spec(schema: &Schema, root: TypeId, new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let Some(field) = schema.get(root).field("spec") else { return Vec::new() };
    let mut walk = Walk { schema, causes: Vec::new() };
    if let Some(value) = new.get("spec") {
        walk.value(&field.ty, "spec", value, old.and_then(|o| o.get("spec")));
    }
    walk.causes
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
            let at = || format!("{path}.{}", field.name);
            let value = new.get(&*field.name).filter(|v| !v.is_null());
            let before = old.and_then(|o| o.get(&*field.name)).filter(|v| !v.is_null());
            if field.required && value.is_none() {
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
