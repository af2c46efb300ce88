//! Containers and what they wrote outlive what happens around them: Skerry killed, a pod lost, a claim used again
//! (SY-14, SY-61, SY-87).

use skerry_testkit::upstream::node::BUSYBOX;

use super::{LIMIT, on_node};
use crate::Outcome;
use crate::world::{World, eventually};

const STEADY: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: bare}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: IMAGE, command: [sleep, 1d]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: steady}
spec:
  replicas: 2
  selector: {matchLabels: {app: steady}}
  template:
    metadata: {labels: {app: steady}}
    spec: {containers: [{name: main, image: IMAGE, command: [sleep, 1d]}], terminationGracePeriodSeconds: 1}
"#;

/// No container notices that Skerry is killed and started again; one that the host takes away is told and replaced.
pub fn outlive(_: &mut World) -> Outcome {
    on_node(|stage| {
        stage.namespace("lives", &STEADY.replace("IMAGE", BUSYBOX));
        stage.ready("lives", "pod/bare");
        stage.tenant.ok(&["rollout", "status", "deployment/steady", "-n", "lives", "--timeout=60s"]);
        let ids = "jsonpath={.items[*].status.containerStatuses[*].containerID}";
        let space = stage.space("lives");
        let before = stage.host.ok(&["get", "pods", "-n", &space, "-o", ids]);
        stage.world.kill();
        stage.world.restart();
        let tenant = &stage.tenant;
        tenant.ok(&["label", "pod", "bare", "-n", "lives", "after=restart"]);
        eventually("a change after the restart", LIMIT, || {
            let label = "jsonpath={.metadata.labels.after}";
            let found = stage.host.ok(&["get", "pod", "bare", "-n", &space, "-o", label]);
            (found == "restart").then_some(())
        });
        assert_eq!(stage.host.ok(&["get", "pods", "-n", &space, "-o", ids]), before);
        assert_eq!(tenant.ok(&["get", "pods", "-n", "lives", "-o", ids]), before);

        stage.host.ok(&["delete", "pods", "--all", "-n", &space, "--wait=false"]);
        tenant.ok(&[
            "wait",
            "--for=jsonpath={.status.phase}=Failed",
            "pod/bare",
            "-n",
            "lives",
            "--timeout=50s",
        ]);
        let bare = tenant.json(&["get", "pod", "bare", "-n", "lives"])["status"].clone();
        assert_eq!(bare["reason"], "HostPodDeleted", "{bare}");
        eventually("two others", LIMIT, || {
            let now = tenant.ok(&["get", "pods", "-n", "lives", "-l", "app=steady", "-o", ids]);
            let fresh = now.split(' ').filter(|id| !id.is_empty() && !before.contains(id)).count();
            (fresh == 2 && now.split(' ').count() == 2).then_some(())
        });
        tenant.ok(&["rollout", "status", "deployment/steady", "-n", "lives", "--timeout=60s"]);
    })
}

const CLAIM: &str = r#"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept}
spec: {accessModes: [ReadWriteOnce], storageClassName: shelf, resources: {requests: {storage: 1Mi}}}
"#;

/// A claim is bound on the host, and the next pod finds what the last one left.
pub fn claims(_: &mut World) -> Outcome {
    on_node(|stage| {
        let tenant = &stage.tenant;
        stage.host.apply(&super::shelf("10Mi", &stage.cluster.folder().join("shelf")), &[]);
        eventually("the class in the tenant", LIMIT, || {
            tenant.run(&["get", "storageclass", "shelf"]).status.success().then_some(())
        });
        stage.namespace("claims", CLAIM);
        let run = |name: &str, script: &str| {
            let pod = serde_json::json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                "spec": {
                    "restartPolicy": "Never",
                    "volumes": [{"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}}],
                    "containers": [{
                        "name": "main", "image": BUSYBOX, "command": ["sh", "-c", script],
                        "volumeMounts": [{"name": "kept", "mountPath": "/kept"}],
                    }],
                },
            });
            tenant.apply(&pod.to_string(), &["-n", "claims"]);
            stage.succeeded("claims", &format!("pod/{name}"));
            let said = stage.logs("claims", name);
            tenant.ok(&["delete", "pod", name, "-n", "claims"]);
            said
        };
        run("writer", "echo a letter > /kept/note");
        assert_eq!(run("reader", "cat /kept/note"), "a letter\n");
        let claim = tenant.json(&["get", "pvc", "kept", "-n", "claims"]);
        assert_eq!(claim["status"]["phase"], "Bound");
        assert_eq!(claim["spec"]["volumeName"], "shelf-0");
        let volume = tenant.ok(&["get", "pv", "shelf-0", "-o", "json"]);
        let folder = stage.cluster.folder().display().to_string();
        assert!(!volume.contains(&folder), "where a volume lies is the host's business: {volume}");
    })
}
