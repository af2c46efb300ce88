//! The container that writes a pod's hosts file: made on the host, counted there, and nowhere in the tenant (SY-48, PO30).

use std::sync::Arc;

use serde_json::{Value, json};
use skerry_syncer::{PodStream, StreamError, StreamHead};

use crate::world::World;

fn named(world: &World, name: &str, fqdn: &str) -> Value {
    let mut pod = world.pod(name);
    pod["metadata"]["annotations"] = json!({"skerry.dev/fqdn": fqdn});
    pod["spec"]["subdomain"] = json!("peers");
    pod
}

async fn log_of(w: &World, name: &str, container: &str) -> Result<(), StreamError> {
    let pod = w.tenant.get(&w.path("pods", name)).await.expect("there");
    let uid = pod["metadata"]["uid"].as_str().expect("uid").to_owned();
    let to = PodStream {
        namespace: w.namespace.clone(),
        name: name.to_owned(),
        uid,
        subresource: "log".to_owned(),
    };
    let head = StreamHead {
        method: http::Method::GET,
        query: format!("follow=true&container={container}"),
        server: (String::new(), String::new()),
        body: bytes::Bytes::new(),
        headers: http::HeaderMap::new(),
        audit_id: "a".to_owned(),
    };
    w.handle().open(&w.entry.id, &to, head).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy48_the_writer_is_hidden() {
    let w = World::new("exact", false).await;
    let pods = format!("/api/v1/namespaces/{}/pods", w.namespace);
    w.node("n-exact").await;
    let first = w.tenant.post(&pods, named(&w, "exact", "Exact")).await;
    let host = w.host_path("pods", "exact").await;
    let sent = w.host.until("sent", &host, |_| true).await;
    let writer = sent["spec"]["initContainers"][0]["name"].as_str().expect("a writer").to_owned();
    assert!(writer.starts_with("skerry-hosts-"), "{sent}");
    assert_eq!(sent["spec"]["initContainers"][0]["image"], "registry.example/skerry:1");
    assert_eq!(sent["spec"].get("subdomain"), None);

    // Half way: it has not ended, and the tenant's own waits for it.
    w.bind("exact", "n-exact").await;
    let status = json!({"status": {"phase": "Pending", "qosClass": "Burstable",
        "initContainerStatuses": [{"name": writer, "image": "registry.example/skerry:1", "imageID": "", "ready": false,
            "restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff", "message": format!("image of {writer}")}}}],
        "containerStatuses": [{"name": "c", "image": "nginx:1", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "PodInitializing"}}}],
        "conditions": [{"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized",
            "message": format!("containers with incomplete status: [{writer}]")}]}});
    w.host.merge(&format!("{host}/status"), status).await;
    let event = |name: &str, container: &str| {
        json!({"metadata": {"name": name}, "reason": "Pulling", "message": format!("image of {container}"), "type": "Normal",
            "involvedObject": {"kind": "Pod", "namespace": sent["metadata"]["namespace"], "name": "exact",
                "uid": sent["metadata"]["uid"], "fieldPath": format!("spec.initContainers{{{container}}}")}})
    };
    let events = host.replace("/pods/exact", "/events");
    w.host.post(&events, event("of-ours", &writer)).await;
    w.host.post(&events, event("of-theirs", "migrate")).await;
    let waiting =
        |p: &Value| p["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "PodInitializing";
    let seen = w.tenant.until("waiting", &w.path("pods", "exact"), waiting).await;
    assert!(!seen.to_string().contains("skerry-hosts-"), "{seen}");
    assert_eq!(seen["spec"].get("initContainers"), None);
    assert_eq!(seen["spec"]["subdomain"], "peers");
    assert_eq!(seen["status"]["qosClass"], first["status"]["qosClass"]);
    let told = format!("/api/v1/namespaces/{}/events", w.namespace);
    let is_told = |list: &Value| list.to_string().contains("image of migrate");
    let list = w.tenant.until("the other event", &told, is_told).await;
    assert!(!list.to_string().contains("skerry-hosts-") && !list.to_string().contains("of-ours"), "{list}");

    // Nobody gets into it.
    assert_eq!(log_of(&w, "exact", &writer).await, Err(StreamError::Gone));
    assert_ne!(log_of(&w, "exact", "c").await, Err(StreamError::Gone));

    // The whole cluster may be set so; a pod that says otherwise has its way.
    let mut entry = w.entry.clone();
    let effective = Arc::make_mut(&mut entry.effective);
    Arc::make_mut(&mut effective.settings).to_host.pods.fqdn = skerry_syncer::settings::Fqdn::Exact;
    w.give(entry);
    w.tenant.post(&pods, named(&w, "alias", "Alias")).await;
    let mut plain = named(&w, "plain", "");
    plain["metadata"]["annotations"] = Value::Null;
    w.tenant.post(&pods, plain).await;
    let first = |pod: &Value| pod["spec"]["initContainers"][0]["args"][0].clone();
    let plain = w.host.until("sent", &w.host_path("pods", "plain").await, |_| true).await;
    assert_eq!(first(&plain), "hosts-file");
    let alias = w.host.until("sent", &w.host_path("pods", "alias").await, |_| true).await;
    assert_eq!((first(&alias), &alias["spec"]["subdomain"]), (Value::Null, &json!("peers")));
    w.host.delete("/api/v1/nodes/n-exact", None).await;
    w.end().await;
}
