//! Stores that come back from a backup, and hosts that change under way: FM8, FM9, FM10.

use std::time::Duration;

use serde_json::{Value, json};
use skerry_syncer::Reach;

use crate::failing::{of, service, swift};
use crate::faults::{Fate, Line};
use crate::world::World;

/// So much newer is all that was seen before a restore.
const AHEAD: u64 = 1_000_000;

/// Every `key":"<number>"`, or `key=<number>` in a query, moved.
fn moved(text: &str, key: &str, by: impl Fn(u64) -> u64) -> String {
    let mut parts = text.split(key);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(key);
        let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        match part[..digits].parse() {
            Ok(number) => out.push_str(&by(number).to_string()),
            Err(_) => out.push_str(&part[..digits]),
        }
        out.push_str(&part[digits..]);
    }
    out
}

/// A server whose versions are ahead of what it will have when it is restored.
fn before_the_backup(line: &Line) {
    line.edit(|_, text| Some(moved(&text, "\"resourceVersion\":\"", |n| n + AHEAD)));
    line.turn(|query| moved(&query, "resourceVersion=", |n| if n > AHEAD { n - AHEAD } else { n }));
}

/// An object as a backup has it.
fn copied(object: &Value) -> Value {
    let mut copy = object.clone();
    for field in
        ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "deletionTimestamp"]
    {
        copy["metadata"].as_object_mut().expect("metadata").remove(field);
    }
    if let Some(map) = copy.as_object_mut() {
        map.remove("status");
    }
    copy
}

async fn ahead(name: &str, reach: Reach, lines: impl Fn(&World) -> Vec<&Line>) -> World {
    let mut w = swift(name, reach).await;
    w.halt().await;
    lines(&w).into_iter().for_each(before_the_backup);
    w.start(None);
    w.synced("CaughtUp").await;
    w
}

/// FM8: a host comes back as it was: what has no twin any more goes by proof, what is missing is made again, a bound pod
/// that is lost is reported, and changes are seen although their versions are lower than those before.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_fm8_a_host_is_restored() {
    let w = ahead("hostback", Reach::Embedded, |w| vec![&w.to_host]).await;
    w.node("n-hostback").await;
    for name in ["kept", "old"] {
        w.tenant.post(&of(&w, "services"), service(name, "own")).await;
        w.host.until("carried", &w.host_path("services", name).await, |_| true).await;
    }
    let collection = w.host_path("services", "x").await.replace("/x", "");
    let old = w.host.get(&w.host_path("services", "old").await).await.expect("there");
    // After the backup: one goes, one comes, a pod starts.
    w.tenant.delete(&w.path("services", "old"), None).await;
    w.host.gone("deleted", &w.host_path("services", "old").await).await;
    w.tenant.post(&of(&w, "services"), service("new", "own")).await;
    w.tenant.post(&of(&w, "pods"), w.pod("web")).await;
    w.host.until("new", &w.host_path("services", "new").await, |_| true).await;
    w.host.until("pod", &w.host_path("pods", "web").await, |_| true).await;
    w.bind("web", "n-hostback").await;
    w.running("web").await;
    w.tenant.until("running", &w.path("pods", "web"), |p| p["status"]["phase"] == "Running").await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    w.to_host.down();
    w.host.post(&collection, copied(&old)).await;
    w.host.delete(&w.host_path("services", "new").await, None).await;
    w.host.delete(&w.host_path("pods", "web").await, Some(0)).await;
    w.host
        .merge(&w.host_path("services", "kept").await, json!({"spec": {"selector": {"app": "then"}}}))
        .await;
    w.to_host.up();

    w.host.gone("without a twin", &w.host_path("services", "old").await).await;
    w.host.until("made again", &w.host_path("services", "new").await, |_| true).await;
    let own = |s: &Value| s["spec"]["selector"]["app"] == "own";
    w.host.until("as the tenant has it", &w.host_path("services", "kept").await, own).await;
    let pod = w.tenant.until("lost", &w.path("pods", "web"), |p| p["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["reason"], "HostPodDeleted");
    for round in 0..2 {
        let app = json!({"spec": {"selector": {"app": format!("theirs{round}")}}});
        w.host.merge(&w.host_path("services", "kept").await, app).await;
        w.host.until("seen and repaired", &w.host_path("services", "kept").await, own).await;
    }
    w.end().await;
}

/// FM9: a tenant's store comes back, with the UIDs it had: its lists are compared, and what it says from then on is
/// followed. Both ways to watch a tenant.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_fm9_a_tenant_is_restored() {
    for reach in [Reach::Own, Reach::Embedded] {
        let name = if reach == Reach::Own { "ownback" } else { "tenantback" };
        let w = ahead(name, reach, |w| vec![&w.to_tenants, &w.to_shards]).await;
        for name in ["kept", "new"] {
            w.tenant.post(&of(&w, "services"), service(name, "own")).await;
            w.host.until("carried", &w.host_path("services", name).await, |_| true).await;
        }
        let (kept, new) = (w.host_path("services", "kept").await, w.host_path("services", "new").await);
        let uid = w.host.get(&kept).await.expect("there")["metadata"]["uid"].clone();
        for line in [&w.to_tenants, &w.to_shards] {
            line.down();
        }
        w.tenant.delete(&w.path("services", "new"), None).await;
        w.tenant.merge(&w.path("services", "kept"), json!({"spec": {"selector": {"app": "then"}}})).await;
        w.tenant.post(&of(&w, "services"), service("back", "own")).await;
        w.to_tenants.up();
        // A place of before is none of the restored store.
        w.to_shards.up();
        w.to_shards.rule(|asked| {
            let resumed = asked.is_watch() && asked.query.contains("resourceVersion=");
            if resumed { Fate::Says(410, "another epoch".to_owned()) } else { Fate::Pass }
        });
        w.host.gone("not in the backup", &new).await;
        let app = |wanted: &'static str| move |s: &Value| s["spec"]["selector"]["app"] == wanted;
        w.host.until("as it was then", &kept, app("then")).await;
        w.host.until("in the backup", &w.host_path("services", "back").await, |_| true).await;
        w.tenant.merge(&w.path("services", "kept"), json!({"spec": {"selector": {"app": "later"}}})).await;
        let host = w.host.until("followed", &kept, app("later")).await;
        assert_eq!(host["metadata"]["uid"], uid, "nothing was made anew");
        w.end().await;
    }
}

