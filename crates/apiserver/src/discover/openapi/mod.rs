//! OpenAPI 3 and 2 (O1 to O4). Built-in documents are made and encoded once per process.

mod dialect;
mod gnostic;
mod paths;
mod schemas;
mod v2;
mod v3;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

pub use self::v2::document as v2;
pub use self::v3::{document as v3, index as v3_index};

use crate::model::catalog::Catalog;

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";

/// What a catalog's custom rows add, made at the first request after a change.
struct Custom {
    v3: HashMap<String, v3::Document>,
    v2: v2::More,
}

impl Custom {
    fn of(catalog: &Catalog) -> Option<&Self> {
        if catalog.custom_rows().is_empty() {
            return None;
        }
        catalog.custom_memo(|| Self { v3: v3::custom(catalog), v2: v2::custom(catalog) })
    }
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": "v1.36.3"})
}

/// Names of schemas a value refers to.
fn references(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(target) if name == "$ref" => {
                        into.insert(target.rsplit('/').next().unwrap_or_default().to_owned());
                    }
                    other => references(other, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, into)),
        _ => {}
    }
}

/// The schemas that `from` needs, those they need, and so on.
fn reachable(from: &Value, all: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let mut wanted = BTreeSet::new();
    references(from, &mut wanted);
    let mut out = BTreeMap::new();
    while let Some(name) = wanted.pop_first() {
        let Some(schema) = all.get(&name).filter(|_| !out.contains_key(&name)) else { continue };
        references(schema, &mut wanted);
        out.insert(name, schema.clone());
    }
    out
}

/// Gives the kinds every group version repeats their list of group versions.
fn repeat_kinds(schemas: &mut BTreeMap<String, Value>, versions: &[(&str, &str)]) {
    for kind in ["DeleteOptions", "WatchEvent"] {
        let list: Value = versions
            .iter()
            .map(|(group, version)| json!({"group": group, "kind": kind, "version": version}))
            .collect();
        if let Some(schema) = schemas.get_mut(&format!("{META}{kind}")) {
            schema["x-kubernetes-group-version-kind"] = list;
        }
    }
}

#[cfg(test)]
mod tests;
