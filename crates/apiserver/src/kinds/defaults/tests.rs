//! Computed defaults, by kind.

use serde_json::{Value, json};

use super::computed;
use crate::codec::check_known;
use crate::model::catalog::Catalog;
use crate::model::defaults::apply_defaults;

/// The object as it is stored: checked, constant defaults, computed defaults. Twice changes nothing.
fn stored(group: &str, version: &str, plural: &str, mut object: Value) -> Value {
    let row = Catalog::builtin().lookup(group, version, plural).unwrap();
    let pass = |object: &mut Value| {
        assert_eq!(check_known(&row.schema, row.root, object).unwrap(), []);
        apply_defaults(&row.schema, row.root, object);
        computed(&row.gvk, object);
    };
    pass(&mut object);
    let mut again = object.clone();
    pass(&mut again);
    assert_eq!(again, object);
    object
}

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "a", "image": "nginx:1"}]}})
}

fn stored_template() -> Value {
    json!({"metadata": {"labels": {"app": "a"}}, "spec": {
        "containers": [{"name": "a", "image": "nginx:1", "imagePullPolicy": "IfNotPresent", "resources": {},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}],
        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
        "securityContext": {}, "terminationGracePeriodSeconds": 30}})
}

#[test]
fn deployments_store_what_upstream_stores() {
    let spec = json!({"selector": {"matchLabels": {"app": "a"}}, "template": template()});
    let got = stored("apps", "v1", "deployments", json!({"metadata": {"name": "a"}, "spec": spec}));
    let want = json!({"metadata": {"name": "a"}, "status": {}, "spec": {
        "progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10,
        "selector": {"matchLabels": {"app": "a"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "template": stored_template()}});
    assert_eq!(got, want);
    let spec = json!({"strategy": {"type": "Recreate"}, "selector": {}, "template": template()});
    let got = stored("apps", "v1", "deployments", json!({"spec": spec}));
    assert_eq!(got["spec"]["strategy"], json!({"type": "Recreate"}));
}

#[test]
fn stateful_and_daemon_sets() {
    let spec = json!({"selector": {}, "serviceName": "s", "template": template(), "volumeClaimTemplates": [
        {"metadata": {"name": "d"}, "spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1024Mi"}}}}]});
    let got = &stored("apps", "v1", "statefulsets", json!({"spec": spec}))["spec"];
    assert_eq!(got["updateStrategy"], json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}));
    assert_eq!(got["podManagementPolicy"], "OrderedReady");
    let retention = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
    assert_eq!(got["persistentVolumeClaimRetentionPolicy"], retention);
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "d"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
            "volumeMode": "Filesystem"}, "status": {"phase": "Pending"}});
    assert_eq!(got["volumeClaimTemplates"][0], claim);
    let spec = json!({"selector": {}, "template": template()});
    let got = stored("apps", "v1", "daemonsets", json!({"spec": spec}));
    let rolling = json!({"maxSurge": 0, "maxUnavailable": 1});
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": rolling});
    assert_eq!(got["spec"]["updateStrategy"], strategy);
}

#[test]
fn jobs_and_cron_jobs() {
    let got = stored("batch", "v1", "jobs", json!({"metadata": {}, "spec": {"template": template()}}));
    assert_eq!(got["metadata"]["labels"], json!({"app": "a"}));
    let want = json!({"backoffLimit": 6, "completionMode": "NonIndexed", "completions": 1,
        "manualSelector": false, "parallelism": 1, "podReplacementPolicy": "TerminatingOrFailed",
        "suspend": false, "template": stored_template()});
    assert_eq!(got["spec"], want);
    let spec = json!({"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template()}}});
    let got = &stored("batch", "v1", "cronjobs", json!({"spec": spec}))["spec"];
    assert_eq!(got["concurrencyPolicy"], "Allow");
    assert_eq!(got["successfulJobsHistoryLimit"], 3);
    assert_eq!(got["jobTemplate"]["spec"]["template"], {
        let mut want = stored_template();
        want["metadata"] = json!({"labels": {"app": "a"}});
        want
    });
    assert!(got["jobTemplate"]["spec"].get("parallelism").is_none());
}

#[test]
fn pods_get_requests_links_and_volumes() {
    let spec = json!({"serviceAccountName": "sa", "volumes": [{"name": "v"}, {"name": "s", "secret": {"secretName": "x"}}],
        "containers": [{"name": "a", "image": "x", "resources": {"limits": {"cpu": "1000m"}}}]});
    let got = &stored("", "v1", "pods", json!({"spec": spec}))["spec"];
    assert_eq!(got["containers"][0]["resources"], json!({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}));
    assert_eq!(got["containers"][0]["imagePullPolicy"], "Always");
    assert_eq!(got["enableServiceLinks"], true);
    assert_eq!(got["serviceAccount"], "sa");
    assert_eq!(got["volumes"][0], json!({"name": "v", "emptyDir": {}}));
    assert_eq!(got["volumes"][1]["secret"]["defaultMode"], 420);
}

#[test]
fn services_by_type() {
    let got = stored("", "v1", "services", json!({"spec": {"ports": [{"port": 80}]}}));
    let want = json!({"internalTrafficPolicy": "Cluster", "sessionAffinity": "None", "type": "ClusterIP",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]});
    assert_eq!(got["spec"], want);
    assert_eq!(got["status"], json!({"loadBalancer": {}}));
    let got = stored(
        "",
        "v1",
        "services",
        json!({"spec": {"type": "LoadBalancer", "sessionAffinity": "ClientIP"}}),
    );
    assert_eq!(got["spec"]["allocateLoadBalancerNodePorts"], true);
    assert_eq!(got["spec"]["externalTrafficPolicy"], "Cluster");
    assert_eq!(got["spec"]["sessionAffinityConfig"], json!({"clientIP": {"timeoutSeconds": 10800}}));
    let got = stored("", "v1", "services", json!({"spec": {"type": "ExternalName", "externalName": "x"}}));
    assert!(got["spec"].get("internalTrafficPolicy").is_none());
}

#[test]
fn the_other_kinds() {
    let role = json!({"roleRef": {"kind": "Role", "name": "r"}, "subjects": [
        {"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s", "namespace": "n"}]});
    let got = stored("rbac.authorization.k8s.io", "v1", "rolebindings", role);
    assert_eq!(got["roleRef"]["apiGroup"], "rbac.authorization.k8s.io");
    assert_eq!(got["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
    assert!(got["subjects"][1].get("apiGroup").is_none());
    let got = stored("networking.k8s.io", "v1", "networkpolicies", json!({"spec": {"egress": [{}]}}));
    assert_eq!(got["spec"]["policyTypes"], json!(["Ingress", "Egress"]));
    let got = stored("", "v1", "namespaces", json!({"metadata": {"name": "n"}}));
    assert_eq!(got["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "n"}));
    assert_eq!(got["status"], json!({"phase": "Active"}));
    let spec = json!({"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}});
    let got = stored("autoscaling", "v2", "horizontalpodautoscalers", json!({"spec": spec}));
    assert_eq!(got["spec"]["minReplicas"], 1);
    assert_eq!(got["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 80);
    let got = stored("", "v1", "configmaps", json!({"data": {}, "metadata": {"name": "x"}}));
    assert_eq!(got, json!({"metadata": {"name": "x"}}));
    let event = json!({"metadata": {"name": "x"}, "involvedObject": {"kind": "Pod"}});
    let got = stored("", "v1", "events", event);
    assert_eq!(
        (&got["eventTime"], &got["source"], &got["reportingComponent"]),
        (&Value::Null, &json!({}), &json!(""))
    );
}