/// FM10: a host loses a field: what runs is not touched, new pods that need it are refused by name; it comes back, and
/// they go.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_fm10_a_host_changes_its_version() {
    let w = swift("upgrade", Reach::Embedded).await;
    w.node("n-upgrade").await;
    let with_field = |name: &str| {
        let mut pod = w.pod(name);
        pod["spec"]["hostUsers"] = json!(true);
        pod
    };
    w.tenant.post(&of(&w, "pods"), with_field("before")).await;
    let before = w.host.until("sent", &w.host_path("pods", "before").await, |_| true).await;
    assert_eq!(before["spec"]["hostUsers"], true);
    w.to_host.taken();
    w.to_host.edit(|asked, text| {
        Some(match &*asked.path {
            "/version" => text.replace("\"gitVersion\":\"", "\"gitVersion\":\"another-"),
            "/openapi/v3/api/v1" => text.replace("\"hostUsers\"", "\"hostUsersNoMore\""),
            _ => text,
        })
    });
    let asked = |w: &World| w.to_host.asked().iter().filter(|a| a.path == "/openapi/v3/api/v1").count();
    for _ in 0..100 {
        if asked(&w) > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    w.tenant.post(&of(&w, "pods"), with_field("after")).await;
    w.tenant.post(&of(&w, "pods"), w.pod("plain")).await;
    let told = |p: &Value| p["status"].to_string().contains("HostFeatureMissing");
    let refused = w.tenant.until("refused", &w.path("pods", "after"), told).await["status"].to_string();
    assert!(refused.contains("hostUsers"), "{refused}");
    w.host.until("one without it", &w.host_path("pods", "plain").await, |_| true).await;
    let now = w.host.get(&w.host_path("pods", "before").await).await.expect("there");
    assert_eq!(now["metadata"]["uid"], before["metadata"]["uid"], "untouched");
    assert!(now["metadata"].get("deletionTimestamp").is_none());
    w.to_host.up();
    w.host.until("sent now", &w.host_path("pods", "after").await, |_| true).await;
    w.end().await;
}
