//! Merge, overrides, ceilings, sums: pure cases of tenancy TN-1, TN-4, TN-5.

use proptest::prelude::*;
use serde_json::{Value, json};
use skerry_api::VirtualClusterClass;

use super::limits::Sibling;
use super::merge::{Layer, merge};
use super::validate::{Dereferenced, HostFact, Policy, Previous, validate};

fn class(name: &str, spec: Value) -> VirtualClusterClass {
    let mut base = json!({
        "default": true, "namespaceSelector": {}, "defaultSize": "small",
        "sizes": [
            {"name": "small", "quota": {"requests.cpu": 8, "pods": 100}, "limits": {"objects": 20000}},
            {"name": "large", "quota": {"requests.cpu": "128", "pods": 2000}}
        ],
        "overridable": ["size", "controlPlane.version", "hosts.selector", "network.clusterDomain", "expose.hostnames", "access", "sync", "inventory", "pause", "deletion"]
    });
    base.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({
        "apiVersion": "skerry.dev/v1alpha1", "kind": "VirtualClusterClass",
        "metadata": {"name": name, "generation": 7}, "spec": base
    }))
    .unwrap()
}

fn request(spec: Value, classes: Vec<VirtualClusterClass>) -> Dereferenced {
    Dereferenced {
        name: "dev".into(),
        namespace: "team-a".into(),
        uid: "u".into(),
        id: "tk3v2q5x2m7a".into(),
        generation: 1,
        created: "2026-11-21T03:00:00Z".into(),
        spec,
        classes,
        hosts: vec![HostFact { name: "skerry.local".into(), ..HostFact::default() }],
        ..Dereferenced::default()
    }
}

#[track_caller]
fn refused(input: &Dereferenced, reason: &str, message: &str) {
    let refusal = validate(input, &Policy::default()).unwrap_err();
    assert_eq!((refusal.reason, refusal.message.as_str()), (reason, message));
}

fn origin<'a>(tenant: &'a super::validate::ValidatedTenant, path: &str) -> &'a str {
    &tenant
        .origins
        .iter()
        .find(|o| o.path == path)
        .unwrap_or_else(|| panic!("no origin of {path}: {:?}", tenant.origins))
        .from
}

#[test]
fn tn1_an_empty_spec_takes_class_and_size_values() {
    let class = class(
        "standard",
        json!({"defaults": {"access": {"credentialTTL": "24h"}}, "enforced": {"podSecurity": {"enforce": "restricted"}}}),
    );
    let tenant = validate(&request(json!({}), vec![class]), &Policy::default()).unwrap();
    assert_eq!(tenant.effective["quota"], json!({"requests.cpu": "8", "pods": "100"}));
    assert_eq!(tenant.effective["limits"]["objects"], 20000);
    assert_eq!(tenant.effective["limits"]["namespaces"], 1000);
    assert_eq!(tenant.effective["access"]["credentialTTL"], "24h");
    assert_eq!(
        tenant.effective["podSecurity"],
        json!({"enforce": "restricted", "warn": "restricted", "audit": "restricted"})
    );
    assert_eq!(tenant.effective["network"]["clusterDomain"], "cluster.local");
    assert_eq!(origin(&tenant, "quota"), "Size/small");
    assert_eq!(origin(&tenant, "limits.objects"), "Size/small");
    assert_eq!(origin(&tenant, "limits.namespaces"), "BuiltIn");
    assert_eq!(origin(&tenant, "access"), "Class");
    assert_eq!(origin(&tenant, "podSecurity.enforce"), "Enforced");
    assert_eq!(origin(&tenant, "network"), "BuiltIn");
    assert_eq!(tenant.class.size.as_deref(), Some("small"));
    assert_eq!(tenant.class.generation, Some(7));
    assert!(tenant.origins.len() <= 64);
    assert_eq!(tenant.hosts[0].name, "skerry.local");
}

/// KI13, apiserver T8: the tenant's record says where its pods find their API, at birth and ever after.
#[test]
fn ki13_the_record_names_the_hosts_front_door() {
    let doors = ["10.96.0.9:443", "[fd00::9]:443"].map(|a| a.parse().unwrap());
    let mut input = request(json!({}), vec![class("standard", json!({}))]);
    input.hosts = ["a", "b"].map(|name| HostFact { name: name.into(), ..HostFact::default() }).to_vec();
    input.hosts[0].front_door = doors.to_vec();
    let record = |input: &Dereferenced| {
        crate::control_plane::embedded::record(&validate(input, &Policy::default()).unwrap())
    };
    let wanted = json!({"addresses": ["10.96.0.9", "fd00::9"], "port": 443});
    assert_eq!(record(&input)["kubernetesService"], wanted);
    input.previous.hosts = validate(&input, &Policy::default()).unwrap().hosts;
    assert_eq!(record(&input)["kubernetesService"], wanted);
    input.previous.hosts[0].name = "b".into();
    assert!(record(&input).get("kubernetesService").is_none(), "a host without one");
}

