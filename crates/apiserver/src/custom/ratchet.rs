//! Which old value a new one is held against, and whether they are the same.

use std::collections::HashMap;

use serde_json::Value;

use super::node::Node;

/// The items of an old list by what identifies them: only list maps say so, by their keys.
pub struct OldItems<'v> {
    keys: &'v [Box<str>],
    items: HashMap<String, &'v Value>,
}

impl<'v> OldItems<'v> {
    /// Indexes `old`, a value of `node`.
    pub fn new(node: &'v Node, old: &'v Value) -> Self {
        let mut index = Self { keys: node.list_keys(), items: HashMap::new() };
        if node.list_type() == Some("map") {
            for item in old.as_array().into_iter().flatten() {
                if let Some(key) = index.key(item) {
                    index.items.entry(key).or_insert(item);
                }
            }
        }
        index
    }

    /// The old item that `item` continues.
    pub fn of(&self, item: &Value) -> Option<&'v Value> {
        if self.items.is_empty() {
            return None;
        }
        self.items.get(&self.key(item)?).copied()
    }

    fn key(&self, item: &Value) -> Option<String> {
        let mut key = String::new();
        for name in self.keys {
            key.push_str(&item.get(&**name)?.to_string());
            key.push('\n');
        }
        Some(key)
    }
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
            let index = OldItems::new(node, old);
            a.iter().all(|item| index.of(item).is_some_and(|old| same(inner, item, old)))
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
