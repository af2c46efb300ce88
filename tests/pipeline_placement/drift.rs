//! Drift: what is mended, what is left, what is said (A5).

use serde_json::{Value, json};
use skerry::placement::raw::{items, text};

use crate::fleet::*;

/// Two ConfigMaps on one member, the first with a changed field and a field more.
async fn drifted(rule: &str, compare: &str) -> (Fleet, Value) {
    let mut f = Fleet::new(1).await;
    f.config("a", json!({"k": "hub"})).await;
    f.config("b", json!({"k": "hub"})).await;
    f.place(all_maps(json!({"whenDrifted": rule, "compare": compare}))).await;
    f.settle().await;
    let change = json!({"data": {"k": "member", "more": "member"}});
    let edited = merge(f.member(0), &format!("{CORE}/configmaps/a"), change).await;
    (f, edited)
}

async fn template(f: &mut Fleet, name: &str, value: &str) {
    merge(&f.hub, &format!("{CORE}/configmaps/{name}"), json!({"data": {"k": value}})).await;
    f.settle().await;
}

/// Placement 70: Reapply mends: the fields it applies, with Full every field.
#[tokio::test(flavor = "multi_thread")]
async fn placement_70_reapply() {
    for (compare, more) in [("Managed", "member"), ("Full", "")] {
        let (mut f, _) = drifted("Reapply", compare).await;
        f.cycle().await;
        f.pass(std::time::Instant::now()).await;
        let live = f.on(0, "a").await.expect("there");
        assert_eq!((text(&live, &["data", "k"]), text(&live, &["data", "more"])), ("hub", more), "{compare}");
        assert_eq!(f.condition("Drifted").await.1, "Drifted", "what was mended is told");
        f.settle().await;
        assert_eq!(f.condition("Drifted").await.1, "InSync");
        assert_eq!(version(&f.on(0, "a").await.expect("there")), version(&live), "{compare}: quiet");
        f.end().await;
    }
}

/// Placement 70: Hold and Report leave the object and say what differs; first seen is kept.
#[tokio::test(flavor = "multi_thread")]
async fn placement_70_left_and_told() {
    let table = [("Hold", "Managed"), ("Hold", "Full"), ("Report", "Managed"), ("Report", "Full")];
    for (rule, compare) in table {
        let case = format!("{rule} {compare}");
        let (mut f, edited) = drifted(rule, compare).await;
        f.settle().await;
        assert_eq!(version(&f.on(0, "a").await.expect("there")), version(&edited), "{case}: left");
        let (pointers, found) = f.drift().await;
        let wanted: &[&str] = if compare == "Full" { &["/data/k", "/data/more"] } else { &["/data/k"] };
        assert_eq!(pointers, wanted, "{case}");
        assert_eq!((text(&found[0], &["hub"]), text(&found[0], &["member"])), ("\"hub\"", "\"member\""));
        let reason = if rule == "Hold" { "Held" } else { "Drifted" };
        let (status, why, _) = f.condition("Drifted").await;
        assert_eq!((status.as_str(), why.as_str()), ("True", reason), "{case}");
        assert_eq!(f.condition("RolledOut").await.0, "True");

        let before = version(&f.bindings().await[0]);
        f.settle().await;
        assert_eq!(version(&f.bindings().await[0]), before, "{case}: nothing new, nothing written");
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
        merge(f.member(0), &format!("{CORE}/configmaps/a"), json!({"data": {"k": "again"}})).await;
        f.settle().await;
        let (_, later) = f.drift().await;
        assert_eq!(later[0]["firstSeen"], found[0]["firstSeen"], "{case}: first seen is kept");
        assert_ne!(later[0]["lastSeen"], found[0]["lastSeen"], "{case}: last seen moves on");
        assert_eq!(text(&later[0], &["member"]), "\"again\"");
        f.end().await;
    }
}

/// Placement 70: drift and a new template together. Reapply brings the new one; Hold keeps an object whose own
/// template is the same, and lets it go with the next; Report never writes what has drifted.
#[tokio::test(flavor = "multi_thread")]
async fn placement_70_drift_and_a_new_template() {
    for (rule, with_other, with_own) in
        [("Reapply", "hub", "new"), ("Hold", "member", "new"), ("Report", "member", "member")]
    {
        let (mut f, _) = drifted(rule, "Managed").await;
        template(&mut f, "b", "new").await;
        let value = async |f: &Fleet, name: &str| {
            text(&f.on(0, name).await.expect("there"), &["data", "k"]).to_owned()
        };
        assert_eq!(value(&f, "b").await, "new", "{rule}: others go on");
        assert_eq!(value(&f, "a").await, with_other, "{rule}");
        template(&mut f, "a", "new").await;
        assert_eq!(value(&f, "a").await, with_own, "{rule}");
        if rule == "Report" {
            assert_eq!(text(&f.drift().await.1[0], &["hub"]), "\"new\"");
            merge(f.member(0), &format!("{CORE}/configmaps/a"), json!({"data": {"k": "new"}})).await;
            f.settle().await;
        }
        let (status, _, message) = f.condition("Drifted").await;
        assert_eq!(status, "False", "{rule}: {message}");
        f.end().await;
    }
}

