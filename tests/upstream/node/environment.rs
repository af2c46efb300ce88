//! The environment of a container beside that of the same container on the host itself (SY-42, PO16).

use std::collections::BTreeMap;

use skerry_testkit::upstream::kubectl::Kubectl;
use skerry_testkit::upstream::node::BUSYBOX;

use super::on_node;
use crate::Outcome;
use crate::world::World;

/// What is there before the pods, whose environment is made of it.
const AROUND: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: data-base}
spec: {selector: {app: x}, ports: [{name: sql, port: 5432}, {name: stats, port: 9000, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: apart}
spec: {clusterIP: None, selector: {app: x}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {DATA_BASE_SERVICE_PORT: "1", MODE: calm, mode.of: file, TWICE: from the map}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {WORD: hush}
"#;

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: linked}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: IMAGE
    command: [sh, -c]
    args: ["echo ARGS='$(MODE_AGAIN)'; env"]
    envFrom:
    - configMapRef: {name: settings}
    - {prefix: S_, secretRef: {name: hidden}}
    - {configMapRef: {name: missing, optional: true}}
    env:
    - {name: MODE_AGAIN, value: "$(MODE) and $(S_WORD)"}
    - {name: LINK, value: "$(DATA_BASE_SERVICE_PORT_SQL)/$(DATA_BASE_PORT_9000_UDP_PROTO)"}
    - {name: TWICE, value: first}
    - {name: AFTER_FIRST, value: "$(TWICE)"}
    - {name: TWICE, value: second}
    - {name: LITERAL, value: "$$(MODE) $(NOBODY)"}
    - {name: WORD, valueFrom: {secretKeyRef: {name: hidden, key: WORD}}}
    - {name: NONE, valueFrom: {configMapKeyRef: {name: missing, key: x, optional: true}}}
---
apiVersion: v1
kind: Pod
metadata: {name: unlinked}
spec:
  restartPolicy: Never
  enableServiceLinks: false
  containers: [{name: main, image: IMAGE, command: [env]}]
"#;

/// Variables, each Service's address as one word.
fn variables(printed: &str, address: &str) -> BTreeMap<String, String> {
    let pairs = printed.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(k, v)| (k.to_owned(), v.replace(address, "ADDRESS"))).collect()
}

fn of_service(kubectl: &Kubectl, namespace: &str) -> String {
    kubectl.ok(&["get", "service", "data-base", "-n", namespace, "-o", "jsonpath={.spec.clusterIP}"])
}

/// As on a bare cluster, but for the name under which pods find their API.
pub fn printed(_: &mut World) -> Outcome {
    on_node(|stage| {
        let pods = PODS.replace("IMAGE", BUSYBOX);
        stage.namespace("printed", AROUND);
        stage.tenant.apply(&pods, &["-n", "printed"]);
        stage.host.ok(&["create", "namespace", "bare"]);
        stage.host.apply(AROUND, &["-n", "bare"]);
        stage.host.ok(&["wait", "--for=create", "serviceaccount/default", "-n", "bare", "--timeout=30s"]);
        stage.host.apply(&pods, &["-n", "bare"]);
        for pod in ["linked", "unlinked"] {
            stage.succeeded("printed", &format!("pod/{pod}"));
            stage.host.ok(&[
                "wait",
                "--for=jsonpath={.status.phase}=Succeeded",
                &format!("pod/{pod}"),
                "-n",
                "bare",
                "--timeout=50s",
            ]);
            let mine = variables(&stage.logs("printed", pod), &of_service(&stage.tenant, "printed"));
            let bare =
                variables(&stage.host.ok(&["logs", pod, "-n", "bare"]), &of_service(&stage.host, "bare"));
            let of_api = |name: &&String| name.starts_with("KUBERNETES_");
            let keys =
                |all: &BTreeMap<String, String>| all.keys().filter(of_api).cloned().collect::<Vec<_>>();
            assert_eq!(keys(&mine), keys(&bare), "{pod}");
            let rest = |all: &BTreeMap<String, String>| {
                let mut all = all.clone();
                all.retain(|name, _| !of_api(&name));
                all
            };
            assert_eq!(rest(&mine), rest(&bare), "{pod}");
            assert_eq!(mine["KUBERNETES_SERVICE_HOST"], "kubernetes.default.svc");
            assert_eq!(mine["KUBERNETES_SERVICE_PORT"], "443");
        }
        stage.host.ok(&["delete", "namespace", "bare", "--wait=false"]);
    })
}
