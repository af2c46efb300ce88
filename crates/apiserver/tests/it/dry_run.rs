//! AS-36, V1: a dry run answers as the request would and leaves the store and the allocators as they are.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use serde_json::{Value, json};
use skerry_apiserver::bus::Patch;
use skerry_apiserver::model::catalog::Catalog;
use skerry_apiserver::tenant::TenantId;
use skerry_apiserver::tunnel::{GateError, HostAllocation, ServiceGate, ServiceIntent};

use crate::forms::{content, path_of};
use crate::support::{Reply, World};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SERVICES: &str = "/api/v1/namespaces/default/services";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// A host that nobody may ask.
struct Untouched;

#[async_trait]
impl ServiceGate for Untouched {
    async fn reserve(&self, _: TenantId, _: &ServiceIntent) -> Result<HostAllocation, GateError> {
        panic!("a dry run reserves nothing")
    }
    async fn update(&self, _: TenantId, _: &ServiceIntent) -> Result<HostAllocation, GateError> {
        panic!("a dry run changes nothing on a host")
    }
    async fn release(&self, _: TenantId, _: &str) -> Result<(), GateError> {
        panic!("a dry run has nothing to release")
    }
}

/// Every stored byte of a tenant, with its versions and what it serves.
fn everything(w: &World) -> Vec<String> {
    let snapshot = w.tenant.store.snapshot();
    let mut out = vec![format!("{} {:?}", snapshot.rv(), w.tenant.store.usage())];
    out.push(w.tenant.catalog().all().map(|row| row.gvk.to_string()).collect());
    for resource in snapshot.resources() {
        for (name, record) in snapshot.list(&resource, None, None) {
            out.push(format!("{resource} {name} {}", String::from_utf8_lossy(&record.json())));
        }
    }
    out
}

async fn send(w: &World, method: Method, path: &str, media: &str, body: &Value) -> Reply {
    let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    w.raw(method, path, media, bytes).await
}

fn dry(path: &str) -> String {
    format!("{path}{}dryRun=All&fieldManager=m", if path.contains('?') { '&' } else { '?' })
}

#[tokio::test]
async fn as36_every_verb_of_every_kind_leaves_the_store_alone() {
    let w = World::new().await;
    let json = "application/json";
    let (mut created, mut changed) = (0, 0);
    for row in Catalog::builtin().all().filter(|row| row.is_stored() && row.has_verb("create")) {
        let mut object = content(&row.gvk.kind);
        object["apiVersion"] = row.gvk.api_version().into();
        object["kind"] = (&*row.gvk.kind).into();
        object["metadata"] = json!({ "name": "same" });
        let collection = path_of(row);
        let one = format!("{collection}/same");
        let before = everything(&w);
        let made = send(&w, Method::POST, &dry(&collection), json, &object).await;
        let applied = send(&w, Method::PATCH, &dry(&one), APPLY, &object).await;
        if made.code == 201 {
            assert_eq!(applied.code, 201, "{} {}", row.gvk, applied.body["message"]);
        }
        send(&w, Method::PUT, &dry(&one), json, &object).await;
        assert_eq!(everything(&w), before, "{}", row.gvk);
        created += usize::from(made.code == 201);
        if made.code != 201 || send(&w, Method::POST, &collection, json, &object).await.code != 201 {
            continue;
        }
        let before = everything(&w);
        let label = json!({ "metadata": { "labels": { "dry": "run" } } });
        let now = w.get(&one).await.unwrap();
        let mut put = now.clone();
        put["metadata"]["labels"] = json!({ "dry": "run" });
        let mut apply = object.clone();
        apply["metadata"]["labels"] = json!({ "dry": "run" });
        for (method, path, media, body) in [
            (Method::PUT, &one, json, &put),
            (Method::PATCH, &one, MERGE, &label),
            (Method::PATCH, &one, "application/strategic-merge-patch+json", &label),
            (Method::PATCH, &format!("{one}?force=true"), APPLY, &apply),
        ] {
            let done = send(&w, method.clone(), &dry(path), media, body).await;
            assert_eq!(done.code, 200, "{method} {media} {} {}", row.gvk, done.body["message"]);
            assert_eq!(
                done.body["metadata"]["labels"]["dry"], "run",
                "the answer is what would be: {}",
                row.gvk
            );
            assert_eq!(done.body["metadata"]["resourceVersion"], now["metadata"]["resourceVersion"]);
            assert_eq!(everything(&w), before, "{method} {media} {}", row.gvk);
            changed += 1;
        }
        for sub in row.subresources.iter().filter(|sub| &*sub.name == "status") {
            let status = json!({ "status": { "conditions": [{ "type": "Dry", "status": "True", "reason": "Run",
                "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z" }] } });
            send(&w, Method::PATCH, &dry(&format!("{one}/{}", sub.name)), MERGE, &status).await;
            assert_eq!(everything(&w), before, "{}/{}", row.gvk, sub.name);
        }
        let in_body = json!({ "dryRun": ["All"], "propagationPolicy": "Foreground" });
        for (path, body) in [
            (dry(&one), Value::Null),
            (dry(&format!("{one}?propagationPolicy=Orphan")), Value::Null),
            (one.clone(), in_body.clone()),
            (dry(&collection), Value::Null),
            (collection.clone(), in_body.clone()),
        ] {
            let done = send(&w, Method::DELETE, &path, json, &body).await;
            assert!(matches!(done.code, 200 | 405), "{path} {}", done.body);
            assert_eq!(everything(&w), before, "DELETE {path}");
        }
    }
    assert!(created >= 30 && changed >= 100, "{created} {changed}");
}

