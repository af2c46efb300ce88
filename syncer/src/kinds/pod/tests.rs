//! The field tables against the API's schema, golden host pods, and properties of `down`.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{PodTranslator, table};
use crate::{
    facts::{DnsMode, Facts, Network},
    kinds::{
        Translator,
        pod::{Level, token_sources},
        tests_support::{any_text, check_fields, facts},
    },
    object::{HostObj, TenantObj},
    refusal::Reason,
    settings::{Fqdn, HostPath, HostPolicy, ImageRule, NamespacedName, Settings},
};

fn pod(spec: Value) -> TenantObj {
    TenantObj(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "web", "uid": "0a4b9a3e-0000-4000-8000-0000000000b1", "generation": 1,
            "labels": {"app": "web", "pod-template-hash": "abc"}, "annotations": {"note": "x"}},
        "spec": spec,
    }))
}

fn with(base: Value, more: Value) -> Value {
    let mut base = base;
    if let (Some(base), Some(more)) = (base.as_object_mut(), more.as_object()) {
        base.extend(more.clone());
    }
    base
}

fn plain() -> Value {
    json!({"containers": [{"name": "c", "image": "nginx:1"}]})
}

fn down(spec: Value, facts: &Facts) -> HostObj {
    PodTranslator.down(&pod(spec), facts).expect("carried")
}

fn refused(spec: Value, facts: &Facts) -> (Reason, String) {
    let refusal = PodTranslator.down(&pod(spec), facts).expect_err("refused");
    (refusal.reason, refusal.message)
}

/// SY-1: every field of the API has a row (PO10).
#[test]
fn translate_sy1_every_field_has_a_row() {
    let names = |table: &'static [(&'static str, table::Row)]| table.iter().map(|r| r.0).collect::<Vec<_>>();
    check_fields("PodSpec", &names(table::POD_SPEC));
    check_fields("PodSecurityContext", &names(table::POD_SECURITY));
    check_fields("Container", &names(table::CONTAINER));
    let mut ephemeral = names(table::CONTAINER);
    ephemeral.push("targetContainerName");
    check_fields("EphemeralContainer", &ephemeral);
    let mut volume = names(table::VOLUME);
    volume.push("name");
    check_fields("Volume", &volume);
    check_fields(
        "EnvVarSource",
        &["configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"],
    );
    check_fields(
        "VolumeProjection",
        &[
            "clusterTrustBundle",
            "configMap",
            "downwardAPI",
            "podCertificate",
            "secret",
            "serviceAccountToken",
        ],
    );
}

/// SY-41: a tenant pod per S1 row of 4.1–4.3; `UPDATE_EXPECT=1` writes the file anew.
#[test]
fn translate_sy41_golden_host_pods() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/pods.json");
    let found: BTreeMap<String, Value> = golden_cases()
        .into_iter()
        .map(|(name, spec, facts)| (name.to_owned(), down(spec, &facts).0))
        .collect();
    let text = format!("{}\n", serde_json::to_string_pretty(&found).expect("json"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &text).expect("golden file");
    }
    let want: BTreeMap<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(path).expect("golden file")).expect("json");
    for (name, value) in &found {
        assert_eq!(Some(value), want.get(name), "{name}");
    }
    assert_eq!(found.len(), want.len());
}

