//! Pods that reach for the node, for others' data and credentials, for others' nodes: SE4, SE5, SE6, SE11.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::rig::Rig;
use crate::world::{Cluster, prefix};

/// A pod with other members of its spec.
fn with(rig: &Rig, name: &str, more: Value) -> Value {
    let mut pod = rig.w.pod_in(&rig.w.namespace, name);
    pod["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    pod
}

fn container(more: Value) -> Value {
    let mut container = json!({"name": "c", "image": "nginx:1"});
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"containers": [container]})
}

fn volume(source: Value) -> Value {
    let mut volume = json!({"name": "v"});
    volume.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
    json!({"volumes": [volume]})
}

/// SE4: each way to the node is refused by the policy, by the level, and the namespace bears the level.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se4_nodes_are_out_of_reach() {
    let mut rig = Rig::new("nodes").await;
    rig.under(json!({"podSecurity": {"enforce": "baseline"}}), Value::Null).await;
    let attempts = [
        ("host-path", volume(json!({"hostPath": {"path": "/"}}))),
        ("host-path-dots", volume(json!({"hostPath": {"path": "/tmp/../etc"}}))),
        ("host-network", json!({"hostNetwork": true})),
        ("host-pid", json!({"hostPID": true})),
        ("host-ipc", json!({"hostIPC": true})),
        ("host-port", container(json!({"ports": [{"containerPort": 80, "hostPort": 80}]}))),
        ("privileged", container(json!({"securityContext": {"privileged": true}}))),
        ("capability", container(json!({"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}))),
        ("proc", container(json!({"securityContext": {"procMount": "Unmasked"}}))),
        ("unconfined", json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}})),
        ("sysctl", json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}})),
        ("disk", volume(json!({"awsElasticBlockStore": {"volumeID": "vol-1"}}))),
        ("nfs", volume(json!({"nfs": {"server": "192.0.2.1", "path": "/"}}))),
        ("inline-csi", volume(json!({"csi": {"driver": "csi.example"}}))),
        (
            "late-init",
            json!({"initContainers": [{"name": "i", "image": "x", "securityContext": {"privileged": true}}]}),
        ),
    ];
    for (name, more) in &attempts {
        rig.post("pods", with(&rig, name, more.clone())).await;
    }
    rig.post("pods", rig.w.pod_in(&rig.w.namespace, "fine")).await;
    let fine = rig.w.host_path("pods", "fine").await;
    rig.w.host.until("an ordinary pod", &fine, |_| true).await;
    for (name, _) in &attempts {
        let (reason, message) = rig.refused("Pod", name).await;
        assert!(
            ["PolicyDenied", "PodSecurityViolation", "UnsupportedVolume"].contains(&&*reason),
            "{name}: {reason} {message}"
        );
        let pod = rig.w.tenant.get(&rig.w.path("pods", name)).await.unwrap();
        assert_eq!(pod["status"]["phase"], "Pending", "{name}");
    }
    let space = rig.w.host_namespace().await;
    let labels =
        rig.w.host.get(&format!("/api/v1/namespaces/{space}")).await.unwrap()["metadata"]["labels"].clone();
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "baseline");

    // A container that comes later is no way either.
    let late = json!({"spec": {"ephemeralContainers": [{"name": "e", "image": "x", "securityContext": {"privileged": true}}]}});
    let path = format!("{}/ephemeralcontainers", rig.w.path("pods", "fine"));
    let strategic = "application/strategic-merge-patch+json";
    let _ = rig.w.tenant.call("PATCH", &path, strategic, Some(late)).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let pods = rig.of_attacker("/api/v1", "pods").await;
    assert_eq!(pods.len(), 1, "{pods:?}");
    assert!(!pods[0].to_string().contains("privileged"), "{}", pods[0]);
    rig.end().await;
}

/// Claims of a token, unverified.
fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("a payload");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).expect("base64");
    serde_json::from_slice(&bytes).expect("claims")
}

async fn is_taken(cluster: &Cluster, token: &str) -> bool {
    let review =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
    let answer = cluster.post("/apis/authentication.k8s.io/v1/tokenreviews", review).await;
    answer["status"]["authenticated"] == true
}

