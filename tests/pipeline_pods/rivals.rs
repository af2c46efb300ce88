//! Others who write: a host that rewrites what it is sent, one that adds containers, a rival that never rests, and a
//! second syncer: SY-8, SY-9, SY-15, SY-58.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};

use crate::world::World;

/// A webhook of the host: what it makes of the pods that are sent.
#[derive(Clone)]
struct Webhook {
    change: fn(&mut Value),
    /// Writes of pods that passed.
    writes: Arc<AtomicUsize>,
}

impl Webhook {
    fn new(change: fn(&mut Value)) -> Self {
        Self { change, writes: Arc::default() }
    }

    fn before(&self, inner: kube::Client) -> kube::Client {
        let hook = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (hook, inner) = (hook.clone(), inner.clone());
            async move {
                let of_pods =
                    request.uri().path().contains("/pods") && !request.uri().path().ends_with("/status");
                let writes = [http::Method::POST, http::Method::PATCH].contains(request.method());
                if !(of_pods && writes) {
                    return inner.send(request).await.map_err(tower::BoxError::from);
                }
                hook.writes.fetch_add(1, Ordering::SeqCst);
                let (parts, body) = request.into_parts();
                let bytes = body.collect().await?.to_bytes();
                let mut object: Value = serde_json::from_slice(&bytes)?;
                (hook.change)(&mut object);
                let request = Request::from_parts(parts, Body::from(serde_json::to_vec(&object)?));
                inner.send(request).await.map_err(tower::BoxError::from)
            }
        });
        kube::Client::new(service, "default")
    }

    fn writes(&self) -> usize {
        self.writes.load(Ordering::SeqCst)
    }
}

/// EN16: an image that the host rewrites at each write is told once and left; a restart costs one attempt.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy8_overrides_are_left() {
    let mut w = World::new("override", false).await;
    w.halt().await;
    let hook = Webhook::new(|pod| {
        let list = pod.pointer_mut("/spec/containers").and_then(Value::as_array_mut);
        for container in list.into_iter().flatten() {
            if container.get("image").is_some() {
                container["image"] = "rewritten.example/app:9".into();
            }
        }
    });
    let over = hook.clone();
    w.start_over(move |client| over.before(client));
    w.synced("CaughtUp").await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    let host = w.host_path("pods", "web").await;
    w.host.until("sent", &host, |p| p["spec"]["containers"][0]["image"] == "rewritten.example/app:9").await;
    let events = format!("/api/v1/namespaces/{}/events", w.namespace);
    let told = |list: &Value| {
        let all = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|e| e["reason"] == "HostOverride").map(|e| e["message"].clone()).collect::<Vec<_>>()
    };
    w.tenant.until("told", &events, |list| !told(list).is_empty()).await;
    let settled = hook.writes();
    assert!(settled <= 2, "{settled}");
    // Three patrols of three seconds.
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(hook.writes(), settled, "left alone");
    let all = told(&w.tenant.get(&events).await.expect("a list"));
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0].as_str().is_some_and(|m| m.contains("image")), "{all:?}");

    w.halt().await;
    let over = hook.clone();
    w.start_over(move |client| over.before(client));
    w.synced("CaughtUp").await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert!(hook.writes() <= settled + 1, "one attempt after a restart: {} after {settled}", hook.writes());
    assert_eq!(
        w.tenant.get(&w.path("pods", "web")).await.expect("there")["spec"]["containers"][0]["image"],
        "nginx:1"
    );
    w.end().await;
}

/// EN16: a rival who never rests is named, and fought once a minute.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy9_a_rival_is_named() {
    let w = World::new("rival", false).await;
    let services = format!("/api/v1/namespaces/{}/services", w.namespace);
    let spec = json!({"clusterIP": "None", "selector": {"app": "own"}, "ports": [{"port": 80}]});
    w.tenant.post(&services, json!({"metadata": {"name": "web"}, "spec": spec})).await;
    let host = w.host_path("services", "web").await;
    w.host.until("sent", &host, |_| true).await;
    let flip = json!({"spec": {"selector": {"app": "theirs"}}});
    let mut repairs = 0;
    for _ in 0..12 {
        w.host.merge(&format!("{host}?fieldManager=rival"), flip.clone()).await;
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            if w.host.get(&host).await.expect("there")["spec"]["selector"]["app"] == "own" {
                repairs += 1;
                break;
            }
        }
    }
    assert!((5..=7).contains(&repairs), "after five it is a conflict: {repairs}");
    let events = format!("/api/v1/namespaces/{}/events", w.namespace);
    let found = |list: &Value| {
        list["items"].as_array().is_some_and(|l| {
            l.iter().any(|e| {
                e["reason"] == "HostConflict" && e["message"].as_str().is_some_and(|m| m.contains("rival"))
            })
        })
    };
    w.tenant.until("named", &events, found).await;
    w.end().await;
}

