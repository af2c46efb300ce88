//! The inventory: simulated host, virtual clusters, and a real kube-apiserver that joins.

use std::time::Duration;

use serde_json::Value;

use crate::Outcome;
use crate::control_plane::ControlPlane;
use crate::placement::{Fleet, carried};
use crate::world::{World, eventually, text};

const INVENTORY: &str = "skerry-inventory";

fn condition<'a>(profile: &'a Value, kind: &str) -> &'a Value {
    let list = profile["status"]["conditions"].as_array();
    list.into_iter().flatten().find(|c| c["type"] == kind).map_or(&Value::Null, |c| &c["status"])
}

/// Host and tenant are members (I2).
pub fn profiles(world: &mut World) -> Outcome {
    let hub = world.hub();
    world.cluster("kubectl", "listed");
    let get = |name: &str| hub.json(&["get", "clusterprofile", name, "-n", INVENTORY]);
    let host = get("skerry.sim-0");
    assert_eq!(host["metadata"]["labels"]["skerry.dev/simulated"], "true", "{host}");
    eventually("the control plane of the tenant is healthy", Duration::from_secs(60), || {
        (condition(&get("skerry.listed.listed"), "ControlPlaneHealthy") == "True").then_some(())
    });
    let list = world.ok(&["fleet", "list"]);
    assert!(list.contains("skerry.sim-0") && list.contains("skerry.listed.listed"), "{list}");
    Outcome::Passed
}

/// A real cluster joins, is healthy, is cordoned, leaves (I15, I16, I44 as far as no workload is on it).
pub fn joins(world: &mut World) -> Outcome {
    let real = ControlPlane::start();
    let file = real.kubeconfig();
    world.ok(&["fleet", "join", "harbour", "--member-kubeconfig", file.to_str().expect("an ordinary path")]);
    let hub = world.hub();
    let profile = || hub.json(&["get", "clusterprofile", "skerry.harbour", "-n", INVENTORY]);
    eventually("the member is healthy", Duration::from_secs(90), || {
        let profile = profile();
        let healthy = condition(&profile, "Joined") == "True"
            && condition(&profile, "ControlPlaneHealthy") == "True"
            && profile["status"]["version"]["kubernetes"] == "v1.36.3";
        healthy.then_some(())
    });
    world.ok(&["fleet", "cordon", "harbour"]);
    let report = hub.json(&["get", "clusterreport", "skerry.harbour", "-n", INVENTORY]);
    assert_eq!(report["spec"]["unschedulable"], true, "{report}");
    world.ok(&["fleet", "leave", "harbour", "--timeout", "60s"]);
    let gone = hub.run(&["get", "clusterprofile", "skerry.harbour", "-n", INVENTORY]);
    assert!(text(&gone.stderr).contains("NotFound"), "{}", text(&gone.stderr));
    Outcome::Passed
}

/// A Placement on a virtual and a real member, the latter by a granted cluster set (inventory CS5), explained; then the
/// real one leaves with work on it (I44).
pub fn placed(world: &mut World) -> Outcome {
    let real = ControlPlane::with_nodes(1);
    let file = real.kubeconfig();
    let file = file.to_str().expect("an ordinary path");
    world.ok(&["fleet", "join", "quay", "--cluster-set", "quays", "--member-kubeconfig", file]);
    let virtual_one = world.cluster("kubectl", "shop");
    let (hub, member) = (world.hub(), real.kubectl());
    hub.ok(&["annotate", "namespace", "shop", "skerry.dev/clustersets=quays"]);
    let fleet = Fleet {
        hub: &hub,
        namespace: "shop",
        members: vec![("skerry.shop.shop", &virtual_one, "shop"), ("skerry.quay", &member, "shop-shop")],
    };
    carried(&fleet);

    hub.ok(&["create", "configmap", "kept", "-n", "shop", "--from-literal=k=1"]);
    let placement = serde_json::json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "Placement",
        "metadata": {"name": "kept", "namespace": "shop"},
        "spec": {"workload": {"select": [{"group": "", "kind": "ConfigMap", "name": "kept"}]}}});
    hub.apply(&placement.to_string(), &[]);
    eventually("the copy on the real member", Duration::from_secs(60), || {
        member.run(&["get", "configmap", "kept", "-n", "shop-shop"]).status.success().then_some(())
    });
    let why = world.ok(&["fleet", "explain", "kept", "-n", "shop"]);
    assert!(why.contains(" quay ") && why.contains(" shop.shop ") && why.contains("Selected"), "{why}");
    world.ok(&["fleet", "leave", "quay", "--timeout", "60s"]);
    let gone = hub.run(&["get", "clusterprofile", "skerry.quay", "-n", INVENTORY]);
    assert!(text(&gone.stderr).contains("NotFound"), "{}", text(&gone.stderr));
    let left = virtual_one.run(&["get", "configmap", "kept", "-n", "shop"]);
    assert!(left.status.success(), "the other member keeps its copy");
    Outcome::Passed
}

/// A member that is gone for good: leaving waits, a join of its name is refused meanwhile, and `--forget` ends it and
/// writes down what stays behind (I44).
pub fn forgotten(world: &mut World) -> Outcome {
    let real = ControlPlane::start();
    let file = world.path("wreck.kubeconfig");
    std::fs::copy(real.kubeconfig(), &file).expect("copy");
    let file = file.to_str().expect("an ordinary path");
    let hub = world.hub();
    world.ok(&["fleet", "join", "wreck", "--cluster-set", "wrecks", "--member-kubeconfig", file]);
    hub.ok(&["create", "namespace", "salvage"]);
    hub.ok(&["annotate", "namespace", "salvage", "skerry.dev/clustersets=wrecks"]);
    hub.ok(&["create", "configmap", "cargo", "-n", "salvage", "--from-literal=k=1"]);
    let placement = serde_json::json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "Placement",
        "metadata": {"name": "cargo", "namespace": "salvage"},
        "spec": {"workload": {"select": [{"group": "", "kind": "ConfigMap", "name": "cargo"}]}}});
    hub.apply(&placement.to_string(), &[]);
    let member = real.kubectl();
    eventually("the copy on the member", Duration::from_secs(60), || {
        member.run(&["get", "configmap", "cargo", "-n", "salvage-salvage"]).status.success().then_some(())
    });
    drop(real);

    let waits = world.skerry(&["fleet", "leave", "wreck", "--timeout", "3s"]);
    assert_eq!(waits.status.code(), Some(4), "{}", text(&waits.stderr));
    assert!(
        text(&waits.stderr).contains("stuck on Evict/clusterbinding salvage/"),
        "{}",
        text(&waits.stderr)
    );
    let report = hub.json(&["get", "clusterreport", "skerry.wreck", "-n", INVENTORY]);
    assert_eq!(report["status"]["leave"]["step"], "Evict", "{report}");

    world.ok(&["fleet", "leave", "wreck", "--forget", "--timeout", "60s"]);
    let gone = hub.run(&["get", "clusterprofile,clusterreport", "skerry.wreck", "-n", INVENTORY]);
    assert!(text(&gone.stderr).contains("NotFound"), "{}", text(&gone.stderr));
    let bindings = hub.json(&["get", "clusterbindings", "-n", "salvage"]);
    assert_eq!(bindings["items"], serde_json::json!([]), "{bindings}");
    let list = hub.json(&["get", "configmap", "skerry-abandoned", "-n", INVENTORY]);
    let list = list["data"]["list"].as_str().expect("a list");
    assert!(
        list.contains("skerry.wreck clusterbinding salvage/") && list.contains("Placement cargo"),
        "{list}"
    );
    Outcome::Passed
}
