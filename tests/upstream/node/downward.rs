//! The downward API shows what the tenant knows of a pod, and follows it (SY-46, PO17).

use skerry_testkit::upstream::node::{BUSYBOX, NAME};

use super::on_node;
use crate::Outcome;
use crate::world::World;

const PODS: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: teller}
---
apiVersion: v1
kind: Pod
metadata:
  name: self
  labels: {app: self, example.com/tier: a}
  annotations: {example.com/note: "two\nlines", example.com/other: x}
spec:
  serviceAccountName: teller
  terminationGracePeriodSeconds: 0
  volumes:
  - name: pod
    downwardAPI:
      items:
      - {path: labels, fieldRef: {fieldPath: metadata.labels}}
      - {path: annotations, fieldRef: {fieldPath: metadata.annotations}}
      - {path: tier, fieldRef: {fieldPath: "metadata.labels['example.com/tier']"}}
      - {path: uid, fieldRef: {fieldPath: metadata.uid}}
      - {path: memory, resourceFieldRef: {containerName: main, resource: limits.memory, divisor: 1Mi}}
  containers:
  - name: main
    image: IMAGE
    command: [sh, -c, "env | grep ^POD_ | sort; sleep 1d"]
    resources: {limits: {memory: 64Mi, cpu: 500m}, requests: {cpu: 10m}}
    volumeMounts: [{name: pod, mountPath: /pod}]
    env:
    - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
    - {name: POD_UID, valueFrom: {fieldRef: {fieldPath: metadata.uid}}}
    - {name: POD_ACCOUNT, valueFrom: {fieldRef: {fieldPath: spec.serviceAccountName}}}
    - {name: POD_NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
    - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: POD_HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
    - {name: POD_TIER, valueFrom: {fieldRef: {fieldPath: "metadata.labels['example.com/tier']"}}}
    - {name: POD_NOTE, valueFrom: {fieldRef: {fieldPath: "metadata.annotations['example.com/other']"}}}
    - {name: POD_CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}
"#;

/// Variables and files hold the tenant's values; a changed label reaches the files.
pub fn values(_: &mut World) -> Outcome {
    on_node(|stage| {
        let tenant = &stage.tenant;
        stage.namespace("told", &PODS.replace("IMAGE", BUSYBOX));
        stage.ready("told", "pod/self");
        let pod = tenant.json(&["get", "pod", "self", "-n", "told"]);
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let uid = text(&pod["metadata"]["uid"]);
        let (ip, host_ip) = (text(&pod["status"]["podIP"]), text(&pod["status"]["hostIP"]));
        let wanted = [
            "POD_ACCOUNT=teller".to_owned(),
            "POD_CPU=500".to_owned(),
            format!("POD_HOST_IP={host_ip}"),
            format!("POD_IP={ip}"),
            "POD_NAME=self".to_owned(),
            "POD_NAMESPACE=told".to_owned(),
            format!("POD_NODE={NAME}"),
            "POD_NOTE=x".to_owned(),
            "POD_TIER=a".to_owned(),
            format!("POD_UID={uid}"),
        ];
        let logs = stage.logs("told", "self");
        assert_eq!(logs.lines().collect::<Vec<_>>(), wanted);
        let cat = |path: &str| stage.cat("told", "self", path);
        assert_eq!(cat("/pod/labels"), "app=\"self\"\nexample.com/tier=\"a\"");
        let annotations = cat("/pod/annotations");
        let shown =
            annotations.lines().filter(|l| !l.starts_with("kubectl.kubernetes.io/")).collect::<Vec<_>>();
        assert_eq!(shown, [r#"example.com/note="two\nlines""#, r#"example.com/other="x""#]);
        assert!(!annotations.contains("skerry.dev/"), "{annotations}");
        assert_eq!(cat("/pod/tier") + &cat("/pod/uid") + &cat("/pod/memory"), format!("a{uid}64"));

        tenant.ok(&["label", "pod", "self", "-n", "told", "--overwrite", "example.com/tier=b", "added=yes"]);
        tenant.ok(&["annotate", "pod", "self", "-n", "told", "example.com/other-"]);
        stage.file("told", "self", "/pod/tier", |found| found == "b");
        let labels = "added=\"yes\"\napp=\"self\"\nexample.com/tier=\"b\"";
        stage.file("told", "self", "/pod/labels", |found| found == labels);
        stage.file("told", "self", "/pod/annotations", |found| {
            !found.lines().any(|line| line.starts_with("example.com/other="))
        });
    })
}
