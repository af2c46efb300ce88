//! Whether a Job has come to its end, and why: a pure choice.

use jiff::Timestamp;
use serde_json::Value;

use super::policy::{self, Action};
use super::spec::{Fate, Spec, fate, is_tracked};
use super::tally::Tally;
use crate::model::object::Object;

/// The end of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// It did what it was to do.
    pub success: bool,
    /// In a word.
    pub reason: String,
    /// In a sentence.
    pub message: String,
}

impl Verdict {
    fn new(success: bool, reason: &str, message: impl Into<String>) -> Self {
        Self { success, reason: reason.to_owned(), message: message.into() }
    }

    /// The one that a condition already tells.
    fn told(job: &Value, ty: &str, success: bool) -> Option<Self> {
        let mut all = job.items(&["status", "conditions"]).iter();
        let told = all.find(|c| c.text(&["type"]) == ty && c.text(&["status"]) == "True")?;
        Some(Self::new(success, told.text(&["reason"]), told.text(&["message"])))
    }
}

/// Seconds since the Job started.
fn age(job: &Value, now: Timestamp) -> Option<i64> {
    let start: Timestamp = job.text(&["status", "startTime"]).parse().ok()?;
    Some(now.as_second() - start.as_second())
}

/// Seconds until its deadline.
pub fn deadline_in(job: &Value, spec: &Spec, now: Timestamp) -> Option<i64> {
    let deadline = spec.deadline.filter(|_| !spec.suspended)?;
    Some((deadline - age(job, now).unwrap_or(0)).max(0))
}

/// The verdict, once there is one.
pub fn of(job: &Value, spec: &Spec, pods: &[Value], tally: &Tally, now: Timestamp) -> Option<Verdict> {
    Verdict::told(job, "SuccessCriteriaMet", true)
        .or_else(|| Verdict::told(job, "FailureTarget", false))
        .or_else(|| failure(job, spec, pods, tally, now))
        .or_else(|| success(job, spec, tally))
}

fn failure(job: &Value, spec: &Spec, pods: &[Value], tally: &Tally, now: Timestamp) -> Option<Verdict> {
    let failed = pods.iter().filter(|p| is_tracked(p) && fate(p, spec) == Fate::Failed);
    let by_policy = failed.map(|pod| policy::on_failure(job, pod)).find_map(|action| match action {
        Action::FailJob(message) => Some(message),
        _ => None,
    });
    if let Some(message) = by_policy {
        return Some(Verdict::new(false, "PodFailurePolicy", message));
    }
    if tally.failed.total() > spec.backoff_limit || restarted_too_often(spec, tally) {
        let message = "Job has reached the specified backoff limit";
        return Some(Verdict::new(false, "BackoffLimitExceeded", message));
    }
    if deadline_in(job, spec, now) == Some(0) && age(job, now).is_some() {
        let message = "Job was active longer than specified deadline";
        return Some(Verdict::new(false, "DeadlineExceeded", message));
    }
    spec.per_index?;
    let failed = i64::try_from(tally.failed_indexes.len()).unwrap_or(i64::MAX);
    if spec.max_failed_indexes.is_some_and(|most| failed > most) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Some(Verdict::new(false, "MaxFailedIndexesExceeded", message));
    }
    let all = failed + tally.successes(spec) >= spec.completions.unwrap_or(i64::MAX);
    (failed > 0 && all).then(|| Verdict::new(false, "FailedIndexes", "Job has failed indexes"))
}

/// Containers that start again in their pod count by their restarts.
fn restarted_too_often(spec: &Spec, tally: &Tally) -> bool {
    if !spec.restarts_containers {
        return false;
    }
    let lists = ["containerStatuses", "initContainerStatuses"];
    let statuses =
        tally.active.iter().flat_map(|pod| lists.map(|list| pod.items(&["status", list]))).flatten();
    let restarts: i64 = statuses.filter_map(|c| c.get("restartCount").and_then(Value::as_i64)).sum();
    restarts > 0 && restarts >= spec.backoff_limit
}

fn success(job: &Value, spec: &Spec, tally: &Tally) -> Option<Verdict> {
    if let Some(rule) = policy::on_success(job, &tally.completed, spec.completions.unwrap_or(0)) {
        return Some(Verdict::new(true, "SuccessPolicy", format!("Matched rules at index {rule}")));
    }
    let successes = tally.successes(spec);
    let enough = match spec.completions {
        // Any success tells the others to come to their end.
        None => successes > 0,
        Some(completions) => successes >= completions,
    };
    let reached = enough && tally.active.is_empty();
    reached.then(|| Verdict::new(true, "CompletionsReached", "Reached expected number of succeeded pods"))
}
