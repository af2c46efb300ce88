//! Names, identities and marks that are another's: SE1, SE2, SE3.

use std::time::Duration;

use serde_json::{Value, json};
use skerry_api::labels;

use crate::rig::Rig;
use crate::world::prefix;

/// SE1: namespaces and objects called as the neighbour's and the host's own are carried into the attacker's namespaces
/// and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se1_names_hit_nobody() {
    let rig = Rig::new("names").await;
    let (space, token) = (rig.b_space().await, rig.b_token().await);
    let home = rig.b.entry.mapping().home().to_string();
    let forged = json!({labels::TENANT: &*rig.b.entry.id, labels::MANAGED_BY: "syncer", "pod-security.kubernetes.io/enforce": "privileged"});
    let spaces = [space.as_str(), &home, labels::SYSTEM_NAMESPACE, &rig.b.namespace, "sk-none"];
    for name in spaces {
        let path = format!("/api/v1/namespaces/{name}");
        if rig.w.tenant.get(&path).await.is_none() {
            let object = json!({"metadata": {"name": name, "labels": forged}});
            rig.w.tenant.post("/api/v1/namespaces", object).await;
        }
        let account = format!("{path}/serviceaccounts/default");
        rig.w.tenant.until("its account", &account, |_| true).await;
        for object in ["pw", "web", "dns", "skerry-env", &token] {
            let metadata =
                json!({"name": object, "labels": forged, "annotations": {"skerry.dev/sync": "true"}});
            rig.w.tenant.post(&format!("{path}/configmaps"), json!({"metadata": metadata})).await;
            let secret = json!({"metadata": metadata, "stringData": {"k": "of the attacker"}});
            rig.w.tenant.post(&format!("{path}/secrets"), secret).await;
        }
        rig.w.tenant.post(&format!("{path}/pods"), rig.w.pod_in(name, "web")).await;
        let service = json!({"metadata": {"name": "dns"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 53}]}});
        rig.w.tenant.post(&format!("{path}/services"), service).await;
    }
    let own = prefix(&rig.w.entry);
    let carried =
        |list: &[Value]| list.iter().filter(|o| o["metadata"]["name"] == "web").count() >= spaces.len();
    for plural in ["pods", "secrets", "configmaps", "services"] {
        let mut list = Vec::new();
        for _ in 0..200 {
            list = rig.of_attacker("/api/v1", plural).await;
            if plural == "services" || carried(&list) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(plural == "services" || carried(&list), "{plural}: {list:?}");
        for object in list {
            let at = object["metadata"]["namespace"].as_str().unwrap();
            let home = rig.w.entry.mapping().home();
            assert!(at.starts_with(&own) || at == home.as_str(), "{plural} at {at}");
        }
    }
    // None of its own kit is the attacker's to replace.
    let dns = format!("/api/v1/namespaces/{}/services/dns", rig.w.entry.mapping().home());
    let service = rig.w.host.get(&dns).await.expect("its own DNS");
    assert!(service["spec"].get("selector").is_none(), "{service}");
    rig.end().await;
}

/// SE2: marks of the neighbour on the attacker's objects go no further; neither do UIDs, where the attacker's API server
/// gives out the neighbour's.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se2_forged_marks_prove_nothing() {
    let mut rig = Rig::new("marks").await;
    let uid = |object: &Value| object["metadata"]["uid"].as_str().expect("a uid").to_owned();
    let at = format!("/api/v1/namespaces/{}", rig.b.namespace);
    let space = uid(&rig.b.tenant.get(&at).await.unwrap());
    let pod = uid(&rig.b.tenant.get(&format!("{at}/pods/web")).await.unwrap());
    let marks = json!({
        labels::UID: rig.b.entry.owner.uid, labels::ORIGIN_KIND: "Pod", labels::ORIGIN_NAME: "web",
        labels::ORIGIN_NAMESPACE: rig.b.namespace, labels::ORIGIN_UID: pod, labels::PENDING: pod,
        "skerry.dev/account-uid": pod, "skerry.dev/renew-after": "9999999999", "skerry.dev/sync": "true",
    });
    let label = json!({labels::TENANT: &*rig.b.entry.id, labels::MANAGED_BY: "syncer", labels::SLOT: "0"});
    let metadata = |name: &str| json!({"name": name, "labels": label, "annotations": marks});
    let mut web = rig.w.pod_in(&rig.w.namespace, "web");
    web["metadata"] = metadata("web");
    let mine = uid(&rig.post("pods", web).await);
    rig.post("configmaps", json!({"metadata": metadata("map")})).await;
    for (plural, name, kind) in [("pods", "web", "Pod"), ("configmaps", "map", "ConfigMap")] {
        let path = rig.w.host_path(plural, name).await;
        let host = rig.w.host.until("carried", &path, |_| true).await;
        let own = rig.w.tenant.get(&rig.w.path(plural, name)).await.unwrap();
        let (labels_of, notes) = (&host["metadata"]["labels"], &host["metadata"]["annotations"]);
        assert_eq!(labels_of[labels::TENANT], *rig.w.entry.id, "{host}");
        assert_eq!(notes[labels::UID], *rig.w.entry.owner.uid, "{host}");
        assert_eq!(notes[labels::ORIGIN_UID], own["metadata"]["uid"], "{host}");
        assert_eq!(notes[labels::ORIGIN_KIND], kind, "{host}");
        assert!(!host.to_string().contains(&rig.b.entry.owner.uid), "{host}");
        assert!(notes.get(labels::PENDING).is_none(), "{host}");
    }

    // The same server says now that its namespace and its pod are the neighbour's.
    rig.w.halt().await;
    let own_space = uid(&rig.w.tenant.get(&format!("/api/v1/namespaces/{}", rig.w.namespace)).await.unwrap());
    let owner = rig.w.entry.owner.uid.clone();
    for line in [&rig.w.to_tenants, &rig.w.to_shards] {
        let (own_space, space, mine, pod) = (own_space.clone(), space.clone(), mine.clone(), pod.clone());
        line.edit(move |_, text| Some(text.replace(&own_space, &space).replace(&mine, &pod)));
    }
    rig.w.start(None);
    let mapping = rig.w.entry.mapping();
    let there = mapping.namespace(&rig.w.namespace, &space).to_string();
    assert!(there.starts_with(&prefix(&rig.w.entry)), "{there}");
    let path = format!("/api/v1/namespaces/{there}/pods/web");
    let host = rig.w.host.until("in a namespace of the attacker's", &path, |_| true).await;
    assert_eq!(host["metadata"]["annotations"][labels::UID], *owner);
    rig.unchanged().await;
    for line in [&rig.w.to_tenants, &rig.w.to_shards] {
        line.up();
        line.cut();
    }
    rig.end().await;
}

