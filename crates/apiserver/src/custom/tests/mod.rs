//! The engine against real definitions and recorded answers.

mod golden;
mod versions;

use std::path::PathBuf;

use serde_json::Value;

use super::*;
use crate::kinds::crd;

/// Real definitions, or nothing where the data is absent.
fn real_definitions() -> Vec<(String, Value)> {
    let data = std::env::var("SKERRY_TEST_DATA").unwrap_or_else(|_| "../shared/data".into());
    let mut all = Vec::new();
    let mut folders = vec![PathBuf::from(data).join("crds")];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("readable");
            for document in serde_yaml_ng::Deserializer::from_str(&text) {
                let value = <Value as serde::Deserialize>::deserialize(document).expect("YAML");
                if value["kind"] == "CustomResourceDefinition" {
                    all.push((path.display().to_string(), value));
                }
            }
        }
    }
    all
}

/// AS-15: what people really apply is accepted.
#[test]
fn as15_real_definitions_are_accepted() {
    let all = real_definitions();
    if all.is_empty() {
        eprintln!("skipped as15_real_definitions_are_accepted: no data");
        return;
    }
    for (path, mut value) in all {
        crd::default(&mut value);
        crd::prepare_status(&mut value, None);
        let mut causes = crd::validate(&value, None);
        // Drafts in a group of upstream's own lack the annotation; upstream refuses them so too.
        causes.retain(|c| c.field != "metadata.annotations[api-approved.kubernetes.io]");
        assert!(causes.is_empty(), "{path}: {causes:#?}");
        let compiled = compile(&value);
        assert!(!compiled.resources().is_empty(), "{path}");
        for version in &compiled.versions {
            for v2 in [false, true] {
                assert_eq!(
                    published_schema(version, v2)["x-kubernetes-group-version-kind"][0]["kind"],
                    *version.gvk.kind
                );
            }
        }
        // Nothing changes: nothing is wrong with an update either.
        let mut again = value.clone();
        crd::prepare_status(&mut again, Some(&value));
        assert!(crd::validate(&again, Some(&value)).is_empty(), "{path}");
    }
}
