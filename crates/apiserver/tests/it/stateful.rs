//! StatefulSets in one tenant (AS-48, AS-37): the test plays the kubelet.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use skerry_apiserver::bus::Patch;
use skerry_apiserver::controllers;
use tokio_util::sync::CancellationToken;

use crate::support::{World, eventually};

const SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";
const REVISIONS: &str = "/apis/apps/v1/namespaces/default/controllerrevisions";
const PODS: &str = "/api/v1/namespaces/default/pods";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";

/// A world whose controllers run until it ends.
struct Stage {
    w: World,
    _running: tokio::task::JoinSet<()>,
}

impl Stage {
    async fn new() -> Self {
        let w = World::new().await;
        let running = controllers::start(&w.server, &CancellationToken::new());
        Self { w, _running: running }
    }

    /// A set `db` with more in its spec.
    async fn set(&self, more: Value) {
        let template = json!({"metadata": {"labels": {"app": "db"}},
            "spec": {"containers": [{"name": "c", "image": "a"}]}});
        let mut spec =
            json!({"serviceName": "db", "selector": {"matchLabels": {"app": "db"}}, "template": template});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.w.post(SETS, json!({"metadata": {"name": "db"}, "spec": spec})).await.unwrap();
    }

    async fn change(&self, spec: Value) {
        self.w.api.patch(&format!("{SETS}/db"), Patch::Merge, &json!({"spec": spec})).await.unwrap();
    }

    async fn image(&self, image: &str) {
        self.change(json!({"template": {"spec": {"containers": [{"name": "c", "image": image}]}}})).await;
    }

    /// The pods and their images, once they are these.
    async fn pods(&self, want: &[&str]) -> Value {
        eventually(&self.w, PODS, |l| l.as_ref().is_ok_and(|l| described(l) == want)).await
    }

    /// The same, and they stay so.
    async fn only(&self, want: &[&str]) {
        self.pods(want).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert_eq!(described(&self.w.get(PODS).await.unwrap()), want);
    }

    /// Plays the kubelet for one pod.
    async fn status(&self, pod: &str, phase: &str, ready: &str) {
        let status = json!({"status": {"phase": phase, "conditions": [
            {"type": "Ready", "status": ready, "lastTransitionTime": "2020-01-01T00:00:00Z"}]}});
        self.w.api.patch(&format!("{PODS}/{pod}/status"), Patch::Merge, &status).await.unwrap();
    }

    async fn ready(&self, pods: &[&str]) {
        for pod in pods {
            self.status(pod, "Running", "True").await;
        }
    }

    async fn set_when(&self, test: impl Fn(&Value) -> bool) -> Value {
        eventually(&self.w, &format!("{SETS}/db"), |s| s.as_ref().is_ok_and(&test)).await
    }
}

fn described(pods: &Value) -> Vec<String> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let one = |p: &Value| {
        format!("{} {}", text(&p["metadata"]["name"]), text(&p["spec"]["containers"][0]["image"]))
    };
    pods["items"].as_array().unwrap().iter().map(one).collect()
}

