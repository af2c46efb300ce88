//! A published application from a template namespace of a tenant, on three virtual members (placement 97; 7, 14, 80).

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Outcome;
use crate::apps::data;
use crate::kubectl::Kubectl;
use crate::world::{World, eventually};

const LIMIT: Duration = Duration::from_secs(90);
const NAMESPACE: &str = "apps";
const MEMBERS: [&str; 3] = ["one", "two", "three"];

/// Names of members that hold the application's Deployments.
fn holders(members: &[Kubectl]) -> BTreeSet<&'static str> {
    let holds = |k: &Kubectl| k.run(&["get", "deployment", "frontend", "-n", "guestbook"]).status.success();
    MEMBERS.iter().zip(members).filter(|(_, k)| holds(k)).map(|(name, _)| *name).collect()
}

fn place(hub: &Kubectl, select: &Value) {
    let names: Vec<String> = MEMBERS.iter().map(|m| format!("skerry.{NAMESPACE}.{m}")).collect();
    let placement = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "Placement",
        "metadata": {"name": "guestbook", "namespace": NAMESPACE}, "spec": {
            "workload": {"source": {"virtualCluster": "source", "namespace": "guestbook"},
                "select": [{"group": "apps", "kind": "Deployment"}, {"group": "", "kind": "Service"}]},
            "members": {"groups": [{"name": "three", "any": [{"names": names}]}]},
            "select": select}});
    hub.apply(&placement.to_string(), &[]);
}

/// Every holder runs the front end with this image, all replicas of it available.
fn rolled_out(members: &[Kubectl], image: &str) {
    for (name, kubectl) in MEMBERS.iter().zip(members) {
        if !holders(members).contains(name) {
            continue;
        }
        eventually(&format!("{image} on {name}"), LIMIT, || {
            let object = kubectl.json(&["get", "deployment", "frontend", "-n", "guestbook"]);
            let (spec, status) = (&object["spec"], &object["status"]);
            let done = spec["template"]["spec"]["containers"][0]["image"] == image
                && status["updatedReplicas"] == spec["replicas"]
                && status["availableReplicas"] == spec["replicas"];
            done.then_some(())
        });
    }
}

/// Placed, upgraded, shrunk, grown, and moved off a cordoned member.
pub fn placed(world: &mut World) -> Outcome {
    let manifest = match data("apps/guestbook.yaml") {
        Ok(path) => path,
        Err(skipped) => return skipped,
    };
    let hub = world.hub();
    hub.ok(&["create", "namespace", NAMESPACE]);
    let make = |name: &str| world.cluster_in("kubectl", NAMESPACE, name, &[]);
    let source = make("source");
    let members = MEMBERS.map(make);

    let space = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "guestbook", "labels": {"skerry.dev/template": "true"}}});
    source.apply(&space.to_string(), &[]);
    source.ok(&["apply", "-n", "guestbook", "-f", manifest.to_str().expect("an ordinary path")]);
    let pods = source.json(&["get", "pods", "-n", "guestbook"]);
    assert_eq!(pods["items"], json!([]), "nothing runs in a template namespace");
    place(&hub, &json!({"mode": "All"}));
    eventually("three holders", LIMIT, || (holders(&members).len() == 3).then_some(()));
    let image = |k: &Kubectl| {
        let object = k.json(&["get", "deployment", "frontend", "-n", "guestbook"]);
        object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().expect("an image").to_owned()
    };
    rolled_out(&members, &image(&source));

    // Upgraded at its source (80).
    let container = source.json(&["get", "deployment", "frontend", "-n", "guestbook"]);
    let container =
        container["spec"]["template"]["spec"]["containers"][0]["name"].as_str().expect("a name").to_owned();
    let change = format!("{container}=registry.example.com/guestbook:2");
    source.ok(&["set", "image", "deployment/frontend", &change, "-n", "guestbook"]);
    rolled_out(&members, "registry.example.com/guestbook:2");
    assert_eq!(holders(&members).len(), 3);

    // Fewer and more (7).
    place(&hub, &json!({"mode": "Count", "count": 2}));
    eventually("two holders", LIMIT, || (holders(&members).len() == 2).then_some(()));
    place(&hub, &json!({"mode": "Count", "count": 3}));
    eventually("three holders again", LIMIT, || (holders(&members).len() == 3).then_some(()));
    place(&hub, &json!({"mode": "Count", "count": 1}));
    eventually("one holder", LIMIT, || (holders(&members).len() == 1).then_some(()));

    // A cordon moves nothing, and keeps newcomers away (14).
    let held = holders(&members);
    let other: Vec<&str> = MEMBERS.into_iter().filter(|m| !held.contains(m)).collect();
    world.ok(&["fleet", "cordon", &format!("skerry.{NAMESPACE}.{}", other[0])]);
    world.ok(&["fleet", "cordon", &format!("skerry.{NAMESPACE}.{}", held.iter().next().expect("one"))]);
    place(&hub, &json!({"mode": "Count", "count": 2}));
    eventually("two holders", LIMIT, || (holders(&members).len() == 2).then_some(()));
    assert!(
        holders(&members).is_superset(&held) && !holders(&members).contains(other[0]),
        "{:?}",
        holders(&members)
    );

    hub.ok(&["delete", "placement", "guestbook", "-n", NAMESPACE, "--timeout=90s"]);
    eventually("no holder", LIMIT, || holders(&members).is_empty().then_some(()));
    Outcome::Passed
}
