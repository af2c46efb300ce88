//! AS-48: what controllers tell of their work; Q11: Events end.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use skerry_apiserver::bus::{Local, Patch};
use skerry_apiserver::controllers::core::event::Events;
use skerry_apiserver::controllers::{self, Controller as _, Ctx, Next, View};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::store::NsName;
use tokio_util::sync::CancellationToken;

use crate::support::World;

const EVENTS: &str = "/api/v1/namespaces/default/events";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const SETS: &str = "/apis/apps/v1/namespaces/default/replicasets";

async fn items(w: &World, path: &str) -> Vec<Value> {
    w.get(path).await.unwrap()["items"].as_array().unwrap().clone()
}

/// Looks until there are `count` Events of a reason.
async fn events(w: &World, reason: &str, count: usize) -> Vec<Value> {
    let mut found = Vec::new();
    for _ in 0..500 {
        found = items(w, &format!("{EVENTS}?fieldSelector=reason%3D{reason}")).await;
        if found.len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(found.len(), count, "{reason}: {found:?}");
    found
}

fn workload(name: &str, replicas: u32, account: &str) -> Value {
    json!({ "metadata": { "name": name }, "spec": { "replicas": replicas,
        "selector": { "matchLabels": { "app": name } },
        "template": { "metadata": { "labels": { "app": name } },
            "spec": { "containers": [{ "name": "c", "image": "i" }], "serviceAccountName": account } } } })
}

fn assert_about(event: &Value, object: &Value, component: &str) {
    let about = &event["involvedObject"];
    for field in ["name", "namespace", "uid"] {
        assert_eq!(about[field], object["metadata"][field], "{event}");
    }
    assert_eq!((&about["kind"], &about["apiVersion"]), (&object["kind"], &object["apiVersion"]));
    assert_eq!(
        (&event["source"]["component"], &event["reportingComponent"]),
        (&json!(component), &json!(component))
    );
}

#[tokio::test]
async fn as48_scaling_is_told() {
    let w = World::new().await;
    let stop = CancellationToken::new();
    let _running = controllers::start(&w.server, &stop);
    w.post(DEPLOYMENTS, workload("web", 2, "default")).await.unwrap();
    let deployment = w.get(&format!("{DEPLOYMENTS}/web")).await.unwrap();
    let scaled = events(&w, "ScalingReplicaSet", 1).await;
    let made = events(&w, "SuccessfulCreate", 2).await;
    let set = items(&w, SETS).await.remove(0);
    let (mut deployment, mut set) = (deployment, set);
    for (object, kind) in [(&mut deployment, "Deployment"), (&mut set, "ReplicaSet")] {
        object["kind"] = kind.into();
        object["apiVersion"] = "apps/v1".into();
    }
    let name = set["metadata"]["name"].as_str().unwrap().to_owned();
    assert_eq!(scaled[0]["message"], format!("Scaled up replica set {name} from 0 to 2"));
    assert_eq!((&scaled[0]["type"], &scaled[0]["count"]), (&json!("Normal"), &json!(1)));
    assert_about(&scaled[0], &deployment, "deployment-controller");
    let pods: BTreeSet<String> = items(&w, "/api/v1/namespaces/default/pods")
        .await
        .iter()
        .map(|pod| format!("Created pod: {}", pod["metadata"]["name"].as_str().unwrap()))
        .collect();
    let told: BTreeSet<String> = made.iter().map(|e| e["message"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told, pods);
    assert_about(&made[0], &set, "replicaset-controller");

    w.api
        .patch(&format!("{DEPLOYMENTS}/web"), Patch::Merge, &json!({ "spec": { "replicas": 1 } }))
        .await
        .unwrap();
    let gone = events(&w, "SuccessfulDelete", 1).await;
    let message = gone[0]["message"].as_str().unwrap();
    assert!(pods.contains(&message.replace("Deleted", "Created")), "{message}");
    let scaled = events(&w, "ScalingReplicaSet", 2).await;
    let down = format!("Scaled down replica set {name} from 2 to 1");
    assert!(scaled.iter().any(|event| event["message"] == down), "{scaled:?}");
    stop.cancel();
}

#[tokio::test]
async fn as48_what_cannot_be_made_is_told_once_with_a_count() {
    let w = World::new().await;
    let stop = CancellationToken::new();
    let _running = controllers::start(&w.server, &stop);
    w.post(SETS, workload("poor", 1, "none")).await.unwrap();
    let failed = events(&w, "FailedCreate", 1).await;
    assert_eq!(
        failed[0]["message"],
        "Error creating: pods \"poor-\" is forbidden: error looking up service account default/none: \
         serviceaccount \"none\" not found"
    );
    assert_eq!(failed[0]["type"], "Warning");
    for _ in 0..500 {
        let again = events(&w, "FailedCreate", 1).await;
        if again[0]["count"].as_i64().unwrap() >= 3 {
            stop.cancel();
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the Event is not counted");
}

fn ctx(w: &World) -> Ctx {
    let api = Local::new(w.server.clone(), w.tenant.clone(), Identity::system("test"), "test");
    Ctx { view: View::new(w.tenant.clone()), api }
}

async fn event(w: &World, name: &str) {
    let about = json!({ "kind": "Pod", "namespace": "default", "name": "p" });
    let event = json!({ "metadata": { "name": name }, "involvedObject": about, "reason": "R", "type": "Normal",
        "firstTimestamp": "2020-01-01T00:00:00Z", "lastTimestamp": "2030-01-01T00:00:00Z" });
    w.post(EVENTS, event).await.unwrap();
}

/// Section 5: Events stay an hour from their last write, whatever time they speak of.
#[tokio::test]
async fn events_end_after_their_time() {
    let w = World::new().await;
    event(&w, "e").await;
    let key = NsName::new("default", "e");
    match Events::default().reconcile(ctx(&w), key.clone()).await.unwrap() {
        Next::After(left) => assert!(left > Duration::from_secs(3590) && left <= Duration::from_secs(3600)),
        Next::Done => panic!("it is looked at again"),
    }
    assert_eq!(items(&w, EVENTS).await.len(), 1);
    assert_eq!(Events::new(Duration::ZERO).reconcile(ctx(&w), key).await.unwrap(), Next::Done);
    assert_eq!(items(&w, EVENTS).await.len(), 0);
}

/// Q11 at the limit and one above: the oldest goes, a neighbour's stay.
#[tokio::test]
async fn q11_the_oldest_event_goes() {
    let w = World::new().await;
    let stop = CancellationToken::new();
    let _running = controllers::start(&w.server, &stop);
    let mut spec = (*w.tenant.spec()).clone();
    spec.limits.events = 3;
    w.tenant.set_spec(spec);
    for name in ["c", "b", "a"] {
        event(&w, name).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(items(&w, EVENTS).await.len(), 3);
    event(&w, "d").await;
    let names = async || -> Vec<String> {
        let all = items(&w, EVENTS).await;
        all.iter().map(|e| e["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    };
    for _ in 0..500 {
        if names().await.len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(names().await, ["a", "b", "d"]);
    stop.cancel();
}
