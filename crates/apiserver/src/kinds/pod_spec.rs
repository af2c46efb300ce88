//! What holds for the spec of a pod wherever it stands: in a Pod or in a template.

use serde_json::Value;

use crate::model::names;
use crate::model::object::Object;
use crate::model::status::Cause;

/// Members of a volume that say what it is, in the order in which upstream looks at them.
const SOURCES: [&str; 28] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "flocker",
    "downwardAPI",
    "fc",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "ephemeral",
    "csi",
    "image",
];
const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];
const ASKED: [[&str; 2]; 5] = [
    ["livenessProbe", ""],
    ["readinessProbe", ""],
    ["startupProbe", ""],
    ["lifecycle", "postStart"],
    ["lifecycle", "preStop"],
];

/// Objections to the spec at `path`.
pub fn validate(path: &str, spec: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (i, volume) in spec.items(&["volumes"]).iter().enumerate() {
        let given = SOURCES.iter().filter(|source| volume.get(**source).is_some());
        causes.extend(given.skip(1).map(|source| {
            let field = format!("{path}.volumes[{i}].{source}");
            Cause::forbidden(field, "may not specify more than 1 volume type")
        }));
    }
    if spec.items(&["containers"]).is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let mut names: Vec<&str> = Vec::new();
    for list in ["initContainers", "containers"] {
        for (i, container) in spec.items(&[list]).iter().enumerate() {
            check_container(&format!("{path}.{list}[{i}]"), container, &names, &mut causes);
            names.push(container.text(&["name"]));
        }
    }
    causes
}

fn check_container(path: &str, container: &Value, names: &[&str], causes: &mut Vec<Cause>) {
    let name = container.text(&["name"]);
    if name.is_empty() {
        causes.push(Cause::required(format!("{path}.name"), ""));
    } else if !names::is_dns_label(name) {
        causes.push(Cause::invalid(format!("{path}.name"), &name.into(), names::LABEL_RULE));
    } else if names.contains(&name) {
        causes.push(Cause::duplicate(format!("{path}.name"), &name.into()));
    }
    if container.text(&["image"]).is_empty() {
        causes.push(Cause::required(format!("{path}.image"), ""));
    }
    for [member, part] in ASKED {
        let (place, at) = match part {
            "" => (container.get(member), format!("{path}.{member}")),
            part => (container.at(&[member, part]), format!("{path}.{member}.{part}")),
        };
        let Some(handler) = place else { continue };
        let given: Vec<&str> = HANDLERS.into_iter().filter(|h| handler.get(*h).is_some()).collect();
        if given.is_empty() {
            causes.push(Cause::required(at, "must specify a handler type"));
            continue;
        }
        causes.extend(given.iter().skip(1).map(|handler| {
            Cause::forbidden(format!("{at}.{handler}"), "may not specify more than 1 handler type")
        }));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(spec: Value, wanted: &[(&str, &str)]) {
        let found = validate("spec", &spec);
        let found: Vec<(&str, &str)> = found.iter().map(|c| (&*c.field, &*c.message)).collect();
        assert_eq!(found, wanted);
    }

    #[test]
    fn a_spec_is_objected_to_field_by_field() {
        let good = json!({ "name": "c", "image": "i", "livenessProbe": { "exec": {} },
            "lifecycle": { "preStop": { "sleep": { "seconds": 1 } } } });
        check(json!({ "containers": [good], "volumes": [{ "name": "v", "emptyDir": {} }] }), &[]);
        check(json!({}), &[("spec.containers", "Required value")]);
        check(
            json!({ "containers": [good], "volumes": [{ "name": "v", "secret": {}, "emptyDir": {}, "configMap": {} }] }),
            &[
                ("spec.volumes[0].secret", "Forbidden: may not specify more than 1 volume type"),
                ("spec.volumes[0].configMap", "Forbidden: may not specify more than 1 volume type"),
            ],
        );
        let probes = json!({ "name": "d", "image": "i", "readinessProbe": { "periodSeconds": 1 },
            "lifecycle": { "postStart": { "exec": {}, "httpGet": {} } } });
        check(
            json!({ "initContainers": [{ "name": "d", "image": "i" }], "containers": [probes, { "name": "D" }] }),
            &[
                ("spec.containers[0].name", "Duplicate value: \"d\""),
                ("spec.containers[0].readinessProbe", "Required value: must specify a handler type"),
                (
                    "spec.containers[0].lifecycle.postStart.httpGet",
                    "Forbidden: may not specify more than 1 handler type",
                ),
                ("spec.containers[1].name", &format!("Invalid value: \"D\": {}", names::LABEL_RULE)),
                ("spec.containers[1].image", "Required value"),
            ],
        );
    }
}
