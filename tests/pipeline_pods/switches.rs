//! What settings and labels change while pods run: SY-10, SY-36, SY-67, SY-70.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use skerry_syncer::{Effective, TenantEntry};

use crate::world::World;

/// The tenant's entry with other settings.
fn with(w: &World, sync: Value) -> TenantEntry {
    let mut entry = w.entry.clone();
    let spec = json!({"podSecurity": {"enforce": "privileged"}, "sync": sync});
    entry.effective = Arc::new(Effective::read(&spec, &Value::Null, "standard"));
    entry
}

/// AP2: what is switched off goes from the host, but for claims, which are named; what is switched on comes; what a
/// selector takes follows it.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy10_switches() {
    let w = World::new("switch", false).await;
    w.host
        .post(
            "/apis/storage.k8s.io/v1/storageclasses",
            json!({"metadata": {"name": "fast"}, "provisioner": "x.example"}),
        )
        .await;
    w.tenant.until("class", "/apis/storage.k8s.io/v1/storageclasses/fast", |_| true).await;
    let own = |plural: &str| format!("/api/v1/namespaces/{}/{plural}", w.namespace);
    let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast",
        "resources": {"requests": {"storage": "1Gi"}}}});
    w.tenant.post(&own("persistentvolumeclaims"), claim).await;
    w.tenant
        .post(
            &own("services"),
            json!({"metadata": {"name": "web"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}}),
        )
        .await;
    for (name, team) in [("one", "a"), ("two", "b")] {
        let map = json!({"metadata": {"name": name, "labels": {"team": team}}, "data": {"k": "v"}});
        w.tenant.post(&own("configmaps"), map).await;
    }
    let (claim, service) =
        (w.host_path("persistentvolumeclaims", "data").await, w.host_path("services", "web").await);
    let (one, two) = (w.host_path("configmaps", "one").await, w.host_path("configmaps", "two").await);
    w.host.until("claim", &claim, |_| true).await;
    w.host.until("service", &service, |_| true).await;
    assert!(w.host.get(&one).await.is_none(), "nobody refers to it");

    let off = json!({"toHost": {"services": {"enabled": false}, "persistentVolumeClaims": {"enabled": false},
        "configMaps": {"enabled": true, "scope": "All", "selector": {"matchLabels": {"team": "a"}}}}});
    w.give(with(&w, off));
    w.host.gone("switched off", &service).await;
    w.host.until("selected", &one, |_| true).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(w.host.get(&claim).await.is_some(), "volumes are never let go of by a switch");
    assert!(w.host.get(&two).await.is_none());
    assert!(w.tenant.get(&w.path("services", "web")).await.is_some());
    let state = w.handle().states().borrow().get(&w.entry.id).cloned().expect("state");
    assert!(
        state.problems.iter().any(|p| p.reason == "LeftOnHost" && p.name == "data"),
        "{:?}",
        state.problems
    );

    let on = json!({"toHost": {"configMaps": {"enabled": true, "scope": "All", "selector": {"matchLabels": {"team": "b"}}}}});
    w.give(with(&w, on));
    w.host.until("switched on", &service, |_| true).await;
    w.host.until("selected now", &two, |_| true).await;
    w.host.gone("selected no more", &one).await;
    w.host.delete("/apis/storage.k8s.io/v1/storageclasses/fast", None).await;
    w.end().await;
}

/// NM10: the labels of a tenant's namespace follow on the host, and those of the platform stay.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy36_namespace_labels_follow() {
    let w = World::new("labels", false).await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    w.host.until("sent", &w.host_path("pods", "web").await, |_| true).await;
    let (own, host) = (
        format!("/api/v1/namespaces/{}", w.namespace),
        format!("/api/v1/namespaces/{}", w.host_namespace().await),
    );
    let tenants = |space: &Value| {
        let labels = space["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        let mine = labels.into_iter().filter(|(k, _)| k.starts_with("skerry.dev/n-"));
        let mut values: Vec<String> = mine.map(|(_, v)| v.as_str().unwrap_or_default().to_owned()).collect();
        values.sort();
        values
    };
    let name = w.namespace.clone();
    let with = |more: &[&str]| {
        let mut all: Vec<String> = more.iter().map(|s| (*s).to_owned()).chain([name.clone()]).collect();
        all.sort();
        all
    };
    let first = w.host.until("as it is", &host, |s| tenants(s) == with(&["a"])).await;
    w.tenant.merge(&own, json!({"metadata": {"labels": {"team": "b", "tier": "gold"}}})).await;
    w.host.until("changed and more", &host, |s| tenants(s) == with(&["b", "gold"])).await;
    w.tenant.merge(&own, json!({"metadata": {"labels": {"team": null}}})).await;
    let last = w.host.until("less", &host, |s| tenants(s) == with(&["gold"])).await;
    for key in ["skerry.dev/tenant", "skerry.dev/slot", "pod-security.kubernetes.io/enforce"] {
        assert_eq!(first["metadata"]["labels"][key], last["metadata"]["labels"][key], "{key}");
    }
    let forged = json!({"metadata": {"labels": {"skerry.dev/tenant": "tother", "pod-security.kubernetes.io/enforce": "privileged"}}});
    w.tenant.merge(&own, forged).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let kept = w.host.get(&host).await.expect("there");
    assert_eq!(kept["metadata"]["labels"]["skerry.dev/tenant"], *w.entry.id);
    assert_eq!(kept["metadata"]["uid"], first["metadata"]["uid"]);
    w.end().await;
}

