//! ConfigMaps and Secrets as containers see them, and what of a change reaches them (SY-43, KI2).

use skerry_testkit::upstream::node::BUSYBOX;

use super::on_node;
use crate::Outcome;
use crate::world::World;

const OBJECTS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {mode: calm, motto: "line one\nline two\n"}
binaryData: {raw: AAECAw==}
---
apiVersion: v1
kind: Secret
metadata: {name: hidden}
stringData: {word: hush}
---
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  terminationGracePeriodSeconds: 0
  volumes:
  - {name: settings, configMap: {name: settings}}
  - {name: hidden, secret: {secretName: hidden, defaultMode: 0400}}
  - {name: later, configMap: {name: later, optional: true}}
  - name: joined
    projected:
      sources:
      - {configMap: {name: settings, items: [{key: mode, path: from/map}]}}
      - {secret: {name: hidden, items: [{key: word, path: from/secret}]}}
      - {secret: {name: later, optional: true}}
      - {downwardAPI: {items: [{path: from/pod, fieldRef: {fieldPath: metadata.name}}]}}
  containers:
  - name: main
    image: IMAGE
    command: [sh, -c, "echo $MODE $WORD; sleep 1d"]
    env:
    - {name: MODE, valueFrom: {configMapKeyRef: {name: settings, key: mode}}}
    - {name: WORD, valueFrom: {secretKeyRef: {name: hidden, key: word}}}
    volumeMounts:
    - {name: settings, mountPath: /settings}
    - {name: hidden, mountPath: /hidden}
    - {name: later, mountPath: /later}
    - {name: joined, mountPath: /joined}
    - {name: settings, mountPath: /fixed/motto, subPath: motto}
"#;

/// Files and variables; a change reaches the files but not what is mounted by subPath.
pub fn files(_: &mut World) -> Outcome {
    on_node(|stage| {
        let tenant = &stage.tenant;
        stage.namespace("read", &OBJECTS.replace("IMAGE", BUSYBOX));
        stage.ready("read", "pod/reader");
        let cat = |path: &str| stage.cat("read", "reader", path);
        assert_eq!(stage.logs("read", "reader"), "calm hush\n");
        assert_eq!(cat("/settings/mode"), "calm");
        assert_eq!(cat("/settings/motto"), "line one\nline two\n");
        assert_eq!(
            stage.exec("read", "reader", &["wc", "-c", "/settings/raw"]).as_deref(),
            Some("4 /settings/raw\n")
        );
        assert_eq!(cat("/hidden/word"), "hush");
        let mode = stage.exec("read", "reader", &["stat", "-Lc", "%a", "/hidden/word"]);
        assert_eq!(mode.as_deref(), Some("400\n"));
        assert_eq!(stage.exec("read", "reader", &["ls", "/later"]).as_deref(), Some(""));
        assert_eq!(
            cat("/joined/from/map") + &cat("/joined/from/secret") + &cat("/joined/from/pod"),
            "calmhushreader"
        );
        assert_eq!(cat("/fixed/motto"), "line one\nline two\n");

        tenant.ok(&[
            "patch",
            "configmap",
            "settings",
            "-n",
            "read",
            "-p",
            r#"{"data":{"mode":"rough","motto":"other"}}"#,
        ]);
        tenant.ok(&["patch", "secret", "hidden", "-n", "read", "-p", r#"{"stringData":{"word":"loud"}}"#]);
        tenant.ok(&["create", "configmap", "later", "-n", "read", "--from-literal=now=here"]);
        stage.file("read", "reader", "/settings/mode", |found| found == "rough");
        stage.file("read", "reader", "/hidden/word", |found| found == "loud");
        stage.file("read", "reader", "/joined/from/map", |found| found == "rough");
        stage.file("read", "reader", "/later/now", |found| found == "here");
        assert_eq!(cat("/fixed/motto"), "line one\nline two\n", "a subPath stays as it was");
    })
}