#[tokio::test]
async fn as36_subresources_run_dry_too() {
    let w = World::new().await;
    let pods = "/api/v1/namespaces/default/pods";
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let held = json!({ "metadata": { "name": "held", "finalizers": ["example.com/hold"] } });
    w.post(pods, json!({ "metadata": { "name": "p" }, "spec": content("Pod")["spec"] })).await.unwrap();
    w.post(deployments, json!({ "metadata": { "name": "d" }, "spec": content("Deployment")["spec"] }))
        .await
        .unwrap();
    w.post(MAPS, held).await.unwrap();
    w.api.delete(&format!("{MAPS}/held"), &json!({})).await.unwrap();
    w.post("/api/v1/namespaces", json!({ "metadata": { "name": "x" } })).await.unwrap();
    let mut namespace = w.api.delete("/api/v1/namespaces/x", &json!({})).await.unwrap();
    namespace["spec"]["finalizers"] = json!([]);
    let before = everything(&w);
    let binding = json!({ "target": { "kind": "Node", "name": "n" } });
    let scale = json!({ "spec": { "replicas": 7 } });
    let freed = json!({ "metadata": { "finalizers": null } });
    let bind = json!({ "metadata": { "name": "p" }, "target": { "kind": "Node", "name": "n" } });
    for (method, path, media, body) in [
        (Method::POST, format!("{pods}/p/binding"), "application/json", &binding),
        (Method::POST, "/api/v1/namespaces/default/bindings".into(), "application/json", &bind),
        (Method::PATCH, format!("{deployments}/d/scale"), MERGE, &scale),
        (Method::PUT, format!("{deployments}/d/scale"), "application/json", &scale),
        (Method::PATCH, format!("{MAPS}/held"), MERGE, &freed),
        (Method::PUT, "/api/v1/namespaces/x/finalize".into(), "application/json", &namespace),
    ] {
        let done = send(&w, method.clone(), &dry(&path), media, body).await;
        assert!(done.code < 300, "{method} {path} {}", done.body);
        assert_eq!(everything(&w), before, "{method} {path}");
    }
    let zero = json!({ "gracePeriodSeconds": 0 });
    assert_eq!(
        send(&w, Method::DELETE, &dry(&format!("{pods}/p")), "application/json", &zero).await.code,
        200
    );
    assert_eq!(everything(&w), before);
}

