//! Compiled definitions: versions, rows, sharing, limits.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::*;
use crate::kinds::crd;
use crate::model::schema::{Topology, Ty};

fn definition(versions: Value) -> Value {
    let mut value = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "lamps.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "lamps", "kind": "Lamp", "shortNames": ["lp"], "categories": ["all"]},
            "versions": versions},
    });
    crd::default(&mut value);
    crd::prepare_status(&mut value, None);
    value
}

fn version(name: &str, storage: bool, spec: Value) -> Value {
    json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema":
        {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}}})
}

/// AS-39: two versions over one storage. Defaults are those of the version sent, and of the stored one on read.
#[test]
fn as39_two_versions_share_one_storage() {
    let old = version("v1", true, json!({"color": {"type": "string", "default": "red"}}));
    let new = version(
        "v2",
        false,
        json!({
        "color": {"type": "string", "default": "blue"}, "watts": {"type": "integer", "default": 5}}),
    );
    let crd = definition(json!([old, new]));
    assert_eq!(crd::validate(&crd, None), []);
    let compiled = compile(&crd);
    let (v1, v2) = (compiled.version("v1").expect("v1"), compiled.version("v2").expect("v2"));

    let mut lamp =
        json!({"apiVersion": "example.com/v2", "kind": "Lamp", "metadata": {"name": "a"}, "spec": {}});
    assert_eq!(prune(v2, &mut lamp), Ok(vec![]));
    default(v2, &mut lamp);
    assert_eq!(lamp["spec"], json!({"color": "blue", "watts": 5}));
    assert_eq!(validate(v2, &lamp, None), []);
    to_storage(v2, &mut lamp).expect("stored");
    assert_eq!((&lamp["apiVersion"], &lamp["spec"]), (&json!("example.com/v1"), &json!({"color": "blue"})));

    let mut read = lamp.clone();
    from_storage(v2, &mut read).expect("read");
    assert_eq!((&read["apiVersion"], &read["spec"]), (&json!("example.com/v2"), &json!({"color": "blue"})));
    // Something written before the default existed.
    lamp["spec"] = json!({"forgotten": 1});
    from_storage(v1, &mut lamp).expect("read");
    assert_eq!(lamp["spec"], json!({"color": "red"}));
}

/// AS-39, D3: a row of discovery per served version.
#[test]
fn as39_rows_carry_subresources_columns_and_selectable_fields() {
    let mut one = version("v1", true, json!({"color": {"type": "string"}, "replicas": {"type": "integer"}}));
    one["subresources"] = json!({"status": {}, "scale":
        {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}});
    one["additionalPrinterColumns"] = json!([{"name": "Color", "type": "string", "jsonPath": ".spec.color"}]);
    one["selectableFields"] = json!([{"jsonPath": ".spec.color"}]);
    let mut two = version("v2", false, json!({}));
    two["served"] = false.into();
    let crd = definition(json!([one, two]));
    let rows = compile(&crd).resources();
    let [row] = rows.as_slice() else { panic!("{} rows", rows.len()) };
    assert_eq!(row.subresources.iter().map(|s| &*s.name).collect::<Vec<_>>(), ["scale", "status"]);
    assert_eq!(row.columns.iter().map(|c| &*c.name).collect::<Vec<_>>(), ["Name", "Color"]);
    assert_eq!(&*row.selectable[0].label, "spec.color");
    assert!(row.has_status && row.generation && !row.unconditional_update && !row.create_on_update);
    assert_eq!((&*row.id.to_string(), &*row.storage.version), ("example.com/lamps", "v1"));
}

/// Y4: equal specs are compiled once and forgotten when nobody holds them.
#[test]
fn y4_equal_specs_share_one_copy() {
    let crd = definition(json!([version("v1", true, json!({"unique": {"type": "string"}}))]));
    let mut other = crd.clone();
    other["metadata"]["uid"] = "x".into();
    let (one, two) = (compile(&crd), compile(&other));
    assert!(Arc::ptr_eq(&one, &two));
    let held = Arc::downgrade(&one);
    drop((one, two));
    assert!(held.upgrade().is_none());
}

/// Q10: a schema has at most 20,000 nodes.
#[test]
fn q10_schemas_are_limited() {
    let many: serde_json::Map<String, Value> =
        (0..MAX_NODES).map(|i| (format!("f{i}"), json!({"type": "string"}))).collect();
    let crd = definition(json!([version("v1", true, Value::Object(many))]));
    let causes = crd::validate(&crd, None);
    assert_eq!(causes.len(), 1);
    assert_eq!(causes[0].field, "spec.versions[0].schema");
}

/// Y1: conversion webhooks are refused.
#[test]
fn y1_conversion_webhooks_are_refused() {
    let mut crd = definition(json!([version("v1", true, json!({}))]));
    crd["spec"]["conversion"] = json!({"strategy": "Webhook", "webhook":
        {"clientConfig": {"url": "https://a.b/c"}, "conversionReviewVersions": ["v1"]}});
    let causes = crd::validate(&crd, None);
    assert_eq!(causes.iter().map(|c| &*c.field).collect::<Vec<_>>(), ["spec.conversion.strategy"]);
}

/// AS-40: CEL rules are accepted, and it is said that they are not enforced (M3).
#[test]
fn as40_rules_are_kept_and_named_unenforced() {
    let mut one = version("v1", true, json!({"a": {"type": "string"}}));
    one["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"] =
        json!([{"rule": "self.a != 'x'"}]);
    let mut crd = definition(json!([one]));
    assert_eq!(crd::validate(&crd, None), []);
    assert_eq!(warnings(&crd, None), ["x-kubernetes-validations are not enforced"]);
    crd::establish(&mut crd, [], "2026-01-01T00:00:00Z");
    assert_eq!(condition(&crd, RULES_ENFORCED), Some("False"));
    assert!(compile(&crd).versions[0].has_rules);
}

/// A2: server-side apply and its like see the same topology as the schema says.
#[test]
fn a2_types_follow_the_schema() {
    let crd = definition(json!([version(
        "v1",
        true,
        json!({
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n", "p"],
                "items": {"type": "object", "required": ["n"], "properties":
                    {"n": {"type": "integer"}, "p": {"type": "string", "default": "TCP"}}}},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
            "any": {"x-kubernetes-preserve-unknown-fields": true},
            "unit": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"x": {"type": "string"}}},
            "many": {"x-kubernetes-int-or-string": true},
        })
    )]));
    let compiled = compile(&crd);
    let one = &compiled.versions[0];
    let ty = |name: &str| {
        let root = one.schema.get(one.root);
        let Some(Ty::Struct(spec)) = root.field("spec").map(|f| &f.ty) else { panic!("spec") };
        one.schema.get(*spec).field(name).expect("field").ty.clone()
    };
    let Ty::List(ports) = ty("ports") else { panic!("ports") };
    let keys = vec![("n".into(), None), ("p".into(), Some(json!("TCP")))];
    assert_eq!(ports.topology, Topology::Map(keys));
    assert!(matches!(ty("labels"), Ty::Map(map) if map.value == Ty::Str && !map.atomic));
    assert_eq!((ty("any"), ty("many")), (Ty::Any, Ty::IntOrString));
    assert!(matches!(ty("unit"), Ty::Struct(id) if one.schema.get(id).atomic));
    let root = one.schema.get(one.root);
    assert!(matches!(root.field("metadata").map(|f| &f.ty), Some(Ty::Struct(_))));
}