/// Placement 70: a held object that agrees again is free; an object in the way is told beside the drift of another.
#[tokio::test(flavor = "multi_thread")]
async fn placement_70_drift_and_diff_together() {
    let (mut f, _) = drifted("Hold", "Managed").await;
    post(
        f.member(0),
        &format!("{CORE}/configmaps"),
        json!({"metadata": {"name": "c"}, "data": {"k": "own"}}),
    )
    .await;
    f.config("c", json!({"k": "hub"})).await;
    f.settle().await;
    let binding = f.bindings().await.remove(0);
    assert_eq!(f.drift().await.0, ["/data/k"]);
    let failing = items(&binding, &["status", "failing"]);
    assert_eq!((failing.len(), text(&failing[0], &["reason"])), (1, "NotOwned"));
    assert!(text(&failing[0], &["message"]).contains("/data/k"));
    merge(f.member(0), &format!("{CORE}/configmaps/a"), json!({"data": {"k": "hub"}})).await;
    f.settle().await;
    assert_eq!(f.drift().await.0, Vec::<String>::new(), "it agrees again");
    f.end().await;
}

/// Placement 70: no value of a Secret is told, whatever differs.
#[tokio::test(flavor = "multi_thread")]
async fn placement_70_secrets_are_masked() {
    for compare in ["Managed", "Full"] {
        let mut f = Fleet::new(1).await;
        let secret = json!({"metadata": {"name": "s"}, "data": {"k": "aHVi"}});
        post(&f.hub, &format!("{CORE}/secrets"), secret).await;
        let spec = json!({"workload": {"select": [{"group": "", "kind": "Secret", "name": "s"}]},
                          "delivery": {"whenDrifted": "Report", "compare": compare}});
        f.place(spec).await;
        f.settle().await;
        let planted = json!({"metadata": {"annotations": {"note": "ZHJpZnRlZA=="}},
                             "data": {"k": "ZHJpZnRlZA==", "more": "ZHJpZnRlZA=="}});
        merge(f.member(0), &format!("{CORE}/secrets/s"), planted).await;
        f.settle().await;
        let (pointers, found) = f.drift().await;
        assert_eq!(pointers.len(), if compare == "Full" { 3 } else { 1 }, "{pointers:?}");
        assert!(found.iter().all(|d| text(d, &["hub"]) == "***" && text(d, &["member"]) == "***"));
        let told = format!("{} {}", f.placement().await, f.bindings().await[0]);
        assert!(!told.contains("ZHJpZnRlZA") && !told.contains("aHVi"));
        f.end().await;
    }
}

/// Placement 70: a kind without a schema: its lists compare whole, and the report says so.
#[tokio::test(flavor = "multi_thread")]
async fn placement_70_no_schema() {
    let mut f = Fleet::new(1).await;
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    post(f.member(0), definitions, loose_kind()).await;
    until(f.member(0), "/apis/example.com/v1/looses").await;
    let rows = |last: i64| json!([{"name": "a", "n": 1}, {"name": "b", "n": last}]);
    let object = json!({"apiVersion": "example.com/v1", "kind": "Loose", "metadata": {"name": "l"},
                        "spec": {"rows": rows(2), "flag": true}});
    f.place(json!({"workload": {"manifests": [object]}, "delivery": {"whenDrifted": "Report"}})).await;
    f.settle().await;
    let path = "/apis/example.com/v1/namespaces/team-a/looses/l";
    assert!(get(f.member(0), path).await.is_some(), "{:?}", f.condition("Applied").await);
    merge(f.member(0), path, json!({"spec": {"rows": rows(3), "flag": false}})).await;
    f.settle().await;
    let (pointers, found) = f.drift().await;
    assert_eq!(pointers, ["/spec/flag", "/spec/rows"]);
    assert_eq!((&found[0]["coarse"], &found[1]["coarse"]), (&Value::Null, &json!(true)));
    f.end().await;
}

/// A8: what a member writes in another way is no drift, and is not written again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_the_server_writes_otherwise_is_no_drift() {
    for rule in ["Reapply", "Report"] {
        let mut f = Fleet::new(1).await;
        let web = json!({"name": "web", "image": "web:1", "resources": {"requests": {"cpu": "1000m"}}});
        let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [web]}}}});
        let workload = json!({"manifests": [deployment], "needs": {"mode": "None"}});
        f.place(json!({"workload": workload, "delivery": {"whenDrifted": rule}})).await;
        f.settle().await;
        let live = get(f.member(0), "/apis/apps/v1/namespaces/team-a/deployments/web").await.expect("there");
        let cpu = live.pointer("/spec/template/spec/containers/0/resources/requests/cpu");
        assert_eq!(cpu.and_then(Value::as_str), Some("1"), "the server's own way");
        assert_eq!(f.drift().await.0, Vec::<String>::new(), "{rule}");
        f.wire(0).forget();
        f.settle().await;
        assert_eq!(f.wire(0).sent(&http::Method::PATCH), Vec::<String>::new(), "{rule}");
        f.end().await;
    }
}