proptest! {
    /// TN-1: merging is idempotent and blind to map order (maps are sorted by construction; layers repeat freely).
    #[test]
    fn tn1_merging_twice_changes_nothing(keys in prop::collection::btree_map("[a-c]", prop::collection::btree_map("[a-c]", 0..3i64, 0..3), 0..3),
                                         more in prop::collection::btree_map("[a-c]", prop::collection::btree_map("[a-c]", 0..3i64, 0..3), 0..3)) {
        let a = Layer::new("Class", serde_json::to_value(keys).unwrap());
        let b = Layer::new("Spec", serde_json::to_value(more).unwrap());
        let once = merge([&a, &b]);
        let again = Layer::new("Spec", once.values.clone());
        prop_assert_eq!(&merge([&a, &again]).values, &once.values);
        prop_assert_eq!(&merge([&a, &b, &b]).values, &once.values);
        prop_assert_eq!(merge([&a, &b]).origins(), once.origins());
    }
}

#[test]
fn tn4_refusals_name_path_and_class() {
    let standard = || {
        vec![class(
            "standard",
            json!({"ceilings": {"quota": {"requests.cpu": 32}}, "overridable": ["size", "sync", "inventory", "quota"]}),
        )]
    };
    refused(
        &request(json!({"podSecurity": {"enforce": "privileged"}}), standard()),
        "NotOverridable",
        "spec.podSecurity.enforce: class \"standard\" does not let tenants set it; they may set: size, sync, inventory, quota",
    );
    refused(
        &request(json!({"sync": {"toHost": {"pods": {"runtimeClassName": "x"}}}}), standard()),
        "NotOverridable",
        "spec.sync.toHost.pods.runtimeClassName: only a class may set it",
    );
    refused(
        &request(json!({"inventory": {"labels": {"tier": "gold"}}}), standard()),
        "NotOverridable",
        "spec.inventory.labels.tier: kept from tenants of class \"standard\"; label keys they may set: none",
    );
    refused(
        &request(json!({"inventory": {"properties": {"topology.kubernetes.io/zone": "a"}}}), standard()),
        "NotOverridable",
        "spec.inventory.properties[\"topology.kubernetes.io/zone\"]: kept from tenants; names outside k8s.io, kubernetes.io and skerry.dev are free",
    );
    refused(
        &request(json!({"quota": {"requests.cpu": 64}}), standard()),
        "CeilingExceeded",
        "spec.quota[\"requests.cpu\"]: 64 exceeds the ceiling 32 of class \"standard\"",
    );
    refused(
        &request(json!({"size": "huge"}), standard()),
        "SpecInvalid",
        "spec.size: class \"standard\" has no size \"huge\"; it has: small, large",
    );
    refused(
        &request(json!({"className": "gold"}), standard()),
        "ClassNotFound",
        "spec.className: no class \"gold\"; there are: standard",
    );
    let mut two = standard();
    two.push(class("other", json!({})));
    refused(
        &request(json!({}), two),
        "ClassAmbiguous",
        "several default classes select namespace \"team-a\": standard, other; set spec.className",
    );
    let picky = vec![class("picky", json!({"namespaceSelector": {"matchLabels": {"team": "b"}}}))];
    refused(
        &request(json!({}), picky.clone()),
        "ClassNotFound",
        "no default class selects namespace \"team-a\"; set spec.className",
    );
    refused(
        &request(json!({"className": "picky"}), picky),
        "ClassNotAllowed",
        "class \"picky\" does not select namespace \"team-a\"; ask for another class, or for the namespace to be selected",
    );
}

#[test]
fn a_value_that_holds_anyway_may_be_said_c4() {
    let input = request(
        json!({"podSecurity": {"enforce": "baseline"}, "quota": {"pods": "100"}, "size": "small"}),
        vec![class("standard", json!({}))],
    );
    assert!(validate(&input, &Policy::default()).is_ok());
}

#[test]
fn tn2_what_was_pinned_at_birth_stays() {
    let mut input = request(json!({}), vec![class("standard", json!({}))]);
    let first = validate(&input, &Policy::default()).unwrap();
    input.previous = Previous {
        effective: Some(first.effective.clone()),
        class: Some(first.class),
        ..Previous::default()
    };
    input.classes =
        vec![class("standard", json!({"defaults": {"network": {"clusterDomain": "corp.local"}}}))];
    assert_eq!(
        validate(&input, &Policy::default()).unwrap().effective["network"]["clusterDomain"],
        "cluster.local"
    );
    input.spec = json!({"network": {"clusterDomain": "other.local"}});
    refused(
        &input,
        "SpecInvalid",
        "spec.network.clusterDomain is immutable; create a new virtual cluster and restore a snapshot into it",
    );
}

