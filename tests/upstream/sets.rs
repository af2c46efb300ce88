//! StatefulSets and Jobs under kubectl, on the simulated host (AS-48).

use crate::Outcome;
use crate::kubectl::Kubectl;
use crate::world::World;

const SET: &str = r#"
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "postgres:16", resources: {requests: {cpu: 10m, memory: 16Mi}}}]}
"#;

const INDEXED: &str = r#"
apiVersion: batch/v1
kind: Job
metadata: {name: shards}
spec:
  completions: 3
  parallelism: 2
  completionMode: Indexed
  template:
    spec: {restartPolicy: Never, containers: [{name: main, image: busybox, resources: {requests: {cpu: 10m, memory: 16Mi}}}]}
"#;

/// The minor of the server.
pub fn newest(world: &mut World) -> Outcome {
    all(&world.cluster("kubectl", "sets"));
    Outcome::Passed
}

/// Three minors behind.
pub fn older(world: &mut World) -> Outcome {
    all(&world.cluster("kubectl-1.33", "sets-old"));
    Outcome::Passed
}

fn all(kubectl: &Kubectl) {
    rolls(kubectl);
    finishes(kubectl);
}

fn settled(kubectl: &Kubectl) {
    kubectl.ok(&["rollout", "status", "statefulset/db", "--timeout=60s"]);
}

fn images(kubectl: &Kubectl) -> String {
    kubectl.ok(&["get", "pods", "-l", "app=db", "-o", "jsonpath={.items[*].spec.containers[0].image}"])
}

fn rolls(kubectl: &Kubectl) {
    kubectl.apply(SET, &[]);
    settled(kubectl);
    let names = ["get", "pods", "-l", "app=db", "-o", "jsonpath={.items[*].metadata.name}"];
    assert_eq!(kubectl.ok(&names), "db-0 db-1");
    let row = kubectl.ok(&["get", "statefulset", "db", "--no-headers"]);
    assert!(row.contains("2/2"), "{row}");
    kubectl.ok(&["scale", "statefulset/db", "--replicas=3"]);
    settled(kubectl);
    assert_eq!(kubectl.ok(&names), "db-0 db-1 db-2");
    kubectl.ok(&["set", "image", "statefulset/db", "db=postgres:17"]);
    settled(kubectl);
    assert_eq!(images(kubectl), "postgres:17 postgres:17 postgres:17");
    let history = kubectl.ok(&["rollout", "history", "statefulset/db"]);
    assert_eq!(history.lines().filter(|l| l.starts_with(['1', '2'])).count(), 2, "{history}");
    let second = kubectl.ok(&["rollout", "history", "statefulset/db", "--revision=2"]);
    assert!(second.contains("postgres:17"), "{second}");
    kubectl.ok(&["rollout", "undo", "statefulset/db"]);
    settled(kubectl);
    assert_eq!(images(kubectl), "postgres:16 postgres:16 postgres:16");
    let history = kubectl.ok(&["rollout", "history", "statefulset/db"]);
    assert_eq!(history.lines().filter(|l| l.starts_with(['2', '3'])).count(), 2, "{history}");
    let uid = ["get", "pod", "db-0", "-o", "jsonpath={.metadata.uid}"];
    let before = kubectl.ok(&uid);
    kubectl.ok(&["rollout", "restart", "statefulset/db"]);
    settled(kubectl);
    assert_ne!(kubectl.ok(&uid), before, "every pod is another one");
    let events = kubectl.ok(&["describe", "statefulset", "db"]);
    assert!(events.contains("Create Pod db-0 in StatefulSet db successful"), "{events}");
    kubectl.ok(&["delete", "statefulset", "db", "--timeout=60s"]);
}

fn finishes(kubectl: &Kubectl) {
    kubectl.ok(&["create", "job", "sum", "--image=busybox", "--", "true"]);
    kubectl.ok(&["wait", "--for=condition=complete", "job/sum", "--timeout=60s"]);
    let row = kubectl.ok(&["get", "job", "sum", "--no-headers"]);
    assert!(row.contains("Complete") && row.contains("1/1"), "{row}");
    let told = kubectl.ok(&["describe", "job", "sum"]);
    for words in ["0 Active (0 Ready) / 1 Succeeded / 0 Failed", "Created pod: sum-", "Job completed"] {
        assert!(told.contains(words), "{words:?} is not in:\n{told}");
    }
    kubectl.apply(INDEXED, &[]);
    kubectl.ok(&["wait", "--for=condition=complete", "job/shards", "--timeout=60s"]);
    let told = kubectl.ok(&["describe", "job", "shards"]);
    assert!(told.contains("Completed Indexes:  0-2") || told.contains("Completed Indexes: 0-2"), "{told}");
    kubectl.ok(&["delete", "job", "sum", "shards", "--timeout=60s"]);
    let pods = kubectl.json(&["get", "pods"]);
    assert_eq!(pods["items"].as_array().map(Vec::len), Some(0), "{pods}");
}
