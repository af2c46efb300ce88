//! Are the defaults of a schema themselves valid, and free of what would be pruned?

use serde_json::{Map, Value, json};

use super::meta;
use super::node::Node;
use super::path::Path;
use super::{prune, validate};
use crate::model::status::Cause;

/// All findings; `pruned` asks for defaults without unknown fields.
pub fn check(path: &Path<'_>, schema: &Node, pruned: bool) -> Vec<Cause> {
    let mut check = Check { pruned, steps: Vec::new(), found: Vec::new() };
    check.node(path, schema, schema, true, false);
    check.found
}

/// One step from the surrounding object to a value.
#[derive(Clone)]
enum Step {
    Member(String),
    Item,
}

struct Check {
    pruned: bool,
    steps: Vec<Step>,
    found: Vec<Cause>,
}

impl Check {
    fn node(&mut self, path: &Path<'_>, node: &Node, root: &Node, resource: bool, in_meta: bool) {
        let (root, in_meta) = if resource { (node, false) } else { (root, in_meta) };
        let kept = if resource { std::mem::take(&mut self.steps) } else { Vec::new() };
        if let Some(default) = &node.default {
            let at = path.child("default");
            let found = if in_meta {
                self.inside_metadata(&at, node, root, default)
            } else {
                self.plain(&at, node, default, resource)
            };
            self.found.extend(found);
        }
        if let Some(items) = &node.items {
            self.steps.push(Step::Item);
            self.node(&path.child("items"), items, root, items.embedded, in_meta);
            self.steps.pop();
        }
        let properties = path.child("properties");
        for (name, property) in &node.properties {
            let meta = in_meta || (resource && matches!(&**name, "metadata" | "apiVersion" | "kind"));
            self.steps.push(Step::Member(name.to_string()));
            self.node(&properties.key(name), property, root, property.embedded, meta);
            self.steps.pop();
        }
        if resource {
            self.steps = kept;
        }
    }

    fn plain(&self, at: &Path<'_>, node: &Node, default: &Value, resource: bool) -> Vec<Cause> {
        let mut found = Vec::new();
        let mut read = default.clone();
        let metadata = meta::coerce(at, &mut read, node, resource);
        if self.pruned {
            let mut copy = default.clone();
            prune::unknown(&mut copy, node, resource);
            if copy != *default {
                found.push(at.invalid(&read, "must not have unknown fields"));
            }
        }
        match metadata {
            Err(cause) => found.push(cause),
            Ok(_) => {
                let wrong = meta::check(at, &read, node, resource);
                found.extend(if wrong.is_empty() { self.value(at, node, &read) } else { wrong });
            }
        }
        found
    }

    /// A default in embedded metadata, seen in the object it would become part of.
    fn inside_metadata(&self, at: &Path<'_>, node: &Node, root: &Node, default: &Value) -> Vec<Cause> {
        let mut object = self.steps.iter().rev().fold(default.clone(), |inner, step| match step {
            Step::Member(name) => Value::Object(Map::from_iter([(name.clone(), inner)])),
            Step::Item => json!([inner]),
        });
        if let Some(members) = object.as_object_mut() {
            members.entry("kind").or_insert_with(|| "Validation".into());
            members.entry("apiVersion").or_insert_with(|| "validation/v1".into());
        }
        let wrong = match meta::coerce(&Path::ROOT, &mut object, root, true) {
            Err(cause) => vec![cause],
            Ok(_) => meta::check(&Path::ROOT, &object, root, true),
        };
        if wrong.is_empty() {
            return self.value(at, node, default);
        }
        let sentences: Vec<String> = wrong.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        let all = match sentences.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        vec![at.invalid(default, &format!("must result in valid metadata: {all}"))]
    }

    fn value(&self, at: &Path<'_>, node: &Node, default: &Value) -> Vec<Cause> {
        validate::validate_default(&at.text(), node, default)
    }
}