/// Containers that the host adds are not the tenant's: they are hidden, the class of service stays, nobody fights them.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy58_added_containers_are_hidden() {
    let mut w = World::new("sidecar", false).await;
    w.halt().await;
    let hook = Webhook::new(|pod| {
        // Once, as it is made.
        let is_new = pod.get("kind").is_some();
        let list = pod.pointer_mut("/spec/containers").and_then(Value::as_array_mut);
        if let Some(list) = list.filter(|_| is_new) {
            let limits = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
            list.push(json!({"name": "proxy", "image": "mesh.example/proxy:1", "resources": limits}));
        }
    });
    let over = hook.clone();
    w.start_over(move |client| over.before(client));
    w.synced("CaughtUp").await;
    w.node("n-sidecar").await;
    let first = w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    let host = w.host_path("pods", "web").await;
    w.host.until("sent", &host, |p| p["spec"]["containers"].as_array().is_some_and(|l| l.len() == 2)).await;
    let made = w.tenant.get(&w.path("pods", "web")).await.expect("there");
    assert!(!made["status"].to_string().contains("skerry.dev/Carried"), "{}", made["status"]);
    w.bind("web", "n-sidecar").await;
    let running = |name: &str| {
        json!({"name": name, "image": "x", "imageID": "x", "ready": true, "restartCount": 0,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}})
    };
    let status = json!({"status": {"phase": "Running", "qosClass": "Burstable", "containerStatuses": [running("c"), running("proxy")]}});
    w.host.merge(&format!("{host}/status"), status).await;
    let seen = w.tenant.until("running", &w.path("pods", "web"), |p| p["status"]["phase"] == "Running").await;
    let names: Vec<&str> = seen["status"]["containerStatuses"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|c| c["name"].as_str())
        .collect();
    assert_eq!(names, ["c"]);
    assert_eq!(seen["status"]["qosClass"], first["status"]["qosClass"]);
    assert_eq!(seen["spec"]["containers"].as_array().map(Vec::len), Some(1));
    let settled = hook.writes();
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(hook.writes(), settled, "fields a host adds are not looked at (EN9)");
    w.host.delete("/api/v1/nodes/n-sidecar", None).await;
    w.end().await;
}

/// EN26: two syncers on one tenant end where one does.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy15_two_at_once() {
    let w = World::new("twice", false).await;
    let first = w.beside();
    w.synced("CaughtUp").await;
    let own = |plural: &str| format!("/api/v1/namespaces/{}/{plural}", w.namespace);
    let mut changes = 0;
    for i in 0..40 {
        let name = format!("s{i}");
        let spec = json!({"clusterIP": "None", "selector": {"app": "a"}, "ports": [{"port": 80}]});
        w.tenant.post(&own("services"), json!({"metadata": {"name": name}, "spec": spec})).await;
        w.tenant.post(&own("pods"), w.pod(&format!("p{i}"))).await;
        changes += 2;
    }
    for round in 0..6 {
        for i in 0..40 {
            let change = json!({"metadata": {"labels": {"round": round.to_string()}}});
            w.tenant.merge(&w.path("services", &format!("s{i}")), change.clone()).await;
            w.tenant.merge(&w.path("pods", &format!("p{i}")), change).await;
            if round == 3 && i % 4 == 0 {
                w.tenant.delete(&w.path("services", &format!("s{i}")), None).await;
                let spec = json!({"clusterIP": "None", "selector": {"app": "b"}, "ports": [{"port": 81}]});
                w.tenant
                    .post(&own("services"), json!({"metadata": {"name": format!("s{i}")}, "spec": spec}))
                    .await;
                changes += 2;
            }
            if i % 3 == 0 && round == 1 {
                w.host
                    .merge(
                        &w.host_path("services", &format!("s{i}")).await,
                        json!({"spec": {"selector": {"app": "c"}}}),
                    )
                    .await;
                changes += 1;
            }
            changes += 2;
        }
    }
    assert!(changes >= 500, "{changes}");
    for i in 0..40 {
        let (service, pod) = (format!("s{i}"), format!("p{i}"));
        let mine = w.tenant.get(&w.path("services", &service)).await.expect("there");
        let same = |h: &Value| {
            h["spec"]["selector"] == mine["spec"]["selector"]
                && h["spec"]["ports"][0]["port"] == mine["spec"]["ports"][0]["port"]
                && h["metadata"]["labels"]["round"] == mine["metadata"]["labels"]["round"]
                && h["metadata"]["annotations"]["skerry.dev/origin-uid"] == mine["metadata"]["uid"]
        };
        w.host.until("the Service agrees", &w.host_path("services", &service).await, same).await;
        w.host
            .until("the pod agrees", &w.host_path("pods", &pod).await, |h| {
                h["metadata"]["labels"]["round"] == "5"
            })
            .await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = w.writes();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(w.writes(), before, "both rest: {:?}", w.handle().counts());
    let list =
        w.host.get(&format!("/api/v1/namespaces/{}/pods", w.host_namespace().await)).await.expect("a list");
    assert_eq!(list["items"].as_array().map(Vec::len), Some(40), "no pod twice");
    first.stop().await;
    w.end().await;
}
