//! What a pod with a subdomain is called in full, by itself and by others (SY-48, PO30). The node is of one family; what is
//! written for two is a unit test of `skerry hosts-file`.

use std::path::PathBuf;

use skerry_testkit::upstream::node::Image;

use super::{LIMIT, Stage, on_node};
use crate::Outcome;
use crate::world::{World, eventually, text};

/// The program of this build as an image, of which the `skerry up` of the stage is told.
pub const SKERRY: &str = "docker.io/library/skerry:of-this-build";
/// A shell with the C library's own look-up of names.
const LOOKUP: &str = "docker.io/library/lookup:1";

const OBJECTS: &str = r#"
apiVersion: v1
kind: Service
metadata: {name: peers}
spec: {clusterIP: None, selector: {app: peers}, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: alias-0, labels: {app: peers}}
spec:
  subdomain: peers
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: alias-1, labels: {app: peers}}
spec:
  subdomain: peers
  setHostnameAsFQDN: true
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, command: [sleep, "3600"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: exact-0, labels: {app: peers}, annotations: {skerry.dev/fqdn: Exact}}
spec:
  subdomain: peers
  hostAliases: [{ip: 192.0.2.7, hostnames: [buoy, buoy.example]}]
  terminationGracePeriodSeconds: 0
  securityContext: {runAsNonRoot: true, runAsUser: 1000, fsGroup: 2000}
  initContainers: [{name: first, image: IMAGE, command: [sh, -c, "hostname -f"]}]
  containers:
  - {name: main, image: IMAGE, command: [sleep, "3600"]}
  - name: own
    image: IMAGE
    command: [sleep, "3600"]
    volumeMounts: [{name: own, mountPath: /etc/hosts, subPath: hosts}]
  volumes: [{name: own, downwardAPI: {items: [{path: hosts, fieldRef: {fieldPath: metadata.name}}]}}]
---
apiVersion: v1
kind: Pod
metadata: {name: exact-1, labels: {app: peers}, annotations: {skerry.dev/fqdn: Exact}}
spec:
  hostname: whole
  subdomain: peers
  setHostnameAsFQDN: true
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, command: [sleep, "3600"]}]
"#;

fn images() -> [Image; 2] {
    let program = Image {
        entrypoint: vec!["skerry".to_owned()],
        user: "65532:65532".to_owned(),
        ..Image::new(SKERRY, &[]).with(PathBuf::from(crate::PROGRAM), "skerry")
    };
    [program, Image::new(LOOKUP, &["sh"]).with(PathBuf::from("/usr/bin/getent"), "getent")]
}

/// What a container prints, without the end of the line.
fn said(stage: &Stage, pod: &str, command: &[&str]) -> String {
    let found = eventually(&format!("{command:?} in {pod}"), LIMIT, || stage.exec("called", pod, command));
    found.trim().to_owned()
}

/// Address and names of a name, as programs find them.
fn entry(stage: &Stage, pod: &str, name: &str) -> Vec<String> {
    said(stage, pod, &["getent", "hosts", name]).split_whitespace().map(str::to_owned).collect()
}

fn address(stage: &Stage, pod: &str) -> String {
    stage.tenant.ok(&["get", "pod", pod, "-n", "called", "-o", "jsonpath={.status.podIP}"])
}

