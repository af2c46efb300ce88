//! More than a tenant's share: SE7, SE8.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::rig::Rig;

/// SE7: fifty at once against a quota of ten: ten, at no moment more, and the next follows a deletion.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se7_a_quota_is_not_raced() {
    let mut rig = Rig::new("race").await;
    let spec = json!({"podSecurity": {"enforce": "privileged"}, "quota": {"pods": "10"}});
    rig.under(spec, Value::Null).await;
    let on_host = async || rig.of_attacker("/api/v1", "pods").await;
    let names: Vec<String> = (0..50).map(|i| format!("p{i}")).collect();
    let pods = names.iter().map(|name| rig.post("pods", rig.w.pod_in(&rig.w.namespace, name)));
    let watched = async {
        let end = Instant::now() + Duration::from_secs(20);
        let mut full = None;
        while full.is_none_or(|at: Instant| at.elapsed() < Duration::from_secs(1)) && Instant::now() < end {
            let many = on_host().await.len();
            assert!(many <= 10, "{many} at once");
            if many == 10 {
                full.get_or_insert_with(Instant::now);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(full.is_some(), "the quota is used");
    };
    tokio::join!(join_all(pods), watched);
    let quota = format!("/api/v1/namespaces/{}/resourcequotas/skerry", rig.w.host_namespace().await);
    // The second line of defence, where the host has such a thing.
    if let Some(quota) = rig.w.host.get(&quota).await {
        assert_eq!(quota["spec"]["hard"]["pods"], "10", "{quota}");
    }
    let (reason, _) = rig.refused("Pod", rig.waiting().await.as_str()).await;
    assert_eq!(reason, "QuotaExceeded");

    let first = on_host().await[0]["metadata"]["name"].as_str().unwrap().to_owned();
    rig.w.tenant.delete(&rig.w.path("pods", &first), Some(0)).await;
    rig.w.host.delete(&rig.w.host_path("pods", &first).await, Some(0)).await;
    let end = Instant::now() + Duration::from_secs(15);
    loop {
        let now = on_host().await;
        assert!(now.len() <= 10, "{}", now.len());
        if now.len() == 10 && now.iter().all(|p| p["metadata"]["name"] != first.as_str()) {
            break;
        }
        assert!(Instant::now() < end, "nobody follows");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rig.end().await;
}

/// SE8: while a tenant floods its host with objects, status and Events, a neighbour's pod is carried as ever, and the
/// flood of Events is cut.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se8_floods_drown_nobody() {
    let mut rig = Rig::new("floods").await;
    let events = json!({"events": {"perSecond": 1}});
    rig.under(json!({"podSecurity": {"enforce": "privileged"}, "sync": {"fromHost": events}}), Value::Null)
        .await;
    rig.post("pods", rig.w.pod_in(&rig.w.namespace, "web")).await;
    let path = rig.w.host_path("pods", "web").await;
    let pod = rig.w.host.until("sent", &path, |_| true).await;

    let done = Arc::new(AtomicBool::new(false));
    let objects = async {
        for i in 0..400 {
            let meta = json!({"name": format!("m{i}"), "annotations": {"skerry.dev/sync": "true"}});
            rig.post("configmaps", json!({"metadata": meta, "data": {"k": "v"}})).await;
        }
        done.store(true, Ordering::SeqCst);
    };
    let flaps = async {
        let mut i = 0;
        while !done.load(Ordering::SeqCst) {
            i += 1;
            let status = json!({"status": {"conditions": [{"type": "Flap", "status": if i % 2 == 0 { "True" } else { "False" }}]}});
            rig.w.host.merge(&format!("{path}/status"), status).await;
        }
        i
    };
    let space = rig.w.host_namespace().await;
    let told = async {
        for i in 0..60 {
            let about =
                json!({"kind": "Pod", "namespace": space, "name": "web", "uid": pod["metadata"]["uid"]});
            let event = json!({"metadata": {"name": format!("web.{i}")}, "reason": "Flood", "message": "again", "type": "Normal",
                "involvedObject": about});
            rig.w.host.post(&format!("/api/v1/namespaces/{space}/events"), event).await;
        }
    };
    let own = format!("/api/v1/namespaces/{}/pods", rig.b.namespace);
    let beside = format!("/api/v1/namespaces/{}/pods", rig.b_space().await);
    let regular = async {
        let mut slowest = Duration::ZERO;
        for i in 0..5 {
            let name = format!("beside-{i}");
            let since = Instant::now();
            rig.b.tenant.post(&own, rig.w.pod_in(&rig.b.namespace, &name)).await;
            rig.w.host.until("the neighbour's", &format!("{beside}/{name}"), |_| true).await;
            slowest = slowest.max(since.elapsed());
        }
        slowest
    };
    let ((), flapped, (), slowest) = tokio::join!(objects, flaps, told, regular);
    assert!(flapped > 5, "{flapped}");
    assert!(slowest < Duration::from_secs(10), "the neighbour waited {slowest:?}");
    let dropped = rig.w.count("events_dropped_total", "rate");
    assert!(dropped >= 30, "{dropped} of 60 Events");
    let list = rig.w.tenant.get(&format!("/api/v1/namespaces/{}/events", rig.w.namespace)).await.unwrap();
    let carried = list["items"].as_array().unwrap().iter().filter(|e| e["reason"] == "Flood").count();
    assert!(carried <= 30, "{carried}");
    // What was the test's own doing beside the flood goes again.
    for i in 0..5 {
        rig.b.tenant.delete(&format!("{own}/beside-{i}"), Some(0)).await;
        rig.w.host.gone("deleting", &format!("{beside}/beside-{i}")).await;
    }
    rig.again().await;
    rig.end().await;
}
