//! The definitions against the committed files, the published ones, and the rules for structural schemas.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

fn read(path: &Path) -> Value {
    serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn file_name(crd: &Value) -> String {
    format!("{}.yaml", crd["metadata"]["name"].as_str().unwrap())
}

#[test]
fn the_committed_files_are_fresh() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds");
    for crd in all() {
        let path = root.join(file_name(&crd));
        assert_eq!(read(&path), crd, "{}: run `cargo xtask crds`", path.display());
    }
    assert_eq!(
        std::fs::read_dir(root).unwrap().count(),
        all().len(),
        "crds/ holds exactly what is generated"
    );
}

#[test]
fn schemas_are_structural_and_closed() {
    fn walk(schema: &Value, path: &str) {
        let Some(map) = schema.as_object() else { return };
        assert!(!map.contains_key("$ref") && !map.contains_key("oneOf"), "{path}");
        assert!(!map.contains_key("default"), "{path}: no defaults (tenancy V3)");
        if !map.contains_key("x-kubernetes-int-or-string") {
            assert!(map.contains_key("type"), "{path} has no type");
            assert!(!map.contains_key("anyOf"), "{path}");
        }
        for (name, inner) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            walk(inner, &format!("{path}.{name}"));
        }
        for key in ["items", "additionalProperties"] {
            if let Some(inner) = map.get(key) {
                walk(inner, &format!("{path}.{key}"));
            }
        }
    }
    for crd in all() {
        for version in crd["spec"]["versions"].as_array().unwrap() {
            walk(&version["schema"]["openAPIV3Schema"], crd["metadata"]["name"].as_str().unwrap());
        }
    }
}

#[test]
fn the_standard_kinds_equal_the_published_ones() {
    let data = std::env::var_os("SKERRY_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = data.join("crds/sig-multicluster");
    if !folder.is_dir() {
        eprintln!("skipped the_standard_kinds_equal_the_published_ones: {} is absent", folder.display());
        return;
    }
    for crd in standard() {
        let plural = crd["spec"]["names"]["plural"].as_str().unwrap();
        let mut published = read(&folder.join(format!("{plural}.yaml")));
        let mut ours = crd.clone();
        for side in [&mut published, &mut ours] {
            side["metadata"].as_object_mut().unwrap().remove("annotations");
            let names = side["spec"]["names"].as_object_mut().unwrap();
            names.remove("listKind");
            names.remove("singular");
            without_prose(side);
        }
        assert_eq!(ours, published, "{plural}");
    }
}

/// Removes what may differ: descriptions, and the order of required fields.
fn without_prose(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("description").is_some_and(Value::is_string) {
                map.remove("description");
            }
            if let Some(list) = map.get_mut("required").and_then(Value::as_array_mut) {
                list.sort_by_key(Value::to_string);
            }
            map.values_mut().for_each(without_prose);
        }
        Value::Array(list) => list.iter_mut().for_each(without_prose),
        _ => {}
    }
}