/// `images`: the longest prefix is replaced on the way down, and the tenant sees what it asked for.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy67_images_by_a_mirror() {
    let w = World::new("images", false).await;
    w.give(with(
        &w,
        json!({"toHost": {"pods": {"images": [{"from": "registry.example/", "to": "mirror.local/x/"},
            {"from": "registry.example/special/", "to": "other.local/"}]}}}),
    ));
    w.node("n-images").await;
    let mut pod = w.pod("web");
    pod["spec"]["containers"] = json!([{"name": "c", "image": "registry.example/app:1"}, {"name": "d", "image": "elsewhere.example/app:1"}]);
    pod["spec"]["initContainers"] = json!([{"name": "i", "image": "registry.example/special/init:2"}]);
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), pod).await;
    let host = w.host_path("pods", "web").await;
    let sent = w.host.until("sent", &host, |_| true).await;
    assert_eq!(sent["spec"]["containers"][0]["image"], "mirror.local/x/app:1");
    assert_eq!(sent["spec"]["containers"][1]["image"], "elsewhere.example/app:1");
    assert_eq!(sent["spec"]["initContainers"][0]["image"], "other.local/init:2");
    w.bind("web", "n-images").await;
    let container = |name: &str, image: &str| {
        json!({"name": name, "image": image, "imageID": format!("{image}@sha256:0"), "ready": true, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}})
    };
    let status = json!({"status": {"phase": "Running", "containerStatuses": [container("c", "mirror.local/x/app:1"),
        container("d", "elsewhere.example/app:1")], "initContainerStatuses": [container("i", "other.local/init:2")]}});
    w.host.merge(&format!("{host}/status"), status).await;
    let seen = w.tenant.until("running", &w.path("pods", "web"), |p| p["status"]["phase"] == "Running").await;
    let image =
        |list: &str, i: usize| seen["status"][list][i]["image"].as_str().unwrap_or_default().to_owned();
    assert_eq!(image("containerStatuses", 0), "registry.example/app:1");
    assert_eq!(image("containerStatuses", 1), "elsewhere.example/app:1");
    assert_eq!(image("initContainerStatuses", 0), "registry.example/special/init:2");
    // A change of the tenant's takes the same way.
    let patch = json!({"spec": {"containers": [{"name": "c", "image": "registry.example/app:2"}]}});
    let strategic = "application/strategic-merge-patch+json";
    w.tenant.call("PATCH", &w.path("pods", "web"), strategic, Some(patch)).await.expect("patched");
    w.host.until("changed", &host, |p| p["spec"]["containers"][0]["image"] == "mirror.local/x/app:2").await;
    w.host.delete("/api/v1/nodes/n-images", None).await;
    w.end().await;
}

/// EN30: nothing of a template namespace is carried; one that becomes a template loses its copies.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy70_template_namespaces() {
    let w = World::new("template", false).await;
    let label = json!({"metadata": {"name": "blueprint", "labels": {"skerry.dev/template": "true"}}});
    w.tenant.post("/api/v1/namespaces", label).await;
    let service =
        json!({"metadata": {"name": "web"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}});
    w.tenant.post("/api/v1/namespaces/blueprint/services", service.clone()).await;
    let map = json!({"metadata": {"name": "m", "annotations": {"skerry.dev/sync": "true"}}});
    w.tenant.post("/api/v1/namespaces/blueprint/configmaps", map).await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/services", w.namespace), service).await;
    let carried = w.host_path("services", "web").await;
    w.host.until("an ordinary one is carried", &carried, |_| true).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let spaces = w.host.get("/api/v1/namespaces").await.expect("a list");
    let names: Vec<&str> = spaces["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|n| n["metadata"]["name"].as_str())
        .collect();
    assert!(!names.iter().any(|n| n.contains("blueprint")), "{names:?}");

    let own = format!("/api/v1/namespaces/{}", w.namespace);
    w.tenant.merge(&own, json!({"metadata": {"labels": {"skerry.dev/template": "true"}}})).await;
    w.host.gone("its copies", &carried).await;
    w.tenant.merge(&own, json!({"metadata": {"labels": {"skerry.dev/template": null}}})).await;
    w.host.until("carried again", &carried, |_| true).await;
    w.end().await;
}
