//! What is carried, from a hub namespace and from a template namespace of a tenant (W1, W3).

use http::Method;
use kube::Client;
use serde_json::{Value, json};
use skerry::placement::raw::{self, text};

use crate::fleet::*;

/// Where the templates are.
struct Source {
    client: Client,
    namespace: &'static str,
    workload: Value,
}

impl Source {
    /// The Placement's own namespace on the hub, made a template.
    async fn hub(f: &Fleet) -> Self {
        let client = f.hub.clone();
        let template = json!({"metadata": {"labels": {"skerry.dev/template": "true"}}});
        merge(&client, "/api/v1/namespaces/team-a", template).await;
        Self { client, namespace: "team-a", workload: json!({}) }
    }

    /// A template namespace of the virtual cluster `forge`, which is the second member.
    async fn tenant(f: &Fleet) -> Self {
        let client = f.member(1).clone();
        let labels = json!({"skerry.dev/template": "true"});
        post(&client, "/api/v1/namespaces", json!({"metadata": {"name": "charts", "labels": labels}})).await;
        let clusters = format!("{HOME}/virtualclusters");
        let forge = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "VirtualCluster",
                           "metadata": {"name": "forge"}, "spec": {}});
        post(&f.hub, &clusters, forge).await;
        let id = skerry_api::ids::tenant_id("member-1");
        merge(&f.hub, &format!("{clusters}/forge/status"), json!({"status": {"id": id}})).await;
        let workload = json!({"source": {"virtualCluster": "forge", "namespace": "charts"}});
        Self { client, namespace: "charts", workload }
    }

    fn path(&self, kind: &str, name: &str) -> String {
        let root = match kind {
            "deployments" => "/apis/apps/v1",
            "looses" => "/apis/example.com/v1",
            _ => "/api/v1",
        };
        let path = format!("{root}/namespaces/{}/{kind}", self.namespace);
        if name.is_empty() { path } else { format!("{path}/{name}") }
    }

    async fn add(&self, kind: &str, name: &str, labels: Value, body: Value) {
        let mut object = json!({"metadata": {"name": name, "labels": labels}});
        if let (Some(object), Some(body)) = (object.as_object_mut(), body.as_object()) {
            object.extend(body.clone());
        }
        post(&self.client, &self.path(kind, ""), object).await;
    }

    async fn edit(&self, kind: &str, name: &str, patch: Value) {
        merge(&self.client, &self.path(kind, name), patch).await;
    }

    async fn delete(&self, kind: &str, name: &str) {
        let path = self.path(kind, name);
        let there = get(&self.client, &path).await.expect("there");
        raw::delete(&self.client, &path, text(&there, &["metadata", "uid"])).await.expect("deleted");
    }

    /// The copy on the first member.
    async fn copy(&self, f: &Fleet, kind: &str, name: &str) -> Option<Value> {
        get(f.member(0), &self.path(kind, name)).await
    }

    /// Which of these have a copy.
    async fn copies(&self, f: &Fleet) -> Vec<&'static str> {
        let mut out = Vec::new();
        for (kind, name) in [
            ("configmaps", "a"),
            ("configmaps", "b"),
            ("services", "s1"),
            ("services", "s2"),
            ("deployments", "web"),
            ("deployments", "other"),
            ("looses", "l"),
        ] {
            if self.copy(f, kind, name).await.is_some() {
                out.push(name);
            }
        }
        out
    }
}

