//! Waves, removal, backoff and suspension (A7, A8).

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};
use skerry::placement::raw::{self, items, text};

use crate::fleet::*;

fn in_wave(name: &str, wave: &str) -> Value {
    json!({"metadata": {"name": name, "annotations": {"skerry.dev/wave": wave}}, "data": {"k": "v"}})
}

fn tails(paths: &[String]) -> Vec<&str> {
    paths.iter().map(|p| p.rsplit('/').next().unwrap_or_default()).collect()
}

/// Placement 72: waves with gaps go in order, each waits for the one before; removal runs backwards and waits too.
#[tokio::test(flavor = "multi_thread")]
async fn placement_72_waves_with_gaps_and_removal_backwards() {
    let mut f = Fleet::new(1).await;
    post(f.member(0), "/api/v1/namespaces", json!({"metadata": {"name": "team-a"}})).await;
    let own = json!({"metadata": {"name": "early"}, "data": {"k": "own"}});
    post(f.member(0), &format!("{CORE}/configmaps"), own).await;
    for (name, wave) in [("last", "9"), ("late", "7"), ("early", "1"), ("first", "0")] {
        post(&f.hub, &format!("{CORE}/configmaps"), in_wave(name, wave)).await;
    }
    f.place(all_maps(json!({"takeOver": "Never"}))).await;
    f.settle().await;
    assert!(f.on(0, "first").await.is_some());
    assert!(f.on(0, "late").await.is_none() && f.on(0, "last").await.is_none(), "wave 1 is not there yet");
    let early = f.on(0, "early").await.expect("there");
    let path = format!("{CORE}/configmaps/early");
    raw::delete(f.member(0), &path, text(&early, &["metadata", "uid"])).await.expect("deleted");
    f.settle().await;
    assert_eq!(tails(&f.wire(0).sent(&Method::PATCH)), ["first", "early", "late", "last"]);

    // A finalizer holds wave 7: what is in waves before it stays until it is gone.
    let path = format!("{CORE}/configmaps/late");
    merge(f.member(0), &path, json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    f.wire(0).forget();
    f.unplace().await;
    assert!(f.on(0, "last").await.is_none());
    assert!(f.on(0, "early").await.is_some() && f.on(0, "first").await.is_some());
    assert!(text(&f.bindings().await[0], &["status", "stuckOn"]).contains("late"));
    merge(f.member(0), &path, json!({"metadata": {"finalizers": null}})).await;
    f.settle().await;
    assert_eq!(f.bindings().await, Vec::<Value>::new());
    let mut gone = f.wire(0).sent(&Method::DELETE);
    gone.dedup();
    assert_eq!(tails(&gone), ["last", "late", "early", "first"]);
    f.end().await;
}

/// Placement 72: objects that a revision no longer has go backwards too, each wave after the one behind it.
#[tokio::test(flavor = "multi_thread")]
async fn placement_72_a_smaller_revision_removes_backwards() {
    let mut f = Fleet::new(1).await;
    for (name, wave) in [("last", "9"), ("late", "7"), ("early", "1")] {
        post(&f.hub, &format!("{CORE}/configmaps"), in_wave(name, wave)).await;
    }
    f.place(all_maps(json!({}))).await;
    f.settle().await;
    let path = format!("{CORE}/configmaps/late");
    merge(f.member(0), &path, json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    f.edit(json!({"workload": {"select": [{"group": "", "kind": "ConfigMap", "name": "none"}]}})).await;
    f.settle().await;
    assert!(f.on(0, "last").await.is_none() && f.on(0, "early").await.is_some());
    assert_ne!(f.condition("Available").await.0, "True");
    merge(f.member(0), &path, json!({"metadata": {"finalizers": null}})).await;
    f.settle().await;
    assert!(f.on(0, "early").await.is_none());
    assert_eq!(f.condition("Available").await.0, "True");
    f.end().await;
}

/// Placement 72: a kind is established before objects of it are sent, and goes after them.
#[tokio::test(flavor = "multi_thread")]
async fn placement_72_a_kind_before_its_objects() {
    let mut f = Fleet::new(1).await;
    // Another definition has the name of the kind: the one that is delivered is not established before that is gone.
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let mut other = loose_kind();
    other["metadata"]["name"] = "others.example.com".into();
    let names = json!({"kind": "Loose", "plural": "others", "singular": "other", "listKind": "LooseList"});
    other["spec"]["names"] = names;
    let other = post(f.member(0), definitions, other).await;
    until(f.member(0), "/apis/example.com/v1/others").await;
    let object =
        json!({"apiVersion": "example.com/v1", "kind": "Loose", "metadata": {"name": "l"}, "spec": {"a": 1}});
    f.place_cluster(json!([object, loose_kind()])).await;
    f.settle().await;
    let mut sent = f.wire(0).sent(&Method::PATCH);
    sent.retain(|path| path.starts_with("/apis/example.com"));
    assert_eq!(sent, Vec::<String>::new(), "the kind is not established");
    let bindings = "/apis/skerry.dev/v1alpha1/namespaces/skerry-inventory/clusterbindings";
    let waiting = raw::list(&f.hub, bindings).await.expect("list").remove(0);
    assert_eq!(items(&waiting, &["status", "failing"]), &[] as &[Value], "waiting is no failure");
    assert_eq!(text(&waiting, &["status", "phase"]), "Delivering");
    let path = format!("{definitions}/others.example.com");
    raw::delete(f.member(0), &path, text(&other, &["metadata", "uid"])).await.expect("deleted");
    let path = "/apis/example.com/v1/namespaces/team-a/looses/l";
    let mut now = Instant::now();
    for _ in 0..60 {
        f.cycle().await;
        f.pass(now).await;
        let there = get(f.member(0), path).await.is_some();
        let binding =
            get(&f.hub, "/apis/skerry.dev/v1alpha1/namespaces/skerry-inventory/clusterbindings").await;
        let bindings = items(binding.as_ref().expect("list"), &["items"]).to_vec();
        assert_eq!(items(&bindings[0], &["status", "failing"]), &[] as &[Value], "waiting is no failure");
        if there {
            break;
        }
        now += Duration::from_secs(1);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let kind = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/looses.example.com";
    let sent = f.wire(0).sent(&Method::PATCH);
    let at = |path: &str| sent.iter().position(|p| p == path);
    assert!(at(kind).is_some() && at(kind) < at(path), "{sent:?}");
    assert_eq!(sent.iter().filter(|p| *p == path).count(), 1, "no try before the kind was established");

    f.wire(0).forget();
    let placement = get(&f.hub, "/apis/skerry.dev/v1alpha1/clusterplacements/all").await.expect("there");
    let placement_path = "/apis/skerry.dev/v1alpha1/clusterplacements/all";
    raw::delete(&f.hub, placement_path, text(&placement, &["metadata", "uid"])).await.expect("deleted");
    for _ in 0..20 {
        f.settle().await;
        if get(f.member(0), kind).await.is_none() {
            break;
        }
    }
    let gone = f.wire(0).sent(&Method::DELETE);
    assert_eq!(gone[..2], [path.to_owned(), kind.to_owned()]);
    f.end().await;
}

/// Placement 72: a failing object waits longer and longer; a new revision and a success begin anew; others go on.
#[tokio::test(flavor = "multi_thread")]
async fn placement_72_backoff_and_its_reset() {
    let mut f = Fleet::new(1).await;
    f.config("a", json!({"k": "1"})).await;
    f.place(all_maps(json!({}))).await;
    f.settle().await;
    f.wire(0).forget();
    f.wire(0).breaks(true);
    merge(&f.hub, &format!("{CORE}/configmaps/a"), json!({"data": {"k": "2"}})).await;
    let start = Instant::now() + Duration::from_secs(60);
    let mut tries = Vec::new();
    let mut at = async |f: &mut Fleet, tenths: u64| {
        f.cycle().await;
        f.pass(start + Duration::from_millis(tenths * 100)).await;
        tries.push(f.wire(0).sent(&Method::PATCH).len());
    };
    // The first wait is 0.8 s to 1.2 s, the second 1.6 s to 2.4 s.
    for tenths in [0, 7, 13, 27, 38] {
        at(&mut f, tenths).await;
    }
    // A new revision is tried at once, and its first wait is a short one again.
    merge(&f.hub, &format!("{CORE}/configmaps/a"), json!({"data": {"k": "3"}})).await;
    for tenths in [39, 45, 52] {
        at(&mut f, tenths).await;
    }
    assert_eq!(tries, [1, 1, 2, 2, 3, 4, 4, 5]);
    assert_eq!(f.condition("Applied").await.1, "Unreachable");
    f.wire(0).breaks(false);
    f.pass(start + Duration::from_secs(20)).await;
    assert_eq!(text(&f.on(0, "a").await.expect("there"), &["data", "k"]), "3");
    f.wire(0).breaks(true);
    merge(&f.hub, &format!("{CORE}/configmaps/a"), json!({"data": {"k": "4"}})).await;
    f.wire(0).forget();
    let start = start + Duration::from_secs(21);
    for tenths in [0, 7, 13] {
        f.cycle().await;
        f.pass(start + Duration::from_millis(tenths * 100)).await;
    }
    assert_eq!(f.wire(0).sent(&Method::PATCH).len(), 2, "success began anew");
    f.end().await;
}

/// Placement 76: delivery to some members stops, by terms; deciding goes on; `{}` resumes.
#[tokio::test(flavor = "multi_thread")]
async fn placement_76_suspend_some_members() {
    let mut f = Fleet::new(2).await;
    f.config("a", json!({"k": "1"})).await;
    f.place(all_maps(json!({}))).await;
    f.settle().await;
    f.edit(json!({"suspend": {"members": [{"names": ["skerry.team-a.m1"]}]}})).await;
    merge(&f.hub, &format!("{CORE}/configmaps/a"), json!({"data": {"k": "2"}})).await;
    f.wire(1).forget();
    f.settle().await;
    let value = async |f: &Fleet, i| text(&f.on(i, "a").await.expect("there"), &["data", "k"]).to_owned();
    assert_eq!((value(&f, 0).await, value(&f, 1).await), ("2".to_owned(), "1".to_owned()));
    assert_eq!(f.wire(1).polls(), Vec::<String>::new(), "nothing is even asked");
    assert_eq!(f.condition("RolledOut").await.1, "Suspended");
    assert_eq!(f.condition("Placed").await.0, "True", "deciding goes on");
    f.edit(json!({"suspend": {"members": null}})).await;
    f.settle().await;
    assert_eq!(value(&f, 1).await, "2");
    assert_eq!(f.condition("RolledOut").await.1, "UpToDate");
    f.end().await;
}
