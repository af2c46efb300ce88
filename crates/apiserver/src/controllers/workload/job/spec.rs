//! What a Job asks for, read once, and the names that its pods are known by.

use serde_json::Value;

use crate::model::object::Object;

/// Finalizer of pods that have not been counted.
pub const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// Label with the name of a pod's Job.
pub const JOB_NAME: &str = "batch.kubernetes.io/job-name";
/// Annotation and label with a pod's completion index.
pub const INDEX: &str = "batch.kubernetes.io/job-completion-index";
/// Annotation: failures of the index before this pod.
pub const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";
/// Annotation: failures of the index before this pod that the failure policy ignores.
pub const IGNORED: &str = "batch.kubernetes.io/job-index-ignored-failure-count";

/// The spec of a Job.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Pods at a time.
    pub parallelism: i64,
    /// Successes that are wanted; none: one success ends it.
    pub completions: Option<i64>,
    /// Every completion has an index.
    pub indexed: bool,
    /// Failures that are borne.
    pub backoff_limit: i64,
    /// Failures that are borne of one index.
    pub per_index: Option<i64>,
    /// Failed indexes that are borne.
    pub max_failed_indexes: Option<i64>,
    /// Seconds that it may run.
    pub deadline: Option<i64>,
    /// Nothing is to run.
    pub suspended: bool,
    /// A pod is replaced, and counted as failed, only once it has ended.
    pub replaces_ended_only: bool,
    /// Containers are started again in their pod.
    pub restarts_containers: bool,
}

impl Spec {
    /// Reads it.
    pub fn of(job: &Value) -> Self {
        let number = |field: &str| job.at(&["spec", field]).and_then(Value::as_i64);
        Self {
            parallelism: number("parallelism").unwrap_or(1).max(0),
            completions: number("completions"),
            indexed: job.text(&["spec", "completionMode"]) == "Indexed",
            backoff_limit: number("backoffLimit").unwrap_or(6),
            per_index: number("backoffLimitPerIndex"),
            max_failed_indexes: number("maxFailedIndexes"),
            deadline: number("activeDeadlineSeconds"),
            suspended: job.at(&["spec", "suspend"]) == Some(&Value::Bool(true)),
            replaces_ended_only: job.text(&["spec", "podReplacementPolicy"]) == "Failed"
                || job.at(&["spec", "podFailurePolicy"]).is_some(),
            restarts_containers: job.text(&["spec", "template", "spec", "restartPolicy"]) == "OnFailure",
        }
    }

    /// The completion index of a pod, if it is one of the Job's.
    pub fn index(&self, pod: &Value) -> Option<i64> {
        let index: i64 = pod.text(&["metadata", "annotations", INDEX]).parse().ok()?;
        (self.indexed && (0..self.completions.unwrap_or(0)).contains(&index)).then_some(index)
    }
}

/// A number in an annotation of a pod.
pub fn counted(pod: &Value, annotation: &str) -> i64 {
    pod.text(&["metadata", "annotations", annotation]).parse().unwrap_or(0)
}

/// How far a pod has come, as a Job sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is on its way or runs.
    Active,
    /// It is told to end and may still say how.
    Leaving,
    /// It counts as a success.
    Succeeded,
    /// It counts as a failure.
    Failed,
}

/// The fate of a pod.
pub fn fate(pod: &Value, spec: &Spec) -> Fate {
    // Nobody will say how a pod ended that no node has, or that its node has let go of.
    let is_silent = || {
        pod.text(&["spec", "nodeName"]).is_empty()
            || pod.at(&["metadata", "deletionGracePeriodSeconds"]).and_then(Value::as_i64) == Some(0)
    };
    match pod.text(&["status", "phase"]) {
        "Succeeded" => Fate::Succeeded,
        "Failed" => Fate::Failed,
        _ if !pod.is_deleting() => Fate::Active,
        _ if spec.replaces_ended_only && !is_silent() => Fate::Leaving,
        _ => Fate::Failed,
    }
}

/// Whether a pod has not been counted for good.
pub fn is_tracked(pod: &Value) -> bool {
    pod.finalizers().contains(&TRACKING)
}
