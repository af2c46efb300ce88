//! An attacker and a neighbour on one host, and pictures of all that is not the attacker's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skerry_api::labels;
use skerry_syncer::Effective;

use crate::world::{Cluster, Neighbour, World, prefix};

/// Every object of a cluster, as text, by kind, namespace and name.
type Picture = BTreeMap<String, String>;

/// The attacker's world with a neighbour in it.
pub struct Rig {
    pub w: World,
    pub b: Neighbour,
    before: [Picture; 2],
}

impl Rig {
    /// A tenant with nothing but a namespace; beside it one with a running pod, a Secret, a token, a Service, a policy.
    pub async fn new(name: &str) -> Self {
        let mut w = World::new(name, false).await;
        w.halt().await;
        w.periods.patrol = Duration::from_secs(1);
        w.start(None);
        w.synced("CaughtUp").await;
        w.node("n-shared").await;
        let address = json!({"status": {"addresses": [{"type": "InternalIP", "address": "192.0.2.77"}]}});
        w.host.merge("/api/v1/nodes/n-shared/status", address).await;
        let b = w.join(&format!("{name}-b")).await;
        let mut rig = Self { w, b, before: Default::default() };
        rig.furnish().await;
        rig.before = rig.settled().await;
        rig
    }

    async fn furnish(&self) {
        let own = |plural: &str| format!("/api/v1/namespaces/{}/{plural}", self.b.namespace);
        let secret = json!({"metadata": {"name": "pw"}, "stringData": {"k": "of the neighbour"}});
        self.b.tenant.post(&own("secrets"), secret).await;
        let spec = json!({"selector": {"app": "web"}, "ports": [{"port": 80}]});
        self.b.tenant.post(&own("services"), json!({"metadata": {"name": "web"}, "spec": spec})).await;
        let policies = format!("/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies", self.b.namespace);
        let spec = json!({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"from": [{"podSelector": {}}]}]});
        self.b.tenant.post(&policies, json!({"metadata": {"name": "shut"}, "spec": spec})).await;
        self.b.tenant.post(&own("pods"), self.w.pod_in(&self.b.namespace, "web")).await;
        let pod = format!("/api/v1/namespaces/{}/pods/web", self.b_space().await);
        self.w.host.until("the neighbour's pod", &pod, |_| true).await;
        self.w.host.until("the neighbour's Secret", &pod.replace("pods/web", "secrets/pw"), |_| true).await;
        let binding = json!({"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "n-shared"}});
        self.w.host.post(&format!("{pod}/binding"), binding).await;
        let status = json!({"status": {"phase": "Running", "podIP": "10.2.0.7", "podIPs": [{"ip": "10.2.0.7"}],
            "containerStatuses": [{"name": "c", "image": "nginx:1", "imageID": "x", "ready": true, "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}});
        self.w.host.merge(&format!("{pod}/status"), status).await;
        let own = format!("/api/v1/namespaces/{}/pods/web", self.b.namespace);
        self.b.tenant.until("it runs", &own, |p| p["status"]["phase"] == "Running").await;
    }

    /// The neighbour's host namespace.
    pub async fn b_space(&self) -> String {
        let path = format!("/api/v1/namespaces/{}", self.b.namespace);
        let uid = self.b.tenant.get(&path).await.expect("its namespace")["metadata"]["uid"].clone();
        let mapping = self.b.entry.mapping();
        mapping.namespace(&self.b.namespace, uid.as_str().expect("a uid")).to_string()
    }

    /// Name of the Secret with the tokens of the neighbour's pod.
    pub async fn b_token(&self) -> String {
        let secrets = format!("/api/v1/namespaces/{}/secrets", self.b_space().await);
        let list = self.w.host.get(&secrets).await.expect("a list");
        let all = list["items"].as_array().into_iter().flatten();
        let token = all.clone().find(|s| s["type"] == "skerry.dev/token").expect("its token");
        token["metadata"]["name"].as_str().expect("a name").to_owned()
    }

    /// Gives the attacker another spec and class.
    pub async fn under(&mut self, spec: Value, policy: Value) {
        self.w.entry.effective = Arc::new(Effective::read(&spec, &policy, "standard"));
        self.w.give(self.w.entry.clone());
    }

    pub async fn post(&self, plural: &str, object: Value) -> Value {
        let group = match plural {
            "endpointslices" => "/apis/discovery.k8s.io/v1",
            "networkpolicies" => "/apis/networking.k8s.io/v1",
            _ => "/api/v1",
        };
        self.w.tenant.post(&format!("{group}/namespaces/{}/{plural}", self.w.namespace), object).await
    }

    /// Waits until the attacker is told of a refusal; answers its reason and message.
    pub async fn refused(&self, kind: &str, name: &str) -> (String, String) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let state = self.w.handle().states().borrow().get(&self.w.entry.id).cloned().expect("a state");
            if let Some(p) = state.problems.iter().find(|p| p.kind == kind && p.name == name) {
                return (p.reason.to_owned(), p.message.clone());
            }
            assert!(Instant::now() < end, "{kind} {name} is not refused: {:?}", state.problems);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// A pod of the attacker's that is not on the host.
    pub async fn waiting(&self) -> String {
        let there = self.of_attacker("/api/v1", "pods").await;
        let own = self.w.tenant.get(&format!("/api/v1/namespaces/{}/pods", self.w.namespace)).await.unwrap();
        let state = self.w.handle().states().borrow().get(&self.w.entry.id).cloned().expect("a state");
        let told = |name: &Value| state.problems.iter().any(|p| *name == p.name.as_str());
        let is_there = |name: &Value| there.iter().any(|p| p["metadata"]["name"] == *name);
        let names = own["items"].as_array().unwrap().iter().map(|p| p["metadata"]["name"].clone());
        let one = names.into_iter().find(|name| !is_there(name) && told(name)).expect("one that waits");
        one.as_str().unwrap().to_owned()
    }

    /// Objects on the host that carry the attacker's label.
    pub async fn of_attacker(&self, group: &str, plural: &str) -> Vec<Value> {
        let selector = format!("labelSelector={}%3D{}", labels::TENANT, self.w.entry.id);
        let list = self.w.host.get(&format!("{group}/{plural}?{selector}")).await.expect("a list");
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// All that is not the attacker's, once it rests.
    async fn settled(&self) -> [Picture; 2] {
        let mut last = self.picture().await;
        for _ in 0..20 {
            // Env maps follow Services after a second.
            tokio::time::sleep(Duration::from_millis(1600)).await;
            let now = self.picture().await;
            if now == last {
                return now;
            }
            last = now;
        }
        panic!("the neighbour does not rest");
    }

    async fn picture(&self) -> [Picture; 2] {
        let (own, home) = (prefix(&self.w.entry), self.w.entry.mapping().home().to_string());
        let is_own = |name: &Value| name.as_str().is_some_and(|n| n == home || n.starts_with(&own));
        let of_attacker = |object: &Value| {
            let meta = &object["metadata"];
            is_own(&meta["namespace"])
                || (meta.get("namespace").is_none() && is_own(&meta["name"]))
                // Addresses that its Services have.
                || is_own(&object["spec"]["parentRef"]["namespace"])
        };
        [picture(&self.w.host, of_attacker).await, picture(&self.b.tenant, |_| false).await]
    }

    /// After a patrol: nothing but the attacker's own has changed, on the host or with the neighbour.
    pub async fn unchanged(&self) {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let after = self.picture().await;
        for (side, (before, after)) in self.before.iter().zip(&after).enumerate() {
            let side = ["host", "neighbour"][side];
            for (key, text) in before {
                assert_eq!(after.get(key), Some(text), "{side}: {key} was changed");
            }
            let new: Vec<&String> = after.keys().filter(|key| !before.contains_key(*key)).collect();
            assert!(new.is_empty(), "{side}: {new:?} came up");
        }
    }

    /// What the test itself does to the host between pictures is not the attacker's.
    pub async fn again(&mut self) {
        self.before = self.settled().await;
    }

    /// The last look, and the end.
    pub async fn end(self) {
        self.unchanged().await;
        self.w.end().await;
    }
}

/// Every object of every kind that can be listed, but Events.
async fn picture(cluster: &Cluster, leave_out: impl Fn(&Value) -> bool) -> Picture {
    let groups = cluster.get("/apis").await.expect("groups");
    let mut versions = vec!["/api/v1".to_owned()];
    for group in groups["groups"].as_array().into_iter().flatten() {
        let version = group["preferredVersion"]["groupVersion"].as_str().expect("a version");
        versions.push(format!("/apis/{version}"));
    }
    let mut all = Picture::new();
    for version in versions {
        let resources = cluster.get(&version).await.unwrap_or_default();
        for resource in resources["resources"].as_array().into_iter().flatten() {
            let name = resource["name"].as_str().expect("a name");
            let is_listed = resource["verbs"].as_array().is_some_and(|v| v.contains(&json!("list")));
            if !is_listed || name.contains('/') || name == "events" {
                continue;
            }
            let Some(list) = cluster.get(&format!("{version}/{name}")).await else { continue };
            for object in list["items"].as_array().into_iter().flatten().filter(|o| !leave_out(o)) {
                let meta = &object["metadata"];
                all.insert(
                    format!("{version} {name} {} {}", meta["namespace"], meta["name"]),
                    object.to_string(),
                );
            }
        }
    }
    assert!(all.len() > 10, "a picture shows something");
    all
}
