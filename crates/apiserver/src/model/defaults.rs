//! Constant defaults, by walking an object along its types.

use serde_json::{Map, Value};

use super::schema::{Field, Schema, Ty, TypeDef, TypeId, Zero};

/// Fills in constant defaults and always-shown zero values, below `obj` and in every nested object
/// that is there. A `null` counts as absent unless the field is nullable.
pub fn apply_defaults(schema: &Schema, root: TypeId, obj: &mut Value) {
    if let Value::Object(members) = obj {
        default_struct(schema, schema.get(root), members);
    }
}

fn default_struct(schema: &Schema, def: &TypeDef, members: &mut Map<String, Value>) {
    for field in &def.fields {
        let absent = match members.get(&*field.name) {
            None => true,
            Some(Value::Null) => !field.nullable,
            Some(_) => false,
        };
        if absent && let Some(value) = fill(field) {
            members.insert(field.name.to_string(), value);
        }
        if let Some(value) = members.get_mut(&*field.name) {
            default_value(schema, &field.ty, value);
        }
    }
    let Some(additional) = &def.additional else { return };
    for (_, value) in members.iter_mut().filter(|(name, _)| def.field(name).is_none()) {
        default_value(schema, additional, value);
    }
}

fn fill(field: &Field) -> Option<Value> {
    field.default.clone().or_else(|| (field.zero == Zero::Shown).then(|| zero_of(&field.ty)))
}

fn zero_of(ty: &Ty) -> Value {
    match ty {
        Ty::Bool => Value::Bool(false),
        Ty::Int32 | Ty::Int64 | Ty::Float | Ty::IntOrString => Value::from(0),
        Ty::Str => Value::from(""),
        Ty::Quantity => Value::from("0"),
        Ty::Duration => Value::from("0s"),
        Ty::Struct(_) => Value::Object(Map::new()),
        _ => Value::Null,
    }
}

fn default_value(schema: &Schema, ty: &Ty, value: &mut Value) {
    match (ty, value) {
        (Ty::Struct(id), Value::Object(members)) => default_struct(schema, schema.get(*id), members),
        (Ty::Map(map), Value::Object(members)) if holds_struct(&map.value) => {
            members.values_mut().for_each(|v| default_value(schema, &map.value, v));
        }
        (Ty::List(list), Value::Array(items)) if holds_struct(&list.item) => {
            items.iter_mut().for_each(|v| default_value(schema, &list.item, v));
        }
        _ => {}
    }
}

fn holds_struct(ty: &Ty) -> bool {
    match ty {
        Ty::Struct(_) => true,
        Ty::Map(map) => holds_struct(&map.value),
        Ty::List(list) => holds_struct(&list.item),
        _ => false,
    }
}
