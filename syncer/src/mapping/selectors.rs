//! Label selectors on their way down (NM11): never wider than the tenant.

use serde_json::{Map, Value, json};
use skerry_api::labels;

use super::metadata::{MetadataRules, namespace_key};

/// A selector over pods: keys by NM9; the host namespace is the scope.
pub(crate) fn pod_selector(selector: &Value, rules: &MetadataRules) -> Value {
    rewrite(selector, |key| rules.label_key(key))
}

/// A selector over namespaces: keys by NM10, and the tenant always; empty means all namespaces of the tenant.
pub(crate) fn namespace_selector(selector: &Value, tenant_id: &str) -> Value {
    let mut out = rewrite(selector, namespace_key);
    if let Some(map) = out.as_object_mut() {
        let labels_map = map.entry("matchLabels").or_insert_with(|| json!({}));
        if let Some(labels_map) = labels_map.as_object_mut() {
            labels_map.insert(labels::TENANT.to_owned(), Value::from(tenant_id));
        }
    }
    out
}

/// Rewrites the keys of `matchLabels` and `matchExpressions`.
fn rewrite(selector: &Value, key: impl Fn(&str) -> String) -> Value {
    let mut out = Map::new();
    let Some(selector) = selector.as_object() else { return Value::Object(out) };
    if let Some(labels_map) = selector.get("matchLabels").and_then(Value::as_object) {
        let map: Map<_, _> = labels_map.iter().map(|(k, v)| (key(k), v.clone())).collect();
        out.insert("matchLabels".to_owned(), Value::Object(map));
    }
    if let Some(list) = selector.get("matchExpressions").and_then(Value::as_array) {
        let list = list
            .iter()
            .map(|term| {
                let mut term = term.clone();
                if let Some(slot) = term.get_mut("key") {
                    *slot = Value::from(key(slot.as_str().unwrap_or_default()));
                }
                term
            })
            .collect();
        out.insert("matchExpressions".to_owned(), Value::Array(list));
    }
    Value::Object(out)
}
