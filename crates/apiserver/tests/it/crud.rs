//! Create, read, change, delete: the machinery under every kind.

use http::Method;
use serde_json::json;
use skerry_apiserver::bus::Patch;

use crate::support::World;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn an_object_lives_its_life() {
    let w = World::new().await;
    let made = w.post(MAPS, json!({"metadata": {"name": "a"}, "data": {"k": "v"}})).await.unwrap();
    assert_eq!(made["kind"], "ConfigMap");
    let rv = made["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    assert_eq!(
        w.post(MAPS, json!({"metadata": {"name": "a"}})).await.unwrap_err().message,
        "configmaps \"a\" already exists"
    );
    let path = format!("{MAPS}/a");
    // AS-33: a write that changes nothing is none.
    let same = w.api.update(&path, &made).await.unwrap();
    assert_eq!(same["metadata"]["resourceVersion"], rv.as_str());
    let changed = w.api.patch(&path, Patch::Merge, &json!({"data": {"k": "w"}})).await.unwrap();
    assert_ne!(changed["metadata"]["resourceVersion"], rv.as_str());
    let stale = w.api.update(&path, &made).await.unwrap_err();
    assert_eq!((stale.code, stale.message.contains("the object has been modified")), (409, true));
    let list = w.get(MAPS).await.unwrap();
    assert_eq!((list["kind"].as_str(), list["items"].as_array().unwrap().len()), (Some("ConfigMapList"), 2));
    let gone = w.api.delete(&path, &json!({"kind": "DeleteOptions", "apiVersion": "v1"})).await.unwrap();
    assert_eq!(gone["status"], "Success");
    assert_eq!(w.get(&path).await.unwrap_err().code, 404);
}

#[tokio::test]
async fn a_deployment_gets_its_defaults_and_keeps_its_selector() {
    let w = World::new().await;
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}}});
    let made = w.post(path, body.clone()).await.unwrap();
    assert_eq!(made["spec"]["replicas"], 1);
    assert_eq!(made["spec"]["strategy"]["rollingUpdate"]["maxSurge"], "25%");
    assert_eq!(made["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
    assert_eq!(made["metadata"]["generation"], 1);
    let scaled = w
        .api
        .patch(&format!("{path}/web/scale"), Patch::Merge, &json!({"spec": {"replicas": 3}}))
        .await
        .unwrap();
    assert_eq!(scaled["spec"]["replicas"], 3);
    let now = w.get(&format!("{path}/web")).await.unwrap();
    assert_eq!(now["metadata"]["generation"], 2);
    let bad = w
        .api
        .patch(
            &format!("{path}/web"),
            Patch::Merge,
            &json!({"spec": {"selector": {"matchLabels": {"app": "x"}}}}),
        )
        .await
        .unwrap_err();
    assert_eq!(bad.code, 422, "{}", bad.message);
    // V2: strict field validation.
    let mut typo = body;
    typo["metadata"]["name"] = "b".into();
    typo["spec"]["replica"] = 1.into();
    let strict = w.post(&format!("{path}?fieldValidation=Strict"), typo).await.unwrap_err();
    assert!(
        strict.message.contains("strict decoding error: unknown field \"spec.replica\""),
        "{}",
        strict.message
    );
}

#[tokio::test]
async fn server_side_apply_creates_and_owns() {
    let w = World::new().await;
    let path = format!("{MAPS}/s?fieldManager=one");
    let body = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"a": "1", "b": "2"}});
    let made = w.api.send(Method::PATCH, &path, "application/apply-patch+yaml", Some(&body)).await.unwrap();
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "one");
    let less =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"a": "1"}});
    let now = w.api.send(Method::PATCH, &path, "application/apply-patch+yaml", Some(&less)).await.unwrap();
    assert_eq!(now["data"], json!({"a": "1"}));
    let other =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"a": "x"}});
    let path = format!("{MAPS}/s?fieldManager=two");
    let conflict =
        w.api.send(Method::PATCH, &path, "application/apply-patch+yaml", Some(&other)).await.unwrap_err();
    assert_eq!(conflict.code, 409, "{}", conflict.message);
}

