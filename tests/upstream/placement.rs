//! Placement with kubectl alone: the upstream forms of cases 1, 59, 65, 70 and 14 (placement 97).

use std::time::Duration;

use serde_json::{Value, json};

use crate::kubectl::Kubectl;
use crate::world::eventually;

const LIMIT: Duration = Duration::from_secs(60);

/// A hub, a namespace of it, and members that its Placements see: profile, kubectl, target namespace.
pub struct Fleet<'a> {
    pub hub: &'a Kubectl,
    pub namespace: &'a str,
    pub members: Vec<(&'a str, &'a Kubectl, &'a str)>,
}

impl Fleet<'_> {
    fn on_hub(&self, args: &[&str]) -> Value {
        let mut all = args.to_vec();
        all.extend(["-n", self.namespace]);
        self.hub.json(&all)
    }

    fn place(&self, spec: Value) {
        let object = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "Placement",
            "metadata": {"name": "shop", "namespace": self.namespace}, "spec": spec});
        self.hub.apply(&object.to_string(), &[]);
    }

    /// A condition of the Placement, once it has the wanted status at this generation.
    fn says(&self, ty: &str, status: &str) -> String {
        eventually(&format!("{ty}={status}"), LIMIT, || {
            let placement = self.on_hub(&["get", "placement", "shop"]);
            let list = placement["status"]["conditions"].as_array()?.clone();
            let found = list.into_iter().find(|c| c["type"] == ty)?;
            let fits = found["status"] == status
                && found["observedGeneration"] == placement["metadata"]["generation"];
            fits.then(|| found["reason"].as_str().unwrap_or_default().to_owned())
        })
    }

    fn value(&self, member: usize, name: &str) -> Option<Value> {
        let (_, kubectl, namespace) = &self.members[member];
        let out = kubectl.run(&["get", "configmap", name, "-n", namespace, "-o", "json"]);
        out.status
            .success()
            .then(|| serde_json::from_slice::<Value>(&out.stdout).expect("JSON")["data"]["k"].clone())
    }

    /// Every member holds this value, or none at all.
    fn everywhere(&self, name: &str, wanted: Option<&str>) {
        for member in 0..self.members.len() {
            let place = self.members[member].0;
            eventually(&format!("{name} on {place} is {wanted:?}"), LIMIT, || {
                (self.value(member, name) == wanted.map(Value::from)).then_some(())
            });
        }
    }

    fn config(&self, name: &str, value: &str) {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": self.namespace, "labels": {"app": "shop"}}, "data": {"k": value}});
        self.hub.apply(&object.to_string(), &[]);
    }
}

/// ConfigMaps of the namespace go to all members, follow their source, are repaired, and end with the Placement; an
/// inline Deployment and Service go with them.
pub fn carried(fleet: &Fleet<'_>) {
    fleet.config("settings", "1");
    let (_, first, target) = fleet.members[0];
    if first.run(&["get", "namespace", target]).status.success() {
        first.run(&["delete", "configmap", "settings", "-n", target, "--ignore-not-found"]);
    }
    let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "shop"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "shop"}}, "template": {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "web", "image": "nginx:1.27", "resources": {"requests": {"cpu": "10m"}}}]}}}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "shop"},
        "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]}});
    let names: Vec<&str> = fleet.members.iter().map(|m| m.0).collect();
    let spec = json!({
        "workload": {
            "select": [{"group": "", "kind": "ConfigMap", "labelSelector": {"matchLabels": {"app": "shop"}}}],
            "manifests": [web, service],
        },
        "members": {"groups": [{"name": "these", "any": [{"names": names}]}]},
    });
    fleet.place(spec.clone());
    assert_eq!(fleet.says("Accepted", "True"), "Accepted");
    fleet.says("Applied", "True");
    fleet.says("Available", "True");
    fleet.everywhere("settings", Some("1"));
    let decided = fleet.on_hub(&["get", "placementdecisions"]);
    let decided = decided["items"][0]["decisions"].as_array().expect("decisions").len();
    assert_eq!(decided, fleet.members.len(), "placement 1: every member");

    // Placement 59: copies follow their source; a new object comes, an unselected one goes.
    fleet.config("settings", "2");
    fleet.config("more", "1");
    fleet.everywhere("settings", Some("2"));
    fleet.everywhere("more", Some("1"));
    fleet.hub.ok(&["label", "configmap", "more", "app-", "-n", fleet.namespace]);
    fleet.everywhere("more", None);

    // Placement 70: what somebody changes on a member is put right.
    for (_, kubectl, namespace) in &fleet.members {
        let patch = r#"{"data": {"k": "theirs"}}"#;
        kubectl.ok(&["patch", "configmap", "settings", "-n", namespace, "--type=merge", "-p", patch]);
    }
    fleet.everywhere("settings", Some("2"));

    // Placement 65: an object that was there first and differs is not taken.
    let (_, kubectl, namespace) = fleet.members[0];
    kubectl.ok(&["create", "configmap", "first", "-n", namespace, "--from-literal=k=theirs"]);
    fleet.config("first", "ours");
    fleet.says("Applied", "False");
    assert_eq!(fleet.value(0, "first"), Some("theirs".into()));
    fleet.hub.ok(&["delete", "configmap", "first", "-n", fleet.namespace]);
    fleet.says("Applied", "True");
    kubectl.ok(&["delete", "configmap", "first", "-n", namespace]);

    // A bad spec changes nothing; the last accepted one stays in force (placement 93).
    let mut bad = spec;
    bad["select"] = json!({"mode": "Count", "count": "half"});
    let object = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "Placement",
        "metadata": {"name": "shop", "namespace": fleet.namespace}, "spec": bad});
    let out = fleet.hub.feed(&["apply", "-f", "-"], &object.to_string());
    if out.status.success() {
        assert_eq!(fleet.says("Accepted", "False"), "Invalid");
    }
    fleet.everywhere("settings", Some("2"));

    fleet.hub.ok(&["delete", "placement", "shop", "-n", fleet.namespace, "--timeout=60s"]);
    fleet.everywhere("settings", None);
    for (_, kubectl, namespace) in &fleet.members {
        eventually("Deployment and Service go with the Placement", LIMIT, || {
            let out = kubectl.run(&["get", "deployment/shop", "service/shop", "-n", namespace]);
            (!out.status.success()).then_some(())
        });
    }
    fleet.hub.ok(&["delete", "configmap", "settings", "more", "-n", fleet.namespace]);
}