/// SE5: names of the neighbour's Secrets lead into the attacker's own namespace; tokens are bound, short, and good in
/// their own cluster alone; the syncer never asks for Secrets but by namespace.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se5_secrets_stay_with_their_tenant() {
    let rig = Rig::new("secrets").await;
    let token = rig.b_token().await;
    let env = |name: &str| json!({"name": "P", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}});
    let mut thief = with(&rig, "thief", container(json!({"env": [env("pw"), env(&token)]})));
    thief["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": token}},
        {"name": "p", "projected": {"sources": [{"secret": {"name": token}}, {"secret": {"name": "pw"}}]}}]);
    thief["spec"]["imagePullSecrets"] = json!([{"name": token}]);
    let thief = rig.post("pods", thief).await;
    let host = rig.w.host.until("sent", &rig.w.host_path("pods", "thief").await, |_| true).await;
    let quoted = format!("\"{token}\"");
    assert!(!host["spec"].to_string().contains(&quoted), "reserved names are others on the host: {host}");
    let own = rig.w.host_namespace().await;
    let secrets = |list: Value| list["items"].as_array().cloned().unwrap_or_default();
    let is_token =
        |l: &Value| l["items"].as_array().is_some_and(|l| l.iter().any(|s| s["type"] == "skerry.dev/token"));
    let path = format!("/api/v1/namespaces/{own}/secrets");
    let list = secrets(rig.w.host.until("its own token", &path, is_token).await);
    assert!(
        list.iter().all(|s| s["type"] == "skerry.dev/token"),
        "none of the neighbour's came along: {list:?}"
    );

    let given = list[0]["data"].as_object().unwrap().values().next().unwrap().as_str().unwrap();
    let given = base64::engine::general_purpose::STANDARD.decode(given).unwrap();
    let given = String::from_utf8(given).unwrap();
    let said = claims(&given);
    assert_eq!(said["kubernetes.io"]["pod"]["uid"], thief["metadata"]["uid"], "{said}");
    let life = said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap();
    assert!((600..=86_400).contains(&life), "{life}");
    assert!(is_taken(&rig.w.tenant, &given).await, "good where it is from");
    assert!(!is_taken(&rig.b.tenant, &given).await, "and nowhere else");
    assert!(!is_taken(&rig.w.host, &given).await, "least of all on the host");
    let of_tenant = rig.w.tenant.get("/api/v1/secrets").await.unwrap().to_string();
    assert!(!of_tenant.contains("skerry-token"), "tokens lie on the host alone");

    let ours = [prefix(&rig.w.entry), prefix(&rig.b.entry)];
    for asked in rig.w.to_host.asked().iter().filter(|a| a.path.contains("/secrets")) {
        let at = asked.path.strip_prefix("/api/v1/namespaces/").expect("by namespace");
        assert!(ours.iter().any(|p| at.starts_with(p)), "{asked:?}");
    }
    rig.end().await;
}

