//! Affinity and spread: truthful, and never beyond the tenant (PO12, PO14, NM11).

use serde_json::{Map, Value, json};

use crate::{
    facts::Facts,
    mapping::{namespace_selector, pod_selector},
    object::{Fields, TenantObj, entry, filled, items},
};

/// A host namespace that never exists: a term that names a missing tenant namespace matches nothing.
const NOWHERE: &str = "sk-none";
/// Most nodes that are excluded one by one.
const MAX_CORDONED: usize = 64;

/// The host pod's affinity; `node` is the node that the tenant pod names, or empty.
pub(super) fn down(tenant: &TenantObj, facts: &Facts, node: &str) -> Option<Value> {
    let mut out = Map::new();
    let own = tenant.0.pointer("/spec/affinity").and_then(Value::as_object);
    if let Some(node_affinity) = own.and_then(|a| a.get("nodeAffinity")).filter(|v| filled(v)) {
        out.insert("nodeAffinity".to_owned(), node_affinity.clone());
    }
    require_nodes(&mut out, &node_terms(facts, node));
    for field in ["podAffinity", "podAntiAffinity"] {
        let Some(terms) = own.and_then(|a| a.get(field)).filter(|v| filled(v)) else { continue };
        let mut done = Map::new();
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        let list: Vec<Value> =
            items(terms, &format!("/{required}")).iter().map(|t| pod_term(t, tenant, facts)).collect();
        if !list.is_empty() {
            done.insert(required.to_owned(), Value::Array(list));
        }
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        let list: Vec<Value> = items(terms, &format!("/{preferred}"))
            .iter()
            .map(|weighted| {
                let mut weighted = weighted.clone();
                if let Some(term) = weighted.get_mut("podAffinityTerm") {
                    *term = pod_term(term, tenant, facts);
                }
                weighted
            })
            .collect();
        if !list.is_empty() {
            done.insert(preferred.to_owned(), Value::Array(list));
        }
        out.insert(field.to_owned(), Value::Object(done));
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

/// Requirements on the node's name that are ANDed into every required term.
fn node_terms(facts: &Facts, node: &str) -> Vec<Value> {
    let mut fields = Vec::new();
    if !node.is_empty() {
        fields.push(json!({"key": "metadata.name", "operator": "In", "values": [node]}));
    }
    for name in facts.cordoned.iter().filter(|name| *name != node).take(MAX_CORDONED) {
        fields.push(json!({"key": "metadata.name", "operator": "NotIn", "values": [name]}));
    }
    fields
}

fn require_nodes(out: &mut Map<String, Value>, fields: &[Value]) {
    if fields.is_empty() {
        return;
    }
    let required = entry(entry(out, "nodeAffinity"), "requiredDuringSchedulingIgnoredDuringExecution");
    let terms = required.entry("nodeSelectorTerms").or_insert_with(|| json!([]));
    let Some(terms) = terms.as_array_mut() else { return };
    if terms.is_empty() {
        terms.push(json!({ "matchFields": fields }));
        return;
    }
    for term in terms.iter_mut().filter_map(Value::as_object_mut) {
        // A term without any requirement matches no node, and stays so.
        let empty = !term.values().any(filled);
        if empty {
            continue;
        }
        if let Some(list) = term.entry("matchFields").or_insert_with(|| json!([])).as_array_mut() {
            list.extend(fields.iter().cloned());
        }
    }
}

fn pod_term(term: &Value, tenant: &TenantObj, facts: &Facts) -> Value {
    let mut out = term.as_object().cloned().unwrap_or_default();
    merge_keys(&mut out, tenant);
    if let Some(selector) = out.get("labelSelector").filter(|s| s.is_object()) {
        let selector = pod_selector(selector, &facts.rules);
        out.insert("labelSelector".to_owned(), selector);
    }
    if let Some(selector) = out.get("namespaceSelector").filter(|s| s.is_object()) {
        let selector = namespace_selector(selector, facts.mapping.id());
        out.insert("namespaceSelector".to_owned(), selector);
    }
    let names: Vec<Value> = items(term, "/namespaces")
        .iter()
        .filter_map(Value::as_str)
        .map(|name| match facts.host_namespace(name) {
            Some(host) => Value::from(host.as_str()),
            None => Value::from(NOWHERE),
        })
        .collect();
    if !names.is_empty() {
        out.insert("namespaces".to_owned(), Value::Array(names));
    }
    Value::Object(out)
}

/// `matchLabelKeys` and `mismatchLabelKeys` become requirements, as the tenant's API server has merged them or
/// would have; every host minor accepts those.
fn merge_keys(term: &mut Map<String, Value>, tenant: &TenantObj) {
    for (field, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        let Some(keys) = term.remove(field) else { continue };
        let Some(selector) = term.get_mut("labelSelector").and_then(Value::as_object_mut) else { continue };
        for key in keys.as_array().into_iter().flatten().filter_map(Value::as_str) {
            let Some(value) = tenant.label(key) else { continue };
            let wanted = json!({"key": key, "operator": operator, "values": [value]});
            let list = selector.entry("matchExpressions").or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut()
                && !list.contains(&wanted)
            {
                list.push(wanted);
            }
        }
    }
}

/// Spread constraints: pods of the tenant's own namespace alone are counted, by the host namespace.
pub(super) fn spread(tenant: &TenantObj, facts: &Facts) -> Option<Value> {
    let list: Vec<Value> = items(&tenant.0, "/spec/topologySpreadConstraints")
        .iter()
        .map(|constraint| {
            let mut out = constraint.as_object().cloned().unwrap_or_default();
            merge_keys(&mut out, tenant);
            if let Some(selector) = out.get("labelSelector").filter(|s| s.is_object()) {
                let selector = pod_selector(selector, &facts.rules);
                out.insert("labelSelector".to_owned(), selector);
            }
            Value::Object(out)
        })
        .collect();
    (!list.is_empty()).then_some(Value::Array(list))
}
