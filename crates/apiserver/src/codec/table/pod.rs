//! Cells of pods.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::age;
use super::format::{NONE, condition, number, or_none};
use crate::model::object::Object;
use crate::model::resource::{CellSource, Resource};

pub(super) fn cell(name: &str, object: &Value, now: Timestamp) -> Option<Value> {
    Some(Value::String(match name {
        "podReady" => {
            let summary = summarise(object);
            format!("{}/{}", summary.ready, summary.total)
        }
        "podStatus" => summarise(object).reason,
        "podRestarts" => {
            let summary = summarise(object);
            match summary.last_restart {
                Some(at) if summary.restarts != 0 => {
                    format!("{} ({} ago)", summary.restarts, age::human_duration(age::between(at, now)))
                }
                _ => summary.restarts.to_string(),
            }
        }
        "podIP" => {
            let first = object.items(&["status", "podIPs"]).first().map(|ip| ip.text(&["ip"]).to_owned());
            or_none(first.unwrap_or_default())
        }
        "nodeOfPod" => or_none(object.text(&["spec", "nodeName"]).into()),
        "nominatedNode" => or_none(object.text(&["status", "nominatedNodeName"]).into()),
        "readinessGates" => readiness_gates(object),
        _ => return None,
    }))
}

/// The condition of a row whose pod has ended.
pub(super) fn row_conditions(resource: &Resource, object: &Value) -> Option<Value> {
    let is_pod = resource.columns.iter().any(|c| c.source == CellSource::Hook("podReady".into()));
    let (reason, message) = match object.text(&["status", "phase"]) {
        "Succeeded" if is_pod => ("Succeeded", "The pod has completed successfully."),
        "Failed" if is_pod => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

fn readiness_gates(object: &Value) -> String {
    let gates = object.items(&["spec", "readinessGates"]);
    if gates.is_empty() {
        return NONE.into();
    }
    let open = gates.iter().filter(|g| condition(object, g.text(&["conditionType"])) == Some("True"));
    format!("{}/{}", open.count(), gates.len())
}

/// What the first columns show.
struct Summary {
    ready: usize,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
    reason: String,
}

impl Summary {
    fn restarted(&mut self, status: &Value) {
        self.restarts += number(status, &["restartCount"]);
        self.last_restart = self.last_restart.max(finished(status));
    }
}

fn finished(status: &Value) -> Option<Timestamp> {
    age::time(status.at(&["lastState", "terminated", "finishedAt"]))
}

fn state<'a>(status: &'a Value, name: &str) -> Option<&'a Value> {
    status.at(&["state", name]).filter(|s| s.is_object())
}

/// How a terminated container is called.
fn ending(terminated: &Value) -> String {
    match (terminated.text(&["reason"]), number(terminated, &["signal"])) {
        ("", 0) => format!("ExitCode:{}", number(terminated, &["exitCode"])),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn summarise(object: &Value) -> Summary {
    let phase = object.text(&["status", "phase"]);
    let mut reason = match object.text(&["status", "reason"]) {
        "" => phase.to_owned(),
        reason => reason.to_owned(),
    };
    let gated = |c: &Value| c.text(&["type"]) == "PodScheduled" && c.text(&["reason"]) == "SchedulingGated";
    if object.items(&["status", "conditions"]).iter().any(gated) {
        reason = "SchedulingGated".into();
    }
    let init = object.items(&["spec", "initContainers"]);
    let sidecar =
        |name: &str| init.iter().any(|c| c.text(&["name"]) == name && c.text(&["restartPolicy"]) == "Always");
    let sidecars = init.iter().filter(|c| c.text(&["restartPolicy"]) == "Always").count();
    let total = object.items(&["spec", "containers"]).len() + sidecars;
    let mut out = Summary { ready: 0, total, restarts: 0, last_restart: None, reason };
    let (mut side_restarts, mut side_last) = (0, None);
    let mut initializing = false;
    for (i, status) in object.items(&["status", "initContainerStatuses"]).iter().enumerate() {
        out.restarted(status);
        let restartable = sidecar(status.text(&["name"]));
        if restartable {
            side_restarts += number(status, &["restartCount"]);
            side_last = Option::max(side_last, finished(status));
        }
        let terminated = state(status, "terminated");
        if terminated.is_some_and(|t| number(t, &["exitCode"]) == 0) {
            continue;
        }
        if restartable && status["started"] == true {
            out.ready += usize::from(status["ready"] == true);
            continue;
        }
        let waiting = state(status, "waiting").map(|w| w.text(&["reason"])).unwrap_or_default();
        out.reason = match terminated {
            Some(terminated) => format!("Init:{}", ending(terminated)),
            None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
            None => format!("Init:{i}/{}", init.len()),
        };
        initializing = true;
        break;
    }
    if !initializing || condition(object, "Initialized") == Some("True") {
        (out.restarts, out.last_restart) = (side_restarts, side_last);
        containers(object, &mut out);
    }
    if object.is_deleting() {
        if object.text(&["status", "reason"]) == "NodeLost" {
            out.reason = "Unknown".into();
        } else if !matches!(phase, "Failed" | "Succeeded") {
            out.reason = "Terminating".into();
        }
    }
    out
}

/// Statuses of the ordinary containers, the first one's word last.
fn containers(object: &Value, out: &mut Summary) {
    let (mut running, mut error) = (false, String::new());
    for status in object.items(&["status", "containerStatuses"]).iter().rev() {
        out.restarted(status);
        let waiting = state(status, "waiting").map(|w| w.text(&["reason"])).unwrap_or_default();
        if !waiting.is_empty() {
            out.reason = waiting.to_owned();
        } else if let Some(terminated) = state(status, "terminated") {
            out.reason = ending(terminated);
            if number(terminated, &["exitCode"]) != 0 {
                error.clone_from(&out.reason);
            }
        } else if status["ready"] == true && state(status, "running").is_some() {
            running = true;
            out.ready += 1;
        }
    }
    if out.reason == "Completed" {
        if running && condition(object, "Ready") == Some("True") {
            out.reason = "Running".into();
        } else if !error.is_empty() {
            out.reason = error;
        } else if running {
            out.reason = "NotReady".into();
        }
    }
}
