//! What a real scheduler makes of a tenant's constraints: its own pods count, another tenant's do not (SY-49, PO14).

use skerry_testkit::upstream::node::BUSYBOX;

use super::{LIMIT, on_node};
use crate::Outcome;
use crate::world::{World, eventually};

const APART: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: apart}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: apart}}
  template:
    metadata: {labels: {app: apart}}
    spec:
      terminationGracePeriodSeconds: 0
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - labelSelector: {matchLabels: {app: apart}}
            matchLabelKeys: [pod-template-hash]
            topologyKey: kubernetes.io/hostname
      topologySpreadConstraints:
      - labelSelector: {matchLabels: {app: apart}}
        matchLabelKeys: [pod-template-hash]
        maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: DoNotSchedule
      containers: [{name: main, image: IMAGE, command: [sleep, 1d]}]
"#;

/// One pod of two of a tenant fits on the one node; a new revision does not count the old one, for its label is in
/// `matchLabelKeys`; and a second tenant with the same labels has its pod there too.
pub fn judged(_: &mut World) -> Outcome {
    on_node(|stage| {
        let tenant = &stage.tenant;
        let manifest = |replicas: &str| APART.replace("IMAGE", BUSYBOX).replace("REPLICAS", replicas);
        stage.namespace("apart", &manifest("2"));
        let count = |phase: &str| {
            let field = format!("--field-selector=status.phase={phase}");
            tenant
                .ok(&["get", "pods", "-n", "apart", "-l", "app=apart", &field, "-o", "name"])
                .lines()
                .count()
        };
        eventually("one runs, one waits", LIMIT, || {
            (count("Running") == 1 && count("Pending") == 1).then_some(())
        });
        eventually("the scheduler's reason", LIMIT, || {
            let pods = tenant.json(&["get", "pods", "-n", "apart", "--field-selector=status.phase=Pending"]);
            let all = pods["items"][0]["status"]["conditions"].as_array()?.clone();
            let why = all.iter().find(|c| c["type"] == "PodScheduled" && c["status"] == "False")?;
            assert_eq!(why["reason"], "Unschedulable", "{why}");
            why["message"].as_str().is_some_and(|m| m.contains("anti-affinity")).then_some(())
        });

        let other = stage.world.cluster_with("kubectl", "adrift", &["--host", "skerry.quay"]);
        other.ok(&["create", "namespace", "apart"]);
        other.apply(&manifest("1"), &["-n", "apart"]);
        other.ok(&["rollout", "status", "deployment/apart", "-n", "apart", "--timeout=60s"]);

        tenant.ok(&["scale", "deployment/apart", "-n", "apart", "--replicas=1"]);
        tenant.ok(&["rollout", "status", "deployment/apart", "-n", "apart", "--timeout=60s"]);
        tenant.ok(&["set", "env", "deployment/apart", "-n", "apart", "REVISION=2"]);
        tenant.ok(&["rollout", "status", "deployment/apart", "-n", "apart", "--timeout=60s"]);
        assert_eq!(count("Running"), 1);
        stage.world.ok(&["delete", "adrift", "-n", "adrift", "--yes", "-q"]);
        tenant.ok(&["delete", "namespace", "apart"]);
    })
}
