//! AS-46, Z3: keys and objects of the platform are written by the system alone, whatever a tenant's RBAC says.

use http::Method;
use serde_json::{Value, json};
use skerry_apiserver::bus::Local;
use skerry_apiserver::controllers;
use skerry_apiserver::identity::Identity;
use skerry_apiserver::model::status::ApiStatus;
use tokio_util::sync::CancellationToken;

use crate::support::World;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PROPERTIES: &str = "/apis/about.k8s.io/v1beta1/clusterproperties";
const KEYS: [&str; 3] = ["skerry.dev/state-h2", "skerry.dev/status-h2", "skerry.dev/deleting-h2"];
const PATCHES: [&str; 2] = ["application/merge-patch+json", "application/strategic-merge-patch+json"];

/// A tenant's own: its admin, and what calls itself a controller of its kube-system.
fn callers(w: &World) -> Vec<Local> {
    ["jane", "system:serviceaccount:kube-system:deployment-controller"]
        .map(|user| Identity::user(user, ["system:masters".to_owned()]))
        .map(|who| Local::new(w.server.clone(), w.tenant.clone(), who, "test"))
        .into()
}

fn assert_kept(answer: Result<Value, ApiStatus>, what: &str, about: &str) {
    let refused = answer.expect_err(about);
    assert_eq!(refused.code, 403, "{about}: {}", refused.message);
    assert!(
        refused.message.ends_with(&format!("{what} is written by the platform alone")),
        "{}",
        refused.message
    );
}

fn map(name: &str, field: &str, value: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, (field): value } })
}

