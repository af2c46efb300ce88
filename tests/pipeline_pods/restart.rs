//! Restarts: nothing is remembered but what both APIs hold (EN24).

use std::time::Duration;

use serde_json::json;

use crate::world::{Kill, World};

/// PF8, SY-5, SY-6: a restart writes nothing when nothing drifted, and repairs what did.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_restart_repairs_and_is_quiet() {
    let mut w = World::new("restart", false).await;
    w.node("n-restart").await;
    let secrets = format!("/api/v1/namespaces/{}/secrets", w.namespace);
    w.tenant.post(&secrets, json!({"metadata": {"name": "pw"}, "stringData": {"k": "v"}})).await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    let service = json!({"metadata": {"name": "peers"}, "spec": {"clusterIP": "None", "selector": {"app": "a"}, "ports": [{"port": 80}]}});
    w.tenant.post(&format!("/api/v1/namespaces/{}/services", w.namespace), service).await;
    let (pod, secret, peers) = (
        w.host_path("pods", "web").await,
        w.host_path("secrets", "pw").await,
        w.host_path("services", "peers").await,
    );
    w.host.until("pod", &pod, |_| true).await;
    w.host.until("service", &peers, |_| true).await;
    w.bind("web", "n-restart").await;
    w.running("web").await;
    w.tenant.until("running", &w.path("pods", "web"), |p| p["status"]["phase"] == "Running").await;
    tokio::time::sleep(Duration::from_secs(2)).await;

    w.halt().await;
    w.start(None);
    w.synced("CaughtUp").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(w.writes(), 0, "PF8: {:?}", w.handle().counts());

    // Drift made while it is down.
    w.halt().await;
    w.host.merge(&pod, json!({"metadata": {"labels": {"app": "stolen", "theirs": "x"}}})).await;
    w.host.merge(&secret, json!({"data": {"k": "eHh4"}})).await;
    w.host.delete(&peers, None).await;
    w.tenant.merge(&w.path("pods", "web"), json!({"metadata": {"labels": {"later": "1"}}})).await;
    w.start(None);
    let found = w.host.until("labels", &pod, |p| p["metadata"]["labels"]["app"] == "web").await;
    assert_eq!(found["metadata"]["labels"]["theirs"], "x", "fields of other managers are kept");
    w.host.until("later", &pod, |p| p["metadata"]["labels"]["later"] == "1").await;
    w.host.until("secret", &secret, |s| s["data"]["k"] == "dg==").await;
    w.host.until("made again", &peers, |_| true).await;
    assert!(
        w.tenant.get(&w.path("services", "peers")).await.is_some(),
        "nothing on the host deletes in the tenant"
    );

    // Deleted in the tenant while it is down.
    w.halt().await;
    w.tenant.delete(&w.path("services", "peers"), None).await;
    w.start(None);
    w.host.gone("service", &peers).await;
    w.host.delete(&pod, Some(0)).await;
    w.host.delete("/api/v1/nodes/n-restart", None).await;
    w.end().await;
}

/// SY-14: killed after each single write of a pod's life, the next one ends in the same state, with the same pod.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy14_killed_after_each_write() {
    let mut w = World::new("kill", false).await;
    w.node("n-kill").await;
    w.halt().await;
    let base = w.namespace.clone();
    for writes in 1..=16 {
        w.namespace = format!("{base}-{writes}");
        w.fresh(&w.namespace).await;
        let secrets = format!("/api/v1/namespaces/{}/secrets", w.namespace);
        w.tenant.post(&secrets, json!({"metadata": {"name": "pw"}, "stringData": {"k": "v"}})).await;
        w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
        let kill = Kill::after(writes);
        w.start(Some(kill.clone()));
        for _ in 0..40 {
            if kill.dead() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        w.halt().await;
        let pod = w.host_path("pods", "web").await;
        let first = w.host.get(&pod).await.map(|p| p["metadata"]["uid"].clone());
        w.start(None);
        let found = w.host.until("host pod", &pod, |_| true).await;
        assert!(first.is_none_or(|uid| uid == found["metadata"]["uid"]), "{writes}: made twice");
        w.bind("web", "n-kill").await;
        w.running("web").await;
        let tenant =
            w.tenant.until("running", &w.path("pods", "web"), |p| p["status"]["phase"] == "Running").await;
        assert_eq!(tenant["spec"]["nodeName"], "n-kill");
        w.host.until("secret", &w.host_path("secrets", "pw").await, |_| true).await;
        let secrets = format!("/api/v1/namespaces/{}/secrets", w.host_namespace().await);
        let tokens = |list: &serde_json::Value| {
            list["items"]
                .as_array()
                .map_or(0, |l| l.iter().filter(|s| s["type"] == "skerry.dev/token").count())
        };
        w.host.until("one token Secret", &secrets, |list| tokens(list) == 1).await;
        // The deletion is killed after its first write too.
        w.halt().await;
        let kill = Kill::after(1);
        w.start(Some(kill.clone()));
        w.tenant.delete(&w.path("pods", "web"), None).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        w.halt().await;
        w.start(None);
        w.host.until("deleting", &pod, |p| p["metadata"]["deletionTimestamp"].is_string()).await;
        w.host.delete(&pod, Some(0)).await;
        w.tenant.gone("tenant pod", &w.path("pods", "web")).await;
        w.halt().await;
    }
    w.host.delete("/api/v1/nodes/n-kill", None).await;
    w.end().await;
}
