//! Copies follow their source, decisions are kept right, passes that find nothing write nothing.

use serde_json::{Value, json};
use skerry::placement::raw::{self, items, text};

use crate::fleet::*;

/// Placement 59, 74: objects follow their source; once settled, nothing is written; the end leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn placement_59_74_copies_follow_and_passes_are_quiet() {
    let mut f = Fleet::new(2).await;
    f.config("a", json!({"k": "1"})).await;
    f.place(all_maps(json!({}))).await;
    f.settle().await;
    assert_eq!(f.condition("Ready").await.0, "True", "{:?}", f.placement().await["status"]);
    for i in 0..2 {
        assert_eq!(f.on(i, "a").await.expect("delivered")["data"]["k"], "1");
    }
    merge(&f.hub, &format!("{CORE}/configmaps/a"), json!({"data": {"k": "2"}})).await;
    f.config("b", json!({"x": "y"})).await;
    f.settle().await;
    assert_eq!(f.on(1, "a").await.expect("there")["data"]["k"], "2");
    assert!(f.on(0, "b").await.is_some());

    let mut before = vec![version(&f.placement().await)];
    before.extend(f.bindings().await.iter().chain(&f.decisions().await).map(version));
    before.push(version(&f.on(0, "a").await.expect("there")));
    f.settle().await;
    let mut after = vec![version(&f.placement().await)];
    after.extend(f.bindings().await.iter().chain(&f.decisions().await).map(version));
    after.push(version(&f.on(0, "a").await.expect("there")));
    assert_eq!(before, after, "placement 74");

    let left = get(&f.hub, &format!("{CORE}/configmaps/b")).await;
    if let Some(left) = left {
        raw::delete(&f.hub, &format!("{CORE}/configmaps/b"), text(&left, &["metadata", "uid"]))
            .await
            .expect("deleted");
    }
    f.settle().await;
    assert!(f.on(0, "b").await.is_none(), "an unselected object goes");

    f.unplace().await;
    assert_eq!(f.bindings().await, Vec::<Value>::new());
    assert!(f.on(0, "a").await.is_none() && f.on(1, "a").await.is_none());
    f.end().await;
}

/// Placement 92, I29: undecided = no decision; an edited or deleted one is restored; the Placement's end is theirs.
#[tokio::test(flavor = "multi_thread")]
async fn placement_92_i29_decisions_are_restored() {
    let mut f = Fleet::new(2).await;
    f.config("a", json!({"k": "1"})).await;
    f.settle().await;
    assert_eq!(f.decisions().await.len(), 0);
    let uid = f.place(all_maps(json!({}))).await;
    f.settle().await;
    let first = f.decisions().await.remove(0);
    assert_eq!(items(&first, &["decisions"]).len(), 2);
    assert_eq!(text(&first, &["metadata", "labels", "multicluster.x-k8s.io/decision-key"]), uid);
    let path = "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/team-a/placementdecisions/shop-0";
    let mut edited = items(&first, &["decisions"])[..1].to_vec();
    edited[0]["reason"] = "mine".into();
    merge(&f.hub, path, json!({"decisions": edited})).await;
    f.settle().await;
    assert_eq!(f.decisions().await[0]["decisions"], first["decisions"]);
    raw::delete(&f.hub, path, text(&f.decisions().await[0], &["metadata", "uid"])).await.expect("deleted");
    f.settle().await;
    assert_eq!(f.decisions().await[0]["decisions"], first["decisions"]);
    f.end().await;
}

/// `delivery.whenRemoved: Orphan`: objects stay without our marks, also when the Placement is gone.
#[tokio::test(flavor = "multi_thread")]
async fn an_orphaned_object_stays_without_marks() {
    let mut f = Fleet::new(1).await;
    f.config("a", json!({"k": "1"})).await;
    f.place(all_maps(json!({"whenRemoved": "Orphan"}))).await;
    f.settle().await;
    f.unplace().await;
    assert_eq!(f.bindings().await, Vec::<Value>::new());
    let left = f.on(0, "a").await.expect("left");
    assert_eq!(left["metadata"]["labels"]["skerry.dev/placed"], Value::Null);
    f.end().await;
}
