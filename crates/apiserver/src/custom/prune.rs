//! Dropping what the schema does not know, and nulls that stand for nothing.

use serde_json::Value;

use super::node::{Additional, Node};
use super::path::Path;

const META: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops members that `schema` does not know and returns their paths, sorted. With `root` the three fields every
/// object has are left alone.
pub fn unknown(value: &mut Value, schema: &Node, root: bool) -> Vec<String> {
    let mut pruner = Pruner { found: Vec::new() };
    pruner.prune(&Path::ROOT, value, Some(schema), root || schema.embedded);
    pruner.found.sort();
    pruner.found
}

/// Drops nulls that are neither allowed nor stand for a default.
pub fn nulls(value: &mut Value, schema: Option<&Node>) {
    match value {
        Value::Object(members) => {
            members.retain(|key, member| {
                let schema = schema.and_then(|s| member_schema(s, key));
                let drop = member.is_null() && schema.is_some_and(|s| !s.nullable && s.default.is_none());
                if !drop {
                    nulls(member, schema);
                }
                !drop
            });
        }
        Value::Array(items) => {
            let schema = schema.and_then(|s| s.items.as_deref());
            items.iter_mut().for_each(|item| nulls(item, schema));
        }
        _ => {}
    }
}

fn member_schema<'n>(schema: &'n Node, key: &str) -> Option<&'n Node> {
    schema.property(key).or_else(|| schema.additional_schema())
}

struct Pruner {
    found: Vec<String>,
}

impl Pruner {
    fn prune(&mut self, path: &Path<'_>, value: &mut Value, schema: Option<&Node>, embedded: bool) {
        let keeps = schema.is_some_and(Node::preserves);
        match value {
            Value::Object(members) => members.retain(|key, member| {
                if embedded && META.contains(&key.as_str()) {
                    return true;
                }
                let at = path.child(key);
                let Some(schema) = schema else {
                    self.found.push(at.text());
                    return false;
                };
                if let Some(property) = schema.property(key) {
                    self.prune(&at, member, Some(property), property.embedded);
                } else if let Some(additional) = &schema.additional {
                    // Below `additionalProperties: true` upstream knows no members at all.
                    let inner = match additional {
                        Additional::Schema(inner) => Some(&**inner),
                        Additional::Any(_) => None,
                    };
                    self.prune(&at, member, inner, inner.is_some_and(|i| i.embedded));
                } else if !keeps {
                    if !(path.is_root() && META.contains(&key.as_str())) {
                        self.found.push(at.text());
                    }
                    return false;
                }
                true
            }),
            Value::Array(items) => {
                let inner = schema.and_then(|s| s.items.as_deref());
                for (i, item) in items.iter_mut().enumerate() {
                    let at = path.index(i);
                    match (keeps, inner) {
                        // What preserves unknown members does so through its lists.
                        (true, None) => {}
                        (true, Some(inner)) => self.keep(&at, item, inner),
                        (false, inner) => self.prune(&at, item, inner, inner.is_some_and(|i| i.embedded)),
                    }
                }
            }
            _ => {}
        }
    }

    /// An item of a list that preserves unknown members: only what is specified is pruned.
    fn keep(&mut self, path: &Path<'_>, item: &mut Value, schema: &Node) {
        match item {
            Value::Object(members) => {
                for (key, member) in members.iter_mut() {
                    let known = member_schema(schema, key);
                    if schema.embedded && META.contains(&key.as_str()) {
                        continue;
                    }
                    if let Some(known) = known {
                        self.prune(&path.child(key), member, Some(known), known.embedded);
                    }
                }
            }
            Value::Array(items) => {
                let Some(inner) = &schema.items else { return };
                for (i, item) in items.iter_mut().enumerate() {
                    self.keep(&path.index(i), item, inner);
                }
            }
            _ => {}
        }
    }
}