#[tokio::test]
async fn as48_a_set_grows_in_order_and_shrinks_from_the_end() {
    let s = Stage::new().await;
    s.set(json!({"replicas": 2})).await;
    s.only(&["db-0 a"]).await;
    s.ready(&["db-0"]).await;
    let pods = s.pods(&["db-0 a", "db-1 a"]).await;
    let pod = &pods["items"][1];
    let labels = &pod["metadata"]["labels"];
    assert_eq!(labels["statefulset.kubernetes.io/pod-name"], "db-1");
    assert_eq!((&labels["apps.kubernetes.io/pod-index"], &labels["app"]), (&json!("1"), &json!("db")));
    assert_eq!((&pod["spec"]["hostname"], &pod["spec"]["subdomain"]), (&json!("db-1"), &json!("db")));
    let owner = &pod["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["controller"]), (&json!("StatefulSet"), &json!(true)));
    s.ready(&["db-1"]).await;
    let done = s.set_when(|s| s["status"]["availableReplicas"] == 2).await;
    let status = &done["status"];
    let revision = labels["controller-revision-hash"].as_str().unwrap();
    assert_eq!((&status["currentRevision"], &status["updateRevision"]), (&json!(revision), &json!(revision)));
    for field in ["replicas", "readyReplicas", "currentReplicas", "updatedReplicas"] {
        assert_eq!(status[field], 2, "{field}: {status}");
    }
    assert_eq!((&status["collisionCount"], &status["observedGeneration"]), (&json!(0), &json!(1)));
    let events = s.w.get("/api/v1/namespaces/default/events").await.unwrap().to_string();
    assert!(events.contains("Create Pod db-1 in StatefulSet db successful"), "{events}");

    // From the end, one after the other: a pod that takes its time holds up the next.
    s.change(json!({"replicas": 4})).await;
    s.pods(&["db-0 a", "db-1 a", "db-2 a"]).await;
    s.ready(&["db-2"]).await;
    s.pods(&["db-0 a", "db-1 a", "db-2 a", "db-3 a"]).await;
    s.ready(&["db-3"]).await;
    let node = json!({"target": {"kind": "Node", "name": "n"}});
    s.w.post(&format!("{PODS}/db-3/binding"), node).await.unwrap();
    s.change(json!({"replicas": 1})).await;
    let leaving =
        |p: &Result<Value, u16>| p.as_ref().is_ok_and(|p| !p["metadata"]["deletionTimestamp"].is_null());
    eventually(&s.w, &format!("{PODS}/db-3"), leaving).await;
    s.only(&["db-0 a", "db-1 a", "db-2 a", "db-3 a"]).await;
    s.w.api.delete(&format!("{PODS}/db-3"), &json!({"gracePeriodSeconds": 0})).await.unwrap();
    s.only(&["db-0 a"]).await;
}

#[tokio::test]
async fn as48_a_parallel_set_starts_where_it_is_told_and_replaces_what_ended() {
    let s = Stage::new().await;
    s.set(json!({"replicas": 3, "podManagementPolicy": "Parallel", "ordinals": {"start": 5}})).await;
    let before = s.pods(&["db-5 a", "db-6 a", "db-7 a"]).await;
    s.status("db-6", "Failed", "False").await;
    s.status("db-7", "Succeeded", "False").await;
    let uid = |l: &Value, i: usize| l["items"][i]["metadata"]["uid"].clone();
    let anew = |l: &Result<Value, u16>| {
        l.as_ref().is_ok_and(|l| {
            described(l) == ["db-5 a", "db-6 a", "db-7 a"]
                && uid(l, 1) != uid(&before, 1)
                && uid(l, 2) != uid(&before, 2)
        })
    };
    let after = eventually(&s.w, PODS, anew).await;
    assert_eq!(uid(&after, 0), uid(&before, 0), "one that runs stays");
    // A label that somebody took away comes back.
    let label = json!({"metadata": {"labels": {"apps.kubernetes.io/pod-index": null}}});
    s.w.api.patch(&format!("{PODS}/db-5"), Patch::Merge, &label).await.unwrap();
    let labelled = |p: &Result<Value, u16>| {
        p.as_ref().is_ok_and(|p| p["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "5")
    };
    eventually(&s.w, &format!("{PODS}/db-5"), labelled).await;
    // One whose labels no longer fit is let go, and its name stays taken.
    s.w.api
        .patch(&format!("{PODS}/db-5"), Patch::Merge, &json!({"metadata": {"labels": {"app": "x"}}}))
        .await
        .unwrap();
    let free = |p: &Result<Value, u16>| {
        p.as_ref().is_ok_and(|p| p["metadata"]["ownerReferences"].as_array().is_none_or(Vec::is_empty))
    };
    eventually(&s.w, &format!("{PODS}/db-5"), free).await;
    s.w.api
        .patch(&format!("{PODS}/db-5"), Patch::Merge, &json!({"metadata": {"labels": {"app": "db"}}}))
        .await
        .unwrap();
    eventually(&s.w, &format!("{PODS}/db-5"), |p| !free(p)).await;
}

#[tokio::test]
async fn as48_a_set_rolls_from_the_end_keeps_its_partition_and_goes_back() {
    let s = Stage::new().await;
    s.set(json!({"replicas": 3, "podManagementPolicy": "Parallel", "revisionHistoryLimit": 1,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}))
        .await;
    s.pods(&["db-0 a", "db-1 a", "db-2 a"]).await;
    s.ready(&["db-0", "db-1", "db-2"]).await;
    let first = s.set_when(|s| s["status"]["availableReplicas"] == 3).await;
    s.image("b").await;
    s.only(&["db-0 a", "db-1 a", "db-2 b"]).await;
    s.ready(&["db-2"]).await;
    let part =
        s.set_when(|s| s["status"]["availableReplicas"] == 3 && s["status"]["updatedReplicas"] == 1).await;
    assert_eq!(part["status"]["currentReplicas"], 2);
    assert_eq!(part["status"]["currentRevision"], first["status"]["currentRevision"]);
    // A pod below the partition that is lost comes back as it was.
    s.w.api.delete(&format!("{PODS}/db-0"), &json!({})).await.unwrap();
    s.only(&["db-0 a", "db-1 a", "db-2 b"]).await;
    s.ready(&["db-0"]).await;
    s.change(json!({"updateStrategy": {"rollingUpdate": {"partition": 0}}})).await;
    s.only(&["db-0 a", "db-1 b", "db-2 b"]).await;
    s.ready(&["db-1"]).await;
    s.pods(&["db-0 b", "db-1 b", "db-2 b"]).await;
    s.ready(&["db-0"]).await;
    let done = s.set_when(|s| s["status"]["currentRevision"] == s["status"]["updateRevision"]).await;
    assert_eq!(done["status"]["currentReplicas"], 3);
    assert_ne!(done["status"]["currentRevision"], first["status"]["currentRevision"]);

    // Back, the way `kubectl rollout undo` goes; the same template is the same revision with a new number.
    let path = format!("{REVISIONS}/{}", first["status"]["currentRevision"].as_str().unwrap());
    let revision = s.w.get(&path).await.unwrap();
    assert_eq!(revision["revision"], 1);
    let media = "application/strategic-merge-patch+json";
    s.w.api.send(Method::PATCH, &format!("{SETS}/db"), media, Some(&revision["data"])).await.unwrap();
    s.pods(&["db-0 b", "db-1 b", "db-2 a"]).await;
    assert_eq!(s.w.get(&path).await.unwrap()["revision"], 3);
    for pod in ["db-2", "db-1", "db-0"] {
        s.ready(&[pod]).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    s.pods(&["db-0 a", "db-1 a", "db-2 a"]).await;
    s.ready(&["db-0", "db-1", "db-2"]).await;
    // Beyond the limit the oldest one goes.
    s.image("c").await;
    s.pods(&["db-0 a", "db-1 a", "db-2 c"]).await;
    s.image("d").await;
    let left = |l: &Result<Value, u16>| {
        l.as_ref().is_ok_and(|l| {
            let mut numbers: Vec<_> =
                l["items"].as_array().unwrap().iter().map(|r| r["revision"].as_i64()).collect();
            numbers.sort_unstable();
            numbers.last() == Some(&Some(5)) && !numbers.contains(&Some(2))
        })
    };
    eventually(&s.w, REVISIONS, left).await;
}

#[tokio::test]
async fn as48_on_delete_waits_for_the_user_and_max_unavailable_allows_more_at_a_time() {
    let s = Stage::new().await;
    s.set(json!({"replicas": 3, "podManagementPolicy": "Parallel", "updateStrategy": {"type": "OnDelete"}}))
        .await;
    s.pods(&["db-0 a", "db-1 a", "db-2 a"]).await;
    s.ready(&["db-0", "db-1", "db-2"]).await;
    s.image("b").await;
    s.only(&["db-0 a", "db-1 a", "db-2 a"]).await;
    s.w.api.delete(&format!("{PODS}/db-1"), &json!({})).await.unwrap();
    s.only(&["db-0 a", "db-1 b", "db-2 a"]).await;
    s.ready(&["db-1"]).await;
    s.image("c").await;
    s.change(
        json!({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "50%"}}}),
    )
    .await;
    s.only(&["db-0 a", "db-1 c", "db-2 c"]).await;
}

#[tokio::test]
async fn as48_min_ready_seconds_hold_up_the_next() {
    let s = Stage::new().await;
    s.set(json!({"replicas": 2, "minReadySeconds": 2})).await;
    s.pods(&["db-0 a"]).await;
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let status = json!({"status": {"phase": "Running", "conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": now}]}});
    s.w.api.patch(&format!("{PODS}/db-0/status"), Patch::Merge, &status).await.unwrap();
    let ready = s.set_when(|s| s["status"]["readyReplicas"] == 1).await;
    assert_eq!(ready["status"]["availableReplicas"], 0);
    s.only(&["db-0 a"]).await;
    s.pods(&["db-0 a", "db-1 a"]).await;
}

