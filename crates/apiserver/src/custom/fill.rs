//! Defaulting by the schema.

use serde_json::Value;

use super::node::Node;

/// Fills in defaults, also in place of nulls that are not allowed.
pub fn fill(value: &mut Value, schema: &Node) {
    match value {
        Value::Object(members) => {
            for (name, property) in &schema.properties {
                let Some(default) = &property.default else { continue };
                let absent = members.get(&**name).is_none_or(|v| v.is_null() && !property.nullable);
                if absent {
                    members.insert((**name).to_owned(), default.clone());
                }
            }
            for (key, member) in members.iter_mut() {
                if let Some(property) = schema.property(key) {
                    fill(member, property);
                } else if let Some(inner) = schema.additional_schema() {
                    replace_null(member, inner);
                    fill(member, inner);
                }
            }
        }
        Value::Array(items) => {
            let Some(inner) = &schema.items else { return };
            for item in items {
                replace_null(item, inner);
                fill(item, inner);
            }
        }
        _ => {}
    }
}

fn replace_null(value: &mut Value, schema: &Node) {
    if value.is_null() && !schema.nullable {
        *value = schema.default.clone().unwrap_or_default();
    }
}