fn golden_cases() -> Vec<(&'static str, Value, Facts)> {
    let base = facts();
    let mut settings = Settings::default();
    settings.to_host.pods.images = vec![
        ImageRule { from: "docker.io/".into(), to: "mirror.example/hub/".into() },
        ImageRule { from: "docker.io/library/".into(), to: "mirror.example/lib/".into() },
    ];
    settings.to_host.pods.pull_secrets =
        vec![NamespacedName { namespace: "skerry-system".into(), name: "pull".into() }];
    settings.to_host.pods.tolerations = vec![json!({"key": "pool", "operator": "Exists"})];
    settings.to_host.pods.node_selector = [("pool".to_owned(), "tenants".to_owned())].into();
    settings.to_host.pods.runtime_class_name = "gvisor".into();
    settings.to_host.pods.priority_class_name = "tenants".into();
    let classed = Facts { settings: Arc::new(settings), ..base.clone() };
    let mut exact = Settings::default();
    exact.to_host.pods.fqdn = Fqdn::Exact;
    let cordoned = Facts { cordoned: Arc::new(vec!["n7".to_owned()]), ..base.clone() };
    let policy = HostPolicy {
        volumes: [
            HostPolicy::default().volumes,
            vec!["hostPath".into(), "csi".into(), "nfs".into(), "iscsi".into()],
        ]
        .concat(),
        csi_drivers: vec!["inline.csi".into()],
        host_paths: vec![HostPath { prefix: "/var/log".into(), read_only: true }],
        host_namespaces: vec!["network".into()],
        ..HostPolicy::default()
    };
    let open = Facts { policy: Arc::new(policy), ..base.clone() };
    vec![
        ("plain", plain(), base.clone()),
        (
            "identity",
            with(
                plain(),
                json!({"serviceAccountName": "builder", "serviceAccount": "builder",
            "automountServiceAccountToken": true, "enableServiceLinks": false, "imagePullSecrets": [{"name": "reg"}, {"name": "skerry-x"}],
            "priority": 5, "preemptionPolicy": "Never", "priorityClassName": "high"}),
            ),
            base.clone(),
        ),
        (
            "class",
            with(
                plain(),
                json!({"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "t"}],
            "containers": [{"name": "c", "image": "docker.io/library/nginx:1"}, {"name": "d", "image": "docker.io/me/x"}, {"name": "e", "image": "quay.io/y"}]}),
            ),
            classed,
        ),
        (
            "copied",
            with(
                plain(),
                json!({"restartPolicy": "OnFailure", "terminationGracePeriodSeconds": 5, "activeDeadlineSeconds": 60,
            "shareProcessNamespace": true, "hostname": "h", "subdomain": "s", "os": {"name": "linux"}, "hostUsers": false,
            "readinessGates": [{"conditionType": "x/y"}], "securityContext": {"fsGroup": 1, "runAsUser": 1000, "supplementalGroupsPolicy": "Strict"},
            "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "kubernetes"]}], "overhead": {"cpu": "1"}, "resources": {"limits": {"cpu": "1"}}}),
            ),
            base.clone(),
        ),
        ("fqdn", with(plain(), json!({"setHostnameAsFQDN": true, "subdomain": "s"})), base.clone()),
        (
            "exact",
            json!({"hostname": "h", "subdomain": "s", "setHostnameAsFQDN": true, "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["a", "b"]}],
                "initContainers": [{"name": "i", "image": "x"}], "containers": [{"name": "c", "image": "x"}]}),
            Facts { settings: Arc::new(exact), ..base.clone() },
        ),
        (
            "cordoned",
            with(
                plain(),
                json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
            {"nodeSelectorTerms": [{"matchExpressions": [{"key": "z", "operator": "In", "values": ["a"]}]}, {}]}}}}),
            ),
            cordoned,
        ),
        ("named-node", with(plain(), json!({"nodeName": "n1"})), base.clone()),
        (
            "affinity",
            with(
                plain(),
                json!({
            "affinity": {
                "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "zone", "labelSelector": {"matchLabels": {"istio.io/rev": "a"}}, "namespaces": ["db", "gone"]}]},
                "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm":
                    {"topologyKey": "host", "labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["pod-template-hash"],
                        "mismatchLabelKeys": ["app"], "namespaceSelector": {}}}]}},
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app": "web"}}, "matchLabelKeys": ["pod-template-hash"]}]}),
            ),
            base.clone(),
        ),
        (
            "env",
            json!({"initContainers": [{"name": "i", "image": "x", "restartPolicy": "Always"}], "containers": [{"name": "c", "image": "x",
            "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(B)"},
                {"name": "CM", "valueFrom": {"configMapKeyRef": {"name": "kube-root-ca.crt", "key": "ca.crt"}}},
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "pw", "key": "k", "optional": true}}},
                {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "NS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                {"name": "U", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
                {"name": "SA", "valueFrom": {"fieldRef": {"fieldPath": "spec.serviceAccountName"}}},
                {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['istio.io/rev']"}}},
                {"name": "OURS", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['skerry.dev/uid']"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}],
            "envFrom": [{"prefix": "P_", "configMapRef": {"name": "conf"}}, {"secretRef": {"name": "skerry-s"}}],
            "ports": [{"containerPort": 80}], "livenessProbe": {"httpGet": {"port": 80}}, "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
            "resources": {"requests": {"cpu": "100m"}}, "tty": true, "workingDir": "/w"}]}),
            base.clone(),
        ),
        (
            "volumes",
            json!({"containers": [{"name": "c", "image": "x", "volumeMounts": [{"name": "e", "mountPath": "/e"}]}], "volumes": [
            {"name": "e", "emptyDir": {"medium": "Memory"}},
            {"name": "cm", "configMap": {"name": "kube-root-ca.crt", "items": [{"key": "a", "path": "b"}], "optional": true}},
            {"name": "s", "secret": {"secretName": "pw", "defaultMode": 256}},
            {"name": "d", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}},
                {"path": "a", "fieldRef": {"fieldPath": "metadata.annotations"}}]}},
            {"name": "p", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "g", "ephemeral": {"volumeClaimTemplate": {"spec": {"storageClassName": "fast"}}}},
            {"name": "i", "image": {"reference": "x/y"}},
            {"name": "kube-api-access-1", "projected": {"defaultMode": 420, "sources": [
                {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
                {"secret": {"name": "skerry-y"}}]}}]}),
            base.clone(),
        ),
        (
            "policy",
            json!({"hostNetwork": true, "containers": [{"name": "c", "image": "x",
                "volumeMounts": [{"name": "h", "mountPath": "/h"}]}], "volumes": [
            {"name": "h", "hostPath": {"path": "/var/./log/../log/app"}},
            {"name": "c", "csi": {"driver": "inline.csi", "nodePublishSecretRef": {"name": "skerry-s"}}},
            {"name": "n", "nfs": {"server": "s", "path": "/"}},
            {"name": "i", "iscsi": {"targetPortal": "t", "iqn": "i", "lun": 0, "secretRef": {"name": "chap"}}}]}),
            open,
        ),
    ]
}

