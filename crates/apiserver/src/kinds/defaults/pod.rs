//! Pods and pod templates.

use serde_json::{Value, json};

use super::{absent, each, has, resources};
use crate::model::gvk::Gvk;

/// Where a kind holds its pod spec, as a JSON pointer.
pub(super) fn spec_path(gvk: &Gvk) -> Option<&'static str> {
    Some(match (&*gvk.group, &*gvk.kind) {
        ("", "Pod") => "/spec",
        ("", "PodTemplate") => "/template/spec",
        ("", "ReplicationController")
        | ("apps", "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet")
        | ("batch", "Job") => "/spec/template/spec",
        ("batch", "CronJob") => "/spec/jobTemplate/spec/template/spec",
        _ => return None,
    })
}

const CONTAINERS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// What every pod spec gets.
pub(super) fn spec(spec: &mut Value) {
    for list in CONTAINERS {
        for container in each(spec, list) {
            let policy = pull_policy(container["image"].as_str().unwrap_or_default());
            absent(container, "imagePullPolicy", policy);
        }
    }
    for volume in each(spec, "volumes") {
        if volume.as_object().is_some_and(|v| v.keys().all(|k| k == "name")) {
            absent(volume, "emptyDir", json!({}));
        }
        if let Some(image) = volume.get_mut("image") {
            let policy = pull_policy(image["reference"].as_str().unwrap_or_default());
            absent(image, "pullPolicy", policy);
        }
    }
    for (from, to) in [("serviceAccount", "serviceAccountName"), ("serviceAccountName", "serviceAccount")] {
        if let Some(name) = spec.get(from).cloned().filter(|n| n.is_string()) {
            absent(spec, to, name);
        }
    }
}

/// What only a pod itself gets.
pub(super) fn pod(object: &mut Value) {
    let Some(spec) = object.get_mut("spec") else { return };
    for list in ["containers", "initContainers"] {
        each(spec, list).for_each(requests_from_limits);
    }
    resources::pod_level(spec);
    absent(spec, "enableServiceLinks", true);
    if spec["hostNetwork"] == true {
        for list in ["containers", "initContainers"] {
            for port in each(spec, list).flat_map(|c| each(c, "ports")) {
                let number = port["containerPort"].clone();
                absent(port, "hostPort", number);
            }
        }
    }
}

fn requests_from_limits(container: &mut Value) {
    let Some(resources) = container.get_mut("resources") else { return };
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else { return };
    if limits.is_empty() {
        return;
    }
    absent(resources, "requests", json!({}));
    let Some(requests) = resources.get_mut("requests") else { return };
    for (name, limit) in limits {
        if !has(requests, &name) {
            absent(requests, &name, limit);
        }
    }
}

/// `Always` for the tag `latest`, spelled out or left out; what is no image reference gets `IfNotPresent`.
fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, None), |(n, d)| (n, Some(d)));
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match name[last..].find(':') {
        Some(colon) => (&name[..last + colon], Some(&name[last + colon + 1..])),
        None => (name, None),
    };
    let path = match name.split_once('/') {
        // The first part is a host when it looks like one.
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => path,
        _ => name,
    };
    let word = |part: &str| {
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
        !part.is_empty() && part.bytes().all(known)
    };
    let valid = path.split('/').all(word);
    let latest = tag == Some("latest") || (tag.is_none() && digest.is_none());
    if valid && latest { "Always" } else { "IfNotPresent" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_policies_follow_the_tag() {
        let cases = [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("host:5000/nginx", "Always"),
            ("host:5000/a/nginx:1", "IfNotPresent"),
            ("nginx@sha256:aa", "IfNotPresent"),
            ("nginx:latest@sha256:aa", "Always"),
            ("", "IfNotPresent"),
            ("Nginx", "IfNotPresent"),
            ("x/y:5000/z", "IfNotPresent"),
            ("docker.io/library/nginx", "Always"),
        ];
        for (image, want) in cases {
            assert_eq!(pull_policy(image), want, "{image}");
        }
    }
}
