//! What a Deployment's status says, from its ReplicaSets.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::plan::Budget;
use crate::model::clock;
use crate::model::object::Object;

fn count(set: &Value, field: &str) -> i64 {
    set.at(&["status", field]).and_then(Value::as_i64).unwrap_or(0)
}

fn condition(
    old: &[Value],
    ty: &str,
    status: &str,
    reason: &str,
    message: String,
    progressed: bool,
) -> Value {
    let before = old.iter().find(|c| c.text(&["type"]) == ty);
    let same = before.filter(|c| c.text(&["status"]) == status);
    let now = clock::now();
    let since = same.map_or(now.clone(), |c| c.text(&["lastTransitionTime"]).to_owned());
    let quiet = same.filter(|c| c.text(&["reason"]) == reason && !progressed);
    let updated = quiet.map_or(now, |c| c.text(&["lastUpdateTime"]).to_owned());
    json!({"type": ty, "status": status, "reason": reason, "message": message,
           "lastTransitionTime": since, "lastUpdateTime": updated})
}

/// The status, and the seconds after which the progress deadline is to be looked at.
pub fn of(deployment: &Value, new: Option<&Value>, all: &[Value]) -> (Value, Option<i64>) {
    let budget = Budget::of(deployment);
    let sum = |field: &str| all.iter().map(|s| count(s, field)).sum::<i64>();
    let (replicas, ready, available) = (sum("replicas"), sum("readyReplicas"), sum("availableReplicas"));
    let updated = new.map_or(0, |s| count(s, "replicas"));
    let old = deployment.items(&["status", "conditions"]);
    let before = |field: &str| deployment.at(&["status", field]).and_then(Value::as_i64).unwrap_or(0);
    let progressed = updated > before("updatedReplicas")
        || ready > before("readyReplicas")
        || available > before("availableReplicas")
        || replicas - updated < before("replicas") - before("updatedReplicas");
    let name = deployment.meta("name");
    let set_name = new.map_or("", |s| s.meta("name"));
    let enough = available >= budget.desired - budget.unavailable;
    let (status, reason, text) = match enough {
        true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    let mut conditions = vec![condition(old, "Available", status, reason, text.to_owned(), false)];
    let mut recheck = None;
    let deadline = deployment.at(&["spec", "progressDeadlineSeconds"]).and_then(Value::as_i64);
    let complete = updated == budget.desired && replicas == budget.desired && available == budget.desired;
    let paused = deployment.at(&["spec", "paused"]) == Some(&Value::Bool(true));
    if let Some(deadline) = deadline.filter(|d| *d < i64::from(i32::MAX)) {
        let last = old.iter().find(|c| c.text(&["type"]) == "Progressing");
        let since = last.and_then(|c| c.text(&["lastUpdateTime"]).parse::<Timestamp>().ok());
        let waited = since.map_or(0, |s| Timestamp::now().as_second() - s.as_second());
        let subject = if set_name.is_empty() {
            format!("Deployment {name:?}")
        } else {
            format!("ReplicaSet {set_name:?}")
        };
        conditions.push(if complete {
            condition(
                old,
                "Progressing",
                "True",
                "NewReplicaSetAvailable",
                format!("{subject} has successfully progressed."),
                false,
            )
        } else if paused {
            condition(old, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused".into(), false)
        } else if !progressed && last.is_some() && waited >= deadline {
            condition(
                old,
                "Progressing",
                "False",
                "ProgressDeadlineExceeded",
                format!("{subject} has timed out progressing."),
                false,
            )
        } else {
            recheck = Some((deadline - waited).max(1));
            let kept = last.filter(|c| {
                c.text(&["status"]) == "True"
                    && !progressed
                    && c.text(&["reason"]) != "NewReplicaSetAvailable"
            });
            let reason = kept.map_or("ReplicaSetUpdated", |c| c.text(&["reason"]));
            condition(old, "Progressing", "True", reason, format!("{subject} is progressing."), progressed)
        });
    }
    for set in all {
        let failure =
            set.items(&["status", "conditions"]).iter().find(|c| c.text(&["type"]) == "ReplicaFailure");
        if let Some(failure) = failure {
            conditions.push(condition(
                old,
                "ReplicaFailure",
                "True",
                "FailedCreate",
                failure.text(&["message"]).to_owned(),
                false,
            ));
            break;
        }
    }
    let mut out = json!({
        "observedGeneration": deployment.generation(), "conditions": conditions,
    });
    let terminating = sum("terminatingReplicas");
    for (field, value) in [
        ("replicas", replicas),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", available),
        ("unavailableReplicas", (sum_of_sizes(all) - available).max(0)),
    ] {
        if value > 0 {
            out[field] = value.into();
        }
    }
    out["terminatingReplicas"] = terminating.into();
    if let Some(count) = deployment.at(&["status", "collisionCount"]) {
        out["collisionCount"] = count.clone();
    }
    (out, recheck)
}

fn sum_of_sizes(all: &[Value]) -> i64 {
    all.iter().map(|s| s.at(&["spec", "replicas"]).and_then(Value::as_i64).unwrap_or(0)).sum()
}
