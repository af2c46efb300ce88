//! Jobs in one tenant (AS-48, AS-37): the test plays the kubelet.

use serde_json::{Value, json};
use skerry_apiserver::bus::Patch;
use skerry_apiserver::controllers;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::{World, count, eventually};

const JOBS: &str = "/apis/batch/v1/namespaces/default/jobs";
const PODS: &str = "/api/v1/namespaces/default/pods";
const EVENTS: &str = "/api/v1/namespaces/default/events";
const TRACKING: &str = "batch.kubernetes.io/job-tracking";
const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// A world whose controllers run until it ends.
struct Stage {
    w: World,
    running: JoinSet<()>,
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn name(pod: &Value) -> String {
    pod["metadata"]["name"].as_str().unwrap().to_owned()
}

fn index(pod: &Value) -> i64 {
    let text = &pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"];
    text.as_str().unwrap().parse().unwrap()
}

fn condition<'a>(job: &'a Value, ty: &str) -> &'a Value {
    let all = job["status"]["conditions"].as_array();
    all.into_iter().flatten().find(|c| c["type"] == ty).unwrap_or(&Value::Null)
}

fn holds(job: &Value, ty: &str) -> bool {
    condition(job, ty)["status"] == "True"
}

fn is_live(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null()
        && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

impl Stage {
    async fn new() -> Self {
        let w = World::new().await;
        let running = controllers::start(&w.server, &CancellationToken::new());
        Self { w, running }
    }

    /// A Job `sum` with more in its spec.
    async fn job(&self, more: Value) -> Value {
        let template =
            json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a"}]}});
        let mut spec = json!({"template": template});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.w.post(JOBS, json!({"metadata": {"name": "sum"}, "spec": spec})).await.unwrap()
    }

    async fn change(&self, spec: Value) {
        self.w.api.patch(&format!("{JOBS}/sum"), Patch::Merge, &json!({"spec": spec})).await.unwrap();
    }

    /// The live pods, once there are so many.
    async fn live(&self, many: usize) -> Vec<Value> {
        let of = |l: &Value| -> Vec<Value> {
            l["items"].as_array().unwrap().iter().filter(|p| is_live(p)).cloned().collect()
        };
        of(&eventually(&self.w, PODS, |l| l.as_ref().is_ok_and(|l| of(l).len() == many)).await)
    }

    /// Nothing happens for a moment.
    async fn quiet(&self) {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }

    async fn status(&self, pod: &Value, status: Value) {
        let path = format!("{PODS}/{}/status", name(pod));
        self.w.api.patch(&path, Patch::Merge, &json!({"status": status})).await.unwrap();
    }

    async fn succeed(&self, pod: &Value) {
        self.status(pod, json!({"phase": "Succeeded"})).await;
    }

    /// The container ends with a code at a time.
    async fn fail(&self, pod: &Value, code: i64, at: &str) {
        let ended = json!({"exitCode": code, "reason": "Error", "startedAt": at, "finishedAt": at});
        let container = json!({"name": "c", "image": "a", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": ended}});
        self.status(pod, json!({"phase": "Failed", "containerStatuses": [container]})).await;
    }

    async fn bind(&self, pod: &Value) {
        let node = json!({"target": {"kind": "Node", "name": "n"}});
        self.w.post(&format!("{PODS}/{}/binding", name(pod)), node).await.unwrap();
    }

    async fn when(&self, test: impl Fn(&Value) -> bool) -> Value {
        eventually(&self.w, &format!("{JOBS}/sum"), |j| j.as_ref().is_ok_and(&test)).await
    }

    async fn told(&self, text: &str) {
        eventually(&self.w, EVENTS, |l| l.as_ref().is_ok_and(|l| l.to_string().contains(text))).await;
    }
}

#[tokio::test]
async fn as48_a_job_runs_its_completions_and_is_complete() {
    let s = Stage::new().await;
    s.job(json!({"completions": 3, "parallelism": 2, "template": {"metadata": {"labels": {"k": "v"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "a"}]}}}))
        .await;
    let pods = s.live(2).await;
    let metadata = &pods[0]["metadata"];
    let job = s.when(|j| j["status"]["active"] == 2).await;
    let uid = &job["metadata"]["uid"];
    for (key, value) in [
        ("batch.kubernetes.io/controller-uid", uid),
        ("controller-uid", uid),
        ("batch.kubernetes.io/job-name", &json!("sum")),
        ("job-name", &json!("sum")),
        ("k", &json!("v")),
    ] {
        assert_eq!((&metadata["labels"][key], &job["metadata"]["labels"][key]), (value, value), "{key}");
    }
    assert_eq!(metadata["finalizers"], json!([TRACKING]));
    assert_eq!(metadata["ownerReferences"][0]["kind"], "Job");
    assert!(name(&pods[0]).starts_with("sum-"));
    assert!(!job["status"]["startTime"].is_null());
    s.status(&pods[0], json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}))
        .await;
    s.when(|j| j["status"]["ready"] == 1).await;
    s.succeed(&pods[0]).await;
    s.succeed(&pods[1]).await;
    // One is left to do: one pod, not two.
    let last = s.live(1).await;
    s.quiet().await;
    let last = {
        assert_eq!(s.live(1).await.len(), last.len());
        last
    };
    s.succeed(&last[0]).await;
    let done = s.when(|j| holds(j, "Complete")).await;
    let status = &done["status"];
    assert_eq!(
        (&status["succeeded"], &status["active"], &status["failed"]),
        (&json!(3), &Value::Null, &Value::Null)
    );
    assert_eq!((&status["ready"], &status["terminating"]), (&json!(0), &json!(0)));
    assert_eq!(status["uncountedTerminatedPods"], json!({}));
    assert!(!status["completionTime"].is_null());
    for ty in ["SuccessCriteriaMet", "Complete"] {
        assert_eq!(condition(&done, ty)["reason"], "CompletionsReached");
        assert_eq!(condition(&done, ty)["message"], "Reached expected number of succeeded pods");
    }
    let pods = s.w.get(PODS).await.unwrap();
    assert_eq!(count(&Ok(pods.clone())), 3);
    assert!(!pods.to_string().contains(TRACKING), "all are let go of");
    s.told("Job completed").await;
    s.told(&format!("Created pod: {}", name(&last[0]))).await;
}

