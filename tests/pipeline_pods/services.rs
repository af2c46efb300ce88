//! SY-80, SY-81: a tenant's Services have the host's addresses from their first read on.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use skerry::cli::adapters::gate::Gate;

use crate::world::{Kill, World};

fn service(name: &str, spec: Value) -> Value {
    let mut object = json!({"metadata": {"name": name}, "spec": {"selector": {"app": "a"}, "ports": [{"name": "p", "port": 80}]}});
    object["spec"].as_object_mut().expect("a spec").extend(spec.as_object().expect("a spec").clone());
    object
}

/// What both sides must agree on.
fn agreed(service: &Value) -> Value {
    let spec = &service["spec"];
    let mut ports = spec["ports"].clone();
    for port in ports.as_array_mut().into_iter().flatten() {
        port.as_object_mut().expect("a port").remove("targetPort");
    }
    json!([
        spec["type"],
        spec["clusterIP"],
        spec["clusterIPs"],
        spec["ipFamilies"],
        spec["ipFamilyPolicy"],
        ports,
        spec["healthCheckNodePort"],
        spec["externalTrafficPolicy"],
        spec["sessionAffinity"]
    ])
}

async fn attached(name: &str) -> (World, Arc<Kill>) {
    let mut w = World::dual(name).await;
    w.halt().await;
    let switch = Kill::after(i64::MAX);
    w.start(Some(switch.clone()));
    w.synced("CaughtUp").await;
    w.server().attach_service_gate(Arc::new(Gate(w.handle().clone())));
    (w, switch)
}

