//! The merge of layers into what is in force (tenancy C3), with the origin of every value.
//!
//! Objects merge by field, maps by key, lists are replaced; a later layer wins. `null` says nothing.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use skerry_api::virtual_cluster::Origin;

/// Longest list of origins in a status.
const MAX_ORIGINS: usize = 64;

/// One layer and its name in origins.
#[derive(Clone, Debug)]
pub struct Layer {
    /// BuiltIn, Class, Size/<name>, Spec or Enforced.
    pub from: String,
    /// Spec-shaped values.
    pub values: Value,
}

impl Layer {
    /// A layer.
    pub fn new(from: impl Into<String>, values: Value) -> Self {
        Self { from: from.into(), values }
    }
}

/// What is in force, and which layer each leaf comes from.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// Spec-shaped values.
    pub values: Value,
    /// Layer by leaf path.
    leaves: BTreeMap<Vec<String>, String>,
}

/// Merges the layers in order.
pub fn merge<'a>(layers: impl IntoIterator<Item = &'a Layer>) -> Merged {
    let mut merged = Merged { values: Value::Object(Map::new()), leaves: BTreeMap::new() };
    for layer in layers {
        let mut path = Vec::new();
        lay(&mut merged.values, &layer.values, &layer.from, &mut path, &mut merged.leaves);
    }
    merged
}

fn lay(
    base: &mut Value,
    over: &Value,
    from: &str,
    path: &mut Vec<String>,
    leaves: &mut BTreeMap<Vec<String>, String>,
) {
    match over {
        Value::Null => {}
        Value::Object(fields) => {
            if !base.is_object() {
                *base = Value::Object(Map::new());
                leaves.remove(path.as_slice());
            }
            if let Value::Object(into) = base {
                for (key, value) in fields.iter().filter(|(_, v)| !v.is_null()) {
                    path.push(key.clone());
                    lay(into.entry(key.clone()).or_insert(Value::Null), value, from, path, leaves);
                    path.pop();
                }
            }
        }
        leaf => {
            *base = leaf.clone();
            leaves.insert(path.clone(), from.to_owned());
        }
    }
}

impl Merged {
    /// Origins for people: a path stands for all below it where one layer gave all of them.
    pub fn origins(&self) -> Vec<Origin> {
        let mut out = Vec::new();
        let leaves: Vec<(&[String], &str)> =
            self.leaves.iter().map(|(p, f)| (p.as_slice(), f.as_str())).collect();
        collapse(&leaves, 0, &mut out);
        out.truncate(MAX_ORIGINS);
        out
    }
}

/// `leaves` share their first `depth` steps and are sorted, so that equal next steps stand together.
fn collapse(leaves: &[(&[String], &str)], depth: usize, out: &mut Vec<Origin>) {
    let mut rest = leaves;
    while let Some((path, from)) = rest.first() {
        let Some(step) = path.get(depth) else {
            rest = &rest[1..];
            continue;
        };
        let count = rest.iter().take_while(|(p, _)| p.get(depth) == Some(step)).count();
        let (group, after) = rest.split_at(count);
        if group.iter().all(|(_, f)| f == from) {
            out.push(Origin { path: text(&path[..=depth]), from: (*from).to_owned() });
        } else {
            collapse(group, depth + 1, out);
        }
        rest = after;
    }
}

/// A path as people write it: `quota["requests.cpu"]`, `hosts.selector`.
pub fn text(path: &[String]) -> String {
    let mut out = String::new();
    for step in path {
        let plain = !step.is_empty() && step.bytes().all(|b| b.is_ascii_alphanumeric());
        match (plain, out.is_empty()) {
            (true, true) => out.push_str(step),
            (true, false) => {
                out.push('.');
                out.push_str(step);
            }
            (false, _) => out.push_str(&format!("[{step:?}]")),
        }
    }
    out
}

/// Leaves of a value with their paths; lists and empty objects are leaves.
pub fn leaves(value: &Value) -> Vec<(Vec<String>, &Value)> {
    fn walk<'a>(value: &'a Value, path: &mut Vec<String>, out: &mut Vec<(Vec<String>, &'a Value)>) {
        match value {
            Value::Null => {}
            Value::Object(fields) => {
                for (key, inner) in fields {
                    path.push(key.clone());
                    walk(inner, path, out);
                    path.pop();
                }
            }
            leaf => out.push((path.clone(), leaf)),
        }
    }
    let mut out = Vec::new();
    walk(value, &mut Vec::new(), &mut out);
    out
}

/// The value at a path of steps.
pub fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |inner, step| inner.get(step))
}

/// Puts a value at a dotted path, making the objects on the way.
pub fn set(value: &mut Value, path: &str, new: Value) {
    let mut here = value;
    for step in path.split('.') {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Value::Object(fields) = here else { return };
        here = fields.entry(step.to_owned()).or_insert(Value::Null);
    }
    *here = new;
}