/// SY-47: dnsPolicy x hostNetwork x dnsConfig; the user's options are kept.
#[test]
fn translate_sy47_dns() {
    let network = Network { dns: DnsMode::Tenant(vec!["10.0.0.10".into()]), ..(*facts().network).clone() };
    let policy = HostPolicy { host_namespaces: vec!["network".into()], ..HostPolicy::default() };
    let served = Facts { network: Arc::new(network), policy: Arc::new(policy), ..facts() };
    let dns = |more: Value, facts: &Facts| {
        let host = down(with(plain(), more), facts);
        (host.0["spec"]["dnsPolicy"].clone(), host.0["spec"].get("dnsConfig").cloned())
    };
    let searches = json!(["web.svc.cluster.local", "svc.cluster.local", "cluster.local"]);
    let five = json!([{"name": "ndots", "value": "5"}]);
    let ours = json!({"nameservers": ["10.0.0.10"], "searches": searches, "options": five});
    assert_eq!(dns(json!({}), &served), (json!("None"), Some(ours.clone())));
    assert_eq!(
        dns(json!({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": true}), &served),
        (json!("None"), Some(ours))
    );
    assert_eq!(dns(json!({"hostNetwork": true}), &served), (json!("Default"), None));
    assert_eq!(dns(json!({"dnsPolicy": "Default"}), &served), (json!("Default"), None));
    let user = json!({"nameservers": ["1.1.1.1"], "searches": ["x.example"], "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]});
    assert_eq!(
        dns(json!({"dnsPolicy": "None", "dnsConfig": user}), &served),
        (json!("None"), Some(user.clone()))
    );
    let merged = dns(json!({ "dnsConfig": user }), &served).1.expect("config");
    assert_eq!(merged["options"], user["options"]);
    assert_eq!(merged["nameservers"], json!(["10.0.0.10", "1.1.1.1"]));
    assert_eq!(merged["searches"][3], "x.example");
    let many = json!({"dnsConfig": {"nameservers": ["1.1.1.1", "2.2.2.2", "3.3.3.3"]}});
    assert_eq!(refused(with(plain(), many), &served).0, Reason::UnsupportedField);
    let host = facts();
    assert_eq!(dns(json!({}), &host), (json!("ClusterFirst"), None));
    let none = Facts { network: Arc::new(Network { dns: DnsMode::None, ..(*host.network).clone() }), ..host };
    assert_eq!(dns(json!({}), &none), (json!("None"), Some(json!({"nameservers": ["127.0.0.1"]}))));
}

/// SY-54: each volume type under the default policy.
#[test]
fn translate_sy54_volume_types() {
    let facts = facts();
    let spec = |kind: &str, source: Value| with(plain(), json!({"volumes": [{"name": "v", kind: source}]}));
    let allowed = &HostPolicy::default().volumes;
    for (kind, _) in table::VOLUME {
        let result = PodTranslator.down(&pod(spec(kind, json!({}))), &facts);
        match (*kind, allowed.iter().any(|a| a == kind)) {
            ("gitRepo", _) => assert_eq!(result.expect_err(kind).reason, Reason::UnsupportedVolume),
            (_, true) => assert!(result.is_ok(), "{kind}: {result:?}"),
            (_, false) => {
                let refusal = result.expect_err(kind);
                assert_eq!(refusal.reason, Reason::PolicyDenied, "{kind}");
                assert!(refusal.message.contains(&format!("spec.volumes[0].{kind}")), "{}", refusal.message);
            }
        }
    }
    assert_eq!(refused(spec("newVolume", json!({})), &facts).0, Reason::UnsupportedVolume);
    let certificate = spec("projected", json!({"sources": [{"podCertificate": {"signerName": "x"}}]}));
    assert_eq!(refused(certificate, &facts).0, Reason::UnsupportedVolume);
}

/// SY-53 and SY-50, their pure parts: what is refused names the tenant's field.
#[test]
fn translate_sy53_refusals() {
    let base = facts();
    let baseline = Facts { pod_security: Level::Baseline, ..facts() };
    let cases = [
        (json!({"hostNetwork": true}), &base, Reason::PolicyDenied, "spec.hostNetwork"),
        (json!({"hostPID": true}), &base, Reason::PolicyDenied, "spec.hostPID"),
        (json!({"nodeName": "elsewhere"}), &base, Reason::NodeNotVisible, "elsewhere"),
        (json!({"schedulerName": "mine"}), &base, Reason::SchedulerUnknown, "mine"),
        (json!({"runtimeClassName": "kata"}), &base, Reason::ClassNotShared, "kata"),
        (
            json!({"resourceClaims": [{"name": "gpu"}]}),
            &base,
            Reason::UnsupportedField,
            "spec.resourceClaims",
        ),
        (json!({"somethingNew": 1}), &base, Reason::UnsupportedField, "spec.somethingNew"),
        (
            json!({"containers": [{"name": "c", "ports": [{"hostPort": 80}]}]}),
            &base,
            Reason::PolicyDenied,
            "ports[0].hostPort",
        ),
        (
            json!({"containers": [{"name": "c", "securityContext": {"privileged": true}}]}),
            &baseline,
            Reason::PodSecurityViolation,
            "spec.containers[0].securityContext.privileged",
        ),
        (
            json!({"containers": [{"name": "c", "brandNew": 1}]}),
            &base,
            Reason::UnsupportedField,
            "spec.containers[0].brandNew",
        ),
    ];
    for (more, facts, reason, field) in cases {
        let (found, message) = refused(with(plain(), more), facts);
        assert_eq!(found, reason, "{field}");
        assert!(message.contains(field), "{message}");
    }
    let mut policy = HostPolicy::default();
    policy.volumes.push("hostPath".into());
    policy.host_paths = vec![HostPath { prefix: "/var/log".into(), read_only: true }];
    let logs = Facts { policy: Arc::new(policy), ..facts() };
    let path = |path: &str, mount: Value| json!({"containers": [{"name": "c", "volumeMounts": [mount]}], "volumes": [{"name": "h", "hostPath": {"path": path}}]});
    let mount = json!({"name": "h", "mountPath": "/h"});
    assert_eq!(refused(path("/var/log/../lib", mount.clone()), &logs).0, Reason::PolicyDenied);
    let host = down(path("/var/log/app", mount.clone()), &logs);
    assert_eq!(host.0["spec"]["containers"][0]["volumeMounts"][0]["readOnly"], true);
    let both = with(mount, json!({"mountPropagation": "Bidirectional"}));
    assert_eq!(refused(path("/var/log/app", both), &logs).0, Reason::PolicyDenied);
}

/// SY-66: a host without a field refuses the pod that needs it, naming the field.
#[test]
fn translate_sy66_missing_fields() {
    let mut old = facts();
    let missing = table::REQUIRED_FIELDS.iter().map(|(s, f)| format!("{s}.{f}")).collect();
    old.host = Arc::new(crate::facts::HostFacts { minor: 32, missing, ..(*old.host).clone() });
    for (more, field) in [
        (json!({"hostnameOverride": "x"}), "spec.hostnameOverride"),
        (json!({"hostUsers": false}), "spec.hostUsers"),
        (json!({"resources": {"limits": {"cpu": "1"}}}), "spec.resources"),
        (json!({"setHostnameAsFQDN": true, "subdomain": "s"}), "spec.setHostnameAsFQDN"),
        (json!({"securityContext": {"supplementalGroupsPolicy": "Strict"}}), "supplementalGroupsPolicy"),
        (json!({"securityContext": {"seLinuxChangePolicy": "Recursive"}}), "seLinuxChangePolicy"),
        (json!({"containers": [{"name": "c", "restartPolicyRules": [{}]}]}), "restartPolicyRules"),
        (json!({"containers": [{"name": "c", "lifecycle": {"stopSignal": "SIGUSR1"}}]}), "stopSignal"),
        (
            json!({"containers": [{"name": "c", "volumeMounts": [{"name": "v", "recursiveReadOnly": "Enabled"}]}]}),
            "recursiveReadOnly",
        ),
        (
            json!({"containers": [{"name": "c", "env": [{"name": "A", "valueFrom": {"fileKeyRef": {"key": "k"}}}]}]}),
            "fileKeyRef",
        ),
        (json!({"volumes": [{"name": "i", "image": {"reference": "x"}}]}), "spec.volumes[0].image"),
    ] {
        let (reason, message) = refused(with(plain(), more), &old);
        assert_eq!(reason, Reason::HostFeatureMissing, "{field}");
        assert!(message.contains(field) && message.contains("1.32"), "{message}");
    }
    assert!(PodTranslator.down(&pod(plain()), &old).is_ok());
}

/// SY-45, its pure part: the lives of tokens are cut to the tenant's limit and never below ten minutes.
#[test]
fn translate_sy45_token_lives() {
    let mut settings = Settings::default();
    settings.to_host.pods.token_max_ttl = "10m".into();
    let facts = Facts { settings: Arc::new(settings), ..facts() };
    let source = |seconds: i64| json!({"serviceAccountToken": {"expirationSeconds": seconds, "path": "t", "audience": "a"}});
    let spec = with(
        plain(),
        json!({"volumes": [{"name": "t", "projected": {"sources": [source(60), source(315_360_000)]}}]}),
    );
    let found = token_sources(&pod(spec.clone()), &facts);
    assert_eq!(found.iter().map(|t| t.seconds).collect::<Vec<_>>(), [600, 600]);
    let host = down(spec, &facts);
    for (n, token) in found.iter().enumerate() {
        let item = &host.0["spec"]["volumes"][0]["projected"]["sources"][n]["secret"]["items"][0];
        assert_eq!(item["key"], token.key.as_str());
    }
}

/// References that must lie on the host with a pod (KI2).
#[test]
fn translate_refs_of_every_place() {
    let spec = json!({"imagePullSecrets": [{"name": "pull"}],
        "initContainers": [{"envFrom": [{"configMapRef": {"name": "e1"}}]}],
        "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "e2"}}}]}],
        "volumes": [{"configMap": {"name": "v1"}}, {"secret": {"secretName": "v2"}}, {"persistentVolumeClaim": {"claimName": "v3"}},
            {"projected": {"sources": [{"configMap": {"name": "v4"}}, {"secret": {"name": "v5"}}]}},
            {"csi": {"nodePublishSecretRef": {"name": "v6"}}}, {"rbd": {"secretRef": {"name": "v7"}}}]});
    let names: Vec<String> = PodTranslator.refs(&pod(spec)).into_iter().map(|r| r.name).collect();
    assert_eq!(names, ["e1", "v1", "v4", "e2", "pull", "v2", "v5", "v6", "v7", "v3"]);
}

/// PO36: what comes up is the tenant's: its containers, its images, its names.
#[test]
fn translate_status_upward() {
    let facts = facts();
    let tenant = TenantObj(
        json!({"metadata": {"name": "web-0", "namespace": "web", "uid": "p1", "generation": 3,
            "managedFields": [{"manager": "gate-controller", "fieldsV1": {"f:status": {"f:conditions": {"k:{\"type\":\"x/gate\"}": {}}}}}]},
        "spec": {"readinessGates": [{"conditionType": "x/gate"}], "containers": [{"name": "c", "image": "docker.io/a",
            "volumeMounts": [{"name": "d", "mountPath": "/d"}]}]},
        "status": {"conditions": [{"type": "x/gate", "status": "True"}], "qosClass": "Burstable"}}),
    );
    let ns = facts.host_namespace("web").map(|n| n.to_string()).unwrap_or_default();
    let host = HostObj(json!({"metadata": {"name": "web-0", "namespace": ns, "uid": "h1", "generation": 1,
            "annotations": {"skerry.dev/origin-generation": "3"}},
        "spec": {"containers": [{"name": "c", "image": "mirror/a"}, {"name": "sidecar", "image": "s"}]},
        "status": {"phase": "Running", "qosClass": "BestEffort", "observedGeneration": 1, "podIP": "10.1.1.1",
            "conditions": [{"type": "x/gate", "status": "False"}, {"type": "Ready", "status": "True", "observedGeneration": 1,
                "message": format!("pod {ns}/web-0"), "lastProbeTime": null}],
            "containerStatuses": [{"name": "c", "image": "mirror/a", "volumeMounts": [{"mountPath": "/d"}, {"mountPath": "/x"}]},
                {"name": "sidecar", "image": "s"}]}}));
    let up = PodTranslator.up(&tenant, &host, &facts).expect("status");
    assert_eq!(
        up,
        json!({"phase": "Running", "podIP": "10.1.1.1", "observedGeneration": 3,
            "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 3, "message": "pod web/web-0"}],
            "containerStatuses": [{"name": "c", "image": "docker.io/a", "volumeMounts": [{"mountPath": "/d"}]}]})
    );
    let gates = super::up::gates_down(&tenant, &host);
    assert_eq!(gates, [json!({"type": "x/gate", "status": "True"})]);
}

/// SY-61: a kubelet writes Failed for a pod that the host deletes; to the tenant it is lost once it is gone, not over before.
#[test]
fn translate_sy61_a_pod_taken_away_is_not_over() {
    let phase = |policy: &str, own: &str, theirs: &str, deleted: bool| {
        let tenant = TenantObj(json!({"metadata": {"name": "p", "namespace": "web", "uid": "u"},
            "spec": {"restartPolicy": policy}, "status": {"phase": own}}));
        let mut host =
            HostObj(json!({"metadata": {"name": "p", "uid": "h"}, "spec": {}, "status": {"phase": theirs}}));
        if deleted {
            host.0["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        let up = PodTranslator.up(&tenant, &host, &facts()).expect("status");
        up["phase"].as_str().map(str::to_owned)
    };
    for policy in ["Always", "OnFailure", "Never"] {
        assert_eq!(phase(policy, "Running", "Failed", true).as_deref(), Some("Running"), "{policy}");
        assert_eq!(
            phase(policy, "Running", "Failed", false).as_deref(),
            Some("Failed"),
            "{policy}: by itself"
        );
        assert_eq!(
            phase(policy, "Failed", "Failed", true).as_deref(),
            Some("Failed"),
            "{policy}: before that"
        );
    }
    assert_eq!(phase("Always", "Running", "Succeeded", true).as_deref(), Some("Running"), "told to end");
    assert_eq!(
        phase("OnFailure", "Running", "Succeeded", true).as_deref(),
        Some("Succeeded"),
        "its work is done"
    );
}

/// PO41: a lost pod is Failed, its containers ended, Jobs' failure policy understands why.
#[test]
fn translate_lost_pods_are_reported() {
    let tenant = TenantObj(
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]},
        "status": {"phase": "Running", "podIP": "10.1.1.1", "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [{"name": "a", "image": "i", "imageID": "", "restartCount": 2, "state": {"terminated": {"exitCode": 0}}}]}}),
    );
    let lost = super::lost_status(&tenant, "HostPodDeleted", "2026-01-01T00:00:00Z");
    assert_eq!((&lost["phase"], &lost["reason"]), (&json!("Failed"), &json!("HostPodDeleted")));
    assert_eq!(lost["containerStatuses"][0]["state"]["terminated"]["exitCode"], 0);
    assert_eq!(lost["containerStatuses"][1]["state"]["terminated"]["reason"], "ContainerStatusUnknown");
    assert_eq!(lost["containerStatuses"][1]["state"]["terminated"]["exitCode"], 137);
    let target =
        lost["conditions"].as_array().and_then(|c| c.iter().find(|c| c["type"] == "DisruptionTarget"));
    assert_eq!(
        target.map(|c| (&c["status"], &c["reason"])),
        Some((&json!("True"), &json!("DeletionByHost")))
    );
    // PO43: one that the tenant itself deleted has ended in the same way, and nobody is to blame.
    let ended = super::ended_status(&tenant, "2026-01-01T00:00:00Z");
    assert_eq!((&ended["phase"], &ended["reason"]), (&json!("Failed"), &Value::Null));
    assert_eq!(ended["containerStatuses"], lost["containerStatuses"]);
    let conditions = ended["conditions"].as_array().expect("conditions");
    let status = |kind: &str| conditions.iter().find(|c| c["type"] == kind).map(|c| c["status"].clone());
    assert_eq!(status("DisruptionTarget"), None);
    assert_eq!((status("Ready"), status("PodScheduled")), (Some(json!("False")), Some(json!("True"))));
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,8}",
        Just("skerry-x".to_owned()),
        Just("kube-root-ca.crt".to_owned()),
        Just("skerry.dev/uid".to_owned())
    ]
}

fn specs() -> impl Strategy<Value = Value> {
    (texts(), texts(), texts(), texts(), any::<bool>(), any::<bool>()).prop_map(|(a, b, c, d, links, sub)| {
        json!({"enableServiceLinks": links, "subdomain": if sub { json!(a) } else { Value::Null },
            "containers": [{"name": "c", "image": a, "envFrom": [{"secretRef": {"name": b}}],
                "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": c, "key": "k"}}},
                    {"name": "Y", "valueFrom": {"fieldRef": {"fieldPath": format!("metadata.labels['{d}']")}}}]}],
            "volumes": [{"name": "v", "secret": {"secretName": d}}, {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}],
            "affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "z", "namespaces": [b, "db"], "namespaceSelector": {"matchLabels": {c: "v"}}}]}}})
    })
}

proptest! {
    /// SY-2: `down` twice gives equal bytes, and no foreign host name is inside.
    #[test]
    fn translate_sy2_down_is_a_function(spec in specs()) {
        let facts = facts();
        let tenant = pod(spec);
        let (one, two) = (PodTranslator.down(&tenant, &facts), PodTranslator.down(&tenant, &facts));
        let (one, two) = (one.expect("carried"), two.expect("carried"));
        prop_assert_eq!(serde_json::to_vec(&one.0).expect("json"), serde_json::to_vec(&two.0).expect("json"));
        let own: Vec<String> = ["web", "db", "default"].iter().filter_map(|ns| facts.host_namespace(ns)).map(|n| n.to_string()).collect();
        let foreign = any_text(&one.0, &|text| text.starts_with("sk-") && text != "sk-none" && !own.iter().any(|o| o == text));
        prop_assert!(!foreign);
    }
}
