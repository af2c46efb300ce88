//! What is refused of Jobs and StatefulSets (V2), with upstream's words.

use serde_json::{Value, json};
use skerry_apiserver::bus::Patch;

use crate::support::World;

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";

fn with(mut spec: Value, more: Value) -> Value {
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    spec
}

fn job(more: Value) -> Value {
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}});
    json!({"metadata": {"name": "j"}, "spec": with(json!({"template": template}), more)})
}

/// What is wrong with a body: the sentence after the name.
async fn refused(w: &World, path: &str, body: Value) -> String {
    let status = w.post(&format!("{path}?dryRun=All"), body).await.unwrap_err();
    assert_eq!(status.code, 422, "{}", status.message);
    status.message.split_once(" is invalid: ").unwrap().1.to_owned()
}

async fn refused_change(w: &World, path: &str, spec: Value) -> String {
    let status = w.api.patch(path, Patch::Merge, &json!({"spec": spec})).await.unwrap_err();
    assert_eq!(status.code, 422, "{}", status.message);
    status.message.split_once(" is invalid: ").unwrap().1.to_owned()
}

#[tokio::test]
async fn v2_jobs_come_to_an_end_and_count_what_they_say() {
    let w = World::new().await;
    let template = |restarts: &str| json!({"template": {"spec": {"restartPolicy": restarts, "containers": [{"name": "c", "image": "i"}]}}});
    let needed = "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"";
    assert_eq!(refused(&w, JOBS, job(template("Always"))).await, needed);
    let policy = json!({"podFailurePolicy": {"rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "X", "status": "True"}]}]}});
    let words = "spec.template.spec.restartPolicy: Invalid value: \"OnFailure\": only \"Never\" is supported when podFailurePolicy is specified";
    assert_eq!(refused(&w, JOBS, job(with(template("OnFailure"), policy.clone()))).await, words);
    for (more, words) in [
        (
            json!({"parallelism": -1}),
            "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            json!({"backoffLimitPerIndex": 1}),
            "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        ),
        (
            json!({"completionMode": "Indexed", "completions": 1, "maxFailedIndexes": 1}),
            "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
        ),
        (
            with(policy, json!({"podReplacementPolicy": "TerminatingOrFailed"})),
            "spec.podReplacementPolicy: Unsupported value: \"TerminatingOrFailed\": supported values: \"Failed\"",
        ),
    ] {
        assert_eq!(refused(&w, JOBS, job(more)).await, words);
    }
}

#[tokio::test]
async fn v2_a_job_stays_what_it_was_made_for() {
    let w = World::new().await;
    w.post(JOBS, job(json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2})))
        .await
        .unwrap();
    let path = format!("{JOBS}/j");
    let words = "spec.completions: Invalid value: 3: can only be modified in tandem with spec.parallelism";
    assert_eq!(refused_change(&w, &path, json!({"completions": 3})).await, words);
    let both = json!({"spec": {"completions": 3, "parallelism": 3}});
    w.api.patch(&path, Patch::Merge, &both).await.unwrap();
    let words = "spec.backoffLimitPerIndex: Invalid value: 3: field is immutable";
    assert_eq!(refused_change(&w, &path, json!({"backoffLimitPerIndex": 3})).await, words);
    let other = json!({"template": {"spec": {"containers": [{"name": "c", "image": "other"}]}}});
    let said = refused_change(&w, &path, other.clone()).await;
    assert!(
        said.starts_with("spec.template: Invalid value") && said.ends_with("field is immutable"),
        "{said}"
    );
    // A queue may say where a Job runs that it holds back, and not what.
    let mut held = job(json!({"suspend": true}));
    held["metadata"]["name"] = "held".into();
    w.post(JOBS, held).await.unwrap();
    let place = json!({"spec": {"template": {"spec": {"nodeSelector": {"a": "b"}}}}});
    w.api.patch(&format!("{JOBS}/held"), Patch::Merge, &place).await.unwrap();
    refused_change(&w, &format!("{JOBS}/held"), other).await;
}

#[tokio::test]
async fn v2_of_a_set_only_some_members_change() {
    let w = World::new().await;
    let set = |restarts: &str| {
        json!({"metadata": {"name": "db"}, "spec": {"serviceName": "db", "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}},
                "spec": {"restartPolicy": restarts, "containers": [{"name": "c", "image": "i"}]}}}})
    };
    let words =
        "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"";
    assert_eq!(refused(&w, SETS, set("Never")).await, words);
    w.post(SETS, set("Always")).await.unwrap();
    let path = format!("{SETS}/db");
    let words = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
    for change in [json!({"serviceName": "e"}), json!({"podManagementPolicy": "Parallel"})] {
        assert_eq!(refused_change(&w, &path, change).await, words);
    }
    let allowed = json!({"spec": {"replicas": 3, "revisionHistoryLimit": 2, "minReadySeconds": 1, "ordinals": {"start": 1}}});
    w.api.patch(&path, Patch::Merge, &allowed).await.unwrap();
}
