//! OpenAPI documents: what clients look for in them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::codec::proto::wire::{Fields, Raw};
use crate::model::catalog::Catalog;

fn body(answer: &super::super::Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn document(catalog: &Catalog, group: &str, version: &str) -> Value {
    let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
    body(&v3(catalog, &path, None, None).unwrap())
}

/// AS-25: PATCH lists the parameters kubectl looks for, and every schema it refers to is there.
#[test]
fn patch_lists_its_query_parameters() {
    let catalog = Catalog::builtin();
    for row in catalog.all() {
        let document = document(&catalog, &row.gvk.group, &row.gvk.version);
        let gvk =
            serde_json::json!({"group": row.gvk.group, "version": row.gvk.version, "kind": row.gvk.kind});
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let has =
            |s: &Value| s["x-kubernetes-group-version-kind"].as_array().is_some_and(|l| l.contains(&gvk));
        let schema = schemas.values().find(|s| has(s)).unwrap();
        assert_eq!(schema["x-skerry-fidelity"], row.fidelity.as_str(), "{}", row.gvk);
        if !row.has_verb("patch") {
            continue;
        }
        let patches = document["paths"].as_object().unwrap().values().map(|p| &p["patch"]);
        let patches: Vec<_> = patches.filter(|p| p["x-kubernetes-group-version-kind"] == gvk).collect();
        assert!(!patches.is_empty(), "{}", row.gvk);
        for patch in patches {
            let names: BTreeSet<_> =
                patch["parameters"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
            assert_eq!(names, BTreeSet::from(["dryRun", "fieldManager", "fieldValidation", "force"]));
        }
    }
}

fn gvks(document: &Value, schemas: &str) -> BTreeSet<String> {
    let schemas = document.pointer(schemas).unwrap().as_object().unwrap();
    let lists = schemas.values().filter_map(|s| s["x-kubernetes-group-version-kind"].as_array());
    lists.flatten().map(ToString::to_string).collect()
}

/// Names and extension values of the definitions in a gnostic document.
fn gnostic_gvks(bytes: &[u8]) -> BTreeSet<String> {
    let all = |bytes: &[u8], number: u32| -> Vec<Vec<u8>> {
        let mut fields = Fields::new(bytes);
        let mut out = Vec::new();
        while let Some((n, raw)) = fields.next_field().unwrap() {
            if let (true, Raw::Bytes(bytes)) = (n == number, raw) {
                out.push(bytes.to_vec());
            }
        }
        out
    };
    let mut out = BTreeSet::new();
    for definition in all(bytes, 9).iter().flat_map(|d| all(d, 1)) {
        for extension in all(&all(&definition, 2)[0], 31) {
            if all(&extension, 1)[0] == b"x-kubernetes-group-version-kind" {
                let yaml = all(&all(&extension, 2)[0], 2);
                let list: Value = serde_json::from_slice(&yaml[0]).unwrap();
                out.extend(list.as_array().unwrap().iter().map(ToString::to_string));
            }
        }
    }
    out
}

/// AS-25: the OpenAPI 2 document parses in both forms and holds the kinds of the OpenAPI 3 documents.
#[test]
fn version_2_holds_the_same_kinds() {
    let catalog = Catalog::builtin();
    let json = v2(&catalog, "application/json", None).unwrap();
    let json = body(&json);
    let mut want = BTreeSet::new();
    for group in catalog.groups() {
        for version in &group.versions {
            want.extend(gvks(&document(&catalog, &group.name, version), "/components/schemas"));
        }
    }
    want.extend(gvks(&body(&v3(&catalog, "api", None, None).unwrap()), "/components/schemas"));
    want.extend(gvks(&body(&v3(&catalog, "apis", None, None).unwrap()), "/components/schemas"));
    let got = gvks(&json, "/definitions");
    // Every group version has these two, also where no path of it names them.
    let repeated = |kind: &str| kind.contains("WatchEvent") || kind.contains("DeleteOptions");
    let other: Vec<_> = got.symmetric_difference(&want).filter(|kind| !repeated(kind)).collect();
    assert_eq!(other, [""; 0]);
    for accept in [
        "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
        "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    ] {
        let answer = v2(&catalog, accept, None).unwrap();
        assert_eq!(answer.headers[0].1, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
        assert_eq!(gnostic_gvks(&answer.body), got);
    }
}

/// O1: the index leads to documents that stay; a wrong hash leads to the right one.
#[test]
fn hashes_make_documents_last() {
    let catalog = Catalog::builtin();
    let index = body(&v3_index(&catalog, None));
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    let hash = url.strip_prefix("/openapi/v3/apis/apps/v1?hash=").unwrap();
    let answer = v3(&catalog, "apis/apps/v1", Some(hash), None).unwrap();
    assert!(answer.headers.contains(&("cache-control", "public, immutable".into())));
    let wrong = v3(&catalog, "apis/apps/v1", Some("x"), None).unwrap();
    assert_eq!((wrong.status, &wrong.headers[0].1), (301, &format!("?hash={hash}")));
    assert!(v3(&catalog, "apis/none/v1", None, None).is_none());
}

/// Removes descriptions, our own extension, and the order of required members.
fn without_descriptions(value: &mut Value) {
    // Upstream wraps a reference only to hang a description beside it.
    if let Some([only]) = value["allOf"].as_array().map(Vec::as_slice)
        && value.as_object().is_some_and(|o| o.keys().all(|k| k == "allOf" || k == "description"))
    {
        *value = only.clone();
    }
    match value {
        Value::Object(members) => {
            members.remove("x-skerry-fidelity");
            if members.get("description").is_some_and(Value::is_string) {
                members.remove("description");
            }
            if let Some(Value::Array(names)) = members.get_mut("required") {
                names.sort_by_key(ToString::to_string);
            }
            members.values_mut().for_each(without_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(without_descriptions),
        _ => {}
    }
}

/// The schemas equal the published ones but for descriptions, where the machine has those.
#[test]
fn schemas_equal_the_published_ones() {
    let Some(dir) = std::env::var_os("SKERRY_KUBERNETES_MODULE").map(std::path::PathBuf::from) else {
        eprintln!("skipped: schemas_equal_the_published_ones needs SKERRY_KUBERNETES_MODULE");
        return;
    };
    let catalog = Catalog::builtin();
    for group in catalog.groups() {
        for version in &group.versions {
            let file = match &*group.name {
                "" => format!("api__{version}_openapi.json"),
                name => format!("apis__{name}__{version}_openapi.json"),
            };
            let text = std::fs::read(dir.join("api/openapi-spec/v3").join(&file)).unwrap();
            let mut published: Value = serde_json::from_slice(&text).unwrap();
            without_descriptions(&mut published);
            let mut ours = document(&catalog, &group.name, version);
            without_descriptions(&mut ours);
            for (name, schema) in ours["components"]["schemas"].as_object().unwrap() {
                assert_eq!(*schema, published["components"]["schemas"][name], "{file}: {name}");
            }
        }
    }
}
