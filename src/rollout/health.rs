//! Whether a delivered object does its work (A10).

use serde_json::Value;

use crate::placement::raw::{items, text};

/// What an object is like on its member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does what it is for.
    Available,
    /// On its way, with what is missing.
    Progressing(String),
    /// It will not get there by itself.
    Failed(String),
}

fn number(object: &Value, path: &[&str]) -> i64 {
    path.iter().try_fold(object, |v, key| v.get(key)).and_then(Value::as_i64).unwrap_or(0)
}

fn condition<'a>(object: &'a Value, ty: &str) -> Option<&'a Value> {
    items(object, &["status", "conditions"]).iter().find(|c| text(c, &["type"]) == ty)
}

fn workload(object: &Value, updated: &str, available: &str) -> Health {
    let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
    if number(object, &["status", "observedGeneration"]) < number(object, &["metadata", "generation"]) {
        return Health::Progressing("the controller has not seen it yet".into());
    }
    let (updated, available) = (number(object, &["status", updated]), number(object, &["status", available]));
    if condition(object, "Progressing").is_some_and(|c| text(c, &["reason"]) == "ProgressDeadlineExceeded") {
        return Health::Failed(format!(
            "{available} of {wanted} replicas are available; the deadline has passed"
        ));
    }
    if updated >= wanted && available >= wanted {
        Health::Available
    } else {
        Health::Progressing(format!("{available} of {wanted} replicas are available"))
    }
}

/// Judges a live object by its kind.
pub fn of(object: &Value) -> Health {
    match text(object, &["kind"]) {
        "Deployment" => workload(object, "updatedReplicas", "availableReplicas"),
        "StatefulSet" => workload(object, "updatedReplicas", "readyReplicas"),
        "ReplicaSet" => workload(object, "replicas", "availableReplicas"),
        "DaemonSet" => {
            let wanted = number(object, &["status", "desiredNumberScheduled"]);
            let ready = number(object, &["status", "numberAvailable"]);
            if ready >= wanted {
                Health::Available
            } else {
                Health::Progressing(format!("{ready} of {wanted} nodes"))
            }
        }
        "Job" => match (condition(object, "Complete"), condition(object, "Failed")) {
            (_, Some(failed)) if text(failed, &["status"]) == "True" => {
                Health::Failed(text(failed, &["message"]).to_owned())
            }
            (Some(_), _) => Health::Available,
            _ if number(object, &["status", "active"]) > 0 => Health::Available,
            _ => Health::Progressing("not running yet".into()),
        },
        "Service" if text(object, &["spec", "type"]) == "LoadBalancer" => {
            match items(object, &["status", "loadBalancer", "ingress"]).is_empty() {
                true => Health::Progressing("no address yet".into()),
                false => Health::Available,
            }
        }
        "PersistentVolumeClaim" => match text(object, &["status", "phase"]) {
            "Bound" => Health::Available,
            phase => Health::Progressing(format!("phase {phase}")),
        },
        "CustomResourceDefinition" => match condition(object, "Established").map(|c| text(c, &["status"])) {
            Some("True") => Health::Available,
            _ => Health::Progressing("not established".into()),
        },
        _ => Health::Available,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_deployment_is_available_when_its_replicas_are() {
        let deployment = |available: i64, seen: i64| {
            json!({"kind": "Deployment", "metadata": {"generation": 2}, "spec": {"replicas": 2},
                   "status": {"observedGeneration": seen, "updatedReplicas": 2, "availableReplicas": available}})
        };
        assert_eq!(of(&deployment(2, 2)), Health::Available);
        assert!(matches!(of(&deployment(1, 2)), Health::Progressing(_)));
        assert!(matches!(of(&deployment(2, 1)), Health::Progressing(_)));
        assert_eq!(of(&json!({"kind": "ConfigMap"})), Health::Available);
    }
}