/// SE3: what host controllers act on is not the tenant's to say: on objects, in selectors, on namespaces.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se3_labels_switch_nothing() {
    let rig = Rig::new("switches").await;
    let keys = [
        "istio.io/rev",
        "sidecar.istio.io/inject",
        "linkerd.io/inject",
        "k8s.v1.cni.cncf.io/networks",
        "cni.projectcalico.org/ipAddrs",
        "io.cilium.io/x",
        "iam.amazonaws.com/role",
        "eks.amazonaws.com/role-arn",
        "iam.gke.io/gcp-service-account",
        "azure.workload.identity/use",
        "kueue.x-k8s.io/queue-name",
        "admission.gatekeeper.sh/ignore",
        "policies.kyverno.io/exclude",
        "vault.hashicorp.com/agent-inject",
        "kubernetes.io/config.source",
        "pod-security.kubernetes.io/enforce",
        "skerry.dev/policy-ingress",
        "skerry.dev/pool",
    ];
    let all: Value = keys.iter().map(|key| ((*key).to_owned(), json!("mine"))).collect();
    let mut web = rig.w.pod_in(&rig.w.namespace, "web");
    web["metadata"]["labels"] = all.clone();
    web["metadata"]["annotations"] = all.clone();
    rig.post("pods", web).await;
    let ours = |key: &&str| key.starts_with("skerry.dev/");
    let others = keys.iter().filter(|key| !ours(key));
    let selector: Value = others.map(|key| ((*key).to_owned(), json!("mine"))).collect();
    let spec = json!({"selector": selector, "ports": [{"port": 80}]});
    rig.post(
        "services",
        json!({"metadata": {"name": "web", "labels": all, "annotations": all}, "spec": spec}),
    )
    .await;
    let mut labels_of_space = all.clone();
    labels_of_space["pod-security.kubernetes.io/enforce"] = json!("privileged");
    labels_of_space["istio-injection"] = json!("enabled");
    let own = format!("/api/v1/namespaces/{}", rig.w.namespace);
    rig.w.tenant.merge(&own, json!({"metadata": {"labels": labels_of_space, "annotations": all}})).await;

    let pod = rig.w.host.until("pod", &rig.w.host_path("pods", "web").await, |_| true).await;
    let service = rig.w.host.until("Service", &rig.w.host_path("services", "web").await, |_| true).await;
    let space = format!("/api/v1/namespaces/{}", rig.w.host_namespace().await);
    let hashed = |space: &Value| {
        let all = space["metadata"]["labels"].as_object().cloned().unwrap_or_default();
        all.keys().filter(|k| k.starts_with("skerry.dev/n-")).count() > keys.len()
    };
    let space = rig.w.host.until("labels of the namespace", &space, hashed).await;
    for (what, object) in [("pod", &pod), ("Service", &service), ("namespace", &space)] {
        for key in keys.iter().filter(|k| **k != "pod-security.kubernetes.io/enforce") {
            for map in ["labels", "annotations"] {
                assert!(object["metadata"][map].get(*key).is_none(), "{what} has {map} {key}");
            }
            assert!(object["spec"]["selector"].get(*key).is_none(), "{what} selects {key}");
        }
        assert!(object["metadata"]["labels"].get("istio-injection").is_none(), "{object}");
    }
    // The selection itself still works, by keys that mean nothing to anybody else.
    let selector = service["spec"]["selector"].as_object().unwrap();
    assert!(!selector.is_empty());
    for (key, value) in selector {
        assert_eq!(pod["metadata"]["labels"][key], *value, "{key}");
    }
    rig.end().await;
}