#[tokio::test]
async fn as48_claims_are_made_and_go_as_the_policy_says() {
    let s = Stage::new().await;
    let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}}});
    s.set(json!({"replicas": 2, "podManagementPolicy": "Parallel", "volumeClaimTemplates": [claim],
        "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete", "whenDeleted": "Retain"}}))
        .await;
    let pods = s.pods(&["db-0 a", "db-1 a"]).await;
    let volume = &pods["items"][1]["spec"]["volumes"][0];
    assert_eq!(
        (&volume["name"], &volume["persistentVolumeClaim"]["claimName"]),
        (&json!("data"), &json!("data-db-1"))
    );
    let made = s.w.get(&format!("{CLAIMS}/data-db-1")).await.unwrap();
    assert_eq!(made["metadata"]["labels"]["app"], "db");
    assert!(made["metadata"]["ownerReferences"].is_null(), "{made}");
    s.ready(&["db-0", "db-1"]).await;
    // Scaled away, the pod takes its claim with it; the other one's stays.
    s.change(json!({"replicas": 1})).await;
    eventually(&s.w, &format!("{CLAIMS}/data-db-1"), |c| *c == Err(404)).await;
    s.only(&["db-0 a"]).await;
    // Back again with a claim of its own.
    s.change(json!({"replicas": 2})).await;
    s.pods(&["db-0 a", "db-1 a"]).await;
    let again = s.w.get(&format!("{CLAIMS}/data-db-1")).await.unwrap();
    assert_ne!(again["metadata"]["uid"], made["metadata"]["uid"]);
    s.change(json!({"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}})).await;
    let owned = |c: &Result<Value, u16>| {
        c.as_ref().is_ok_and(|c| c["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet")
    };
    eventually(&s.w, &format!("{CLAIMS}/data-db-0"), owned).await;
    eventually(&s.w, &format!("{CLAIMS}/data-db-1"), owned).await;
    s.w.api.delete(&format!("{SETS}/db"), &json!({"propagationPolicy": "Background"})).await.unwrap();
    for gone in [format!("{CLAIMS}/data-db-0"), format!("{CLAIMS}/data-db-1"), format!("{PODS}/db-0")] {
        eventually(&s.w, &gone, |c| *c == Err(404)).await;
    }
}
