//! Gates before and after a pod runs, and deletions that take their time: SY-52, SY-59, SY-63.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::World;

fn status_of<'a>(pod: &'a Value, condition: &str) -> Option<&'a str> {
    let all = pod["status"]["conditions"].as_array()?;
    all.iter().find(|c| c["type"] == condition)?["status"].as_str()
}

/// PO15: a gated pod stays in the tenant; with its gates gone it is sent with the selectors it has then.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy52_gated_pods_wait() {
    let w = World::new("gated", false).await;
    let mut pod = w.pod("web");
    pod["spec"]["schedulingGates"] = json!([{"name": "example.com/first"}, {"name": "example.com/second"}]);
    let pods = format!("/api/v1/namespaces/{}/pods", w.namespace);
    w.tenant.post(&pods, pod).await;
    w.tenant.post(&pods, w.pod("other")).await;
    w.host.until("the other pod", &w.host_path("pods", "other").await, |_| true).await;
    let host = w.host_path("pods", "web").await;
    let own = w.path("pods", "web");
    for left in [json!([{"name": "example.com/second"}]), json!([])] {
        assert!(w.host.get(&host).await.is_none(), "not while a gate is left");
        let patch = json!([
            {"op": "replace", "path": "/spec/schedulingGates", "value": left},
            {"op": "add", "path": "/spec/nodeSelector", "value": {"disk": "fast"}},
        ]);
        w.tenant.call("PATCH", &own, "application/json-patch+json", Some(patch)).await.expect("patched");
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    let sent = w.host.until("sent", &host, |_| true).await;
    assert_eq!(sent["spec"]["nodeSelector"]["disk"], "fast");
    assert!(sent["spec"].get("schedulingGates").is_none(), "{sent}");
    w.end().await;
}