#[tokio::test]
async fn a_service_has_its_address_in_the_first_read() {
    let w = World::new().await;
    let path = "/api/v1/namespaces/default/services";
    let made =
        w.post(path, json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})).await.unwrap();
    let ip = made["spec"]["clusterIP"].as_str().unwrap();
    assert!(ip.starts_with("10."), "{ip}");
    let addresses = "/apis/networking.k8s.io/v1/ipaddresses";
    let held = format!("{addresses}/{ip}");
    assert_eq!(w.get(&held).await.unwrap()["metadata"]["name"], ip);
    w.api.delete(&format!("{path}/s"), &json!({})).await.unwrap();
    assert_eq!(w.get(&held).await.unwrap_err().code, 404);
}

#[tokio::test]
async fn a_definition_is_served_once_established() {
    let w = World::new().await;
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "shoes.example.com"}, "spec": {"group": "example.com", "scope": "Namespaced",
        "names": {"plural": "shoes", "kind": "Shoe"}, "versions": [{"name": "v1", "served": true, "storage": true,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "size": {"type": "integer", "default": 42}}}, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}]}});
    let made = w.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd).await.unwrap();
    let conditions = made["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True"), "{conditions:?}");
    let shoe = json!({"apiVersion": "example.com/v1", "kind": "Shoe", "metadata": {"name": "a"}, "spec": {"colour": "red"}});
    let made = w.post("/apis/example.com/v1/namespaces/default/shoes", shoe).await.unwrap();
    assert_eq!(made["spec"], json!({"size": 42}));
}

#[tokio::test]
async fn pages_hold_one_version() {
    // AS-29
    let w = World::new().await;
    for i in 0..25 {
        w.post(MAPS, json!({"metadata": {"name": format!("m{i:02}")}})).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut token = String::new();
    let mut rv = String::new();
    loop {
        let page = w.get(&format!("{MAPS}?limit=10&continue={token}")).await.unwrap();
        w.post(MAPS, json!({"metadata": {"generateName": "m"}})).await.unwrap();
        let at = page["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
        assert!(rv.is_empty() || rv == at, "{rv} {at}");
        rv = at;
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|i| i["metadata"]["name"].as_str().unwrap().to_owned()),
        );
        token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.iter().filter(|name| name.starts_with('m')).count(), 25);
}

#[tokio::test]
async fn a_pod_is_bound_and_deleted_with_grace() {
    let w = World::new().await;
    let pods = "/api/v1/namespaces/default/pods";
    let made = w
        .post(pods, json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}))
        .await
        .unwrap();
    assert_eq!(made["status"]["phase"], "Pending");
    assert!(made["spec"]["volumes"][0]["projected"].is_object());
    w.post(&format!("{pods}/p/binding"), json!({"target": {"kind": "Node", "name": "n1"}})).await.unwrap();
    let bound = w.get(&format!("{pods}/p")).await.unwrap();
    assert_eq!(bound["spec"]["nodeName"], "n1");
    let status = json!({"status": {"phase": "Running"}});
    w.api.patch(&format!("{pods}/p/status"), Patch::Merge, &status).await.unwrap();
    let ending = w.api.delete(&format!("{pods}/p"), &json!({})).await.unwrap();
    assert_eq!(ending["metadata"]["deletionGracePeriodSeconds"], 30);
    w.api.delete(&format!("{pods}/p"), &json!({"gracePeriodSeconds": 0})).await.unwrap();
    assert_eq!(w.get(&format!("{pods}/p")).await.unwrap_err().code, 404);
}

/// U1: a generated name is there before the server fills in what holds it.
#[tokio::test]
async fn a_generated_name_is_in_what_is_made_of_it() {
    let w = World::new().await;
    let made = w.post("/api/v1/namespaces", json!({"metadata": {"generateName": "team-"}})).await.unwrap();
    let name = made["metadata"]["name"].as_str().unwrap();
    assert!(name.len() == 10 && name.starts_with("team-"), "{name}");
    assert_eq!(made["metadata"]["labels"]["kubernetes.io/metadata.name"], name);
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    let job = json!({"metadata": {"generateName": "run-"}, "spec": {"template": template}});
    let made = w.post("/apis/batch/v1/namespaces/default/jobs", job).await.unwrap();
    let labels = &made["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["batch.kubernetes.io/job-name"], made["metadata"]["name"]);
}