#[tokio::test]
async fn as48_a_work_queue_ends_with_its_first_success_and_the_rest() {
    let s = Stage::new().await;
    s.job(json!({"parallelism": 2})).await;
    let pods = s.live(2).await;
    s.succeed(&pods[0]).await;
    s.when(|j| j["status"]["succeeded"] == 1).await;
    s.quiet().await;
    let rest = s.live(1).await;
    assert!(!holds(&s.w.get(&format!("{JOBS}/sum")).await.unwrap(), "Complete"));
    s.succeed(&rest[0]).await;
    s.when(|j| holds(j, "Complete") && j["status"]["succeeded"] == 2).await;
}

#[tokio::test]
async fn as48_failures_wait_longer_and_longer_and_end_at_the_limit() {
    let s = Stage::new().await;
    s.job(json!({"backoffLimit": 1, "parallelism": 2, "completions": 2})).await;
    let pods = s.live(2).await;
    s.fail(&pods[0], 1, &now()).await;
    s.when(|j| j["status"]["failed"] == 1).await;
    s.quiet().await;
    let rest = s.live(1).await;
    assert_eq!(name(&rest[0]), name(&pods[1]), "ten seconds have not passed");
    // The pause runs from the end of the pod.
    s.fail(&pods[0], 1, LONG_AGO).await;
    let again = s.live(2).await;
    // What runs still is told to end, and holds up the end of the Job.
    s.bind(&again[0]).await;
    s.fail(&again[1], 1, LONG_AGO).await;
    let failing = s.when(|j| holds(j, "FailureTarget") && j["status"]["terminating"] == 1).await;
    assert!(!holds(&failing, "Failed"), "{failing}");
    s.w.api.delete(&format!("{PODS}/{}", name(&again[0])), &json!({"gracePeriodSeconds": 0})).await.unwrap();
    let failed = s.when(|j| holds(j, "Failed")).await;
    let why = condition(&failed, "Failed");
    assert_eq!(why["reason"], "BackoffLimitExceeded");
    assert_eq!(why["message"], "Job has reached the specified backoff limit");
    assert_eq!((&failed["status"]["failed"], &failed["status"]["active"]), (&json!(3), &Value::Null));
    assert!(failed["status"]["completionTime"].is_null());
    s.told("BackoffLimitExceeded").await;
}

