//! Twins by example; that CEL agrees with them is shown against a real API server.

use serde_json::json;

use super::*;

fn vc(spec: serde_json::Value) -> Value {
    json!({"metadata": {"name": "dev", "namespace": "team-a"}, "spec": spec})
}

#[track_caller]
fn refused(kind: &str, new: Value, old: Option<Value>, message: &str) {
    assert_eq!(check(kind, &new, old.as_ref()), [message]);
}

/// V3, V6: what was left open is pinned at birth; an edit away from it is carried out by no hub and may be taken back.
#[test]
fn tn2_an_edit_away_from_what_is_pinned_may_be_taken_back() {
    let born = |spec: serde_json::Value| {
        let mut object = vc(spec);
        object["status"] = json!({"effective": {"network": {"clusterDomain": "cluster.local"}}});
        object
    };
    let named = |domain: &str| born(json!({"network": {"clusterDomain": domain}}));
    let message = "spec.network.clusterDomain is immutable; create a new virtual cluster and restore a snapshot into it";
    for back in [born(json!({})), named("cluster.local")] {
        assert!(check("VirtualCluster", &back, Some(&named("other.local"))).is_empty(), "{back}");
    }
    refused("VirtualCluster", named("third.local"), Some(named("other.local")), message);
    refused("VirtualCluster", born(json!({})), Some(named("cluster.local")), message);
    refused("VirtualCluster", named("other.local"), Some(named("cluster.local")), message);
}

#[test]
fn tn2_twins_of_v5_to_v10_say_what_the_table_says() {
    assert!(check("VirtualCluster", &vc(json!({})), None).is_empty());
    for name in ["1dev", "dev-", "Dev", &"x".repeat(49), ""] {
        let object = json!({"metadata": {"name": name}, "spec": {}});
        refused(
            "VirtualCluster",
            object,
            None,
            "metadata.name: a DNS label of at most 48 characters that begins with a letter",
        );
    }
    refused(
        "VirtualCluster",
        vc(json!({"network": {"clusterDomain": "b"}})),
        Some(vc(json!({"network": {"clusterDomain": "a"}}))),
        "spec.network.clusterDomain is immutable; create a new virtual cluster and restore a snapshot into it",
    );
    refused(
        "VirtualCluster",
        vc(json!({"network": {}})),
        Some(vc(json!({"network": {"serviceCIDRs": ["10.0.0.0/16"]}}))),
        "spec.network.serviceCIDRs is immutable; create a new virtual cluster and restore a snapshot into it",
    );
    let two = json!({"controlPlane": {"type": "External", "embedded": {}, "external": {"kubeconfigSecretRef": {"name": "k"}}}});
    refused("VirtualCluster", vc(two), None, "spec.controlPlane.embedded: only allowed with type Embedded");
    refused(
        "VirtualCluster",
        vc(json!({"controlPlane": {"type": "External"}})),
        None,
        "spec.controlPlane.external.kubeconfigSecretRef.name: required with type External",
    );
    refused(
        "VirtualCluster",
        vc(json!({"controlPlane": {"embedded": {"replicas": 2}}})),
        None,
        "spec.controlPlane.embedded.replicas: a Shared control plane is replicated by its store",
    );
    refused(
        "VirtualCluster",
        vc(json!({"networkPolicy": {"allowedCIDRs": ["10.0.0.0"]}})),
        None,
        "spec.networkPolicy.allowedCIDRs: not a CIDR",
    );
    refused(
        "VirtualCluster",
        vc(json!({"network": {"serviceCIDRs": ["10.0.0.0/16", "10.1.0.0/16"]}})),
        None,
        "spec.network.serviceCIDRs: one per family",
    );
    refused(
        "VirtualCluster",
        vc(json!({"deletion": {"deadline": "10s"}})),
        None,
        "spec.deletion.deadline: 10s is below the minimum 1m",
    );
}

#[test]
fn durations_are_read_as_go_reads_them() {
    assert_eq!(parse_duration("1h30m"), Some(5_400_000_000_000));
    assert_eq!(parse_duration("1.5h"), parse_duration("90m"));
    assert_eq!(parse_duration("0"), Some(0));
    for bad in ["", "1", "h", "1d", "-1s", "1 s"] {
        assert_eq!(parse_duration(bad), None, "{bad}");
    }
}

#[test]
fn families_of_cidrs() {
    assert_eq!(cidr_family("10.0.0.0/8"), Some(4));
    assert_eq!(cidr_family("fc00::/7"), Some(6));
    for bad in ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/08", "::ffff:10.0.0.0/104", "10.0.0.0/+8", "x/8"] {
        assert_eq!(cidr_family(bad), None, "{bad}");
    }
}

#[test]
fn a_stale_plan_is_refused_placement_92() {
    let binding = |generation: i64| json!({"spec": {"placement": {"name": "p"}, "member": {"id": "m"}, "planGeneration": generation}});
    assert!(check("ClusterBinding", &binding(4), Some(&binding(4))).is_empty());
    refused(
        "ClusterBinding",
        binding(3),
        Some(binding(4)),
        "spec.planGeneration may not fall: a newer plan has decided",
    );
}

#[test]
fn placements_are_refused_by_path() {
    let placement = |extra: Value| {
        let mut spec = json!({"workload": {"manifests": []}});
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"spec": spec})
    };
    assert!(check("Placement", &placement(json!({"select": {"count": "50%"}})), None).is_empty());
    for count in [json!(1001), json!("101%"), json!("5"), json!("05%")] {
        refused(
            "Placement",
            placement(json!({"select": {"count": count}})),
            None,
            "spec.select.count: must be 0..1000 or a percentage",
        );
    }
    refused(
        "Placement",
        placement(json!({"rollout": {"maxUnavailable": 0, "maxSurge": "0%"}})),
        None,
        "spec.rollout: maxUnavailable and maxSurge may not both be 0",
    );
    refused(
        "Placement",
        placement(json!({"output": {"namespaces": ["a"]}})),
        None,
        "spec.workload.namespaces, spec.output.namespaces: only in a ClusterPlacement",
    );
    assert!(check("ClusterPlacement", &placement(json!({"output": {"namespaces": ["a"]}})), None).is_empty());
}

#[test]
fn labels_of_real_members_keep_out_of_reserved_domains() {
    for key in ["tier", "example.com/tier", "topology.kubernetes.io/zone", "notk8s.io/x"] {
        assert!(report::label_is_free(key), "{key}");
    }
    for key in ["k8s.io/x", "a.kubernetes.io/x", "skerry.dev/host", "multicluster.x-k8s.io/clusterset"] {
        assert!(!report::label_is_free(key), "{key}");
    }
}
