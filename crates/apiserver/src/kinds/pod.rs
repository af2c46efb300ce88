//! Pod: grace, quality of service, priority, what may change after creation, binding.

use serde_json::{Value, json};

use super::{Hooks, NONE, pod_spec};
use crate::model::clock;
use crate::model::object::Object;
use crate::model::status::Cause;

/// Hooks of Pods.
pub const HOOKS: Hooks =
    Hooks { default: least_grace, prepare_create, validate, grace, returns_deleted: true, ..NONE };

/// A grace below zero means the least there is.
fn least_grace(pod: &mut Value) {
    let own = ["spec", "terminationGracePeriodSeconds"];
    if pod.at(&own).and_then(Value::as_i64).is_some_and(|seconds| seconds < 0) {
        pod.put(&own, 1);
    }
}

fn containers<'a>(pod: &'a Value, field: &str) -> &'a [Value] {
    pod.items(&["spec", field])
}

/// QoS class by the containers' cpu and memory.
pub fn qos_class(pod: &Value) -> &'static str {
    let all = || containers(pod, "containers").iter().chain(containers(pod, "initContainers"));
    let value = |c: &Value, side: &str, resource: &str| {
        c.at(&["resources", side, resource]).filter(|v| !is_zero(v)).cloned()
    };
    let any = all().any(|c| {
        ["requests", "limits"]
            .iter()
            .any(|side| ["cpu", "memory"].iter().any(|r| value(c, side, r).is_some()))
    });
    if !any {
        return "BestEffort";
    }
    let guaranteed = all().all(|c| {
        ["cpu", "memory"].iter().all(|r| {
            let limit = value(c, "limits", r);
            limit.is_some() && (value(c, "requests", r).is_none() || value(c, "requests", r) == limit)
        })
    });
    if guaranteed { "Guaranteed" } else { "Burstable" }
}

fn is_zero(quantity: &Value) -> bool {
    match quantity {
        Value::String(s) => s.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse::<f64>() == Ok(0.0),
        other => other.as_f64() == Some(0.0),
    }
}

fn prepare_create(pod: &mut Value) {
    let gated = !pod.items(&["spec", "schedulingGates"]).is_empty();
    pod.put(&["status"], json!({"phase": "Pending", "qosClass": qos_class(pod)}));
    if gated {
        pod.put(
            &["status", "conditions"],
            json!([{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
                    "lastProbeTime": null, "lastTransitionTime": null,
                    "message": "Scheduling is blocked due to non-empty scheduling gates"}]),
        );
    }
}

/// Grace: what was asked for, else the pod's own; none where nothing runs.
fn grace(pod: &Value, asked: Option<i64>) -> i64 {
    let unbound = pod.text(&["spec", "nodeName"]).is_empty();
    let over = matches!(pod.text(&["status", "phase"]), "Succeeded" | "Failed");
    if unbound || over {
        return 0;
    }
    let own = pod.at(&["spec", "terminationGracePeriodSeconds"]).and_then(Value::as_i64).unwrap_or(30);
    asked.unwrap_or(own).max(0)
}

fn validate(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    // What was accepted once is not judged again while it stays.
    let changed = old.is_none_or(|old| old.get("spec") != new.get("spec"));
    let spec = new.get("spec").filter(|_| changed);
    let mut causes = spec.map_or_else(Vec::new, |spec| pod_spec::validate("spec", spec));
    let policy = new.text(&["spec", "restartPolicy"]);
    if !matches!(policy, "Always" | "OnFailure" | "Never") {
        let supported = ["Always", "OnFailure", "Never"];
        causes.push(Cause::not_supported("spec.restartPolicy", &policy.into(), &supported));
    }
    if let Some(old) = old {
        causes.extend(frozen(new, old));
    }
    causes
}