fn deployment() -> Value {
    json!({"spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}}})
}

fn service() -> Value {
    json!({"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
}

async fn revision(f: &Fleet) -> String {
    text(&f.placement().await, &["status", "revision", "target"]).to_owned()
}

/// Placement 59: by name, label and kind; selection gained and lost; edited, added, removed; a new kind; copies
/// follow, and their order is the same each time.
async fn copies_follow(mut f: Fleet, source: Source) {
    let web = json!({"app": "web"});
    source.add("services", "s1", json!({}), service()).await;
    source.add("deployments", "web", json!({}), deployment()).await;
    source.add("deployments", "other", json!({}), deployment()).await;
    source.add("configmaps", "b", json!({}), json!({"data": {"k": "b"}})).await;
    source.add("configmaps", "a", web.clone(), json!({"data": {"k": "a"}})).await;
    let by_kind = json!({"group": "", "kind": "Service"});
    let by_name = json!({"group": "apps", "kind": "Deployment", "name": "web"});
    let by_label = json!({"group": "", "kind": "ConfigMap", "labelSelector": {"matchLabels": web}});
    let mut spec = json!({"workload": source.workload, "select": {"names": ["skerry.team-a.m0"]}});
    spec["workload"]["select"] = json!([by_name, by_kind, by_label]);
    spec["workload"]["needs"] = json!({"mode": "None"});
    f.place(spec).await;
    f.settle().await;
    assert_eq!(source.copies(&f).await, ["a", "s1", "web"], "{}", f.placement().await["status"]);
    let mut sent = f.wire(0).sent(&Method::PATCH);
    sent.retain(|path| !path.starts_with("/api/v1/namespaces/") || path.matches('/').count() > 4);
    let order =
        [source.path("configmaps", "a"), source.path("services", "s1"), source.path("deployments", "web")];
    assert_eq!(sent, order, "in order of wave, group, kind and name");

    let first = revision(&f).await;
    source.delete("configmaps", "a").await;
    source.add("configmaps", "a", web.clone(), json!({"data": {"k": "a"}})).await;
    f.settle().await;
    assert_eq!(revision(&f).await, first, "the same objects are the same revision, whoever came first");

    source.edit("configmaps", "b", json!({"metadata": {"labels": web}})).await;
    source.edit("configmaps", "a", json!({"metadata": {"labels": null}})).await;
    f.settle().await;
    assert_eq!(source.copies(&f).await, ["b", "s1", "web"], "one gained selection, one lost it");

    source.edit("configmaps", "b", json!({"data": {"k": "edited"}})).await;
    let containers = json!([{"name": "web", "image": "web:2"}]);
    source
        .edit("deployments", "web", json!({"spec": {"template": {"spec": {"containers": containers}}}}))
        .await;
    source.add("services", "s2", json!({}), service()).await;
    source.delete("services", "s1").await;
    f.settle().await;
    assert_eq!(source.copies(&f).await, ["b", "s2", "web"], "one added, one removed");
    let copy = source.copy(&f, "configmaps", "b").await.expect("there");
    assert_eq!(text(&copy, &["data", "k"]), "edited");
    let copy = source.copy(&f, "deployments", "web").await.expect("there");
    assert_eq!(copy["spec"]["template"]["spec"]["containers"][0]["image"], "web:2");

    let loose = json!({"group": "example.com", "kind": "Loose"});
    f.edit(json!({"workload": {"select": [by_kind, by_name, by_label, loose]}})).await;
    f.settle().await;
    let (accepted, _, message) = f.condition("Accepted").await;
    assert!(accepted == "False" && message.contains("spec.workload.select[3]"), "{message}");
    assert_eq!(source.copies(&f).await, ["b", "s2", "web"], "what was accepted stays");
    for client in [&source.client, f.member(0)] {
        post(client, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", loose_kind()).await;
        until(client, "/apis/example.com/v1/looses").await;
    }
    let body = json!({"apiVersion": "example.com/v1", "kind": "Loose", "spec": {"a": 1}});
    source.add("looses", "l", json!({}), body).await;
    f.settle().await;
    assert_eq!(source.copies(&f).await, ["b", "s2", "web", "l"]);

    f.wire(0).forget();
    f.settle().await;
    assert_eq!(f.wire(0).sent(&Method::PATCH), Vec::<String>::new(), "nothing changed, nothing sent");
    f.unplace().await;
    assert_eq!(source.copies(&f).await, Vec::<&str>::new());
    f.end().await;
}

/// Placement 59 on a namespace of the hub.
#[tokio::test(flavor = "multi_thread")]
async fn placement_59_objects_of_the_hub() {
    let f = Fleet::new(1).await;
    let source = Source::hub(&f).await;
    copies_follow(f, source).await;
}

/// Placement 59 on a template namespace of a tenant.
#[tokio::test(flavor = "multi_thread")]
async fn placement_59_objects_of_a_tenant() {
    let f = Fleet::new(2).await;
    let source = Source::tenant(&f).await;
    copies_follow(f, source).await;
}
