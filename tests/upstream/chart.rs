//! The chart as Helm renders it: what its pods may do (tenancy I15; TN-56), and who is guarded (I10).

use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::Outcome;
use crate::kubectl::tool;
use crate::world::{World, text};

/// Objects of the chart with these values.
#[track_caller]
fn rendered(values: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/skerry");
    let mut command = Command::new(tool("helm"));
    command.args(["template", "skerry"]).arg(chart).args(["-n", "skerry-system"]);
    for value in values {
        command.args(["--set", value]);
    }
    let out = command.env("HOME", folder.path()).stdin(Stdio::null()).output().expect("helm");
    assert!(out.status.success(), "{}", text(&out.stderr));
    let all = text(&out.stdout);
    let documents = serde_yaml_ng::Deserializer::from_str(&all);
    documents.map(|d| Value::deserialize(d).expect("YAML")).filter(|o| !o.is_null()).collect()
}

fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|o| o["kind"] == kind).collect()
}

/// What a pod template has against I15.
fn faults(owner: &Value, policies: &[&Value]) -> Vec<String> {
    let template = &owner["spec"]["template"];
    let (pod, labels) = (&template["spec"], &template["metadata"]["labels"]);
    let mut out = Vec::new();
    let mut must = |what: &str, holds: bool| {
        if !holds {
            out.push(what.to_owned());
        }
    };
    let security = &pod["securityContext"];
    must("uid 65532", security["runAsUser"] == 65532 && security["runAsGroup"] == 65532);
    must("no root", security["runAsNonRoot"] == true);
    must("seccomp RuntimeDefault", security["seccompProfile"]["type"] == "RuntimeDefault");
    let of_host = ["hostNetwork", "hostPID", "hostIPC"].iter().any(|f| pod[*f] == true);
    let paths = pod["volumes"].as_array().into_iter().flatten().any(|v| v.get("hostPath").is_some());
    must("nothing of the node", !of_host && !paths);
    // The API server asks no other for anything.
    let account = pod["serviceAccountName"].as_str();
    must(
        "a token only with an account of its own",
        account.is_some() || pod["automountServiceAccountToken"] == false,
    );
    let replicated = owner["spec"]["replicas"].as_u64() > Some(1);
    let zones = pod["topologySpreadConstraints"].to_string().contains("topology.kubernetes.io/zone");
    must("spread over zones", !replicated || zones);
    for key in ["app.kubernetes.io/name", "app.kubernetes.io/component"] {
        must(key, labels[key].is_string() && owner["spec"]["selector"]["matchLabels"][key] == labels[key]);
    }
    let selects = |policy: &&Value| {
        let wanted = policy["spec"]["podSelector"]["matchLabels"].as_object();
        wanted.into_iter().flatten().all(|(key, value)| labels[key] == *value)
    };
    must("a NetworkPolicy", policies.iter().any(selects));
    for container in
        pod["containers"].as_array().into_iter().chain(pod["initContainers"].as_array()).flatten()
    {
        let security = &container["securityContext"];
        must("read-only root", security["readOnlyRootFilesystem"] == true);
        let none = security["capabilities"]["drop"] == json!(["ALL"])
            && security["capabilities"].get("add").is_none();
        must(
            "no privilege",
            security["allowPrivilegeEscalation"] == false && security["privileged"] != true && none,
        );
        let requests = &container["resources"]["requests"];
        must("requests", requests["cpu"].is_string() && requests["memory"].is_string());
        must("IfNotPresent", container["imagePullPolicy"] == "IfNotPresent");
        must("FallbackToLogsOnError", container["terminationMessagePolicy"] == "FallbackToLogsOnError");
    }
    out
}

fn pods(objects: &[Value]) -> Vec<&Value> {
    let kinds = ["Deployment", "StatefulSet", "DaemonSet", "Job", "ReplicaSet"];
    objects.iter().filter(|o| kinds.iter().any(|k| o["kind"] == *k)).collect()
}

/// TN-56: all pods of the chart, under several sets of values.
pub fn restricted(_world: &mut World) -> Outcome {
    for values in [&[][..], &["hosts.local.enabled=false", "apiServer.domain=vc.example.com"][..]] {
        let all = rendered(values);
        let owners = pods(&all);
        assert_eq!(owners.len(), 3, "manager, syncer, API server");
        for owner in owners {
            let found = faults(owner, &of_kind(&all, "NetworkPolicy"));
            assert!(found.is_empty(), "{}: {found:?}", owner["metadata"]["name"]);
        }
        let syncer =
            of_kind(&all, "Deployment").into_iter().find(|d| d["metadata"]["name"] == "skerry-syncer");
        let container = &syncer.expect("a syncer")["spec"]["template"]["spec"]["containers"][0];
        let image = format!("--image={}", container["image"].as_str().expect("an image"));
        assert!(container["args"].to_string().contains(&image), "what writes hosts files is of this release");
        let host = of_kind(&all, "ServiceAccount").iter().any(|a| a["metadata"]["name"] == "skerry-host");
        let guards = of_kind(&all, "ValidatingAdmissionPolicy").len()
            + of_kind(&all, "ValidatingAdmissionPolicyBinding").len();
        assert_eq!(guards, if host { 2 } else { 0 }, "a host is guarded, and nothing else is one");
    }
    Outcome::Passed
}