#[tokio::test]
async fn as46_the_platforms_keys_are_not_a_tenants() {
    let w = World::new().await;
    let one = format!("{MAPS}/kept");
    let apply = format!("{one}?fieldManager=m&force=true");
    for field in ["labels", "annotations"] {
        for key in KEYS {
            w.post(MAPS, map("kept", field, &json!({ (key): "own" }))).await.unwrap();
            let before = w.get(&one).await.unwrap();
            for api in callers(&w) {
                let about = format!("{field} {key}");
                let keep = |answer| assert_kept(answer, key, &about);
                keep(api.create(MAPS, &map("new", field, &json!({ (key): "x" }))).await);
                let dry = format!("{MAPS}?dryRun=All");
                keep(api.create(&dry, &map("new", field, &json!({ (key): "x" }))).await);
                let new = format!("{MAPS}/new?fieldManager=m");
                let made = map("new", field, &json!({ (key): "x" }));
                keep(api.send(Method::PATCH, &new, "application/apply-patch+yaml", Some(&made)).await);
                // Changed, taken away, and one more of the kind.
                for value in
                    [json!({ (key): "x" }), json!({}), json!({ (key): "own", (format!("{key}x")): "x" })]
                {
                    let mut put = before.clone();
                    put["metadata"][field] = value.clone();
                    let kept = if value.as_object().unwrap().len() == 2 {
                        format!("{key}x")
                    } else {
                        key.to_owned()
                    };
                    assert_kept(api.update(&one, &put).await, &kept, &about);
                }
                for media in PATCHES {
                    for value in [json!("x"), Value::Null] {
                        let patch = json!({ "metadata": { (field): { (key): value } } });
                        keep(api.send(Method::PATCH, &one, media, Some(&patch)).await);
                    }
                }
                let pointer = format!("/metadata/{field}/{}", key.replace('/', "~1"));
                let patch = json!([{ "op": "remove", "path": pointer }]);
                keep(api.send(Method::PATCH, &one, "application/json-patch+json", Some(&patch)).await);
                let body = map("kept", field, &json!({ (key): "x" }));
                keep(api.send(Method::PATCH, &apply, "application/apply-patch+yaml", Some(&body)).await);
                // Everything else about the object is the tenant's: its data, its other keys, its end.
                let mut put = before.clone();
                put["metadata"][field]["skerry.dev/other"] = "mine".into();
                assert!(api.update(&format!("{one}?dryRun=All"), &put).await.is_ok());
            }
            let now = w.get(&one).await.unwrap();
            assert_eq!(now["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
            callers(&w)[0].delete(&one, &json!({})).await.unwrap();
        }
    }
    // On a namespace, where the placement writes them, and by the system.
    let label = json!({ "metadata": { "labels": { "skerry.dev/state-h2": "Sync" } } });
    let patch = |api: &Local| {
        let (api, label) = (api.clone(), label.clone());
        async move { api.send(Method::PATCH, "/api/v1/namespaces/default", PATCHES[0], Some(&label)).await }
    };
    for api in callers(&w) {
        assert_kept(patch(&api).await, "skerry.dev/state-h2", "a namespace");
    }
    assert!(patch(&w.api).await.is_ok());
}

#[tokio::test]
async fn as46_the_cluster_properties_are_the_platforms() {
    let w = World::new().await;
    let property = |name: &str, value: &str| {
        json!({ "apiVersion": "about.k8s.io/v1beta1", "kind": "ClusterProperty", "metadata": { "name": name },
            "spec": { "value": value } })
    };
    for name in ["cluster.clusterset.k8s.io", "clusterset.k8s.io"] {
        let one = format!("{PROPERTIES}/{name}");
        for api in callers(&w) {
            assert_kept(api.create(PROPERTIES, &property(name, "x")).await, name, "create");
        }
        let made = w.post(PROPERTIES, property(name, "own")).await.unwrap();
        for api in callers(&w) {
            let keep = |answer| assert_kept(answer, name, name);
            let mut put = made.clone();
            put["spec"]["value"] = "x".into();
            keep(api.update(&one, &put).await);
            let patch = json!({ "spec": { "value": "x" } });
            keep(api.send(Method::PATCH, &one, PATCHES[0], Some(&patch)).await);
            let apply = format!("{one}?fieldManager=m&force=true");
            keep(
                api.send(Method::PATCH, &apply, "application/apply-patch+yaml", Some(&property(name, "x")))
                    .await,
            );
            keep(api.delete(&one, &json!({})).await);
            keep(api.send(Method::DELETE, PROPERTIES, "", None).await);
        }
        assert_eq!(w.get(&one).await.unwrap(), made);
        w.api.delete(&one, &json!({})).await.unwrap();
    }
    for api in callers(&w) {
        api.create(PROPERTIES, &property("size.example.com", "3")).await.unwrap();
        api.delete(&format!("{PROPERTIES}/size.example.com"), &json!({})).await.unwrap();
    }
}

/// A template is no way around: its controllers write in nobody's name but the tenant's.
#[tokio::test]
async fn as46_templates_carry_no_key_of_the_platform() {
    let w = World::new().await;
    let stop = CancellationToken::new();
    let _running = controllers::start(&w.server, &stop);
    let sets = "/apis/apps/v1/namespaces/default/replicasets";
    let pods = "/api/v1/namespaces/default/pods";
    let set = |name: &str, annotations: Value| {
        let template = json!({ "metadata": { "labels": { "app": name }, "annotations": annotations },
            "spec": { "containers": [{ "name": "c", "image": "i" }] } });
        json!({ "metadata": { "name": name }, "spec": { "selector": { "matchLabels": { "app": name } },
            "template": template } })
    };
    w.post(sets, set("forged", json!({ "skerry.dev/deleting-h2": "now" }))).await.unwrap();
    w.post(sets, set("plain", json!({ "example.com/own": "yes" }))).await.unwrap();
    // A Deployment that the system has marked still rolls out; its mark stays where it was put.
    let mut deployment = set("web", json!({}));
    deployment["metadata"]["annotations"] = json!({ "skerry.dev/status-h2": "{}", "example.com/own": "yes" });
    w.post("/apis/apps/v1/namespaces/default/deployments", deployment).await.unwrap();
    let count = async |app: &str| {
        let list = w.get(&format!("{pods}?labelSelector=app%3D{app}")).await.unwrap();
        list["items"].as_array().unwrap().len()
    };
    for _ in 0..500 {
        if count("plain").await == 1 && count("web").await == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!((count("plain").await, count("web").await, count("forged").await), (1, 1, 0));
    let of_web = w.get(&format!("{sets}?labelSelector=app%3Dweb")).await.unwrap();
    let annotations = &of_web["items"][0]["metadata"]["annotations"];
    assert_eq!(annotations["example.com/own"], "yes");
    assert_eq!(annotations["skerry.dev/status-h2"], Value::Null);
    stop.cancel();
}
