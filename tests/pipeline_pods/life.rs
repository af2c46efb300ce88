//! Lives of pods, refusals, drift, Services, drains.

use std::time::Duration;

use serde_json::json;

use crate::world::World;

/// SY-45: a ServiceAccount that is made anew voids the tokens of its pods, also while the syncer is down.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy45_tokens_follow_their_account() {
    let mut w = World::new("accounts", false).await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    w.host.until("host pod", &w.host_path("pods", "web").await, |_| true).await;
    let secrets = format!("/api/v1/namespaces/{}/secrets", w.host_namespace().await);
    let account = format!("/api/v1/namespaces/{}/serviceaccounts/default", w.namespace);
    let issued = |list: &serde_json::Value| {
        let all = list["items"].as_array().into_iter().flatten();
        all.filter(|s| s["type"] == "skerry.dev/token")
            .find_map(|s| s["metadata"]["annotations"]["skerry.dev/account-uid"].as_str().map(str::to_owned))
    };
    for down in [false, true] {
        let old = w.tenant.get(&account).await.expect("an account")["metadata"]["uid"].clone();
        w.host.until("tokens of now", &secrets, |list| issued(list).is_some_and(|uid| old == uid)).await;
        if down {
            w.halt().await;
        }
        w.tenant.delete(&account, None).await;
        let anew = w.tenant.until("another account", &account, |a| a["metadata"]["uid"] != old).await;
        if down {
            w.start(None);
        }
        let uid = anew["metadata"]["uid"].clone();
        w.host
            .until("tokens of the other", &secrets, |list| issued(list).is_some_and(|found| uid == found))
            .await;
    }
    w.end().await;
}

/// Rows of PO40 and PF4, PF5: a pod's whole life, with a token, a Secret, a node and a deletion.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_a_pods_life() {
    let w = World::new("life", false).await;
    w.node("n-life").await;
    w.tenant
        .post(
            &format!("/api/v1/namespaces/{}/secrets", w.namespace),
            json!({"metadata": {"name": "pw"}, "stringData": {"k": "v"}}),
        )
        .await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    let host = w.host.until("host pod", &w.host_path("pods", "web").await, |_| true).await;
    assert_eq!(host["spec"]["automountServiceAccountToken"], false);
    assert_eq!(host["metadata"]["ownerReferences"][0]["kind"], "Namespace");
    assert_eq!(host["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"], "skerry-env");
    let secret = w.host.until("secret", &w.host_path("secrets", "pw").await, |_| true).await;
    assert_eq!(secret["data"]["k"], "dg==");
    let env = w.host.until("env map", &w.host_path("configmaps", "skerry-env").await, |_| true).await;
    assert_eq!(env["data"]["KUBERNETES_SERVICE_HOST"], "kubernetes.default.svc");
    let tokens =
        w.host.get(&format!("/api/v1/namespaces/{}/secrets", w.host_namespace().await)).await.expect("list");
    let token =
        tokens["items"].as_array().and_then(|l| l.iter().find(|s| s["type"] == "skerry.dev/token").cloned());
    assert_eq!(token.expect("token Secret")["metadata"]["ownerReferences"][0]["name"], "web");
    assert_eq!(w.count("host_writes_total", "create pods"), 1, "PF4: {:?}", w.handle().counts());

    w.bind("web", "n-life").await;
    w.running("web").await;
    let tenant =
        w.tenant.until("running", &w.path("pods", "web"), |p| p["status"]["phase"] == "Running").await;
    assert_eq!(tenant["spec"]["nodeName"], "n-life");
    assert_eq!(tenant["status"]["podIP"], "10.2.0.7");
    let node = w.tenant.get("/api/v1/nodes/n-life").await.expect("node");
    assert!(node["metadata"]["labels"].get("private").is_none());
    let per_pod = w.count("tenant_writes_total", "bind pods") + w.count("tenant_writes_total", "status pods");
    assert!(per_pod <= 5, "PF5: {per_pod}");

    // A second pass writes nothing.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = w.writes();
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(w.writes(), before, "{:?}", w.handle().counts());

    // Changes down: a label, an image.
    w.tenant.merge(&w.path("pods", "web"), json!({"metadata": {"labels": {"app": "two", "new": "x"}}})).await;
    w.host.until("label", &w.host_path("pods", "web").await, |p| p["metadata"]["labels"]["new"] == "x").await;
    w.tenant.merge(&w.path("pods", "web"), json!({"metadata": {"labels": {"new": null}}})).await;
    w.host
        .until("label removed", &w.host_path("pods", "web").await, |p| {
            p["metadata"]["labels"].get("new").is_none()
        })
        .await;

    // Deletion both ways: the host keeps its grace, the tenant goes after the host.
    w.tenant.delete(&w.path("pods", "web"), None).await;
    w.host
        .until("deleting", &w.host_path("pods", "web").await, |p| {
            p["metadata"]["deletionGracePeriodSeconds"] == 5
        })
        .await;
    assert!(w.tenant.get(&w.path("pods", "web")).await.is_some());
    w.host.delete(&w.host_path("pods", "web").await, Some(0)).await;
    w.tenant.gone("tenant pod", &w.path("pods", "web")).await;
    w.host.gone("secret", &w.host_path("secrets", "pw").await).await;
    w.tenant.gone("idle node", "/api/v1/nodes/n-life").await;
    w.host.delete("/api/v1/nodes/n-life", None).await;
    w.end().await;
}

