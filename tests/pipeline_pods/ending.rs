//! The end of a big tenant (D6, FM13): SY-143.

use std::time::Duration;

use serde_json::json;

use crate::world::World;

/// 500 objects and a finalizer that nobody clears: all but it go, what holds it up is named with the tenant's names,
/// objects of others stay; freed, the rest goes.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy143_a_big_tenant_ends() {
    let w = World::new("ending", false).await;
    let second = format!("{}-b", w.namespace);
    w.fresh(&second).await;
    let mut made = 0;
    for i in 0..250 {
        for namespace in [&w.namespace, &second] {
            let map = json!({"metadata": {"name": format!("m{i}"), "annotations": {"skerry.dev/sync": "true"}}, "data": {"k": "v"}});
            w.tenant.post(&format!("/api/v1/namespaces/{namespace}/configmaps"), map).await;
            made += 1;
        }
    }
    assert_eq!(made, 500);
    let space = w.host_namespace().await;
    let last = format!("/api/v1/namespaces/{space}/configmaps/m249");
    w.host.until("all are carried", &last, |_| true).await;
    let selector = format!("labelSelector=skerry.dev/tenant%3D{}", w.entry.id);
    let all = format!("/api/v1/configmaps?{selector}");
    w.host.until("all are carried", &all, |l| l["items"].as_array().is_some_and(|l| l.len() >= 500)).await;
    w.host.merge(&last, json!({"metadata": {"finalizers": ["example.com/hold"]}})).await;
    let strange = format!("/api/v1/namespaces/{space}/secrets");
    w.host.post(&strange, json!({"metadata": {"name": "theirs"}})).await;

    let mut entry = w.entry.clone();
    entry.owner.draining = true;
    w.give(entry);
    let only_held = |l: &serde_json::Value| {
        l["items"].as_array().is_some_and(|l| l.len() == 1 && l[0]["metadata"]["name"] == "m249")
    };
    w.host.until("all but the held one are gone", &all, only_held).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let state = w.handle().states().borrow().get(&w.entry.id).cloned().expect("state");
    let left = state.remaining.expect("what is left");
    let held =
        left.iter().find(|r| r.kind == "ConfigMap").and_then(|r| r.blocked_on.clone()).unwrap_or_default();
    assert_eq!(held, format!("ConfigMap {}/m249: example.com/hold", w.namespace));
    let foreign =
        left.iter().find(|r| r.kind == "Secret").and_then(|r| r.blocked_on.clone()).unwrap_or_default();
    assert_eq!(foreign, "foreign Secret theirs");
    assert!(!held.contains(&space), "the tenant's names");

    w.host.merge(&last, json!({"metadata": {"finalizers": null}})).await;
    w.host.gone("freed", &last).await;
    assert!(w.host.get(&format!("{strange}/theirs")).await.is_some(), "never ours to delete");
    w.host.delete(&format!("{strange}/theirs"), None).await;
    w.synced("Drained").await;
    let spaces = w.host.get(&format!("/api/v1/namespaces?{selector}")).await.expect("a list");
    let still: Vec<_> = spaces["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|n| n["metadata"].get("deletionTimestamp").is_none())
        .collect();
    assert!(still.is_empty(), "{still:?}");
    w.end().await;
}