/// Each type and family: in the first read, and the same on both sides; type and family changes follow.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy80_services_agree() {
    let (w, _) = attached("agree").await;
    let collection = format!("/api/v1/namespaces/{}/services", w.namespace);
    for (name, spec) in [
        ("plain", json!({})),
        (
            "ports",
            json!({"type": "NodePort", "ports": [{"name": "p", "port": 80}, {"name": "q", "port": 53, "protocol": "UDP"}]}),
        ),
        ("balanced", json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"})),
        ("both", json!({"ipFamilyPolicy": "RequireDualStack"})),
        ("six", json!({"ipFamilies": ["IPv6"]})),
        ("turned", json!({"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]})),
        ("chosen", json!({"clusterIP": "10.96.77.7"})),
        ("headless", json!({"clusterIP": "None"})),
    ] {
        let first = w.tenant.post(&collection, service(name, spec)).await;
        let ips = first["spec"]["clusterIPs"].as_array().expect("addresses").len();
        assert_eq!(ips, if ["both", "turned"].contains(&name) { 2 } else { 1 }, "{first}");
        let path = w.host_path("services", name).await;
        let host = w
            .host
            .until("host Service", &path, |s| {
                s["metadata"]["annotations"].get("skerry.dev/pending").is_none()
            })
            .await;
        assert_eq!(agreed(&first), agreed(&host), "{name}");
        if name == "ports" || name == "balanced" {
            assert!(first["spec"]["ports"][0]["nodePort"].as_u64().is_some_and(|p| p >= 30000), "{first}");
        }
        if name == "balanced" {
            assert!(first["spec"]["healthCheckNodePort"].as_u64().is_some(), "{first}");
        }
    }
    assert_eq!(
        w.tenant.get(&w.path("services", "chosen")).await.expect("there")["spec"]["clusterIP"],
        "10.96.77.7"
    );

    // Changes of type and family: the answer has what the host gave, and both agree again.
    for (name, patch) in [
        ("plain", json!({"type": "NodePort"})),
        ("ports", json!({"type": "ClusterIP"})),
        ("six", json!({"ipFamilyPolicy": "PreferDualStack"})),
        ("both", json!({"ipFamilyPolicy": "SingleStack"})),
        ("balanced", json!({"type": "ExternalName", "externalName": "db.example"})),
    ] {
        let changed = w.tenant.merge(&w.path("services", name), json!({"spec": patch})).await;
        let path = w.host_path("services", name).await;
        if name == "balanced" {
            assert!(changed["spec"].get("clusterIP").is_none(), "{changed}");
            w.host.gone("no ExternalName on the host (SV3)", &path).await;
            continue;
        }
        w.host.until(&format!("{name} follows"), &path, |host| agreed(host) == agreed(&changed)).await;
    }
    let six = w.tenant.get(&w.path("services", "six")).await.expect("there");
    assert_eq!(six["spec"]["clusterIPs"].as_array().map(Vec::len), Some(2), "{six}");
    let back = w.tenant.merge(&w.path("services", "balanced"), json!({"spec": {"type": "ClusterIP"}})).await;
    assert!(back["spec"]["clusterIP"].is_string(), "{back}");
    w.host
        .until("there again", &w.host_path("services", "balanced").await, |h| agreed(h) == agreed(&back))
        .await;
    w.end().await;
}

/// Dry run allocates nothing; without the host 503 and nothing stored; what is never stored is swept.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy80_dry_run_and_failures() {
    let (w, switch) = attached("fails").await;
    let collection = format!("/api/v1/namespaces/{}/services", w.namespace);
    let of_host = format!("/api/v1/namespaces/{}/services", w.host_namespace().await);
    let dry = format!("{collection}?dryRun=All");
    w.tenant.post(&dry, service("dry", json!({"type": "NodePort"}))).await;
    assert!(w.host.get(&format!("{of_host}/dry")).await.is_none(), "nothing is made for a dry run");

    // Refused by the host: told in the tenant's words, nothing stored.
    w.host.post("/api/v1/namespaces", json!({"metadata": {"name": "elsewhere"}})).await;
    let taken =
        json!({"metadata": {"name": "theirs"}, "spec": {"clusterIP": "10.96.88.8", "ports": [{"port": 1}]}});
    w.host.post("/api/v1/namespaces/elsewhere/services", taken).await;
    let asked = service("late", json!({"clusterIP": "10.96.88.8"}));
    assert_eq!(w.tenant.call("POST", &collection, "application/json", Some(asked)).await, Err(422));
    assert!(w.tenant.get(&format!("{collection}/late")).await.is_none());

    // A reservation whose commit never comes: the patrol sweeps it (T5).
    let uid = "5d2f6a50-0000-4000-8000-000000000002";
    let mut lost = service("swept", json!({}));
    lost["metadata"]["uid"] = uid.into();
    lost["metadata"]["namespace"] = w.namespace.clone().into();
    w.handle().reserve(&w.entry.id, &lost).await.expect("reserved");
    assert!(w.host.get(&format!("{of_host}/swept")).await.is_some());
    w.host.gone("swept", &format!("{of_host}/swept")).await;

    switch.end();
    let down = w.tenant.call("POST", &collection, "application/json", Some(service("down", json!({})))).await;
    assert_eq!(down, Err(503));
    assert!(w.tenant.get(&format!("{collection}/down")).await.is_none());
    w.end().await;
}

/// `default/kubernetes` shows the front door and is nobody's to carry (KI13); a lost Service gets the same address
/// back (SV4).
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy81_lost_services_and_the_front_door() {
    let (w, _) = attached("door").await;
    let collection = format!("/api/v1/namespaces/{}/services", w.namespace);
    let first = w.tenant.post(&collection, service("web", json!({"type": "NodePort"}))).await;
    let path = w.host_path("services", "web").await;
    let before = w.host.until("host Service", &path, |_| true).await;
    w.host.delete(&path, None).await;
    let again =
        w.host.until("made again", &path, |s| s["metadata"]["uid"] != before["metadata"]["uid"]).await;
    assert_eq!(agreed(&again), agreed(&first));
    assert_eq!(agreed(&w.tenant.get(&w.path("services", "web")).await.expect("there")), agreed(&first));

    let own = w.tenant.get("/api/v1/namespaces/default/services/kubernetes").await.expect("always there");
    assert!(own["spec"]["clusterIP"].is_string(), "{own}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let all = w.host.get("/api/v1/services").await.expect("a list");
    let carried = all["items"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|s| s["metadata"]["annotations"]["skerry.dev/origin-name"] == "kubernetes");
    assert!(!carried, "{all}");
    w.end().await;
}

/// SV1, Mirrored: without an agreement the tenant keeps its own address, the host has another, and pods are told the
/// host's; the tenant learns of it once.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy82_mirrored() {
    let w = World::new("mirror", false).await;
    let services = format!("/api/v1/namespaces/{}/services", w.namespace);
    // What the host is asked for is taken there.
    let first = w.tenant.post(&services, service("web", json!({}))).await;
    let host = w.host.until("host Service", &w.host_path("services", "web").await, |_| true).await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("client")).await;
    w.host.until("pod", &w.host_path("pods", "client").await, |_| true).await;
    let own = first["spec"]["clusterIP"].as_str().expect("an address").to_owned();
    let theirs = host["spec"]["clusterIP"].as_str().expect("an address").to_owned();
    assert_ne!(own, theirs, "two allocators");
    assert_eq!(
        w.tenant.get(&w.path("services", "web")).await.expect("there")["spec"]["clusterIP"],
        own.as_str()
    );
    let env = w.host_path("configmaps", "skerry-env").await;
    w.host.until("links", &env, |m| m["data"]["WEB_SERVICE_HOST"] == theirs.as_str()).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    let settled = w.writes();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(w.writes(), settled, "{:?}", w.handle().counts());
    let events = w.tenant.get(&format!("/api/v1/namespaces/{}/events", w.namespace)).await.expect("a list");
    let told = events["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|e| e["involvedObject"]["name"] == "web")
        .count();
    assert_eq!(told, 1, "{events}");
    w.end().await;
}

/// A Service made right before a pod is in its environment as the pod comes to its host (SY-42, PO16).
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy42_a_service_just_made() {
    for agreed in [true, false] {
        let w = World::new(if agreed { "links" } else { "links-apart" }, agreed).await;
        let of = |kind: &str| format!("/api/v1/namespaces/{}/{kind}", w.namespace);
        for n in 0..5 {
            let (web, pod) = (format!("web-{n}"), format!("pod-{n}"));
            w.tenant.post(&of("services"), service(&web, json!({}))).await;
            // The syncer knows of it: a kubelet, too, makes a pod's environment of what it has seen.
            w.host.until("host Service", &w.host_path("services", &web).await, |_| true).await;
            let mut body = w.pod("any");
            body["metadata"]["name"] = json!(pod);
            w.tenant.post(&of("pods"), body).await;
            w.host.until("pod", &w.host_path("pods", &pod).await, |_| true).await;
            let env = w.host.get(&w.host_path("configmaps", "skerry-env").await).await.expect("an env map");
            let given = w.host.get(&w.host_path("services", &web).await).await;
            let there = &env["data"][format!("WEB_{n}_SERVICE_HOST")];
            if agreed {
                let own = w.tenant.get(&w.path("services", &web)).await.expect("there");
                assert_eq!(*there, own["spec"]["clusterIP"], "{n}: {env}");
            } else {
                assert_eq!(*there, given.expect("before the pod")["spec"]["clusterIP"], "{n}: {env}");
            }
        }
        w.end().await;
    }
}