/// PO41: a lost host pod is reported, a bare pod stays Failed; an unbound one is made again.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_lost_pods() {
    let w = World::new("lost", false).await;
    w.node("n-lost").await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("bare")).await;
    let first = w.host.until("host pod", &w.host_path("pods", "bare").await, |_| true).await;
    w.host.delete(&w.host_path("pods", "bare").await, Some(0)).await;
    w.host
        .until("made again", &w.host_path("pods", "bare").await, |p| {
            p["metadata"]["uid"] != first["metadata"]["uid"]
        })
        .await;
    w.bind("bare", "n-lost").await;
    w.running("bare").await;
    w.tenant.until("running", &w.path("pods", "bare"), |p| p["status"]["phase"] == "Running").await;
    w.host.delete(&w.host_path("pods", "bare").await, Some(0)).await;
    let pod = w.tenant.until("failed", &w.path("pods", "bare"), |p| p["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["reason"], "HostPodDeleted");
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(w.host.get(&w.host_path("pods", "bare").await).await.is_none(), "never made again");
    w.host.delete("/api/v1/nodes/n-lost", None).await;
    w.end().await;
}

/// Refusals are told; drift is repaired; foreign objects stay; a Service's addresses are reserved and given back.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_refusals_drift_and_services() {
    let w = World::new("drift", true).await;
    let mut bad = w.pod("bad");
    bad["spec"]["hostNetwork"] = json!(true);
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), bad).await;
    let refused = w
        .tenant
        .until("refused", &w.path("pods", "bad"), |p| {
            p["status"]["conditions"]
                .as_array()
                .is_some_and(|c| c.iter().any(|c| c["type"] == "skerry.dev/Carried"))
        })
        .await;
    let condition = refused["status"]["conditions"]
        .as_array()
        .and_then(|c| c.iter().find(|c| c["type"] == "skerry.dev/Carried").cloned());
    assert_eq!(condition.map(|c| c["reason"].clone()), Some(json!("PolicyDenied")));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let state = w.handle().states().borrow().get(&w.entry.id).cloned().expect("state");
    assert!(state.refused >= 1 && state.synced, "a refused object alone never turns Synced False: {state:?}");

    // Agreement on addresses, idempotent by UID, and given back.
    let uid = "5d2f6a50-0000-4000-8000-000000000001";
    let service = json!({"metadata": {"name": "svc", "namespace": w.namespace, "uid": uid},
        "spec": {"type": "NodePort", "selector": {"app": "a"}, "ports": [{"port": 80}]}});
    let one = w.handle().reserve(&w.entry.id, &service).await.expect("reserved");
    let two = w.handle().reserve(&w.entry.id, &service).await.expect("reserved");
    assert_eq!(one, two);
    assert!(!one.cluster_ips.is_empty() && one.node_ports.len() == 1, "{one:?}");
    w.handle().release(&w.entry.id, uid).await.expect("released");
    w.host.gone("released", &w.host_path("services", "svc").await).await;
    // One that is never stored and never given back is swept.
    w.handle().reserve(&w.entry.id, &service).await.expect("reserved");
    w.host.gone("swept", &w.host_path("services", "svc").await).await;

    // Mirrored drift repair on a headless Service.
    let headless = json!({"metadata": {"name": "peers"}, "spec": {"clusterIP": "None", "selector": {"app": "a"}, "ports": [{"port": 80}]}});
    w.tenant.post(&format!("/api/v1/namespaces/{}/services", w.namespace), headless).await;
    let path = w.host_path("services", "peers").await;
    w.host.until("headless", &path, |_| true).await;
    w.host.merge(&path, json!({"spec": {"selector": {"app": "stolen"}}})).await;
    w.host.until("repaired", &path, |s| s["spec"]["selector"]["app"] == "a").await;
    w.host.delete(&path, None).await;
    w.host.until("made again", &path, |_| true).await;

    // A foreign object of the same name is never touched.
    let foreign = w.host_path("services", "taken").await;
    let collection = foreign.rsplit_once('/').map(|(c, _)| c.to_owned()).expect("path");
    w.host
        .post(
            &collection,
            json!({"metadata": {"name": "taken"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}),
        )
        .await;
    let taken = json!({"metadata": {"name": "taken"}, "spec": {"clusterIP": "None", "ports": [{"port": 2}]}});
    w.tenant.post(&format!("/api/v1/namespaces/{}/services", w.namespace), taken).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(w.host.get(&foreign).await.expect("foreign")["spec"]["ports"][0]["port"], 1);
    let state = w.handle().states().borrow().get(&w.entry.id).cloned().expect("state");
    assert!(state.problems.iter().any(|p| p.reason == "HostNameTaken"), "{:?}", state.problems);

    // Drain: ours go by proof, the foreign one stays and is named.
    let mut entry = w.entry.clone();
    entry.owner.draining = true;
    w.give(entry);
    w.host.gone("drained", &path).await;
    w.synced("Draining").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let state = w.handle().states().borrow().get(&w.entry.id).cloned().expect("state");
    let left = state.remaining.expect("remaining");
    assert!(
        left.iter().any(|r| r.kind == "Service" && r.blocked_on.as_deref() == Some("foreign Service taken")),
        "{left:?}"
    );
    w.host.delete(&foreign, None).await;
    w.synced("Drained").await;
    w.end().await;
}

