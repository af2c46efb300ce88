//! What people do with kubectl all day, under two minors of it.

use crate::Outcome;
use crate::kubectl::Kubectl;
use crate::standalone::WEB;
use crate::world::{World, text};

/// The minor of the server.
pub fn newest(world: &mut World) -> Outcome {
    all(&world.cluster("kubectl", "verbs"));
    Outcome::Passed
}

/// Three minors behind.
pub fn older(world: &mut World) -> Outcome {
    all(&world.cluster("kubectl-1.33", "verbs-old"));
    Outcome::Passed
}

fn all(kubectl: &Kubectl) {
    assert_eq!(kubectl.apply(WEB, &[]).trim(), "deployment.apps/web created");
    kubectl.rolled_out("deployment/web");
    reading(kubectl);
    changing(kubectl);
    rolling(kubectl);
    applying(kubectl);
    ending(kubectl);
}

#[track_caller]
fn says(output: &str, words: &[&str]) {
    for word in words {
        assert!(output.contains(word), "{word:?} is not in:\n{output}");
    }
}

fn reading(kubectl: &Kubectl) {
    says(&kubectl.ok(&["get", "deployments"]), &["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "2/2"]);
    says(
        &kubectl.ok(&["get", "deployment", "web", "-o", "wide"]),
        &["CONTAINERS", "SELECTOR", "nginx:1.27", "app=web"],
    );
    says(&kubectl.ok(&["get", "pods", "-o", "wide"]), &["NODE", "Running", "sim-0-node-"]);
    says(&kubectl.ok(&["get", "deployment", "web", "-o", "yaml"]), &["kind: Deployment", "replicas: 2"]);
    assert_eq!(kubectl.json(&["get", "deployment", "web"])["kind"], "Deployment");
    says(
        &kubectl.ok(&["describe", "deployment", "web"]),
        &["Name:", "StrategyType:", "2 desired | 2 updated | 2 total | 2 available"],
    );
    says(&kubectl.ok(&["describe", "pods", "-l", "app=web"]), &["Node:", "Controlled By:", "QoS Class:"]);
    assert_eq!(kubectl.ok(&["auth", "can-i", "create", "deployments"]).trim(), "yes");
    says(
        &kubectl.ok(&["api-resources"]),
        &["SHORTNAMES", "deployments", "apps/v1", "customresourcedefinitions"],
    );
    says(&kubectl.ok(&["api-versions"]), &["apps/v1", "batch/v1"]);
    says(
        &kubectl.ok(&["explain", "deployment.spec.replicas"]),
        &["GROUP:      apps", "KIND:       Deployment", "replicas <integer>"],
    );
    says(&kubectl.ok(&["version"]), &["Server Version: v1.36"]);
}

fn changing(kubectl: &Kubectl) {
    says(
        &kubectl.ok(&["create", "configmap", "settings", "--from-literal=a=b"]),
        &["configmap/settings created"],
    );
    let again = kubectl.run(&["create", "configmap", "settings"]);
    says(&text(&again.stderr), &["configmaps \"settings\" already exists"]);
    let unknown = kubectl.feed(
        &["create", "-f", "-"],
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"typo"},"dta":{"a":"b"}}"#,
    );
    says(&text(&unknown.stderr), &["unknown field \"dta\""]);
    kubectl.ok(&["label", "deployment", "web", "tier=front"]);
    kubectl.ok(&["annotate", "deployment", "web", "note=hello"]);
    kubectl.ok(&["patch", "deployment", "web", "-p", r#"{"spec":{"replicas":3}}"#]);
    let json = r#"[{"op":"replace","path":"/spec/replicas","value":2}]"#;
    kubectl.ok(&["patch", "deployment", "web", "--type=json", "-p", json]);
    let merge = r#"{"metadata":{"annotations":{"note":null}}}"#;
    kubectl.ok(&["patch", "deployment", "web", "--type=merge", "-p", merge]);
    let web = kubectl.json(&["get", "deployment", "web"]);
    assert_eq!(web["metadata"]["labels"]["tier"], "front");
    assert!(web["metadata"]["annotations"].get("note").is_none(), "{web}");
    assert_eq!(web["spec"]["replicas"], 2);
    kubectl.ok(&["scale", "deployment/web", "--replicas=3"]);
    kubectl.rolled_out("deployment/web");
    kubectl.ok(&["wait", "--for=condition=Available", "deployment/web", "--timeout=60s"]);
    assert_eq!(
        kubectl.ok(&["get", "deployment", "-l", "tier=front", "-o", "name"]).trim(),
        "deployment.apps/web"
    );
}

fn rolling(kubectl: &Kubectl) {
    let image = ["get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"];
    kubectl.ok(&["set", "image", "deployment/web", "web=nginx:1.28"]);
    kubectl.rolled_out("deployment/web");
    assert_eq!(kubectl.ok(&image), "nginx:1.28");
    says(&kubectl.ok(&["rollout", "history", "deployment/web"]), &["REVISION", "\n1 ", "\n2 "]);
    kubectl.ok(&["rollout", "undo", "deployment/web"]);
    kubectl.rolled_out("deployment/web");
    assert_eq!(kubectl.ok(&image), "nginx:1.27");
    kubectl.ok(&["rollout", "restart", "deployment/web"]);
    kubectl.rolled_out("deployment/web");
    let web = kubectl.json(&["get", "deployment", "web"]);
    let stamp = &web["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"];
    assert!(stamp.is_string(), "{web}");
}

fn applying(kubectl: &Kubectl) {
    let four = WEB.replace("replicas: 2", "replicas: 4");
    let out = kubectl.feed(&["diff", "-f", "-"], &four);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    says(&text(&out.stdout), &["-  replicas: 3", "+  replicas: 4"]);
    kubectl.apply(&four, &["--server-side", "--force-conflicts"]);
    let other = kubectl.feed(&["apply", "-f", "-", "--server-side", "--field-manager=other"], WEB);
    assert_eq!(other.status.code(), Some(1));
    says(&text(&other.stderr), &["Apply failed with 1 conflict", ".spec.replicas"]);
    assert_eq!(kubectl.json(&["get", "deployment", "web"])["spec"]["replicas"], 4);
}

fn ending(kubectl: &Kubectl) {
    kubectl.ok(&["delete", "deployment", "web"]);
    kubectl.ok(&["wait", "--for=delete", "pod", "-l", "app=web", "--timeout=120s"]);
    assert_eq!(kubectl.ok(&["get", "pods", "-o", "name"]).trim(), "");
    kubectl.ok(&["create", "namespace", "short"]);
    kubectl.ok(&["create", "configmap", "inside", "-n", "short"]);
    kubectl.ok(&["delete", "namespace", "short", "--timeout=60s"]);
    let gone = kubectl.run(&["get", "configmap", "inside", "-n", "short"]);
    says(&text(&gone.stderr), &["(NotFound)"]);
}
