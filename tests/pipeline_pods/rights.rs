//! What the syncer asks of a host, beside what the chart's roles grant: SY-22, tenancy I9.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use skerry_api::rights;

use crate::failing::{of, service, swift};
use crate::faults::Asked;
use crate::world::prefix;
use skerry_syncer::Reach;

/// A right: verb, group, resource.
type Right = (String, String, String);

/// The right that a request needs, and the namespace it is in; `None`: open to every account.
fn needed(asked: &Asked) -> Option<(Right, Option<String>)> {
    let parts: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["api", "v1", rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => return None,
    };
    let (namespace, rest) = match rest {
        ["namespaces", name, rest @ ..] if !rest.is_empty() => (Some((*name).to_owned()), rest),
        rest => (None, rest),
    };
    let (resource, name) = match rest {
        [] => return None,
        [resource] => ((*resource).to_owned(), false),
        [resource, _] => ((*resource).to_owned(), true),
        [resource, _, below, ..] => (format!("{resource}/{below}"), true),
    };
    let verb = match (&*asked.method, name) {
        ("GET", true) => "get",
        ("GET", false) if asked.is_watch() => "watch",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PATCH", _) => "patch",
        ("DELETE", _) => "delete",
        (other, _) => other,
    };
    Some(((verb.to_owned(), group.to_owned(), resource), namespace))
}

/// Rights that rules grant, without those on single objects.
fn granted(rules: &[Value]) -> BTreeSet<Right> {
    let texts = |rule: &Value, key: &str| {
        let list = rule[key].as_array().into_iter().flatten();
        list.map(|v| v.as_str().expect("text").to_owned()).collect::<Vec<_>>()
    };
    let mut all = BTreeSet::new();
    for rule in rules.iter().filter(|rule| rule.get("resourceNames").is_none()) {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for verb in texts(rule, "verbs") {
                    all.insert((verb, group.clone(), resource.clone()));
                }
            }
        }
    }
    all
}

/// Resources that the roles grant and that this life does not ask for, each for a reason.
const BESIDES: [&str; 10] = [
    // Streams of pods: module `streams`.
    "pods/log",
    "pods/attach",
    "pods/exec",
    "pods/portforward",
    "pods/proxy",
    // Parts of the isolation set that an embedded host does not serve.
    "limitranges",
    "resourcequotas",
    // Nobody asks for these at all: Endpoints are sent as slices (KI1), and these statuses are read with their objects.
    "endpoints",
    "services/status",
    "persistentvolumeclaims/status",
];