/// SE6: no credential, no account, no authority of the host is in a pod, whatever it asks for.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se6_pods_hold_nothing_of_the_host() {
    let rig = Rig::new("hold").await;
    for account in ["skerry-host", "admin"] {
        rig.post("serviceaccounts", json!({"metadata": {"name": account}})).await;
    }
    let ca = format!("/api/v1/namespaces/{}/configmaps/kube-root-ca.crt", rig.w.namespace);
    let own_ca = rig.w.tenant.until("its authority", &ca, |_| true).await;
    let token = json!({"serviceAccountToken": {"path": "t", "audience": "https://kubernetes.default.svc", "expirationSeconds": 3600}});
    let authority =
        json!({"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}});
    let more = json!({
        "serviceAccountName": "skerry-host", "automountServiceAccountToken": true,
        "volumes": [{"name": "v", "projected": {"sources": [token, authority]}}],
    });
    rig.post("pods", with(&rig, "asks", more)).await;
    rig.post("pods", with(&rig, "plain", json!({"serviceAccountName": "admin"}))).await;
    for name in ["asks", "plain"] {
        let host = rig.w.host.until("sent", &rig.w.host_path("pods", name).await, |_| true).await;
        let spec = &host["spec"];
        assert_eq!(spec["automountServiceAccountToken"], false, "{name}");
        assert!(["default", ""].contains(&spec["serviceAccountName"].as_str().unwrap_or_default()), "{spec}");
        let text = spec.to_string();
        assert!(!text.contains("serviceAccountToken"), "{text}");
        assert!(!text.contains("\"kube-root-ca.crt\""), "the host's authority has that name there: {text}");
    }
    // The authority that is mounted is the tenant's own.
    let maps = format!("/api/v1/namespaces/{}/configmaps", rig.w.host_namespace().await);
    let has_ca =
        |l: &Value| l["items"].as_array().is_some_and(|l| l.iter().any(|m| m["data"] == own_ca["data"]));
    rig.w.host.until("the tenant's own authority", &maps, has_ca).await;
    // The account that pods run as has no right at all.
    let subject = format!("system:serviceaccount:{}:default", rig.w.host_namespace().await);
    let bindings = rig.w.host.get("/apis/rbac.authorization.k8s.io/v1/rolebindings").await.unwrap();
    assert!(!bindings.to_string().contains(&subject));
    rig.end().await;
}

/// SE11: naming a node, choosing it by label, tolerating its taint, binding to it or showing a forged one leads nowhere
/// that the class has not opened.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se11_foreign_nodes_stay_foreign() {
    let mut rig = Rig::new("foreign").await;
    rig.w.node("n-foreign").await;
    rig.again().await;
    let pods = json!({"nodeSelector": {"pool": "shared"}});
    rig.under(
        json!({"podSecurity": {"enforce": "privileged"}, "sync": {"toHost": {"pods": pods}}}),
        Value::Null,
    )
    .await;
    // A Node as the syncer makes them, by the tenant's hand: it shows nothing of the host, and it opens no way there.
    let forged = json!({"metadata": {"name": "n-foreign", "annotations": {"skerry.dev/imported": "true"}}});
    rig.w.tenant.post("/api/v1/nodes", forged).await;
    rig.post("pods", with(&rig, "bound", json!({}))).await;
    let sent = rig.w.host.until("sent", &rig.w.host_path("pods", "bound").await, |_| true).await;
    assert_eq!(sent["spec"]["nodeSelector"]["pool"], "shared");
    let binding = json!({"metadata": {"name": "bound"}, "target": {"kind": "Node", "name": "n-foreign"}});
    rig.w.tenant.post(&format!("{}/binding", rig.w.path("pods", "bound")), binding).await;
    for (name, more, reasons) in [
        ("named", json!({"nodeName": "n-foreign"}), ["NodeNotVisible"]),
        ("never-seen", json!({"nodeName": "n-shared"}), ["NodeNotVisible"]),
        ("selected", json!({"nodeSelector": {"pool": "other"}}), ["NodeNotVisible"]),
    ] {
        rig.post("pods", with(&rig, name, more)).await;
        let (reason, message) = rig.refused("Pod", name).await;
        assert!(reasons.contains(&&*reason), "{name}: {reason} {message}");
        assert!(rig.w.host.get(&rig.w.host_path("pods", name).await).await.is_none(), "{name}");
    }
    let terms = json!([{"matchExpressions": [{"key": "pool", "operator": "In", "values": ["other"]}]},
        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n-foreign"]}]}]);
    let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}});
    let tolerations = json!([{"operator": "Exists"}]);
    rig.post("pods", with(&rig, "affine", json!({"affinity": affinity, "tolerations": tolerations}))).await;
    let affine = rig.w.host.until("sent", &rig.w.host_path("pods", "affine").await, |_| true).await;
    assert_eq!(affine["spec"]["nodeSelector"]["pool"], "shared", "the class's term is ANDed with all of it");
    assert!(affine["spec"].get("nodeName").is_none());

    tokio::time::sleep(Duration::from_secs(1)).await;
    let host = rig.w.host.get(&rig.w.host_path("pods", "bound").await).await.expect("still there");
    assert!(host["spec"].get("nodeName").is_none(), "the host places: {host}");
    let node = rig.w.tenant.get("/api/v1/nodes/n-foreign").await;
    let shown = node.map(|n| n.to_string()).unwrap_or_default();
    assert!(!shown.contains("\"cpu\":\"4\""), "figures of a node where nothing of the tenant runs: {shown}");
    rig.end().await;
}