#[tokio::test]
async fn as36_allocators_and_definitions_are_left_alone() {
    let w = World::new().await;
    let ports = json!([{ "port": 80 }]);
    w.post(SERVICES, json!({ "metadata": { "name": "s" }, "spec": { "ports": ports } })).await.unwrap();
    let external = json!({ "type": "ExternalName", "externalName": "example.com" });
    w.post(SERVICES, json!({ "metadata": { "name": "e" }, "spec": external })).await.unwrap();
    w.server.attach_service_gate(Arc::new(Untouched));
    let before = everything(&w);
    let node_port = json!({ "metadata": { "name": "n" }, "spec": { "ports": ports, "type": "NodePort" } });
    let made = send(&w, Method::POST, &dry(SERVICES), "application/json", &node_port).await;
    assert_eq!((made.code, &made.body["spec"]["clusterIP"]), (201, &Value::Null));
    let become_one = json!({ "spec": { "type": "ClusterIP", "ports": ports } });
    for (path, body) in [
        ("s", json!({ "spec": external })),
        ("e", become_one),
        ("s", json!({ "spec": { "type": "NodePort" } })),
    ] {
        let path = dry(&format!("{SERVICES}/{path}"));
        assert_eq!(send(&w, Method::PATCH, &path, MERGE, &body).await.code, 200, "{path}");
    }
    let gone = send(&w, Method::DELETE, &dry(&format!("{SERVICES}/s")), "", &Value::Null).await;
    assert_eq!(gone.code, 200);
    let crd = json!({ "metadata": { "name": "shoes.example.com" }, "spec": { "group": "example.com",
        "scope": "Namespaced", "names": { "plural": "shoes", "kind": "Shoe" }, "versions": [{ "name": "v1",
        "served": true, "storage": true, "schema": { "openAPIV3Schema": { "type": "object" } } }] } });
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    assert_eq!(send(&w, Method::POST, &dry(crds), "application/json", &crd).await.code, 201);
    assert_eq!(everything(&w), before);
    let names = send(
        &w,
        Method::POST,
        &dry(MAPS),
        "application/json",
        &json!({ "metadata": { "generateName": "g-" } }),
    )
    .await;
    assert!(names.body["metadata"]["name"].as_str().unwrap().len() > 2, "a name is shown");
    assert_eq!(everything(&w), before);
}

#[tokio::test]
async fn as36_expectations_are_checked_without_a_write() {
    let w = World::new().await;
    let made = w.post(MAPS, json!({ "metadata": { "name": "m" } })).await.unwrap();
    let one = format!("{MAPS}/m");
    w.api.patch(&one, Patch::Merge, &json!({ "data": { "k": "v" } })).await.unwrap();
    let before = everything(&w);
    let json = "application/json";
    let other = json!({ "preconditions": { "uid": "other" } });
    for (method, path, media, body, code) in [
        (Method::POST, MAPS, json, &json!({ "metadata": { "name": "m" } }), 409),
        (Method::PUT, &one, json, &made, 409),
        (Method::DELETE, &one, json, &other, 409),
        (Method::DELETE, &format!("{MAPS}/none"), json, &Value::Null, 404),
        (Method::PATCH, &format!("{MAPS}/none"), MERGE, &json!({}), 404),
        (Method::POST, MAPS, json, &json!({ "metadata": { "name": "N" } }), 422),
    ] {
        let refused = send(&w, method.clone(), &dry(path), media, body).await;
        assert_eq!(refused.code, code, "{method} {path} {}", refused.body);
    }
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let path = if method == Method::POST { MAPS } else { &one };
        let media = if method == Method::PATCH { MERGE } else { json };
        let body = json!({ "metadata": { "name": "m" } });
        let refused = send(&w, method.clone(), &format!("{path}?dryRun=Some"), media, &body).await;
        let cause = &refused.body["details"]["causes"][0];
        assert_eq!((refused.code, &cause["field"]), (422, &json!("dryRun")), "{method} {}", refused.body);
    }
    assert_eq!(everything(&w), before);
}
