//! Uniqueness in sets and list maps.

use serde_json::{Map, Value};

use super::node::{Additional, Node};
use super::path::Path;
use crate::model::status::Cause;

/// Second appearances in lists that are sets or maps.
pub fn check(schema: &Node, value: &Value) -> Vec<Cause> {
    let mut found = Vec::new();
    walk(&Path::ROOT, schema, value, &mut found);
    found
}

fn walk(path: &Path<'_>, schema: &Node, value: &Value, found: &mut Vec<Cause>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                if let Some(Additional::Schema(inner)) = &schema.additional {
                    walk(&path.key(key), inner, member, found);
                }
                if let Some(property) = schema.property(key) {
                    walk(&path.child(key), property, member, found);
                }
            }
        }
        Value::Array(items) => {
            match schema.list_type() {
                Some("set") => {
                    for i in repeated(items) {
                        found.push(path.index(i).duplicate(&items[i]));
                    }
                }
                Some("map") => map(path, schema.list_keys(), items, found),
                _ => {}
            }
            if let Some(inner) = &schema.items {
                for (i, item) in items.iter().enumerate() {
                    walk(&path.index(i), inner, item, found);
                }
            }
        }
        _ => {}
    }
}

fn map(path: &Path<'_>, keys: &[Box<str>], items: &[Value], found: &mut Vec<Cause>) {
    if let Some(i) = items.iter().position(|item| !item.is_object() && !item.is_null()) {
        let detail = "must be an object for an array of list-type map";
        found.push(path.index(i).invalid(&items[i], detail));
        return;
    }
    let key = |item: &Value| -> Value {
        keys.iter()
            .filter_map(|k| Some(((**k).to_owned(), item.get(&**k)?.clone())))
            .collect::<Map<_, _>>()
            .into()
    };
    let values: Vec<Value> = items.iter().map(key).collect();
    for i in repeated(&values) {
        found.push(path.index(i).duplicate(&values[i]));
    }
}

/// Where each repeated value appears for the second time.
fn repeated(items: &[Value]) -> Vec<usize> {
    let mut seen = std::collections::HashMap::with_capacity(items.len());
    let mut second = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let times = seen.entry(item.to_string()).or_insert(0_usize);
        *times += 1;
        if *times == 2 {
            second.push(i);
        }
    }
    second
}
