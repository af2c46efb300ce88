//! Objects that are there before they are delivered (A3).

use serde_json::{Value, json};
use skerry::placement::raw::text;

use crate::fleet::*;

/// What the member has before.
#[derive(Clone, Copy, Debug, PartialEq)]
enum There {
    Equal,
    Different,
    /// Equal, and a field more.
    More,
}

/// Placement 65: what is there already, under each rule of taking over and each way to compare.
#[tokio::test(flavor = "multi_thread")]
async fn placement_65_taking_over() {
    use There::{Different, Equal, More};
    let none = "";
    let table = [
        ("Never", "Managed", Equal, Some(none)),
        ("Never", "Full", Equal, Some(none)),
        ("Never", "Managed", Different, Some(none)),
        ("IfNoDiff", "Managed", Equal, None),
        ("IfNoDiff", "Full", Equal, None),
        ("IfNoDiff", "Managed", Different, Some("/data/k")),
        ("IfNoDiff", "Full", Different, Some("/data/k")),
        ("IfNoDiff", "Managed", More, None),
        ("IfNoDiff", "Full", More, Some("/data/more")),
        ("Always", "Managed", Different, None),
        ("Always", "Full", Different, None),
        ("Always", "Managed", More, None),
        ("Always", "Full", More, None),
    ];
    for (rule, compare, there, refused) in table {
        let case = format!("{rule} {compare} {there:?}");
        let mut f = Fleet::new(1).await;
        f.config("a", json!({"k": "hub"})).await;
        post(f.member(0), "/api/v1/namespaces", json!({"metadata": {"name": "team-a"}})).await;
        let data = match there {
            Equal => json!({"k": "hub"}),
            Different => json!({"k": "own"}),
            More => json!({"k": "hub", "more": "own"}),
        };
        let own = json!({"metadata": {"name": "a"}, "data": data});
        let own = post(f.member(0), &format!("{CORE}/configmaps"), own).await;
        f.place(all_maps(json!({"takeOver": rule, "compare": compare}))).await;
        f.settle().await;
        let live = f.on(0, "a").await.expect("there");
        let (applied, reason, message) = f.condition("Applied").await;
        match refused {
            Some(path) => {
                assert_eq!((applied.as_str(), reason.as_str()), ("False", "NotOwned"), "{case}: {message}");
                assert!(message.contains(path), "{case}: {message}");
                assert_eq!(version(&live), version(&own), "{case}: nothing was written");
            }
            None => {
                assert_eq!(applied, "True", "{case}: {message}");
                let more = if there == More && compare == "Managed" { "own" } else { "" };
                assert_eq!(
                    (text(&live, &["data", "k"]), text(&live, &["data", "more"])),
                    ("hub", more),
                    "{case}"
                );
                assert_eq!(live["metadata"]["labels"]["skerry.dev/placed"], "true", "{case}");
                f.settle().await;
                assert_eq!(version(&f.on(0, "a").await.expect("there")), version(&live), "{case}: quiet");
            }
        }
        f.end().await;
    }
}

/// Placement 65, A3: values of a Secret that is in the way are not told.
#[tokio::test(flavor = "multi_thread")]
async fn placement_65_a_refusal_tells_no_secret() {
    let mut f = Fleet::new(1).await;
    let secret = |value: &str| json!({"metadata": {"name": "s"}, "data": {"k": value}});
    post(&f.hub, &format!("{CORE}/secrets"), secret("aHVi")).await;
    post(f.member(0), "/api/v1/namespaces", json!({"metadata": {"name": "team-a"}})).await;
    post(f.member(0), &format!("{CORE}/secrets"), secret("b3du")).await;
    f.place(json!({"workload": {"select": [{"group": "", "kind": "Secret", "name": "s"}]}})).await;
    f.settle().await;
    let (_, reason, message) = f.condition("Applied").await;
    assert_eq!(reason, "NotOwned");
    assert!(message.contains("/data/k"), "{message}");
    let told = format!("{} {}", f.placement().await, f.bindings().await[0]);
    assert!(!told.contains("b3du") && !told.contains("aHVi"));
    f.end().await;
}

/// Placement 65, A3: adopting a Deployment restarts nothing; its pods are marked with the template's next change.
#[tokio::test(flavor = "multi_thread")]
async fn placement_65_adoption_restarts_nothing() {
    let mut f = Fleet::new(1).await;
    let deployment = |image: &str| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                         "spec": {"containers": [{"name": "web", "image": image}]}}}})
    };
    post(f.member(0), "/api/v1/namespaces", json!({"metadata": {"name": "team-a"}})).await;
    let path = "/apis/apps/v1/namespaces/team-a/deployments";
    post(f.member(0), path, deployment("web:1")).await;
    f.place(json!({"workload": {"manifests": [deployment("web:1")], "needs": {"mode": "None"}}})).await;
    f.settle().await;
    let path = format!("{path}/web");
    let marks = |live: &Value| {
        let mark = text(live, &["spec", "template", "metadata", "labels", "skerry.dev/binding"]);
        (text(live, &["metadata", "labels", "skerry.dev/placed"]).to_owned(), mark.len())
    };
    let live = get(f.member(0), &path).await.expect("there");
    assert_eq!(marks(&live), ("true".to_owned(), 0), "{:?}", f.condition("Applied").await);
    assert_eq!(live["metadata"]["generation"], 1, "adopted without a change of the workload");
    f.edit(json!({"workload": {"manifests": [deployment("web:2")]}})).await;
    f.settle().await;
    let live = get(f.member(0), &path).await.expect("there");
    assert_eq!(marks(&live), ("true".to_owned(), 8));
    f.end().await;
}
