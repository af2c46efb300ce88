//! Nodes as a tenant sees them (NO1–NO4): SY-96.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::World;

/// A Node comes with the tenant's first pod on it, shows the host's own figures, and goes after the last; pods of
/// DaemonSets keep none alive; what the tenant edits there is taken back, but for the cordon.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy96_synthetic_nodes() {
    let w = World::new("nodes", false).await;
    for name in ["n-one", "n-two", "n-idle"] {
        w.node(name).await;
        let more = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": "a"}, "annotations": {"secret": "x"}},
            "spec": {"providerID": "cloud://secret", "taints": [{"key": "maintenance", "effect": "PreferNoSchedule"}]}});
        w.host.merge(&format!("/api/v1/nodes/{name}"), more).await;
    }
    let pods = format!("/api/v1/namespaces/{}/pods", w.namespace);
    for (pod, node) in [("a", "n-one"), ("b", "n-two")] {
        w.tenant.post(&pods, w.pod(pod)).await;
        w.host.until("sent", &w.host_path("pods", pod).await, |_| true).await;
        w.bind(pod, node).await;
        w.running(pod).await;
        w.tenant.until("running", &w.path("pods", pod), |p| p["status"]["phase"] == "Running").await;
    }
    let seen = w.tenant.get("/api/v1/nodes/n-one").await.expect("there before its pod runs");
    let of_host = w.host.get("/api/v1/nodes/n-one").await.expect("there");
    assert_eq!(seen["status"]["capacity"], of_host["status"]["capacity"], "the host's own figures (NO2)");
    assert_eq!(seen["metadata"]["labels"]["kubernetes.io/os"], "linux");
    assert_eq!(seen["metadata"]["labels"]["topology.kubernetes.io/zone"], "a");
    let text = seen.to_string();
    for hidden in ["private", "cloud://secret", "\"secret\""] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
    assert!(w.tenant.get("/api/v1/nodes/n-idle").await.is_none(), "nothing of the tenant runs there");

    // The host's condition follows; the tenant's edit is taken back, the cordon is kept and heeded.
    let not_ready = json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady",
        "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    w.host.merge("/api/v1/nodes/n-one/status", not_ready).await;
    let ready = |n: &Value| {
        n["status"]["conditions"]
            .as_array()
            .and_then(|l| l.iter().find(|c| c["type"] == "Ready"))
            .map(|c| c["status"].clone())
    };
    w.tenant.until("the condition", "/api/v1/nodes/n-one", |n| ready(n) == Some(json!("False"))).await;
    let edit =
        json!({"metadata": {"labels": {"kubernetes.io/os": "windows"}}, "spec": {"unschedulable": true}});
    w.tenant.merge("/api/v1/nodes/n-two", edit).await;
    let kept = w
        .tenant
        .until("taken back", "/api/v1/nodes/n-two", |n| {
            n["metadata"]["labels"]["kubernetes.io/os"] == "linux"
        })
        .await;
    assert_eq!(kept["spec"]["unschedulable"], true, "the cordon is the tenant's (NO4)");
    assert!(w.host.get("/api/v1/nodes/n-two").await.expect("there")["spec"].get("unschedulable").is_none());
    w.tenant.post(&pods, w.pod("after")).await;
    let after = w.host.until("sent", &w.host_path("pods", "after").await, |_| true).await;
    let terms = &after["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    assert!(terms.to_string().contains("NotIn") && terms.to_string().contains("n-two"), "{terms}");

    // The last pod of its own goes; one of a DaemonSet does not keep the Node.
    let template =
        json!({"metadata": {"labels": {"app": "d"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}});
    let set = json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"app": "d"}}, "template": template}});
    let sets = format!("/apis/apps/v1/namespaces/{}/daemonsets", w.namespace);
    let set = w.tenant.post(&sets, set).await;
    let mut daemon = w.pod("daemon");
    daemon["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d",
        "uid": set["metadata"]["uid"], "controller": true}]);
    w.tenant.post(&pods, daemon).await;
    w.host.until("sent", &w.host_path("pods", "daemon").await, |_| true).await;
    w.bind("daemon", "n-one").await;
    w.running("daemon").await;
    w.tenant.until("running", &w.path("pods", "daemon"), |p| p["status"]["phase"] == "Running").await;
    w.tenant.delete(&w.path("pods", "a"), Some(0)).await;
    w.host.delete(&w.host_path("pods", "a").await, Some(0)).await;
    w.tenant.gone("its Node", "/api/v1/nodes/n-one").await;
    assert!(w.tenant.get("/api/v1/nodes/n-two").await.is_some());
    tokio::time::sleep(Duration::from_millis(500)).await;
    for name in ["n-one", "n-two", "n-idle"] {
        w.host.delete(&format!("/api/v1/nodes/{name}"), None).await;
    }
    w.end().await;
}
