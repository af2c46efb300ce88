//! Kinds besides pods: claims and their volumes, classes, Events, slices.

use std::time::Duration;

use serde_json::json;

use crate::world::World;

/// SY-87: a class is shown, a claim binds, its volume is shown without its handle; a lost claim is not made again.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy87_claims() {
    let w = World::new("claims", false).await;
    let classes = "/apis/storage.k8s.io/v1/storageclasses";
    w.host.post(classes, json!({"metadata": {"name": "fast"}, "provisioner": "csi.example"})).await;
    let shown = w.tenant.until("class", &format!("{classes}/fast"), |_| true).await;
    assert_eq!(shown["provisioner"], "csi.example");
    let spec = |class: &str| json!({"accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "1Gi"}}});
    let claims = format!("/api/v1/namespaces/{}/persistentvolumeclaims", w.namespace);
    w.tenant.post(&claims, json!({"metadata": {"name": "hidden"}, "spec": spec("secret-class")})).await;
    w.tenant.post(&claims, json!({"metadata": {"name": "data"}, "spec": spec("fast")})).await;
    let (own, host) =
        (w.path("persistentvolumeclaims", "data"), w.host_path("persistentvolumeclaims", "data").await);
    w.host.until("host claim", &host, |_| true).await;
    let volume = json!({"metadata": {"name": "pv-1"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast", "csi": {"driver": "csi.example", "volumeHandle": "secret-handle"}}});
    w.host.post("/api/v1/persistentvolumes", volume).await;
    w.host.merge(&host, json!({"spec": {"volumeName": "pv-1"}})).await;
    w.host
        .merge(
            &format!("{host}/status"),
            json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}),
        )
        .await;
    let bound = w.tenant.until("bound", &own, |c| c["status"]["phase"] == "Bound").await;
    assert_eq!(bound["spec"]["volumeName"], "pv-1");
    let seen = w.tenant.get("/api/v1/persistentvolumes/pv-1").await.expect("volume");
    assert!(!seen.to_string().contains("secret-handle"));
    assert_eq!(seen["spec"]["claimRef"]["name"], "data");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let state = w.handle().states().borrow().get(&w.entry.id).cloned().expect("state");
    assert!(
        state.problems.iter().any(|p| p.reason == "ClassNotShared" && p.name == "hidden"),
        "{:?}",
        state.problems
    );

    w.host.delete(&host, None).await;
    // A real host protects it until no pod uses it; nobody plays that controller here.
    if w.host.get(&host).await.is_some() {
        w.host.merge(&host, json!({"metadata": {"finalizers": null}})).await;
    }
    w.host.gone("host claim", &host).await;
    w.tenant.until("lost", &own, |c| c["status"]["phase"] == "Lost").await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(w.host.get(&host).await.is_none(), "not made again");
    w.host.delete("/api/v1/persistentvolumes/pv-1", None).await;
    w.host.delete(&format!("{classes}/fast"), None).await;
    w.tenant.gone("class", &format!("{classes}/fast")).await;
    w.end().await;
}

/// SY-95: an Event about a host pod arrives with the tenant's names; one that names the host hides its text.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy95_events() {
    let w = World::new("events", false).await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    let pod = w.host.until("host pod", &w.host_path("pods", "web").await, |_| true).await;
    let space = w.host_namespace().await;
    for (reason, message) in [
        ("Scheduled", format!("Successfully assigned {space}/web to n1")),
        ("FailedMount", "secret \"skerry-token-abc\" not found".to_owned()),
    ] {
        let event = json!({"metadata": {"name": format!("web.{}", reason.to_lowercase())}, "reason": reason, "message": message,
            "type": "Normal", "involvedObject": {"kind": "Pod", "namespace": space, "name": "web", "uid": pod["metadata"]["uid"]}});
        w.host.post(&format!("/api/v1/namespaces/{space}/events"), event).await;
    }
    let events = format!("/api/v1/namespaces/{}/events", w.namespace);
    let both = |list: &serde_json::Value| {
        let messages: Vec<&str> =
            list["items"].as_array().into_iter().flatten().filter_map(|e| e["message"].as_str()).collect();
        let assigned = format!("Successfully assigned {}/web to n1", w.namespace);
        messages.contains(&assigned.as_str()) && messages.contains(&"FailedMount (details hidden)")
    };
    w.tenant.until("events", &events, both).await;
    w.end().await;
}

/// SY-83: slices of a Service without selector go down; one that names a denied address is refused.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy83_slices() {
    let w = World::new("slices", false).await;
    let services = format!("/api/v1/namespaces/{}/services", w.namespace);
    w.tenant
        .post(
            &services,
            json!({"metadata": {"name": "db"}, "spec": {"clusterIP": "None", "ports": [{"port": 5432}]}}),
        )
        .await;
    w.host.until("service", &w.host_path("services", "db").await, |_| true).await;
    let group = "/apis/discovery.k8s.io/v1/namespaces";
    let slice = |name: &str, address: &str| {
        json!({"metadata": {"name": name, "labels": {"kubernetes.io/service-name": "db"}}, "addressType": "IPv4",
            "ports": [{"port": 5432}], "endpoints": [{"addresses": [address]}]})
    };
    let slices = format!("{group}/{}/endpointslices", w.namespace);
    w.tenant.post(&slices, slice("db-1", "93.184.216.34")).await;
    w.tenant.post(&slices, slice("db-2", "10.200.0.1")).await;
    let host = format!("{group}/{}/endpointslices", w.host_namespace().await);
    let found = w.host.until("slice", &format!("{host}/db-1"), |_| true).await;
    assert_eq!(found["endpoints"][0]["addresses"][0], "93.184.216.34");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(w.host.get(&format!("{host}/db-2")).await.is_none());
    let state = w.handle().states().borrow().get(&w.entry.id).cloned().expect("state");
    assert!(
        state.problems.iter().any(|p| p.reason == "PolicyDenied" && p.name == "db-2"),
        "{:?}",
        state.problems
    );
    w.end().await;
}
