//! A member that leaves with work on it: the inventory waits until nothing names it (inventory 12, placement B5).

use serde_json::{Value, json};
use skerry::placement::raw::{self, items, text};

use crate::fleet::*;

/// Members that the decisions name.
async fn decided(f: &Fleet) -> Vec<String> {
    let all = f.decisions().await;
    let named = all.iter().flat_map(|d| items(d, &["decisions"]).to_vec());
    named.map(|d| text(&d, &["clusterProfileRef", "name"]).to_owned()).collect()
}

/// I44, placement 18: the binding of a member that leaves goes, and with it its decision; what was delivered stays
/// without our marks, or is deleted where `whenMemberLeaves` says so; nothing new goes there; the others stay.
#[tokio::test(flavor = "multi_thread")]
async fn i44_a_leaving_member_is_let_go() {
    for (rule, stays) in [("Orphan", true), ("Delete", false)] {
        let mut f = Fleet::new(3).await;
        f.config("a", json!({"k": "1"})).await;
        let mut spec = all_maps(json!({"whenMemberLeaves": rule}));
        spec["select"] = json!({"count": 2});
        f.place(spec).await;
        f.settle().await;
        let before = decided(&f).await;
        assert_eq!(before.len(), 2);
        let name = before[0].clone();
        let i: usize = name.rsplit('m').next().and_then(|n| n.parse().ok()).expect("number");
        let kept = before[1].clone();
        let other = f.bindings().await.into_iter().find(|b| text(b, &["spec", "member", "name"]) == kept);

        // What the inventory writes when a member is to leave.
        let report = format!("/apis/skerry.dev/v1alpha1/namespaces/skerry-inventory/clusterreports/{name}");
        let leave = json!({"status": {"leave": {"step": "Evict", "since": "2026-01-01T00:00:00Z"}}});
        merge(&f.hub, &format!("{report}/status"), leave).await;
        f.settle().await;
        f.settle().await;

        let now = decided(&f).await;
        assert!(now.len() == 2 && !now.contains(&name), "{rule}: {now:?} took the place of {before:?}");
        let bindings = f.bindings().await;
        assert!(bindings.iter().all(|b| text(b, &["spec", "member", "name"]) != name), "{rule}");
        let same = bindings.iter().find(|b| text(b, &["spec", "member", "name"]) == kept);
        assert_eq!(same.map(|b| &b["metadata"]["uid"]), other.as_ref().map(|b| &b["metadata"]["uid"]));
        match f.on(i, "a").await {
            Some(left) => {
                assert!(stays, "{rule}");
                assert_eq!(left["metadata"]["labels"]["skerry.dev/placed"], Value::Null);
                assert_eq!(left["metadata"]["annotations"]["skerry.dev/applied-by"], Value::Null);
            }
            None => assert!(!stays, "{rule}"),
        }

        // It is not written to any more.
        f.wire(i).forget();
        merge(&f.hub, &format!("{CORE}/configmaps/a"), json!({"data": {"k": "2"}})).await;
        f.settle().await;
        assert_eq!(f.wire(i).polls(), Vec::<String>::new(), "{rule}");
        f.end().await;
    }
}

/// I44: a member with an object that does not go holds the leave up, and the binding says which.
#[tokio::test(flavor = "multi_thread")]
async fn i44_a_leave_says_what_it_waits_for() {
    let mut f = Fleet::new(1).await;
    f.config("a", json!({"k": "1"})).await;
    f.place(all_maps(json!({"whenMemberLeaves": "Delete"}))).await;
    f.settle().await;
    let path = format!("{CORE}/configmaps/a");
    merge(f.member(0), &path, json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    let report =
        "/apis/skerry.dev/v1alpha1/namespaces/skerry-inventory/clusterreports/skerry.team-a.m0/status";
    merge(&f.hub, report, json!({"status": {"leave": {"step": "Evict", "since": "2026-01-01T00:00:00Z"}}}))
        .await;
    f.settle().await;
    let bindings = f.bindings().await;
    assert_eq!(text(&bindings[0], &["spec", "cause"]), "MemberLeft");
    assert_eq!(text(&bindings[0], &["status", "stuckOn"]), "ConfigMap a");
    raw::merge(f.member(0), &path, &json!({"metadata": {"finalizers": null}})).await.expect("freed");
    f.settle().await;
    assert_eq!(f.bindings().await, Vec::<Value>::new());
    assert_eq!(decided(&f).await, Vec::<String>::new());
    f.end().await;
}
