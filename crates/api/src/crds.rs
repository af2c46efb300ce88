//! The CustomResourceDefinitions as installed: derived schemas, tightened, with the CEL rules.

use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::rules;

/// Paths below `openAPIV3Schema` that take an explicit null, by kind.
const NULLABLE: [(&str, &str); 6] = [
    ("VirtualCluster", "spec.hosts.selector"),
    ("VirtualCluster", "spec.pause.until"),
    ("VirtualCluster", "spec.sync.fromHost.nodes.selector"),
    ("VirtualClusterClass", "spec.defaults.hosts.selector"),
    ("VirtualClusterClass", "spec.enforced.hosts.selector"),
    ("Placement", "spec.select.min"),
];

/// All definitions in the order of their names: Skerry's kinds and the standard ones.
pub fn all() -> Vec<Value> {
    let mut list = skerry();
    list.extend(standard());
    list
}

/// The kinds of group skerry.dev.
pub fn skerry() -> Vec<Value> {
    vec![
        finish(crate::ClusterBinding::crd()),
        finish(crate::ClusterPlacement::crd()),
        finish(crate::ClusterReport::crd()),
        finish(crate::Placement::crd()),
        finish(crate::VirtualCluster::crd()),
        finish(crate::VirtualClusterClass::crd()),
    ]
}

/// The standard kinds, equal to the published ones in names, versions, fields and validation.
pub fn standard() -> Vec<Value> {
    vec![cluster_profile(), cluster_property(), placement_decision(), work()]
}

/// The ClusterProfile definition.
pub fn cluster_profile() -> Value {
    let mut crd = finish(crate::ClusterProfile::crd());
    let manager = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/clusterManager";
    if let Some(schema) = crd.pointer_mut(manager).and_then(Value::as_object_mut) {
        schema.insert(
            "x-kubernetes-validations".to_owned(),
            json!([{"rule": "self == oldSelf", "message": "ClusterManager is immutable"}]),
        );
    }
    crd
}

/// The ClusterProperty definition: v1alpha1 is served beside v1beta1.
pub fn cluster_property() -> Value {
    let mut crd = optional_spec(finish(crate::ClusterProperty::crd()));
    crd["metadata"]["annotations"] =
        json!({"api-approved.kubernetes.io": "unapproved, as published by about-api"});
    if let Some(versions) = crd["spec"]["versions"].as_array_mut()
        && let Some(mut older) = versions.first().cloned()
    {
        older["name"] = "v1alpha1".into();
        older["storage"] = false.into();
        versions.insert(0, older);
    }
    crd
}

/// The Work definition.
pub fn work() -> Value {
    optional_spec(finish(crate::Work::crd()))
}

/// As published: the spec may be missing altogether.
fn optional_spec(mut crd: Value) -> Value {
    for version in crd["spec"]["versions"].as_array_mut().into_iter().flatten() {
        if let Some(schema) = version["schema"]["openAPIV3Schema"].as_object_mut() {
            schema.remove("required");
        }
    }
    crd
}

/// The PlacementDecision definition; its content stands beside metadata, which no derive writes.
pub fn placement_decision() -> Value {
    let reference = json!({
        "type": "object", "required": ["name"], "description": "Its ClusterProfile.",
        "properties": {
            "name": {"type": "string", "description": "Name."},
            "namespace": {"type": "string", "description": "Namespace; empty: that of the decision."}
        }
    });
    let decision = json!({
        "type": "object", "required": ["clusterProfileRef"], "description": "A chosen member.",
        "properties": {
            "clusterProfileRef": reference,
            "reason": {"type": "string", "description": "Why it was chosen."}
        }
    });
    let mut schema = json!({
        "type": "object", "required": ["decisions"],
        "description": "A slice of at most 100 members that a scheduler chose.",
        "properties": {
            "schedulerName": {"type": "string", "description": "Who chose."},
            "decisions": {
                "type": "array", "minItems": 0, "maxItems": 100, "description": "Chosen members.", "items": decision
            }
        }
    });
    add_type_meta(&mut schema);
    let names = json!({
        "kind": "PlacementDecision", "listKind": "PlacementDecisionList",
        "plural": "placementdecisions", "singular": "placementdecision"
    });
    let version =
        json!({"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "placementdecisions.multicluster.x-k8s.io"},
        "spec": {"group": "multicluster.x-k8s.io", "names": names, "scope": "Namespaced", "versions": [version]}
    })
}

/// A derived definition as it is installed.
fn finish(
    crd: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
) -> Value {
    let mut crd = serde_json::to_value(crd).unwrap_or_default();
    let kind = crd["spec"]["names"]["kind"].as_str().unwrap_or_default().to_owned();
    if let Some(names) = crd["spec"]["names"].as_object_mut() {
        names.insert("listKind".to_owned(), format!("{kind}List").into());
        names.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
    }
    for version in crd["spec"]["versions"].as_array_mut().into_iter().flatten() {
        let schema = &mut version["schema"]["openAPIV3Schema"];
        tidy(schema);
        if let Some(root) = schema.as_object_mut() {
            root.remove("title");
        }
        add_type_meta(schema);
        for (_, path) in NULLABLE.iter().filter(|(of, _)| *of == kind) {
            let pointer = format!("/properties/{}", path.replace('.', "/properties/"));
            if let Some(field) = schema.pointer_mut(&pointer) {
                field["nullable"] = true.into();
            }
        }
        let rules = rules::of(&kind);
        if !rules.is_empty() {
            schema["x-kubernetes-validations"] = rules.iter().map(written).collect();
        }
        if let Some(object) = version.as_object_mut() {
            object.retain(|_, value| value.as_array().is_none_or(|list| !list.is_empty()));
        }
    }
    crd
}

fn written(rule: &rules::Rule) -> Value {
    let mut out = json!({"rule": rule.cel, "message": rule.message});
    if let Some(expression) = &rule.message_expression {
        out["messageExpression"] = expression.as_str().into();
    }
    out
}

/// Fields that every object has; a derive leaves them out.
fn add_type_meta(schema: &mut Value) {
    let described = [("apiVersion", "Group and version."), ("kind", "Kind.")];
    for (name, text) in described {
        schema["properties"][name] = json!({"type": "string", "description": text});
    }
    schema["properties"]["metadata"] = json!({"type": "object"});
}

/// Takes out what a derive says beyond the contract: explicit nulls, and whole numbers written as fractions.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.get("nullable") == Some(&Value::Bool(true)) {
                map.remove("nullable");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(list) => list.iter_mut().for_each(tidy),
        Value::Number(number) => {
            if let Some(whole) =
                number.as_f64().filter(|f| number.is_f64() && f.fract() == 0.0 && f.abs() < 1e15)
            {
                *schema = (whole as i64).into();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