/// By alias and by its exact name, with an ordinary and with the whole name as its kernel's.
pub fn called(_: &mut World) -> Outcome {
    on_node(|stage| {
        stage.cluster.import(&images()).expect("images");
        stage.namespace("called", &OBJECTS.replace("IMAGE", LOOKUP));
        let pods = ["alias-0", "exact-0", "exact-1", "alias-1"];
        for pod in pods {
            stage.ready("called", &format!("pod/{pod}"));
        }
        let ips = pods.map(|pod| address(stage, pod));

        // Alias: the name is of the host's zone, and everybody finds it.
        let alias = said(stage, "alias-0", &["hostname", "-f"]);
        assert!(alias.starts_with("alias-0.peers.sk-") && alias.ends_with(".svc.cluster.local"), "{alias}");
        for (name, of) in [(&*alias, "alias-0"), ("alias-0", "alias-0"), (&*alias, "exact-0")] {
            assert_eq!(entry(stage, of, name)[0], ips[0], "{name} in {of}");
        }
        let whole = "alias-1.peers.called.svc.cluster.local";
        for command in [&["hostname"][..], &["hostname", "-f"]] {
            assert_eq!(said(stage, "alias-1", command), whole, "{command:?}");
        }
        for name in [whole, "alias-1"] {
            assert_eq!(entry(stage, "alias-1", name)[0], ips[3], "{name}");
        }

        // Exact: the tenant's own name, to itself and to others, in every container before its first word.
        let exact = "exact-0.peers.called.svc.cluster.local";
        assert_eq!(said(stage, "exact-0", &["hostname", "-f"]), exact);
        assert_eq!(said(stage, "exact-0", &["hostname"]), "exact-0");
        for name in [exact, "exact-0"] {
            assert_eq!(entry(stage, "exact-0", name), [&*ips[1], exact, "exact-0"], "{name}");
        }
        assert_eq!(entry(stage, "alias-0", exact)[0], ips[1], "by DNS");
        assert_eq!(entry(stage, "exact-0", "buoy"), ["192.0.2.7", "buoy", "buoy.example"]);
        let front = entry(stage, "exact-0", "kubernetes.default.svc");
        assert_eq!(
            front[1..],
            [
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local"
            ]
        );
        let first = stage.host.ok(&["logs", "exact-0", "-c", "first", "-n", &stage.space("called")]);
        assert_eq!(first.trim(), exact, "an init container too");
        let own = ["exec", "exact-0", "-c", "own", "-n", &stage.space("called"), "--", "cat", "/etc/hosts"];
        assert_eq!(stage.host.ok(&own), "exact-0", "what the pod mounts there itself stays");
        let file = stage.cat("called", "exact-0", "/etc/hosts");
        assert!(file.starts_with("# Kubernetes-managed hosts file.\n"), "{file}");

        // The kernel has the whole name, and programs find it and the short one.
        let whole = "whole.peers.called.svc.cluster.local";
        for command in [&["hostname"][..], &["hostname", "-f"]] {
            assert_eq!(said(stage, "exact-1", command), whole);
        }
        for name in [whole, "whole"] {
            assert_eq!(entry(stage, "exact-1", name), [&*ips[2], whole, "whole"], "{name}");
        }

        // Of what wrote the file the tenant sees nothing.
        let pods = stage.tenant.ok(&["get", "pods", "-n", "called", "-o", "yaml"]);
        let events = stage.tenant.ok(&["get", "events", "-n", "called", "-o", "yaml"]);
        for all in [pods, events] {
            assert!(!all.contains("skerry-hosts-") && !all.contains(SKERRY), "{all}");
        }
        let class = ["get", "pod", "exact-0", "-n", "called", "-o", "jsonpath={.status.qosClass}"];
        assert_eq!(stage.tenant.ok(&class), "BestEffort");
        let writer = stage.host.ok(&[
            "get",
            "pod",
            "exact-0",
            "-n",
            &stage.space("called"),
            "-o",
            "jsonpath={.spec.initContainers[0].name}",
        ]);
        assert!(writer.starts_with("skerry-hosts-"), "{writer}");
        // To the tenant it is a container that never was.
        for (verb, more) in [("logs", &[][..]), ("exec", &["--", "id"])] {
            let refusal = |container: &str| {
                let there = ["-n", "called", "exact-0", "-c", container];
                let out = stage.tenant.run(&[&[verb], &there[..], more].concat());
                assert!(!out.status.success(), "{verb}: {out:?}");
                text(&out.stderr).replace(container, "NAME")
            };
            assert_eq!(refusal(&writer), refusal("nobody"), "{verb}");
        }
    })
}
