//! The policies of a Job: what a failed pod means, and which successes are enough.

use serde_json::Value;

use super::indexes::{self, Indexes};
use crate::model::object::Object;

/// What the failure policy makes of a failed pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It counts.
    Count,
    /// It does not count.
    Ignore,
    /// Its index has failed.
    FailIndex,
    /// The Job has failed, with this message.
    FailJob(String),
}

/// What the policy makes of a failed pod: the first rule that matches.
pub fn on_failure(job: &Value, pod: &Value) -> Action {
    for (i, rule) in job.items(&["spec", "podFailurePolicy", "rules"]).iter().enumerate() {
        let action = rule.text(&["action"]);
        let matched = match rule.get("onExitCodes") {
            Some(codes) => by_exit_code(codes, pod, action, i),
            None => by_condition(rule.items(&["onPodConditions"]), pod, action, i),
        };
        if let Some(message) = matched {
            return match action {
                "FailJob" => Action::FailJob(message),
                "FailIndex" => Action::FailIndex,
                "Ignore" => Action::Ignore,
                _ => Action::Count,
            };
        }
    }
    Action::Count
}

fn by_exit_code(rule: &Value, pod: &Value, action: &str, at: usize) -> Option<String> {
    let name = rule.text(&["containerName"]);
    let values = rule.items(&["values"]);
    let all = ["containerStatuses", "initContainerStatuses"].map(|list| pod.items(&["status", list]));
    let mut containers = all.into_iter().flatten().filter(|c| name.is_empty() || c.text(&["name"]) == name);
    let (container, code) = containers.find_map(|container| {
        let code = container.at(&["state", "terminated", "exitCode"])?.as_i64()?;
        let listed = values.iter().any(|v| v.as_i64() == Some(code));
        (code != 0 && listed == (rule.text(&["operator"]) == "In")).then_some((container, code))
    })?;
    let (container, namespace, pod) = (container.text(&["name"]), pod.meta("namespace"), pod.meta("name"));
    Some(format!(
        "Container {container} for pod {namespace}/{pod} failed with exit code {code} matching {action} rule at index {at}"
    ))
}

fn by_condition(patterns: &[Value], pod: &Value, action: &str, at: usize) -> Option<String> {
    let holds = |pattern: &&Value| {
        let wanted = match pattern.text(&["status"]) {
            "" => "True",
            status => status,
        };
        let mut all = pod.items(&["status", "conditions"]).iter();
        all.any(|c| c.text(&["type"]) == pattern.text(&["type"]) && c.text(&["status"]) == wanted)
    };
    let ty = patterns.iter().find(holds)?.text(&["type"]);
    let (namespace, pod) = (pod.meta("namespace"), pod.meta("name"));
    Some(format!("Pod {namespace}/{pod} has condition {ty} matching {action} rule at index {at}"))
}

/// The first rule of the success policy that the completed indexes satisfy.
pub fn on_success(job: &Value, completed: &Indexes, completions: i64) -> Option<usize> {
    job.items(&["spec", "successPolicy", "rules"]).iter().position(|rule| {
        let count = rule.get("succeededCount").and_then(Value::as_u64);
        let (done, all) = match rule.get("succeededIndexes").and_then(Value::as_str) {
            Some(text) => {
                let wanted = indexes::parse(text, completions);
                (wanted.intersection(completed).count(), wanted.len())
            }
            None => (completed.len(), usize::MAX),
        };
        done as u64 >= count.unwrap_or(all as u64)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(code: i64, condition: &str) -> Value {
        json!({"metadata": {"name": "p", "namespace": "n"}, "status": {
            "containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": code}}}],
            "conditions": [{"type": condition, "status": "True"}]}})
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let job = json!({"spec": {"podFailurePolicy": {"rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailJob", "onExitCodes": {"containerName": "c", "operator": "In", "values": [3]}},
            {"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [1, 2]}}]}}});
        assert_eq!(on_failure(&job, &pod(3, "DisruptionTarget")), Action::Ignore);
        let message = "Container c for pod n/p failed with exit code 3 matching FailJob rule at index 1";
        assert_eq!(on_failure(&job, &pod(3, "")), Action::FailJob(message.to_owned()));
        assert_eq!(on_failure(&job, &pod(9, "")), Action::FailIndex);
        assert_eq!(on_failure(&job, &pod(1, "")), Action::Count);
        assert_eq!(on_failure(&job, &pod(0, "")), Action::Count, "an end with 0 matches nothing");
    }

    #[test]
    fn successes_are_enough_by_index_by_count_or_both() {
        let job = |rule: Value| json!({"spec": {"successPolicy": {"rules": [rule]}}});
        let done = |rule: Value, text: &str| on_success(&job(rule), &indexes::parse(text, 10), 10).is_some();
        assert!(done(json!({"succeededIndexes": "0-1"}), "0,1,5"));
        assert!(!done(json!({"succeededIndexes": "0-1"}), "1,5"));
        assert!(done(json!({"succeededIndexes": "0-4", "succeededCount": 2}), "1,3"));
        assert!(!done(json!({"succeededIndexes": "0-4", "succeededCount": 2}), "1,7"));
        assert!(done(json!({"succeededCount": 2}), "1,7") && !done(json!({"succeededCount": 3}), "1,7"));
    }
}
