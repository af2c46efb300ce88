//! Objects of others on the host, some of them with our labels: SY-34.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use skerry_api::labels;

use crate::world::World;

const KINDS: [(&str, &str); 5] = [
    ("configmaps", "ConfigMap"),
    ("secrets", "Secret"),
    ("services", "Service"),
    ("pods", "Pod"),
    ("persistentvolumeclaims", "PersistentVolumeClaim"),
];

fn spec(kind: &str) -> Value {
    match kind {
        "Service" => json!({"clusterIP": "None", "ports": [{"port": 1}]}),
        "Pod" => json!({"containers": [{"name": "c", "image": "nginx"}]}),
        "PersistentVolumeClaim" => {
            json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}})
        }
        _ => Value::Null,
    }
}

/// Labels and annotations as the syncer's own objects have them, with the UID of no object of this tenant.
fn forged(w: &World, kind: &str) -> Value {
    json!({
        "labels": {labels::TENANT: &*w.entry.id, labels::MANAGED_BY: "syncer"},
        "annotations": {
            labels::UID: w.entry.owner.uid, labels::ORIGIN_KIND: kind, labels::ORIGIN_NAME: "web",
            labels::ORIGIN_NAMESPACE: w.namespace, labels::ORIGIN_UID: "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        },
    })
}

/// Makes a plain and a forged object of every kind; answers their paths.
async fn settle(w: &World, namespace: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (plural, kind) in KINDS {
        let collection = format!("/api/v1/namespaces/{namespace}/{plural}");
        for (name, mut metadata) in [("plain", json!({})), ("forged", forged(w, kind))] {
            metadata["name"] = format!("{name}-{}", kind.to_lowercase()).into();
            let path = format!("{collection}/{}", metadata["name"].as_str().expect("a name"));
            let mut object = json!({"metadata": metadata});
            if !spec(kind).is_null() {
                object["spec"] = spec(kind);
            }
            w.host.post(&collection, object).await;
            paths.push(path);
        }
    }
    paths
}

async fn versions(w: &World, paths: &[String]) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for path in paths {
        let metadata = w.host.get(path).await.map(|o| o["metadata"].clone()).unwrap_or_default();
        all.insert(
            path.clone(),
            json!([metadata["uid"], metadata["resourceVersion"], metadata["deletionTimestamp"]]),
        );
    }
    all
}

/// Patrols and the end of the tenant leave every one of them as it is; those in the tenant's namespaces are named.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy34_strangers_are_left_alone() {
    let w = World::new("strange", false).await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    let own = w.host_namespace().await;
    w.host.until("host pod", &w.host_path("pods", "web").await, |_| true).await;

    let mut elsewhere = forged(&w, "Namespace");
    elsewhere["name"] = format!("sk-{}-default-forged", w.entry.id).into();
    let other = elsewhere["name"].as_str().expect("a name").to_owned();
    w.host.post("/api/v1/namespaces", json!({"metadata": elsewhere})).await;
    let inside = settle(&w, &own).await;
    let mut paths = settle(&w, &other).await;
    paths.extend(inside.clone());

    let before = versions(&w, &paths).await;
    assert!(before.values().all(|v| v[0].is_string()), "{before:?}");
    // Two patrols of three seconds.
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(versions(&w, &paths).await, before, "a patrol touched a stranger");
    for (plural, kind) in KINDS {
        let list =
            w.tenant.get(&format!("/api/v1/namespaces/{}/{plural}", w.namespace)).await.expect("a list");
        let shown = list["items"].to_string();
        assert!(!shown.contains("plain-") && !shown.contains("forged-"), "{kind}: {shown}");
    }

    let mut entry = w.entry.clone();
    entry.owner.draining = true;
    w.give(entry);
    w.host.gone("our pod", &format!("/api/v1/namespaces/{own}/pods/web")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(versions(&w, &paths).await, before, "the end of the tenant touched a stranger");
    let state = w.handle().states().borrow().get(&w.entry.id).cloned().expect("state");
    let left = state.remaining.expect("remaining");
    for (_, kind) in KINDS {
        let named =
            left.iter().find(|r| r.kind == kind).and_then(|r| r.blocked_on.clone()).unwrap_or_default();
        assert!(named.starts_with(&format!("foreign {kind} ")), "{kind}: {left:?}");
    }

    for path in &inside {
        w.host.delete(path, Some(0)).await;
    }
    w.synced("Drained").await;
    let left: Vec<String> = paths.into_iter().filter(|p| !inside.contains(p)).collect();
    let after = versions(&w, &left).await;
    assert!(after.iter().all(|(path, version)| before[path] == *version), "{after:?}");
    w.end().await;
}