#[tokio::test]
async fn as48_indexes_are_told_to_their_pods_and_done_once_each() {
    let s = Stage::new().await;
    s.job(json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3})).await;
    let mut pods = s.live(3).await;
    pods.sort_by_key(index);
    assert_eq!(pods.iter().map(index).collect::<Vec<_>>(), [0, 1, 2]);
    let pod = &pods[2];
    assert!(name(pod).starts_with("sum-2-"), "{}", name(pod));
    assert_eq!(pod["spec"]["hostname"], "sum-2");
    assert_eq!(pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"], "2");
    let env = &pod["spec"]["containers"][0]["env"][0];
    let path = "metadata.labels['batch.kubernetes.io/job-completion-index']";
    assert_eq!(
        (&env["name"], &env["valueFrom"]["fieldRef"]["fieldPath"]),
        (&json!("JOB_COMPLETION_INDEX"), &json!(path))
    );
    s.succeed(&pods[0]).await;
    s.succeed(&pods[2]).await;
    s.when(|j| j["status"]["completedIndexes"] == "0,2").await;
    s.fail(&pods[1], 1, LONG_AGO).await;
    let again = s.live(1).await;
    assert_eq!(index(&again[0]), 1, "only what failed comes again");
    s.succeed(&again[0]).await;
    let done = s.when(|j| holds(j, "Complete")).await;
    let status = &done["status"];
    assert_eq!(
        (&status["completedIndexes"], &status["succeeded"], &status["failed"]),
        (&json!("0-2"), &json!(3), &json!(1))
    );
}

#[tokio::test]
async fn as48_an_index_has_its_own_limit() {
    let s = Stage::new().await;
    s.job(
        json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 1}),
    )
    .await;
    let pods = s.live(2).await;
    let first = pods.iter().find(|p| index(p) == 0).unwrap();
    let other = pods.iter().find(|p| index(p) == 1).unwrap();
    s.fail(first, 1, LONG_AGO).await;
    let both = s.live(2).await;
    let again = both.iter().find(|p| index(p) == 0).unwrap();
    assert_eq!(again["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"], "1");
    s.fail(again, 1, LONG_AGO).await;
    let half = s.when(|j| j["status"]["failedIndexes"] == "0").await;
    assert!(!holds(&half, "FailureTarget"), "the other index goes on");
    s.succeed(other).await;
    let failed = s.when(|j| holds(j, "Failed")).await;
    assert_eq!(condition(&failed, "Failed")["reason"], "FailedIndexes");
    let status = &failed["status"];
    assert_eq!(
        (&status["completedIndexes"], &status["failed"], &status["succeeded"]),
        (&json!("1"), &json!(2), &json!(1))
    );
}

