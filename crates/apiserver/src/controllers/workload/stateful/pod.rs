//! The pod of a place: its name, labels, host name and volumes.

use serde_json::{Value, json};

use super::claims;
use super::steps::REVISION;
use crate::controllers::workload::children;
use crate::model::object::Object;

/// Label with the pod's own name.
const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
/// Label with the ordinal.
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// Name of the pod of an ordinal.
pub fn name(set: &Value, ordinal: i64) -> String {
    format!("{}-{ordinal}", set.meta("name"))
}

/// The labels that make the pod of an ordinal known.
pub fn labels(set: &Value, ordinal: i64) -> [(&'static str, String); 2] {
    [(POD_NAME, name(set, ordinal)), (POD_INDEX, ordinal.to_string())]
}

/// The pod of an ordinal by a template, as part of a revision.
pub fn build(set: &Value, ordinal: i64, template: &Value, revision: &str) -> Value {
    let name = name(set, ordinal);
    let reference = children::reference("apps/v1", "StatefulSet", set);
    let mut pod = children::pod(template, set.meta("name"), reference);
    pod.set_meta("name", name.as_str());
    pod.put(&["metadata", "labels", REVISION], revision);
    for (key, value) in labels(set, ordinal) {
        pod.put(&["metadata", "labels", key], value);
    }
    pod.put(&["spec", "hostname"], name.as_str());
    pod.put(&["spec", "subdomain"], set.text(&["spec", "serviceName"]));
    let templates = claims::templates(set);
    if !templates.is_empty() {
        pod.put(&["spec", "volumes"], volumes(&pod, templates, &name));
    }
    pod
}

/// Volumes of the claims, and those of the template that no claim replaces.
fn volumes(pod: &Value, templates: &[Value], name: &str) -> Vec<Value> {
    let volume = |claim: &Value| {
        json!({"name": claim.meta("name"),
               "persistentVolumeClaim": {"claimName": claims::name(claim, name)}})
    };
    let replaced = |v: &&Value| templates.iter().any(|t| t.meta("name") == v.text(&["name"]));
    let own = pod.items(&["spec", "volumes"]).iter().filter(|v| !replaced(v)).cloned();
    templates.iter().map(volume).chain(own).collect()
}
