//! Names, profiles, figures, verdicts: inventory I1, I20 to I23.

use proptest::prelude::*;
use serde_json::json;
use skerry_api::cluster_report::Verdict;

use super::collect::{figures, pod_requests};
use super::health::{Evidence, Thresholds, Verdicts, of_virtual};
use super::names::{is_member_name, virtual_name};
use super::profile::Facts;
use super::{ClusterSet, InventorySettings};

proptest! {
    /// I1: at most 46 characters, a valid object name, stable, and injective also where it is cut.
    #[test]
    fn i1_names_are_short_valid_and_distinct(ns_a in "[a-z][a-z0-9-]{0,61}[a-z0-9]", a in "[a-z][a-z0-9-]{0,46}[a-z0-9]",
                                              ns_b in "[a-z][a-z0-9-]{0,61}[a-z0-9]", b in "[a-z][a-z0-9-]{0,46}[a-z0-9]") {
        for clash in [false, true] {
            let name = virtual_name("skerry", &ns_a, &a, clash);
            prop_assert!(name.len() <= 46, "{name}");
            prop_assert!(name.split('.').all(|l| !l.is_empty() && !l.starts_with('-') && !l.ends_with('-')), "{name}");
            prop_assert_eq!(name.matches('.').count(), 2);
            prop_assert_eq!(&name, &virtual_name("skerry", &ns_a, &a, clash));
            if (&ns_a, &a) != (&ns_b, &b) {
                prop_assert_ne!(name, virtual_name("skerry", &ns_b, &b, clash));
            }
        }
    }
}

#[test]
fn i1_a_short_name_is_plain() {
    assert_eq!(virtual_name("skerry", "team-a", "dev", false), "skerry.team-a.dev");
    assert_ne!(virtual_name("skerry", "team-a", "dev", true), "skerry.team-a.dev");
    assert!(
        is_member_name("edge-7")
            && !is_member_name("Edge")
            && !is_member_name(&"x".repeat(26))
            && !is_member_name("a.b")
    );
}

/// I3: the profile is the one of inventory section 2.
#[test]
fn i3_the_profile_says_what_section_2_says() {
    let facts = Facts {
        name: "skerry.team-a.dev".into(),
        namespace: "skerry-inventory".into(),
        manager: "skerry".into(),
        id: "tk3v2q5x2m7a".into(),
        display_name: "team-a/dev".into(),
        set: Some("team-a".into()),
        member_kind: "virtual",
        labels: [("skerry.dev/owner-namespace".to_owned(), "team-a".to_owned())].into(),
        properties: [("skerry.dev/quota-cpu".to_owned(), "8".to_owned()), ("x".to_owned(), "y".repeat(1025))]
            .into(),
        own: [
            ("skerry.dev/quota-cpu".to_owned(), "forged".to_owned()),
            ("site".to_owned(), "quay".to_owned()),
        ]
        .into(),
        version: "v1.36.3".into(),
        server: "https://tk3v2q5x2m7a.skerry.example:443".into(),
        ca_bundle: "pem".into(),
    };
    let now: jiff::Timestamp = "2026-11-21T03:31:04Z".parse().unwrap();
    let status = facts.status(None, &[], now);
    let names: Vec<&str> =
        status["properties"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "cluster.clusterset.k8s.io",
            "clusterset.k8s.io",
            "skerry.dev/member-kind",
            "skerry.dev/owner-namespace",
            "skerry.dev/quota-cpu",
            "site"
        ]
    );
    assert_eq!(status["properties"][4]["value"], "8", "P10: ours comes before the member's own");
    assert_eq!(
        status["accessProviders"][0]["cluster"]["extensions"][0],
        json!({"name": "client.authentication.k8s.io/exec", "extension": {"clusterName": "skerry-tk3v2q5x2m7a"}})
    );
    assert_eq!(
        status["accessProviders"][1]["cluster"]["extensions"][0]["extension"],
        json!({"name": "skerry-tk3v2q5x2m7a", "key": "kubeconfig"})
    );
    assert_eq!(facts.all_labels()["multicluster.x-k8s.io/clusterset"], "team-a");
    // P10: the time of a value stays until the value changes.
    let later: jiff::Timestamp = "2026-11-21T04:00:00Z".parse().unwrap();
    let before = facts.observed(&[], now);
    assert_eq!(facts.observed(&before, later), before);
}

#[test]
fn i27_sets_are_the_namespaces_own_unless_listed() {
    let settings = InventorySettings {
        sets: vec![ClusterSet { name: "edge".into(), namespaces: vec!["team-a".into()] }],
        ..InventorySettings::default()
    };
    assert_eq!(settings.set_of("team-a", "").as_deref(), Some("team-a"));
    assert_eq!(settings.set_of("team-a", "edge").as_deref(), Some("edge"));
    assert_eq!(settings.set_of("team-b", "edge"), None);
}

fn node(name: &str, cpu: &str, labels: serde_json::Value) -> k8s_openapi::api::core::v1::Node {
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }))
    .unwrap()
}

