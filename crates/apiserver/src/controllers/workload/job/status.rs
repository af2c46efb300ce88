//! What a Job's status says.

use serde_json::{Value, json};

use super::indexes;
use super::spec::{Fate, Spec, fate};
use super::tally::{Tally, count};
use super::verdict::Verdict;
use crate::controllers::workload::pods::{is_over, is_ready};
use crate::model::clock;
use crate::model::object::Object;

/// Sets a condition; whether that changed it.
fn put_condition(status: &mut Value, ty: &str, value: &str, reason: &str, message: &str) -> bool {
    let now = clock::now();
    let mut all = status.items(&["conditions"]).to_vec();
    let fresh = json!({"type": ty, "status": value, "reason": reason, "message": message,
                       "lastProbeTime": now, "lastTransitionTime": now});
    match all.iter_mut().find(|c| c.text(&["type"]) == ty) {
        Some(known) if known.text(&["status"]) == value => return false,
        Some(known) => *known = fresh,
        None => all.push(fresh),
    }
    status["conditions"] = all.into();
    true
}

/// Sets or removes a number that is not written when it is none.
fn put_count(status: &mut Value, field: &str, count: i64) {
    if count > 0 {
        status[field] = count.into();
    } else {
        status.remove_at(&[field]);
    }
}

/// The status before finalizers go: the counts so far and, among the uncounted, what is about to be counted.
pub fn counting(job: &Value, spec: &Spec, tally: &Tally, pods: &[Value], verdict: Option<&Verdict>) -> Value {
    let mut status = job.get("status").cloned().unwrap_or_else(|| json!({}));
    put_count(&mut status, "active", count(pods, |p| fate(p, spec) == Fate::Active));
    status["ready"] = count(pods, |p| fate(p, spec) == Fate::Active && is_ready(p)).into();
    status["terminating"] = count(pods, |p| p.is_deleting() && !is_over(p)).into();
    put_count(&mut status, "failed", tally.failed.settled);
    if spec.indexed {
        put_count(&mut status, "succeeded", tally.successes(spec));
        status["completedIndexes"] = indexes::text(&tally.completed).into();
        if tally.completed.is_empty() {
            status.remove_at(&["completedIndexes"]);
        }
    } else {
        put_count(&mut status, "succeeded", tally.succeeded.settled);
    }
    if spec.per_index.is_some() {
        status["failedIndexes"] = indexes::text(&tally.failed_indexes).into();
    }
    status["uncountedTerminatedPods"] = tally.uncounted();
    if let Some(verdict) = verdict {
        let target = if verdict.success { "SuccessCriteriaMet" } else { "FailureTarget" };
        put_condition(&mut status, target, "True", &verdict.reason, &verdict.message);
    } else if !job.is_deleting() {
        pause(&mut status, spec);
    }
    status
}

/// When it runs and when it is suspended.
fn pause(status: &mut Value, spec: &Spec) {
    let was = status.items(&["conditions"]).iter().any(|c| c.text(&["type"]) == "Suspended");
    if spec.suspended {
        status.remove_at(&["startTime"]);
        put_condition(status, "Suspended", "True", "JobSuspended", "Job suspended");
        return;
    }
    if was {
        put_condition(status, "Suspended", "False", "JobResumed", "Job resumed");
    }
    if status.text(&["startTime"]).is_empty() {
        status["startTime"] = clock::now().into();
    }
}

/// The status after finalizers went: UIDs have become numbers, and a Job none of whose pods is left is over.
pub fn counted(
    status: &Value,
    tally: &Tally,
    spec: &Spec,
    pods: &[Value],
    verdict: Option<&Verdict>,
) -> Value {
    let mut out = status.clone();
    put_count(&mut out, "failed", tally.failed.total());
    if !spec.indexed {
        put_count(&mut out, "succeeded", tally.succeeded.total());
    }
    out["uncountedTerminatedPods"] = json!({});
    put_count(&mut out, "active", count(pods, |p| fate(p, spec) == Fate::Active));
    out["ready"] = count(pods, |p| fate(p, spec) == Fate::Active && is_ready(p)).into();
    let left = count(pods, |p| !is_over(p));
    out["terminating"] = count(pods, |p| p.is_deleting() && !is_over(p)).into();
    if let Some(verdict) = verdict.filter(|_| left == 0) {
        let ty = if verdict.success { "Complete" } else { "Failed" };
        put_condition(&mut out, ty, "True", &verdict.reason, &verdict.message);
        if verdict.success {
            out["completionTime"] = clock::now().into();
        }
    }
    out
}
