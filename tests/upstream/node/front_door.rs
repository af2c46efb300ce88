//! A pod finds its tenant's API server by the name every client knows (KI13, PO16, apiserver T8 and G1).

use skerry_testkit::upstream::node::KUBECTL;

use super::on_node;
use crate::Outcome;
use crate::world::World;

const PODS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: default, namespace: inward}]
---
apiVersion: v1
kind: Pod
metadata: {name: inside}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, command: [sleep, 1d]}]
---
apiVersion: v1
kind: Pod
metadata: {name: nameless}
spec:
  dnsPolicy: None
  dnsConfig: {nameservers: [127.0.0.1]}
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: IMAGE, command: [sleep, 1d]}]
"#;

/// kubectl without any configuration, where there is DNS and where there is none.
pub fn reached(_: &mut World) -> Outcome {
    on_node(|stage| {
        let tenant = &stage.tenant;
        stage.namespace("inward", &PODS.replace("IMAGE", KUBECTL));
        for pod in ["inside", "nameless"] {
            stage.ready("inward", &format!("pod/{pod}"));
            let found = stage.exec("inward", pod, &["kubectl", "get", "pods", "-o", "name"]);
            assert_eq!(found.as_deref(), Some("pod/inside\npod/nameless\n"), "{pod}");
            let beyond = stage.exec("inward", pod, &["kubectl", "get", "namespaces"]);
            assert!(beyond.is_none(), "{pod} may look into its own namespace only");
        }
        let hosts = stage.exec("inward", "inside", &["cat", "/etc/hosts"]).expect("a hosts file");
        let door = stage.host.ok(&[
            "get",
            "service",
            "skerry-front-door",
            "-n",
            "skerry-system",
            "-o",
            "jsonpath={.spec.clusterIP}",
        ]);
        assert!(
            hosts.lines().any(|l| l.starts_with(&door) && l.contains("kubernetes.default.svc")),
            "{hosts}"
        );
        let own = tenant.json(&["get", "endpointslice", "kubernetes", "-n", "default"]);
        assert_eq!(own["endpoints"][0]["addresses"][0], door.as_str(), "the tenant shows the one address");
    })
}
