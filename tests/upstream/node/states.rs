//! What a kubelet says of containers that do not simply run, as the tenant reads it (SY-40, PO36, KI16).

use serde_json::Value;
use skerry_testkit::upstream::node::{BUSYBOX, NAME};

use super::{LIMIT, on_node};
use crate::Outcome;
use crate::world::{World, eventually};

const PODS: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: unwell}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: IMAGE
    command: [sh, -c, "sleep 1d"]
    livenessProbe: {exec: {command: ["false"]}, periodSeconds: 1, failureThreshold: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: unseen}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "registry.example/none:1", imagePullPolicy: Never}]
---
apiVersion: v1
kind: Pod
metadata: {name: late}
spec:
  activeDeadlineSeconds: 2
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, command: [sleep, 1d]}]
---
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: IMAGE
    command: [sh, -c, "dd if=/dev/zero of=/dev/null bs=256M count=1"]
    resources: {limits: {memory: 32Mi}, requests: {cpu: 10m}}
---
apiVersion: v1
kind: Pod
metadata: {name: pair}
spec:
  restartPolicy: Never
  shareProcessNamespace: true
  hostname: called
  securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000}
  volumes: [{name: shared, emptyDir: {medium: Memory}}]
  initContainers:
  - name: beside
    image: IMAGE
    restartPolicy: Always
    command: [sh, -c, "echo $(id -u) $(hostname) > /shared/note; sleep 1d"]
    startupProbe: {exec: {command: [test, -f, /shared/note]}, periodSeconds: 1}
    volumeMounts: [{name: shared, mountPath: /shared}]
  containers:
  - name: main
    image: IMAGE
    command: [sh, -c, "cat /shared/note; stat -c %g /shared; ps | grep -c 'sleep [1]d'"]
    volumeMounts: [{name: shared, mountPath: /shared}]
"#;

/// Restarts, reasons, Events, and a sidecar with its neighbour.
pub fn told(_: &mut World) -> Outcome {
    on_node(|stage| {
        let tenant = &stage.tenant;
        stage.namespace("states", &PODS.replace("IMAGE", BUSYBOX));
        let status = |pod: &str| tenant.json(&["get", "pod", pod, "-n", "states"])["status"].clone();
        let until = |pod: &str, what: &str, test: &dyn Fn(&Value) -> bool| {
            eventually(&format!("{pod}: {what}"), LIMIT, || Some(status(pod)).filter(|s| test(s)))
        };
        let first = |status: &Value, pointer: &str| {
            status.pointer(&format!("/containerStatuses/0{pointer}")).cloned().unwrap_or_default()
        };
        until("unwell", "restarted", &|s| first(s, "/restartCount").as_i64() >= Some(1));
        let unseen = until("unseen", "waits", &|s| first(s, "/state/waiting/reason") == "ErrImageNeverPull");
        assert_eq!(unseen["phase"], "Pending");
        assert_eq!(first(&unseen, "/image"), "registry.example/none:1");
        let late = until("late", "ended", &|s| s["phase"] == "Failed");
        assert_eq!(late["reason"], "DeadlineExceeded");
        let greedy = until("greedy", "ended", &|s| s["phase"] == "Failed");
        assert_eq!(first(&greedy, "/state/terminated/exitCode"), 137);
        // A runtime that hears of the shortage after the end says Error; the tenant sees what its host says.
        let of_host =
            stage.host.json(&["get", "pod", "greedy", "-n", &stage.space("states")])["status"].clone();
        let reason = first(&of_host, "/state/terminated/reason");
        assert!(reason == "OOMKilled" || reason == "Error", "{of_host}");
        assert_eq!(first(&greedy, "/state/terminated/reason"), reason);
        stage.succeeded("states", "pod/pair");
        assert_eq!(stage.logs("states", "pair"), "1000 called\n2000\n1\n");
        assert_eq!(
            status("pair")["initContainerStatuses"][0]["started"],
            Value::Bool(false),
            "it ended with the pod"
        );

        eventually("what the kubelet and the scheduler told", LIMIT, || {
            let events = tenant.json(&["get", "events", "-n", "states"]);
            let told = |pod: &str, reason: &str| {
                let mut all = events["items"].as_array().into_iter().flatten();
                all.any(|e| e["involvedObject"]["name"] == pod && e["reason"] == reason)
            };
            (told("unwell", "Unhealthy") && told("unseen", "ErrImageNeverPull") && told("pair", "Scheduled"))
                .then_some(())
        });
        let events = tenant.ok(&["get", "events", "-n", "states", "-o", "json"]);
        assert!(
            events.contains(NAME) && !events.contains("sk-"),
            "no name of the host's namespaces: {events}"
        );
    })
}