/// SY-32: a namespace deleted and made again gets another host namespace; the old one goes, but for foreign objects.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy32_namespaces() {
    let w = World::new("spaces", false).await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    let first = w.host_namespace().await;
    w.host.until("host pod", &w.host_path("pods", "web").await, |_| true).await;
    let path = format!("/api/v1/namespaces/{}", w.namespace);
    let labels = w.host.get(&format!("/api/v1/namespaces/{first}")).await.expect("host namespace")["metadata"]["labels"].clone();
    w.tenant.merge(&path, json!({"metadata": {"labels": {"team": "b"}}})).await;
    w.host
        .until("labels follow", &format!("/api/v1/namespaces/{first}"), |n| n["metadata"]["labels"] != labels)
        .await;
    let foreign = format!("/api/v1/namespaces/{first}/configmaps");
    w.host.post(&foreign, json!({"metadata": {"name": "theirs"}})).await;
    w.tenant.delete(&path, None).await;
    w.host.gone("host pod", &format!("/api/v1/namespaces/{first}/pods/web")).await;
    w.tenant.gone("namespace", &path).await;
    w.fresh(&w.namespace.clone()).await;
    let second = w.host_namespace().await;
    assert_ne!(first, second);
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    w.host.until("host pod", &format!("/api/v1/namespaces/{second}/pods/web"), |_| true).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let old = w.host.get(&format!("/api/v1/namespaces/{first}")).await.expect("held by the foreign object");
    assert!(old["metadata"].get("deletionTimestamp").is_none());
    assert!(w.host.get(&format!("{foreign}/theirs")).await.is_some());
    // The last object of ours goes, and the namespace with it.
    w.tenant.delete(&w.path("pods", "web"), Some(0)).await;
    w.host
        .until("deleted or going", "/api/v1/namespaces", |l| {
            l["items"].as_array().is_some_and(|l| {
                l.iter().all(|n| {
                    n["metadata"]["name"] != second.as_str() || n["metadata"]["deletionTimestamp"].is_string()
                })
            })
        })
        .await;
    w.end().await;
}
