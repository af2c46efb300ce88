//! Which old value a new one is held against, and whether they are the same.

use serde_json::Value;

use super::node::Node;

/// The old member of that name; a null cannot be told from an absent one.
pub fn old_member<'v>(old: &'v Value, key: &str) -> Option<&'v Value> {
    old.get(key)
}

/// The old item that `item` continues: only list maps say so, by their keys.
pub fn old_item<'v>(node: &Node, item: &Value, old: &'v Value) -> Option<&'v Value> {
    if node.list_type() != Some("map") {
        return None;
    }
    let keys = node.list_keys();
    let key = |item: &Value| -> Option<Vec<Value>> { keys.iter().map(|k| item.get(&**k).cloned()).collect() };
    let wanted = key(item)?;
    old.as_array()?.iter().find(|other| key(other).as_ref() == Some(&wanted))
}

/// Whether the value is unchanged. List maps may be reordered; what the schema does not specify counts as changed.
pub fn same(node: &Node, new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                return false;
            }
            let Some(inner) = node.items.as_ref().filter(|_| node.list_type() == Some("map")) else {
                return a == b;
            };
            a.iter().all(|item| old_item(node, item, old).is_some_and(|old| same(inner, item, old)))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, member)| {
                    let schema = node.property(key).or_else(|| node.additional_schema());
                    match (schema, b.get(key)) {
                        (Some(schema), Some(old)) => same(schema, member, old),
                        _ => false,
                    }
                })
        }
        _ => new == old,
    }
}