#[test]
fn tn6_an_unbound_class_leaves_its_tenants_running_until_they_are_edited() {
    let mut input = request(json!({}), vec![class("standard", json!({}))]);
    let first = validate(&input, &Policy::default()).unwrap();
    input.previous = Previous {
        effective: Some(first.effective),
        class: Some(first.class),
        observed_generation: Some(1),
        ..Previous::default()
    };
    input.classes = vec![class("standard", json!({"namespaceSelector": {"matchLabels": {"team": "b"}}}))];
    assert!(validate(&input, &Policy::default()).unwrap().unbound);
    input.generation = 2;
    assert_eq!(validate(&input, &Policy::default()).unwrap_err().reason, "ClassNotAllowed");
}

#[test]
fn tn5_the_five_oldest_of_twenty_are_admitted() {
    let limited = class("standard", json!({"perNamespace": {"virtualClusters": 5}}));
    let siblings: Vec<Sibling> = (0..20)
        .map(|n| Sibling { name: format!("vc-{n:02}"), created: "2026-11-21T03:00:00Z".into(), quota: None })
        .collect();
    let admitted: Vec<String> = siblings
        .iter()
        .filter(|s| {
            let mut input = request(json!({}), vec![limited.clone()]);
            input.name = s.name.clone();
            input.siblings = siblings.clone();
            validate(&input, &Policy::default()).is_ok()
        })
        .map(|s| s.name.clone())
        .collect();
    assert_eq!(admitted, ["vc-00", "vc-01", "vc-02", "vc-03", "vc-04"]);
}

#[test]
fn versions_and_stores_that_are_not_offered_p7() {
    let offering = class(
        "standard",
        json!({"providers": [{"type": "Embedded", "versions": ["1.36"], "stores": ["default"]}], "overridable": ["controlPlane"]}),
    );
    let ask = |spec| request(spec, vec![offering.clone()]);
    assert!(validate(&ask(json!({"controlPlane": {"version": "v1.36"}})), &Policy::default()).is_ok());
    refused(
        &ask(json!({"controlPlane": {"version": "v1.30"}})),
        "VersionUnsupported",
        "spec.controlPlane.version: \"v1.30\" is not offered; offered: v1.36.3",
    );
    refused(
        &ask(json!({"controlPlane": {"embedded": {"store": "gold"}}})),
        "StoreNotOffered",
        "spec.controlPlane.embedded.store: \"gold\" is not offered; offered: default",
    );
}

/// DN3, AP1: what would silently not be answered is refused by its path.
#[test]
fn dn3_names_that_would_not_be_answered() {
    let open = json!({"hostPolicy": {"imports": ["services:infra/registry", "services:shared/*", "configmaps:infra/*"]},
        "overridable": ["network.dns"]});
    let ask = |dns| request(json!({"network": {"dns": dns}}), vec![class("standard", open.clone())]);
    let fine = json!({"hostServices": ["registry.infra", "any.shared"], "upstream": ["192.0.2.53", "fd00::53"],
        "records": [{"name": "db.corp.example", "addresses": ["192.0.2.7"]}, {"name": "www.corp.example", "cname": "web.example"}]});
    validate(&ask(fine), &Policy::default()).unwrap();
    for (dns, message) in [
        (
            json!({"hostServices": ["any.shared", "vault.infra"]}),
            "hostServices[1]: \"vault.infra\" is not in class \"standard\" hostPolicy.imports",
        ),
        (json!({"hostServices": ["registry"]}), "hostServices[0]: \"registry\" is not service.namespace"),
        (json!({"upstream": ["dns.example"]}), "upstream[0]: \"dns.example\" is not an IP address"),
        (json!({"records": [{"addresses": ["192.0.2.7"]}]}), "records[0].name: empty"),
        (json!({"records": [{"name": "a"}]}), "records[0]: either addresses or cname"),
        (
            json!({"records": [{"name": "a", "addresses": ["192.0.2.7"], "cname": "b"}]}),
            "records[0]: either addresses or cname",
        ),
        (
            json!({"records": [{"name": "a", "addresses": ["192.0.2.7", "x"]}]}),
            "records[0].addresses[1]: \"x\" is not an IP address",
        ),
    ] {
        refused(&ask(dns), "SpecInvalid", &format!("spec.network.dns.{message}"));
    }
}
