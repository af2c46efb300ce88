//! What is recorded of many kinds: how fields are booked that a kind shows without being asked, and how two
//! writers meet in it.

use serde_json::{Value, json};

use crate::corpus::{apply, case, create, merge, strategic, update};
use crate::scenario::{Case, Set};

pub fn sets() -> Vec<Set> {
    bodies()
        .into_iter()
        .map(|(api_version, kind, plural, one, two)| Set {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            cases: cases(&one, &two),
        })
        .collect()
}

/// `one` is a whole object, `two` changes it and adds to it.
fn cases(one: &Value, two: &Value) -> Vec<Case> {
    let labels = json!({"metadata": {"labels": {"l": "m"}}});
    vec![
        case(
            "created, then changed",
            vec![
                create("u", one.clone()),
                update("v", labels.clone()),
                merge("w", two.clone()),
                merge("w", one.clone()),
            ],
        ),
        case(
            "created, then patched by type",
            vec![create("u", one.clone()), strategic("s", two.clone()), strategic("s", one.clone())],
        ),
        case(
            "applied by two",
            vec![
                apply("a", one.clone()),
                apply("b", two.clone()),
                apply("b", two.clone()).force(),
                apply("a", one.clone()),
                apply("a", one.clone()).force(),
                apply("b", labels.clone()),
                apply("b", json!({})),
            ],
        ),
        case(
            "created, then applied",
            vec![
                create("u", one.clone()),
                apply("a", one.clone()),
                apply("b", labels),
                apply("a", two.clone()).force(),
            ],
        ),
    ]
}

type Body = (&'static str, &'static str, &'static str, Value, Value);

fn pod_spec() -> Value {
    json!({
        "containers": [{
            "name": "c", "image": "i:1", "command": ["x"], "workingDir": "/w",
            "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 53, "protocol": "UDP"}],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
                {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "D", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
            "envFrom": [{"secretRef": {"name": "s"}}],
            "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}},
            "volumeMounts": [{"name": "v", "mountPath": "/a"}, {"name": "p", "mountPath": "/b", "readOnly": true}],
            "livenessProbe": {"exec": {"command": ["x"]}},
            "readinessProbe": {"httpGet": {"path": "/", "port": "web"}},
            "startupProbe": {"tcpSocket": {"port": 80}},
            "lifecycle": {"preStop": {"exec": {"command": ["y"]}}},
            "securityContext": {"runAsNonRoot": true, "capabilities": {"drop": ["ALL"]}}
        }],
        "initContainers": [{"name": "init", "image": "i"}],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "p", "projected": {"sources": [{"configMap": {"name": "m"}}]}},
            {"name": "s", "secret": {"secretName": "s"}}, {"name": "h", "hostPath": {"path": "/h"}},
            {"name": "m", "configMap": {"name": "m"}}, {"name": "d", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "k", "operator": "Exists"}]}]}},
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": {"topologyKey": "h", "labelSelector": {"matchLabels": {"a": "b"}}}}]}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "h", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": {"a": "b"}}}],
        "tolerations": [{"key": "k", "operator": "Exists"}],
        "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["h"]}],
        "imagePullSecrets": [{"name": "s"}],
        "dnsConfig": {"nameservers": ["1.1.1.1"], "options": [{"name": "ndots", "value": "2"}]},
        "securityContext": {"fsGroup": 1, "sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]},
        "readinessGates": [{"conditionType": "g"}]
    })
}

fn workload(extra: Value) -> Value {
    let mut spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod_spec()}});
    for (k, v) in extra.as_object().into_iter().flatten() {
        spec[k] = v.clone();
    }
    json!({"spec": spec})
}

fn second_container() -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "d", "image": "j"}, {"name": "c", "env": [{"name": "Z", "value": "9"}]}]}}}})
}