#[tokio::test]
async fn as48_a_failure_policy_ignores_disruptions_and_ends_by_exit_codes() {
    let s = Stage::new().await;
    s.job(json!({"backoffLimit": 0, "podFailurePolicy": {"rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "c", "operator": "In", "values": [42]}}]}}))
        .await;
    let pod = s.live(1).await.remove(0);
    let ended = json!({"exitCode": 137, "reason": "Error", "finishedAt": LONG_AGO});
    s.status(
        &pod,
        json!({"phase": "Failed",
        "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByHost"}],
        "containerStatuses": [{"name": "c", "image": "a", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": ended}}]}),
    )
    .await;
    let again = s.live(1).await.remove(0);
    assert_ne!(name(&again), name(&pod));
    assert!(s.w.get(&format!("{JOBS}/sum")).await.unwrap()["status"]["failed"].is_null());
    s.fail(&again, 42, LONG_AGO).await;
    let failed = s.when(|j| holds(j, "Failed")).await;
    let why = condition(&failed, "Failed");
    assert_eq!(why["reason"], "PodFailurePolicy");
    let message = format!(
        "Container c for pod default/{} failed with exit code 42 matching FailJob rule at index 1",
        name(&again)
    );
    assert_eq!(why["message"], message);
}

#[tokio::test]
async fn as48_a_success_policy_ends_what_still_runs() {
    let s = Stage::new().await;
    s.job(json!({"completionMode": "Indexed", "completions": 3, "parallelism": 3,
        "successPolicy": {"rules": [{"succeededIndexes": "0"}]}}))
        .await;
    let pods = s.live(3).await;
    s.succeed(pods.iter().find(|p| index(p) == 0).unwrap()).await;
    let done = s.when(|j| holds(j, "Complete")).await;
    assert_eq!(condition(&done, "Complete")["reason"], "SuccessPolicy");
    assert_eq!(condition(&done, "SuccessCriteriaMet")["message"], "Matched rules at index 0");
    let status = &done["status"];
    assert_eq!((&status["succeeded"], &status["failed"]), (&json!(1), &Value::Null));
    s.live(0).await;
}

#[tokio::test]
async fn as48_a_deadline_ends_a_job() {
    let s = Stage::new().await;
    s.job(json!({"activeDeadlineSeconds": 1})).await;
    s.live(1).await;
    let failed = s.when(|j| holds(j, "Failed")).await;
    assert_eq!(condition(&failed, "Failed")["reason"], "DeadlineExceeded");
    s.live(0).await;
}

#[tokio::test]
async fn as48_a_suspended_job_runs_nothing_and_failed_nothing() {
    let s = Stage::new().await;
    s.job(json!({"suspend": true, "backoffLimit": 0})).await;
    let waiting = s.when(|j| holds(j, "Suspended")).await;
    assert!(waiting["status"]["startTime"].is_null());
    s.quiet().await;
    s.live(0).await;
    s.change(json!({"suspend": false})).await;
    s.live(1).await;
    let runs = s.when(|j| j["status"]["active"] == 1).await;
    assert_eq!(condition(&runs, "Suspended")["reason"], "JobResumed");
    assert!(!runs["status"]["startTime"].is_null());
    s.change(json!({"suspend": true})).await;
    s.live(0).await;
    let again = s.when(|j| holds(j, "Suspended") && j["status"]["terminating"] == 0).await;
    assert!(again["status"]["failed"].is_null() && again["status"]["active"].is_null(), "{again}");
    s.change(json!({"suspend": false})).await;
    s.live(1).await;
    s.told("Job suspended").await;
    s.told("Job resumed").await;
}

#[tokio::test]
async fn as48_replacement_waits_for_the_end_where_it_is_told_to() {
    for (policy, pods) in [("Failed", 0), ("TerminatingOrFailed", 1)] {
        let s = Stage::new().await;
        s.job(json!({"podReplacementPolicy": policy})).await;
        let pod = s.live(1).await.remove(0);
        s.bind(&pod).await;
        s.w.api.delete(&format!("{PODS}/{}", name(&pod)), &json!({})).await.unwrap();
        s.quiet().await;
        s.live(pods).await;
        s.when(|j| j["status"]["terminating"] == 1).await;
        if pods == 0 {
            s.fail(&pod, 137, LONG_AGO).await;
            s.live(1).await;
        }
        s.when(|j| j["status"]["failed"] == 1).await;
    }
}

#[tokio::test]
async fn as48_a_finished_job_goes_after_its_time_and_a_deleted_one_frees_its_pods() {
    let s = Stage::new().await;
    s.job(json!({"ttlSecondsAfterFinished": 1})).await;
    let pod = s.live(1).await.remove(0);
    s.succeed(&pod).await;
    s.when(|j| holds(j, "Complete")).await;
    eventually(&s.w, &format!("{JOBS}/sum"), |j| *j == Err(404)).await;
    eventually(&s.w, PODS, |l| count(l) == 0).await;
    for policy in ["Background", "Foreground", "Orphan"] {
        s.job(json!({})).await;
        s.live(1).await;
        s.w.api.delete(&format!("{JOBS}/sum"), &json!({"propagationPolicy": policy})).await.unwrap();
        eventually(&s.w, &format!("{JOBS}/sum"), |j| *j == Err(404)).await;
        if policy == "Orphan" {
            eventually(&s.w, PODS, |l| l.as_ref().is_ok_and(|l| !l.to_string().contains(TRACKING))).await;
            s.live(1).await;
        } else {
            eventually(&s.w, PODS, |l| count(l) == 0).await;
        }
    }
}

/// A kill between any two writes: what the status says and which pods carry the finalizer are put as it leaves them.
#[tokio::test]
async fn as37_no_pod_is_lost_or_counted_twice_over_a_stop() {
    let mut s = Stage::new().await;
    s.job(json!({"completions": 9, "parallelism": 4, "backoffLimit": 9})).await;
    let pods = s.live(4).await;
    s.when(|j| j["status"]["active"] == 4).await;
    s.running.shutdown().await;
    // Ended, and nothing was done: 0. Written as uncounted: 1 (success), 2 (failure). Let go of besides: 3.
    s.succeed(&pods[0]).await;
    s.succeed(&pods[1]).await;
    s.fail(&pods[2], 1, LONG_AGO).await;
    s.succeed(&pods[3]).await;
    let free = json!({"metadata": {"finalizers": null}});
    s.w.api.patch(&format!("{PODS}/{}", name(&pods[3])), Patch::Merge, &free).await.unwrap();
    let uid = |i: usize| pods[i]["metadata"]["uid"].clone();
    let left = json!({"status": {"succeeded": 1, "uncountedTerminatedPods": {
        "succeeded": [uid(1), uid(3)], "failed": [uid(2)]}}});
    s.w.api.patch(&format!("{JOBS}/sum/status"), Patch::Merge, &left).await.unwrap();
    s.running = controllers::start(&s.w.server, &CancellationToken::new());
    let settled =
        |j: &Value| j["status"]["uncountedTerminatedPods"] == json!({}) && j["status"]["active"] == 4;
    let job = s.when(settled).await;
    assert_eq!((&job["status"]["succeeded"], &job["status"]["failed"]), (&json!(4), &json!(1)));
    // Nothing more is counted, nothing more is written.
    s.quiet().await;
    let later = s.w.get(&format!("{JOBS}/sum")).await.unwrap();
    assert_eq!(later["metadata"]["resourceVersion"], job["metadata"]["resourceVersion"]);
}

/// The same with kills at any moment, while pods come to their ends.
#[tokio::test]
async fn as37_counts_hold_over_kills_at_any_moment() {
    let mut s = Stage::new().await;
    s.job(json!({"completions": 12, "parallelism": 4, "backoffLimit": 99})).await;
    let (mut good, mut bad) = (0, 0);
    for round in 0..2000 {
        tokio::time::sleep(std::time::Duration::from_micros(400 * (round % 17))).await;
        s.running.shutdown().await;
        if holds(&s.w.get(&format!("{JOBS}/sum")).await.unwrap(), "Complete") {
            break;
        }
        let pods = s.w.get(PODS).await.unwrap();
        if let Some(pod) = pods["items"].as_array().unwrap().iter().find(|p| is_live(p)) {
            if (good + bad) % 3 == 2 {
                s.fail(pod, 1, LONG_AGO).await;
                bad += 1;
            } else {
                s.succeed(pod).await;
                good += 1;
            }
        }
        s.running = controllers::start(&s.w.server, &CancellationToken::new());
    }
    let job = s.w.get(&format!("{JOBS}/sum")).await.unwrap();
    assert!(holds(&job, "Complete"), "{job}");
    assert_eq!((&job["status"]["succeeded"], &job["status"]["failed"]), (&json!(good), &json!(bad)));
    assert_eq!((good, job["status"]["uncountedTerminatedPods"].clone()), (12, json!({})));
}