/// Members of a live pod's spec that may change: everything else is compared.
fn frozen(new: &Value, old: &Value) -> Option<Cause> {
    let strip = |pod: &Value| {
        let mut spec = pod.get("spec").cloned().unwrap_or_default();
        for field in [
            "activeDeadlineSeconds",
            "tolerations",
            "terminationGracePeriodSeconds",
            "schedulingGates",
            "nodeName",
        ] {
            spec.remove_at(&[field]);
        }
        for field in ["containers", "initContainers"] {
            if let Some(list) = spec.get_mut(field).and_then(Value::as_array_mut) {
                for container in list {
                    container.remove_at(&["image"]);
                    container.remove_at(&["resources"]);
                }
            }
        }
        spec.remove_at(&["ephemeralContainers"]);
        spec.remove_at(&["resources"]);
        if !pod.items(&["spec", "schedulingGates"]).is_empty() {
            spec.remove_at(&["nodeSelector"]);
            spec.remove_at(&["affinity"]);
        }
        spec
    };
    let gates = !old.items(&["spec", "schedulingGates"]).is_empty();
    let (mut a, mut b) = (strip(new), strip(old));
    if gates {
        for spec in [&mut a, &mut b] {
            spec.remove_at(&["nodeSelector"]);
            spec.remove_at(&["affinity"]);
        }
    }
    let moved = old.text(&["spec", "nodeName"]) != new.text(&["spec", "nodeName"])
        && !old.text(&["spec", "nodeName"]).is_empty();
    (a != b || moved).then(|| {
        Cause::forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        )
    })
}

/// The pod after a Binding, or why it cannot be bound.
pub fn bind(pod: &Value, binding: &Value) -> Result<Value, String> {
    let node = binding.text(&["target", "name"]);
    let bound = pod.text(&["spec", "nodeName"]);
    if pod.is_deleting() {
        return Err(format!("pod {} is being deleted, cannot be assigned to a host", pod.meta("name")));
    }
    if !bound.is_empty() {
        return Err(format!("pod {} is already assigned to node {bound:?}", pod.meta("name")));
    }
    if !pod.items(&["spec", "schedulingGates"]).is_empty() {
        return Err(format!("pod {} has non-empty .spec.schedulingGates", pod.meta("name")));
    }
    let mut pod = pod.clone();
    pod.put(&["spec", "nodeName"], node);
    for field in ["annotations", "labels"] {
        let extra = binding.at(&["metadata", field]).and_then(Value::as_object).cloned().unwrap_or_default();
        for (key, value) in extra {
            pod.put(&["metadata", field, &key], value);
        }
    }
    let mut conditions: Vec<Value> = pod
        .items(&["status", "conditions"])
        .iter()
        .filter(|c| c.text(&["type"]) != "PodScheduled")
        .cloned()
        .collect();
    conditions.push(json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": clock::now()}));
    pod.put(&["status", "conditions"], conditions);
    Ok(pod)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_below_zero_is_the_least() {
        for (given, kept) in [(-1, 1), (0, 0), (7, 7)] {
            let mut pod = json!({"spec": {"terminationGracePeriodSeconds": given}});
            (HOOKS.default)(&mut pod);
            assert_eq!(pod["spec"]["terminationGracePeriodSeconds"], json!(kept));
        }
    }

    #[test]
    fn quality_of_service_follows_requests_and_limits() {
        let pod = |resources: Value| json!({"spec": {"containers": [{"name": "a", "resources": resources}]}});
        assert_eq!(qos_class(&pod(json!({}))), "BestEffort");
        assert_eq!(qos_class(&pod(json!({"requests": {"cpu": "1"}}))), "Burstable");
        let full =
            json!({"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}});
        assert_eq!(qos_class(&pod(full)), "Guaranteed");
    }

    #[test]
    fn a_bound_pod_is_not_bound_again() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {}});
        let bound = bind(&pod, &json!({"target": {"name": "n1"}})).unwrap();
        assert_eq!(bound.text(&["spec", "nodeName"]), "n1");
        assert!(bind(&bound, &json!({"target": {"name": "n2"}})).is_err());
    }
}