fn bodies() -> Vec<Body> {
    let mut two = second_container();
    two["spec"]["replicas"] = json!(2);
    let selector = json!({"matchLabels": {"a": "b"}});
    let job = json!({"template": {"metadata": {"labels": {"x": "y"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}});
    vec![
        (
            "v1",
            "Pod",
            "pods",
            json!({"metadata": {"labels": {"a": "b"}}, "spec": pod_spec()}),
            json!({"metadata": {"labels": {"a": "c"}}, "spec": {"containers": [{"name": "c", "image": "i:2"}], "tolerations": [{"key": "k", "operator": "Exists"}, {"key": "z", "operator": "Exists"}]}}),
        ),
        (
            "apps/v1",
            "StatefulSet",
            "statefulsets",
            workload(
                json!({"serviceName": "s", "volumeClaimTemplates": [{"metadata": {"name": "w"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]}),
            ),
            two.clone(),
        ),
        ("apps/v1", "DaemonSet", "daemonsets", workload(json!({})), second_container()),
        ("apps/v1", "ReplicaSet", "replicasets", workload(json!({})), two),
        (
            "batch/v1",
            "Job",
            "jobs",
            json!({"spec": job}),
            json!({"spec": {"parallelism": 2, "activeDeadlineSeconds": 9}}),
        ),
        (
            "batch/v1",
            "CronJob",
            "cronjobs",
            json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job}}}),
            json!({"spec": {"schedule": "1 * * * *", "suspend": true, "jobTemplate": {"spec": {"backoffLimit": 1}}}}),
        ),
        (
            "networking.k8s.io/v1",
            "Ingress",
            "ingresses",
            json!({"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}, "rules": [{"host": "h.test", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"name": "web"}}}}]}}], "tls": [{"hosts": ["h.test"], "secretName": "t"}]}}),
            json!({"spec": {"ingressClassName": "c", "rules": [{"host": "g.test"}]}}),
        ),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "networkpolicies",
            json!({"spec": {"podSelector": selector, "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80}]}]}}),
            json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [{}]}}),
        ),
        (
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"}, "maxReplicas": 3, "metrics": [{"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 50}}}]}}),
            json!({"spec": {"maxReplicas": 4, "minReplicas": 2, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}}}}),
        ),
        (
            "policy/v1",
            "PodDisruptionBudget",
            "poddisruptionbudgets",
            json!({"spec": {"minAvailable": 1, "selector": selector}}),
            json!({"spec": {"minAvailable": "50%", "unhealthyPodEvictionPolicy": "AlwaysAllow"}}),
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "Role",
            "roles",
            json!({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
            json!({"rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]}),
        ),
        (
            "rbac.authorization.k8s.io/v1",
            "RoleBinding",
            "rolebindings",
            json!({"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}, "subjects": [{"kind": "ServiceAccount", "name": "s", "namespace": "z"}]}),
            json!({"subjects": [{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}]}),
        ),
        (
            "v1",
            "Secret",
            "secrets",
            json!({"data": {"k": "AAEC"}, "stringData": {"s": "x"}}),
            json!({"data": {"l": "AAEC"}, "stringData": {"s": "y", "t": "z"}}),
        ),
        (
            "v1",
            "ServiceAccount",
            "serviceaccounts",
            json!({"imagePullSecrets": [{"name": "a"}], "secrets": [{"name": "t"}]}),
            json!({"imagePullSecrets": [{"name": "b"}], "automountServiceAccountToken": false, "secrets": [{"name": "u"}]}),
        ),
        (
            "v1",
            "PersistentVolumeClaim",
            "persistentvolumeclaims",
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
            json!({"metadata": {"annotations": {"x": "y"}}}),
        ),
        (
            "v1",
            "ResourceQuota",
            "resourcequotas",
            json!({"spec": {"hard": {"pods": "10", "cpu": 2}, "scopes": ["BestEffort"]}}),
            json!({"spec": {"hard": {"pods": "20", "memory": "1Gi"}}}),
        ),
        (
            "v1",
            "LimitRange",
            "limitranges",
            json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}}),
            json!({"spec": {"limits": [{"type": "Pod", "max": {"cpu": "2"}}]}}),
        ),
        (
            "v1",
            "Endpoints",
            "endpoints",
            json!({"subsets": [{"addresses": [{"ip": "10.1.1.1"}], "ports": [{"port": 80}]}]}),
            json!({"subsets": [{"addresses": [{"ip": "10.1.1.2"}], "ports": [{"port": 81, "name": "x"}]}]}),
        ),
        (
            "discovery.k8s.io/v1",
            "EndpointSlice",
            "endpointslices",
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.1.1"], "conditions": {"ready": true}}], "ports": [{"port": 80}]}),
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.1.1.2"]}]}),
        ),
        (
            "coordination.k8s.io/v1",
            "Lease",
            "leases",
            json!({"spec": {"holderIdentity": "a", "leaseDurationSeconds": 5, "renewTime": "2026-01-01T00:00:00.000000Z"}}),
            json!({"spec": {"holderIdentity": "b", "leaseTransitions": 1}}),
        ),
        (
            "v1",
            "PodTemplate",
            "podtemplates",
            json!({"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}),
            json!({"template": {"spec": {"containers": [{"name": "d", "image": "i"}]}}}),
        ),
        (
            "v1",
            "ReplicationController",
            "replicationcontrollers",
            json!({"spec": {"selector": {"a": "b"}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}),
            json!({"spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "d", "image": "i"}]}}}}),
        ),
        (
            "apps/v1",
            "ControllerRevision",
            "controllerrevisions",
            json!({"revision": 1, "data": {"spec": {"a": 1, "l": [1]}}}),
            json!({"revision": 2}),
        ),
        (
            "storage.k8s.io/v1",
            "CSIStorageCapacity",
            "csistoragecapacities",
            json!({"storageClassName": "s", "capacity": "1Gi"}),
            json!({"storageClassName": "s", "capacity": "2Gi", "maximumVolumeSize": "1Gi"}),
        ),
    ]
}
