//! The committed tables: they load, say where they come from, and hold what clients rely on.

use serde_json::json;

use super::*;
use crate::model::defaults::apply_defaults;
use crate::model::schema::{Topology, Ty};

/// AS-17: headers name their sources' digests.
#[test]
fn headers_name_their_source_digests() {
    for (name, text) in index::FILES {
        let sources: Vec<_> = text.lines().filter_map(|l| l.strip_prefix("# source ")).collect();
        assert!(!sources.is_empty(), "{name}");
        for source in sources {
            let (path, digest) = source.split_once(" sha256=").unwrap();
            assert!(path.starts_with("k8s.io/") && digest.len() == 64, "{name}: {source}");
        }
    }
}

#[test]
fn all_kinds_load() {
    let catalog = &builtin().catalog;
    assert_eq!(
        files().unwrap().iter().filter(|f| !f.version.is_empty() && f.name != "groups.tbl").count(),
        22
    );
    assert!(catalog.lookup("apps", "v1", "deployments").is_some_and(|r| r.has_status && r.generation));
    assert!(catalog.lookup("", "v1", "resourcequotas").is_none(), "M2");
    let events = catalog.lookup("events.k8s.io", "v1", "events").unwrap();
    assert_eq!(catalog.storage(&events.id).unwrap().gvk.api_version(), "v1");
    let hpa = catalog.lookup("autoscaling", "v1", "horizontalpodautoscalers").unwrap();
    assert_eq!(catalog.storage(&hpa.id).unwrap().gvk.api_version(), "autoscaling/v2");
    let preferred = catalog.groups().into_iter().find(|g| &*g.name == "autoscaling").unwrap();
    assert_eq!(preferred.versions, [Box::from("v2"), Box::from("v1")]);
}

#[test]
fn list_keys_carry_their_defaults() {
    let schema = &builtin().schema;
    let container = schema.get(schema.by_name("core/v1.Container").unwrap());
    let Ty::List(ports) = &container.field("ports").unwrap().ty else { panic!() };
    let want = Topology::Map(vec![("containerPort".into(), None), ("protocol".into(), Some(json!("TCP")))]);
    assert_eq!(ports.topology, want);
}

#[test]
fn constant_defaults_of_a_deployment() {
    let row = builtin().catalog.lookup("apps", "v1", "deployments").unwrap();
    let mut object = json!({"spec": {"template": {"spec": {"containers": [
        {"name": "a", "image": "b", "ports": [{"containerPort": 80}], "readinessProbe": {"httpGet": {"port": 80}}}
    ]}}}});
    apply_defaults(&row.schema, row.root, &mut object);
    assert_eq!(object["spec"]["replicas"], 1);
    assert_eq!(object["spec"]["strategy"], json!({"type": "RollingUpdate"}));
    let pod = &object["spec"]["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Always");
    assert_eq!(pod["securityContext"], json!({}));
    let container = &pod["containers"][0];
    assert_eq!(container["ports"][0]["protocol"], "TCP");
    assert_eq!(container["resources"], json!({}));
    assert_eq!(container["readinessProbe"]["httpGet"]["scheme"], "HTTP");
    assert_eq!(object["status"], json!({}));
}

/// Files that name built-in kinds outside of hooks, controllers and tables. The list only shrinks.
const NAMING_KINDS: &[&str] = &["ops/admin.rs", "registry/create.rs"];

/// AS-17, M5: kinds are named where kinds are dealt with.
#[test]
fn as17_kinds_are_named_in_their_places_only() {
    let src = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let kinds: Vec<String> = builtin().catalog.all().map(|row| format!("\"{}\"", row.gvk.kind)).collect();
    let allowed = ["kinds", "controllers", "access", "admit", "identity", "base", "model/tables"];
    let mut found = Vec::new();
    let mut open = vec![src.clone()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
            if allowed.iter().any(|a| name.starts_with(a))
                || name.contains("tests")
                || name.ends_with("sample.rs")
            {
                continue;
            }
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code: Vec<&str> = text.split("#[cfg(test)]\nmod tests {").take(1).collect();
            if kinds.iter().any(|kind| code[0].contains(kind.as_str())) {
                found.push(name);
            }
        }
    }
    found.sort();
    assert_eq!(found, NAMING_KINDS);
}
