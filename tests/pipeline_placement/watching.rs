//! The stages as they run by themselves: woken by watches, silent while nothing happens (T1, T5).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skerry::placement::raw::{self, text};
use skerry::placement::{Live, Planner, Site, plans};
use skerry::rollout::{Executor, deliveries};

use crate::fleet::*;
use crate::wire::Wire;

/// What is to come about, as one sees it from outside.
async fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(40) {
        if holds().await {
            return start.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not come about");
}

/// Runs planning and delivery beside a scenario, over a wire to the hub.
async fn run(f: &Fleet, hub: &Wire, scenario: impl Future<Output = ()>) {
    let client = hub.over(f.hub.clone());
    let live = Live::new(client.clone(), "skerry-inventory");
    let site = Site { hub: client, live: Some(&live), ..f.site() };
    let (mut planner, mut executor) = (Planner::default(), Executor::default());
    tokio::select! {
        () = live.watch() => {}
        () = plans(&site, &live, &mut planner) => {}
        () = deliveries(&site, &live, &mut executor) => {}
        () = scenario => {}
    }
}

/// Placement 70, 74, T5: drift is mended in seconds, by watches; an idle fleet is asked nothing.
#[tokio::test(flavor = "multi_thread")]
async fn placement_70_drift_is_mended_by_watches_and_an_idle_fleet_is_silent() {
    let f = Fleet::new(2).await;
    let hub = Wire::default();
    run(&f, &hub, async {
        f.config("a", json!({"k": "1"})).await;
        f.place(all_maps(json!({}))).await;
        soon("delivery", async || f.condition("Ready").await.0 == "True").await;
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let mut bound = hub.sent(&http::Method::PATCH);
        bound.retain(|path| path.contains("/clusterbindings/") && !path.ends_with("/status"));
        assert_eq!(bound.len(), 2, "each member is bound once: {bound:?}");
        hub.forget();
        (0..2).for_each(|i| f.wire(i).forget());
        tokio::time::sleep(Duration::from_secs(3)).await;
        let none = Vec::<String>::new();
        assert_eq!((hub.polls(), f.wire(0).polls(), f.wire(1).polls()), (none.clone(), none.clone(), none));

        let path = format!("{CORE}/configmaps/a");
        let value = async |i| f.on(i, "a").await.map(|o| text(&o, &["data", "k"]).to_owned());
        merge(f.member(1), &path, json!({"data": {"k": "drifted"}})).await;
        let took = soon("mending", async || value(1).await.as_deref() == Some("1")).await;
        assert!(took < Duration::from_secs(2), "{took:?}");
        assert_eq!(f.wire(0).polls(), Vec::<String>::new(), "the other member is left alone");

        let there = f.on(0, "a").await.expect("there");
        raw::delete(f.member(0), &path, text(&there, &["metadata", "uid"])).await.expect("deleted");
        soon("a new copy", async || value(0).await.is_some()).await;
        merge(f.member(0), &path, json!({"metadata": {"labels": {"skerry.dev/placed": null}}})).await;
        let marked =
            async || f.on(0, "a").await.expect("there")["metadata"]["labels"]["skerry.dev/placed"] == "true";
        soon("the mark", marked).await;

        merge(&f.hub, &path, json!({"data": {"k": "2"}})).await;
        soon("a new revision", async || {
            value(0).await.as_deref() == Some("2") && value(1).await.as_deref() == Some("2")
        })
        .await;
        soon("quiet", async || f.condition("Drifted").await.1 == "InSync").await;
        let placement = f.placement().await;
        let uid = text(&placement, &["metadata", "uid"]);
        raw::delete(&f.hub, &format!("{HOME}/placements/shop"), uid).await.expect("deleted");
        soon("the end", async || f.bindings().await == Vec::<Value>::new()).await;
        assert_eq!((value(0).await, value(1).await), (None, None));
    })
    .await;
    f.end().await;
}

/// Placement 59, 92: a kind that appears at the source, a namespace that becomes a template, and an edited decision
/// are seen without a period.
#[tokio::test(flavor = "multi_thread")]
async fn placement_59_sources_and_decisions_are_watched() {
    let f = Fleet::new(1).await;
    run(&f, &Wire::default(), async {
        f.place(json!({"workload": {"select": [{"group": "example.com", "kind": "Loose"}]}})).await;
        soon("a refusal", async || f.condition("Accepted").await.0 == "False").await;
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        for client in [&f.hub, f.member(0)] {
            post(client, definitions, loose_kind()).await;
            until(client, "/apis/example.com/v1/looses").await;
        }
        let took = soon("the live namespace is refused", async || {
            f.condition("Accepted").await.1 == "SourceNotTemplate" || f.condition("Accepted").await.0 == "True"
        })
        .await;
        assert!(took < Duration::from_secs(2), "a new kind is told of: {took:?}");
        let loose = json!({"apiVersion": "example.com/v1", "kind": "Loose", "metadata": {"name": "l"}, "spec": {"a": 1}});
        post(&f.hub, "/apis/example.com/v1/namespaces/team-a/looses", loose).await;
        soon("refused", async || f.condition("Accepted").await.1 == "SourceNotTemplate").await;
        let template = json!({"metadata": {"labels": {"skerry.dev/template": "true"}}});
        merge(&f.hub, "/api/v1/namespaces/team-a", template).await;
        let copy = "/apis/example.com/v1/namespaces/team-a/looses/l";
        let took = soon("a copy", async || get(f.member(0), copy).await.is_some()).await;
        assert!(took < Duration::from_secs(4), "{took:?}");

        let decision = "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/team-a/placementdecisions/shop-0";
        merge(&f.hub, decision, json!({"decisions": []})).await;
        soon("the decision", async || f.decisions().await[0]["decisions"][0].is_object()).await;
    })
    .await;
    f.end().await;
}

/// Placement T6: a member that does not answer delays no other, is called out of reach, and gets its copy when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn placement_95_a_silent_member_delays_nobody() {
    let f = Fleet::new(3).await;
    f.wire(1).falls_silent(true);
    run(&f, &Wire::default(), async {
        f.config("a", json!({"k": "1"})).await;
        // The silent one alone uses up the budget at its default.
        let mut spec = all_maps(json!({}));
        spec["rollout"] = json!({"maxUnavailable": "100%"});
        f.place(spec).await;
        for i in [0, 2] {
            soon("a copy beside the silent one", async || f.on(i, "a").await.is_some()).await;
        }
        let reason = async || f.condition("Applied").await.1;
        soon("the word for it", async || reason().await == "Unreachable").await;
        merge(&f.hub, &format!("{CORE}/configmaps/a"), json!({"data": {"k": "2"}})).await;
        let value = async |i| f.on(i, "a").await.map(|o| text(&o, &["data", "k"]).to_owned());
        soon("a new revision on the others", async || {
            value(0).await.as_deref() == Some("2") && value(2).await.as_deref() == Some("2")
        })
        .await;
        f.wire(1).falls_silent(false);
        soon("its own copy", async || value(1).await.as_deref() == Some("2")).await;
        soon("all well", async || f.condition("Ready").await.0 == "True").await;
    })
    .await;
    f.end().await;
}
