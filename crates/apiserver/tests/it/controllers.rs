//! Controllers at work in one tenant.

use std::time::Duration;

use serde_json::{Value, json};
use skerry_apiserver::bus::Patch;
use skerry_apiserver::controllers;
use tokio_util::sync::CancellationToken;

use crate::support::{World, count, eventually};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const PODS: &str = "/api/v1/namespaces/default/pods";

/// Plays the kubelet: every pod is bound, runs and is ready.
async fn run_pods(w: &World) {
    for pod in w.get(PODS).await.unwrap()["items"].as_array().unwrap() {
        let name = pod["metadata"]["name"].as_str().unwrap();
        if pod["spec"]["nodeName"].is_null() {
            w.post(&format!("{PODS}/{name}/binding"), json!({"target": {"kind": "Node", "name": "n"}}))
                .await
                .unwrap();
        }
        let status = json!({"status": {"phase": "Running", "podIP": "10.1.0.1", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]}});
        w.api.patch(&format!("{PODS}/{name}/status"), Patch::Merge, &status).await.unwrap();
        if !pod["metadata"]["deletionTimestamp"].is_null() {
            w.api.delete(&format!("{PODS}/{name}"), &json!({"gracePeriodSeconds": 0})).await.unwrap();
        }
    }
}

fn deployment(image: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}}})
}

#[tokio::test]
async fn a_deployment_rolls_out_and_leaves_nothing() {
    // AS-48, AS-37
    let w = World::new().await;
    let stop = CancellationToken::new();
    let _running = controllers::start(&w.server, &stop);
    w.post(
        "/api/v1/namespaces/default/services",
        json!({"metadata": {"name": "web"}, "spec": {
        "selector": {"app": "web"}, "ports": [{"port": 80}]}}),
    )
    .await
    .unwrap();
    w.post(DEPLOYMENTS, deployment("a")).await.unwrap();
    eventually(&w, PODS, |l| count(l) == 2).await;
    run_pods(&w).await;
    let ready = |d: &Result<Value, u16>| d.as_ref().is_ok_and(|d| d["status"]["availableReplicas"] == 2);
    let done = eventually(&w, &format!("{DEPLOYMENTS}/web"), ready).await;
    assert_eq!(done["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dweb";
    eventually(&w, slices, |l| {
        l.as_ref().is_ok_and(|l| l["items"][0]["endpoints"].as_array().is_some_and(|e| e.len() == 2))
    })
    .await;
    // A new template is a new revision.
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "b"}]}}}});
    w.api.patch(&format!("{DEPLOYMENTS}/web"), Patch::Merge, &patch).await.unwrap();
    for _ in 0..200 {
        run_pods(&w).await;
        let now = w.get(&format!("{DEPLOYMENTS}/web")).await.unwrap();
        let status = &now["status"];
        let seen = status["observedGeneration"] == now["metadata"]["generation"];
        if seen
            && status["updatedReplicas"] == 2
            && status["replicas"] == 2
            && status["availableReplicas"] == 2
        {
            assert_eq!(now["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sets = w.get("/apis/apps/v1/namespaces/default/replicasets").await.unwrap();
    let sizes: Vec<_> =
        sets["items"].as_array().unwrap().iter().map(|s| s["spec"]["replicas"].clone()).collect();
    assert!(sizes.contains(&json!(0)) && sizes.contains(&json!(2)), "{sizes:?}");
    w.api.delete(&format!("{DEPLOYMENTS}/web"), &json!({"propagationPolicy": "Background"})).await.unwrap();
    for _ in 0..200 {
        run_pods(&w).await;
        if count(&w.get(PODS).await.map_err(|s| s.code)) == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eventually(&w, "/apis/apps/v1/namespaces/default/replicasets", |l| count(l) == 0).await;
    stop.cancel();
}

#[tokio::test]
async fn a_namespace_is_made_whole_and_emptied() {
    // AS-38
    let w = World::new().await;
    let stop = CancellationToken::new();
    let _running = controllers::start(&w.server, &stop);
    w.post("/api/v1/namespaces", json!({"metadata": {"name": "x"}})).await.unwrap();
    eventually(&w, "/api/v1/namespaces/x/serviceaccounts/default", Result::is_ok).await;
    w.api.delete("/api/v1/namespaces/x/serviceaccounts/default", &json!({})).await.unwrap();
    eventually(&w, "/api/v1/namespaces/x/serviceaccounts/default", Result::is_ok).await;
    let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/hold"]}});
    w.post("/api/v1/namespaces/x/configmaps", held).await.unwrap();
    w.api.delete("/api/v1/namespaces/x", &json!({})).await.unwrap();
    let refused =
        w.post("/api/v1/namespaces/x/configmaps", json!({"metadata": {"name": "late"}})).await.unwrap_err();
    assert_eq!((refused.code, refused.details.causes[0].reason), (403, "NamespaceTerminating"));
    let waiting = eventually(&w, "/api/v1/namespaces/x", |n| {
        n.as_ref().is_ok_and(|n| {
            n["status"]["conditions"].to_string().contains("example.com/hold in 1 resource instances")
        })
    })
    .await;
    assert_eq!(waiting["status"]["phase"], "Terminating");
    w.api
        .patch(
            "/api/v1/namespaces/x/configmaps/held",
            Patch::Merge,
            &json!({"metadata": {"finalizers": null}}),
        )
        .await
        .unwrap();
    eventually(&w, "/api/v1/namespaces/x", |n| *n == Err(404)).await;
    stop.cancel();
}

#[tokio::test]
async fn a_template_namespace_is_left_alone_until_its_label_goes() {
    // AS-50
    let w = World::new().await;
    let stop = CancellationToken::new();
    let _running = controllers::start(&w.server, &stop);
    let label = json!({"metadata": {"labels": {"skerry.dev/template": "true"}}});
    w.api.patch("/api/v1/namespaces/default", Patch::Merge, &label).await.unwrap();
    w.post(DEPLOYMENTS, deployment("a")).await.unwrap();
    let template =
        json!({"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let selector = json!({"matchLabels": {"app": "db"}});
    let set = json!({"metadata": {"name": "db"}, "spec": {"serviceName": "db", "selector": selector, "template": template}});
    w.post("/apis/apps/v1/namespaces/default/statefulsets", set).await.unwrap();
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    let job = json!({"metadata": {"name": "sum"}, "spec": {"template": template}});
    w.post("/apis/batch/v1/namespaces/default/jobs", job).await.unwrap();
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let refused = w.post(PODS, pod).await.unwrap_err();
    assert_eq!((refused.code, refused.details.causes[0].reason), (403, "TemplateNamespace"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    for children in ["replicasets", "controllerrevisions"] {
        let path = format!("/apis/apps/v1/namespaces/default/{children}");
        assert_eq!(count(&w.get(&path).await.map_err(|s| s.code)), 0, "{children}");
    }
    let unlabel = json!({"metadata": {"labels": {"skerry.dev/template": null}}});
    w.api.patch("/api/v1/namespaces/default", Patch::Merge, &unlabel).await.unwrap();
    eventually(&w, PODS, |l| count(l) == 4).await;
    let back = w.api.patch("/api/v1/namespaces/default", Patch::Merge, &label).await.unwrap_err();
    assert_eq!(back.code, 422, "{}", back.message);
    assert!(back.message.contains("namespace has 4 pods"), "{}", back.message);
    stop.cancel();
}
