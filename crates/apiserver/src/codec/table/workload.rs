//! Cells of workloads.

use jiff::Timestamp;
use serde_json::Value;

use super::age;
use super::format::{NONE, condition, number, or_none, selector, shown};
use crate::model::object::Object;

const TEMPLATE: &[&str] = &["spec", "template"];
const CRON_TEMPLATE: &[&str] = &["spec", "jobTemplate", "spec", "template"];

pub(super) fn cell(name: &str, object: &Value, now: Timestamp) -> Option<Value> {
    Some(Value::String(match name {
        "ready" => {
            let desired = number(object, &["spec", "replicas"]);
            format!("{}/{desired}", number(object, &["status", "readyReplicas"]))
        }
        "containers" => containers(template(object), "name"),
        "images" => containers(template(object), "image"),
        "cronContainers" => containers(object.at(CRON_TEMPLATE), "name"),
        "cronImages" => containers(object.at(CRON_TEMPLATE), "image"),
        "cronSelector" => selector(object.at(&["spec", "jobTemplate", "spec", "selector"])),
        "templateLabels" => selector(template(object).and_then(|t| t.at(&["metadata", "labels"]))),
        "templateNodeSelector" => selector(object.at(&["spec", "template", "spec", "nodeSelector"])),
        "controller" => controller(object),
        "jobStatus" => job_status(object).into(),
        "jobCompletions" => job_completions(object),
        "jobDuration" => job_duration(object, now),
        "scaleTarget" => {
            let target = object.at(&["spec", "scaleTargetRef"]).cloned().unwrap_or_default();
            format!("{}/{}", target.text(&["kind"]), target.text(&["name"]))
        }
        "hpaTargets" => hpa_targets(object),
        _ => return None,
    }))
}

/// The pod template: of a workload below `spec`, of a template kind at the top.
fn template(object: &Value) -> Option<&Value> {
    object.at(TEMPLATE).or_else(|| object.at(&["template"]))
}

fn containers(template: Option<&Value>, member: &str) -> String {
    let items = template.map(|t| t.items(&["spec", "containers"])).unwrap_or_default();
    items.iter().map(|c| c.text(&[member])).collect::<Vec<_>>().join(",")
}

fn controller(object: &Value) -> String {
    let owners = object.items(&["metadata", "ownerReferences"]);
    let Some(owner) = owners.iter().find(|o| o["controller"] == true) else { return NONE.into() };
    let kind = owner.text(&["kind"]).to_lowercase();
    match owner.text(&["apiVersion"]).rsplit_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", owner.text(&["name"])),
        None => format!("{kind}/{}", owner.text(&["name"])),
    }
}

fn job_status(object: &Value) -> &'static str {
    let has = |ty| condition(object, ty) == Some("True");
    if has("Complete") {
        "Complete"
    } else if has("Failed") {
        "Failed"
    } else if object.is_deleting() {
        "Terminating"
    } else {
        ["Suspended", "FailureTarget", "SuccessCriteriaMet"]
            .into_iter()
            .find(|ty| has(ty))
            .unwrap_or("Running")
    }
}

fn job_completions(object: &Value) -> String {
    let succeeded = number(object, &["status", "succeeded"]);
    if let Some(wanted) = object.at(&["spec", "completions"]).and_then(Value::as_i64) {
        return format!("{succeeded}/{wanted}");
    }
    match number(object, &["spec", "parallelism"]) {
        parallel if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        _ => format!("{succeeded}/1"),
    }
}

fn job_duration(object: &Value, now: Timestamp) -> String {
    let Some(start) = age::time(object.at(&["status", "startTime"])) else { return String::new() };
    let end = age::time(object.at(&["status", "completionTime"])).unwrap_or(now);
    age::human_duration(age::between(start, end))
}

fn hpa_targets(object: &Value) -> String {
    let specs = object.items(&["spec", "metrics"]);
    let statuses = object.items(&["status", "currentMetrics"]);
    if specs.is_empty() {
        // The older version has one target.
        let Some(target) = object.at(&["spec", "targetCPUUtilizationPercentage"]) else { return NONE.into() };
        let current = object.at(&["status", "currentCPUUtilizationPercentage"]);
        let current = current.map_or_else(|| "<unknown>".into(), |c| format!("{c}%"));
        return format!("cpu: {current}/{target}%");
    }
    let texts: Vec<String> = specs.iter().enumerate().map(|(i, s)| metric(s, statuses.get(i))).collect();
    let shown = texts[..texts.len().min(2)].join(", ");
    if texts.len() > 2 { format!("{shown} + {} more...", texts.len() - 2) } else { or_none(shown) }
}

fn metric(spec: &Value, status: Option<&Value>) -> String {
    let member = match spec.text(&["type"]) {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".into(),
    };
    let target = |name| spec.at(&[member, "target", name]);
    let current = |name: &str| {
        let found = status.and_then(|s| s.at(&[member, "current", name]));
        found.map_or_else(|| "<unknown>".to_owned(), shown)
    };
    let resource = member == "resource" || member == "containerResource";
    let prefix = if resource { format!("{}: ", spec.text(&[member, "name"])) } else { String::new() };
    if let Some(average) = target("averageValue") {
        let suffix = if resource || member == "pods" { "" } else { " (avg)" };
        return format!("{prefix}{}/{}{suffix}", current("averageValue"), shown(average));
    }
    if resource {
        let percent = |text: String| if text.starts_with('<') { text } else { format!("{text}%") };
        let wanted = target("averageUtilization").map_or_else(|| "<auto>".to_owned(), shown);
        return format!("{prefix}{}/{}", percent(current("averageUtilization")), percent(wanted));
    }
    format!("{}/{}", current("value"), target("value").map(shown).unwrap_or_default())
}