fn pod(node: &str, cpu: &str, labels: serde_json::Value) -> k8s_openapi::api::core::v1::Pod {
    serde_json::from_value(json!({
        "metadata": {"name": "p", "labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]},
    }))
    .unwrap()
}

#[test]
fn i20_figures_of_a_host_add_up() {
    let nodes = [node("a", "4", json!({})), node("b", "4", json!({}))];
    let pods = [
        pod("a", "1", json!({})),
        pod("b", "500m", json!({"skerry.dev/tenant": "tk3v2q5x2m7a", "skerry.dev/binding": "abc"})),
    ];
    let seen = figures(&nodes, &pods, 50);
    let core = 1_000_000_000i128;
    assert_eq!(seen.allocatable["cpu"], 8 * core);
    assert_eq!(seen.shared["cpu"], 3 * core);
    assert_eq!(seen.available["cpu"], 5 * core / 2);
    assert_eq!(seen.by_tenant["tk3v2q5x2m7a"]["cpu"], core / 2);
    assert_eq!(seen.bindings["tk3v2q5x2m7a/abc"]["cpu"], core / 2);
    assert_eq!((seen.total, seen.ready, seen.schedulable), (2, 2, 2));
}

proptest! {
    /// I21: what fits the `free` of a shape fits `count` nodes that are really there.
    #[test]
    fn i21_shapes_never_promise_too_much(cpus in prop::collection::vec(1u32..64, 1..400), asks in prop::collection::vec(0u32..40, 0..100)) {
        let nodes: Vec<_> = cpus.iter().enumerate().map(|(i, c)| node(&format!("n{i}"), &c.to_string(), json!({"topology.kubernetes.io/zone": format!("z{i}")}))).collect();
        let pods: Vec<_> = asks.iter().enumerate().map(|(i, a)| pod(&format!("n{}", i % cpus.len()), &a.to_string(), json!({}))).collect();
        let seen = figures(&nodes, &pods, 100);
        prop_assert!(seen.shapes.len() <= 256);
        prop_assert_eq!(seen.shapes.iter().map(|s| s.count).sum::<i64>(), nodes.len() as i64);
        let free: Vec<i128> = cpus.iter().enumerate().map(|(i, c)| {
            let used: u32 = asks.iter().enumerate().filter(|(j, _)| j % cpus.len() == i).map(|(_, a)| *a).sum();
            i128::from(*c) - i128::from(used)
        }).collect();
        for want in [1i128, 3, 8, 20] {
            let promised: i64 = seen.shapes.iter().filter(|s| s.free["cpu"] >= want * 1_000_000_000).map(|s| s.count).sum();
            let real = free.iter().filter(|f| **f >= want).count() as i64;
            prop_assert!(promised <= real, "{promised} promised, {real} there");
        }
    }
}

#[test]
fn i22_noise_is_not_written_and_a_lost_node_is() {
    let nodes = [node("a", "100", json!({})), node("b", "100", json!({}))];
    let calm = figures(&nodes, &[pod("a", "10", json!({}))], 100);
    let noise = figures(&nodes, &[pod("a", "11", json!({}))], 100);
    let lost = figures(&nodes[..1], &[pod("a", "10", json!({}))], 100);
    assert!(!noise.moved(&calm, 5) && lost.moved(&calm, 5));
}

#[test]
fn pod_requests_follow_init_containers_and_sidecars() {
    let pod: k8s_openapi::api::core::v1::Pod = serde_json::from_value(json!({"spec": {
        "initContainers": [
            {"name": "side", "restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}},
            {"name": "init", "resources": {"requests": {"cpu": "4"}}}
        ],
        "containers": [{"name": "c", "resources": {"limits": {"cpu": "2"}}}],
        "overhead": {"cpu": "500m"}
    }}))
    .unwrap();
    assert_eq!(pod_requests(&pod)["cpu"], 5_500_000_000);
}

#[test]
fn i23_verdicts_have_hysteresis() {
    let verdicts = Verdicts::default();
    let silent = Evidence::Silent("x".into());
    let note = |e: &Evidence| verdicts.note("m", e, Thresholds::default());
    assert_eq!(verdicts.of("m"), Verdict::Unknown);
    assert_eq!(note(&Evidence::Good), Verdict::Healthy);
    assert_eq!(
        (note(&silent), note(&silent), note(&silent)),
        (Verdict::Healthy, Verdict::Healthy, Verdict::LinkLost)
    );
    assert_eq!((note(&Evidence::Good), note(&Evidence::Good)), (Verdict::LinkLost, Verdict::Healthy));
    assert_eq!(note(&Evidence::Denied("401".into())), Verdict::Healthy);
    let down = Evidence::NotReady("500".into());
    assert_eq!((note(&down), note(&down), note(&down)).2, Verdict::ControlPlaneDown);
}

/// I24: a shared control plane answers on while its host is dead; the verdict names the host.
#[test]
fn i24_the_verdict_of_a_virtual_member_follows_its_host() {
    let host = |v| vec![("skerry.local".to_owned(), v)];
    assert_eq!(of_virtual(true, &host(Verdict::Healthy)), (Verdict::Healthy, None));
    assert_eq!(of_virtual(true, &host(Verdict::LinkLost)), (Verdict::LinkLost, Some("skerry.local".into())));
    assert_eq!(of_virtual(false, &host(Verdict::Healthy)), (Verdict::ControlPlaneDown, None));
    assert_eq!(of_virtual(true, &[]), (Verdict::Healthy, None));
}