/// A life that touches every kind and row, with the requests it made: each is granted where it was made, none reads
/// Secrets or ConfigMaps of the whole host, and no resource is granted that nobody asks for. That nothing else in the
/// suite asks for more is asserted where each case ends, and by the host itself, which grants nothing besides.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy22_requests_equal_the_roles() {
    let mut w = swift("rights", Reach::Embedded).await;
    w.halt().await;
    w.periods.deep = Duration::from_secs(1);
    w.start(None);
    w.synced("CaughtUp").await;
    w.node("n-rights").await;
    let class = json!({"metadata": {"name": "fast"}, "provisioner": "csi.example"});
    w.host.post("/apis/storage.k8s.io/v1/storageclasses", class).await;
    w.tenant.until("class", "/apis/storage.k8s.io/v1/storageclasses/fast", |_| true).await;
    w.tenant.post(&of(&w, "secrets"), json!({"metadata": {"name": "pw"}, "stringData": {"k": "v"}})).await;
    let meta = json!({"name": "map", "annotations": {"skerry.dev/sync": "true"}});
    w.tenant.post(&of(&w, "configmaps"), json!({"metadata": meta, "data": {"k": "v"}})).await;
    let claim = json!({"accessModes": ["ReadWriteOnce"], "storageClassName": "fast", "resources": {"requests": {"storage": "1Gi"}}});
    w.tenant
        .post(&of(&w, "persistentvolumeclaims"), json!({"metadata": {"name": "data"}, "spec": claim}))
        .await;
    let bare = json!({"metadata": {"name": "bare"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}});
    w.tenant.post(&of(&w, "services"), bare).await;
    w.tenant.post(&of(&w, "services"), service("web", "web")).await;
    let slice = json!({"metadata": {"name": "bare-1", "labels": {"kubernetes.io/service-name": "bare"}}, "addressType": "IPv4",
        "ports": [{"port": 80}], "endpoints": [{"addresses": ["93.184.216.34"]}]});
    let slices = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", w.namespace);
    w.tenant.post(&slices, slice).await;
    let policies = format!("/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies", w.namespace);
    w.tenant.post(&policies, json!({"metadata": {"name": "shut"}, "spec": {"podSelector": {}}})).await;
    let mut pod = w.pod("web");
    pod["spec"]["readinessGates"] = json!([{"conditionType": "example.com/mine"}]);
    w.tenant.post(&of(&w, "pods"), pod).await;
    for (plural, name) in
        [("pods", "web"), ("secrets", "pw"), ("configmaps", "map"), ("persistentvolumeclaims", "data")]
    {
        w.host.until("carried", &w.host_path(plural, name).await, |_| true).await;
    }
    w.bind("web", "n-rights").await;
    w.running("web").await;
    w.tenant.until("running", &w.path("pods", "web"), |p| p["status"]["phase"] == "Running").await;
    let gate = json!({"status": {"conditions": [{"type": "example.com/mine", "status": "True"}]}});
    let path = format!("{}/status", w.path("pods", "web"));
    w.tenant.call("PATCH", &path, "application/strategic-merge-patch+json", Some(gate)).await.expect("set");
    let gated = |p: &Value| p["status"]["conditions"].to_string().contains("example.com/mine");
    w.host.until("the gate goes down", &w.host_path("pods", "web").await, gated).await;
    let volume = json!({"metadata": {"name": "pv-rights"}, "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
        "storageClassName": "fast", "csi": {"driver": "csi.example", "volumeHandle": "h"}}});
    w.host.post("/api/v1/persistentvolumes", volume).await;
    let host = w.host_path("persistentvolumeclaims", "data").await;
    w.host.merge(&host, json!({"spec": {"volumeName": "pv-rights"}})).await;
    w.tenant.until("volume", "/api/v1/persistentvolumes/pv-rights", |_| true).await;
    w.tenant.merge(&w.path("services", "web"), json!({"spec": {"selector": {"app": "later"}}})).await;
    let later = |s: &Value| s["spec"]["selector"]["app"] == "later";
    w.host.until("changed", &w.host_path("services", "web").await, later).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut entry = w.entry.clone();
    entry.owner.draining = true;
    w.give(entry);
    w.host
        .until("deleting", &w.host_path("pods", "web").await, |p| {
            p["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    w.host.delete(&w.host_path("pods", "web").await, Some(0)).await;
    // A real host has a controller that lets go of it.
    let free = json!({"metadata": {"finalizers": null}});
    let _ = w.host.call("PATCH", &host, "application/merge-patch+json", Some(free)).await;
    w.synced("Drained").await;

    let (everywhere, inside) = (granted(&rights::host()), granted(&rights::tenant_sync()));
    let own = [w.entry.mapping().home().to_string(), prefix(&w.entry)];
    let mut used = BTreeSet::new();
    for asked in w.to_host.asked() {
        let Some((right, namespace)) = needed(&asked) else { continue };
        let is_own = namespace.as_ref().is_some_and(|at| *at == own[0] || at.starts_with(&own[1]));
        let is_data = ["secrets", "configmaps"].contains(&&*right.2);
        assert!(!is_data || is_own, "I9: {asked:?}");
        assert!(everywhere.contains(&right) || (is_own && inside.contains(&right)), "{asked:?}");
        assert_ne!(asked.code, 403, "{asked:?}");
        used.insert(right.2);
    }
    let granted: BTreeSet<&str> = everywhere.iter().chain(&inside).map(|(_, _, r)| &**r).collect();
    let unasked: BTreeSet<&str> = granted.into_iter().filter(|r| !used.contains(*r)).collect();
    assert_eq!(unasked, BTreeSet::from(BESIDES));
    w.end().await;
}