/// PO35: a condition that the tenant's own controller writes goes down; one that the host writes comes up; where both
/// write, the tenant's holds. A restart between changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy59_readiness_gates() {
    let mut w = World::new("ready", false).await;
    w.node("n-ready").await;
    let mut pod = w.pod("web");
    pod["spec"]["readinessGates"] =
        json!([{"conditionType": "example.com/mine"}, {"conditionType": "example.com/theirs"}]);
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), pod).await;
    let (own, host) = (w.path("pods", "web"), w.host_path("pods", "web").await);
    let sent = w.host.until("sent", &host, |_| true).await;
    assert_eq!(sent["spec"]["readinessGates"].as_array().map(Vec::len), Some(2));
    w.bind("web", "n-ready").await;
    w.running("web").await;
    w.tenant.until("running", &own, |p| p["status"]["phase"] == "Running").await;

    let set = |kind: &str, status: &str| json!({"status": {"conditions": [{"type": kind, "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let strategic = "application/strategic-merge-patch+json";
    let mine = |status: &str| set("example.com/mine", status);
    w.tenant.call("PATCH", &format!("{own}/status"), strategic, Some(mine("True"))).await.expect("set");
    w.host.until("it goes down", &host, |p| status_of(p, "example.com/mine") == Some("True")).await;
    let theirs = set("example.com/theirs", "True");
    w.host.call("PATCH", &format!("{host}/status"), strategic, Some(theirs)).await.expect("set");
    w.tenant.until("it comes up", &own, |p| status_of(p, "example.com/theirs") == Some("True")).await;

    // Both write the tenant's own: the tenant's word is the last, over a restart too.
    w.host.call("PATCH", &format!("{host}/status"), strategic, Some(mine("False"))).await.expect("set");
    w.host.until("put right", &host, |p| status_of(p, "example.com/mine") == Some("True")).await;
    w.halt().await;
    w.host.call("PATCH", &format!("{host}/status"), strategic, Some(mine("False"))).await.expect("set");
    w.start(None);
    w.host.until("put right again", &host, |p| status_of(p, "example.com/mine") == Some("True")).await;
    let pod = w.tenant.get(&own).await.expect("there");
    assert_eq!(status_of(&pod, "example.com/mine"), Some("True"));
    assert_eq!(status_of(&pod, "example.com/theirs"), Some("True"));
    let settled = w.writes();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(w.writes(), settled, "nobody fights: {:?}", w.handle().counts());
    w.host.delete("/api/v1/nodes/n-ready", None).await;
    w.end().await;
}

/// PO40, PO43: the host is given the tenant's grace, and a shorter one again; a forced deletion ends it; finalizers keep
/// the side they are on.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy63_grace_and_finalizers() {
    let w = World::new("grace", false).await;
    w.node("n-grace").await;
    let pods = format!("/api/v1/namespaces/{}/pods", w.namespace);
    for name in ["slow", "forced", "held", "blocked"] {
        let mut pod = w.pod(name);
        pod["spec"]["terminationGracePeriodSeconds"] = json!(30);
        if name == "held" {
            pod["metadata"]["finalizers"] = json!(["example.com/hold"]);
        }
        w.tenant.post(&pods, pod).await;
        w.host.until("sent", &w.host_path("pods", name).await, |_| true).await;
        w.bind(name, "n-grace").await;
        w.running(name).await;
        w.tenant.until("running", &w.path("pods", name), |p| p["status"]["phase"] == "Running").await;
    }
    let grace = |p: &Value| p["metadata"]["deletionGracePeriodSeconds"].as_i64();

    let host = w.host_path("pods", "slow").await;
    w.tenant.delete(&w.path("pods", "slow"), None).await;
    w.host.until("with its grace", &host, |p| grace(p) == Some(30)).await;
    w.tenant.delete(&w.path("pods", "slow"), Some(5)).await;
    w.host.until("with the shorter one", &host, |p| grace(p) == Some(5)).await;
    assert!(w.tenant.get(&w.path("pods", "slow")).await.is_some(), "not before the host's has ended");
    w.host.delete(&host, Some(0)).await;
    w.tenant.gone("the tenant's", &w.path("pods", "slow")).await;

    // Without a trace in the tenant's object the host's keeps its own grace.
    w.tenant.delete(&w.path("pods", "forced"), Some(0)).await;
    w.tenant.gone("at once", &w.path("pods", "forced")).await;
    let host = w.host_path("pods", "forced").await;
    w.host.until("deleting", &host, |p| grace(p) == Some(30)).await;
    w.host.delete(&host, Some(0)).await;

    // The tenant's finalizer keeps the tenant's object, not the host's pod.
    w.tenant.delete(&w.path("pods", "held"), Some(1)).await;
    let host = w.host_path("pods", "held").await;
    w.host.until("deleting", &host, |p| grace(p).is_some()).await;
    w.host.delete(&host, Some(0)).await;
    w.host.gone("the host's", &host).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let held = w.tenant.get(&w.path("pods", "held")).await.expect("held by the tenant's finalizer");
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    assert!(w.host.get(&host).await.is_none(), "never made again");
    w.tenant.merge(&w.path("pods", "held"), json!({"metadata": {"finalizers": null}})).await;
    w.tenant.gone("the tenant's", &w.path("pods", "held")).await;

    // The host's finalizer keeps the host's object: the tenant goes on once the containers have ended.
    let host = w.host_path("pods", "blocked").await;
    w.host.merge(&host, json!({"metadata": {"finalizers": ["example.com/host"]}})).await;
    w.tenant.delete(&w.path("pods", "blocked"), Some(1)).await;
    w.host.until("deleting", &host, |p| grace(p).is_some()).await;
    assert!(w.tenant.get(&w.path("pods", "blocked")).await.is_some());
    let ended = json!({"status": {"phase": "Succeeded", "containerStatuses": [{"name": "c", "image": "nginx:1", "imageID": "x",
        "ready": false, "restartCount": 0, "state": {"terminated": {"exitCode": 0}}}]}});
    w.host.merge(&format!("{host}/status"), ended).await;
    w.tenant.gone("the tenant's", &w.path("pods", "blocked")).await;
    w.host.merge(&host, json!({"metadata": {"finalizers": null}})).await;
    w.host.delete(&host, Some(0)).await;
    w.host.delete("/api/v1/nodes/n-grace", None).await;
    w.end().await;
}
