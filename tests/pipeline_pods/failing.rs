//! Failures and what becomes of them (syncer.md section 11): SY-11, SY-141.
//!
//! | row | case |
//! |---|---|
//! | FM1–FM3, FM6, FM7, FM12 | `reconcile_fm<row>_…` below |
//! | FM4 | `reconcile_fm4_…` below for answers that are lost; `restart::…sy14…` killed between writes, `rivals::…sy15…` two at once, `services::…sy80…failures` for pending Services |
//! | FM5 | `reconcile_sy11_…` below |
//! | FM6 | a webhook that changes objects: `rivals::…sy8…`, `rivals::…sy58…` |
//! | FM8, FM9, FM10 | module `rewound`; another UID of `kube-system`: `hub::reconcile_status_on_the_hub` |
//! | FM11 | `isolation_se13_…` of the binary `isolation_sync` |
//! | FM13 | `ending::reconcile_sy143_…` |

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use skerry_syncer::Reach;

use crate::faults::{Fate, Line};
use crate::world::World;

/// A world whose patrols and verdicts come soon.
pub async fn swift(name: &str, reach: Reach) -> World {
    let mut w = World::new(name, false).await;
    w.halt().await;
    w.entry.reach = reach;
    w.periods.patrol = Duration::from_secs(1);
    w.periods.silence = Duration::from_secs(2);
    w.start(None);
    w.synced("CaughtUp").await;
    w
}

pub fn service(name: &str, app: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"clusterIP": "None", "selector": {"app": app}, "ports": [{"port": 80}]}})
}

pub fn of(w: &World, plural: &str) -> String {
    format!("/api/v1/namespaces/{}/{plural}", w.namespace)
}

/// UIDs of what a cluster has of a kind, by name.
async fn uids(w: &World, plural: &str) -> Value {
    let path = format!("/api/v1/namespaces/{}/{plural}", w.host_namespace().await);
    let list = w.host.get(&path).await.expect("a list");
    let items = list["items"].as_array().into_iter().flatten();
    items
        .map(|o| (o["metadata"]["name"].as_str().unwrap().to_owned(), o["metadata"]["uid"].clone()))
        .collect()
}

async fn a_running_pod(w: &World, node: &str) {
    w.node(node).await;
    w.tenant.post(&of(w, "pods"), w.pod("web")).await;
    w.host.until("host pod", &w.host_path("pods", "web").await, |_| true).await;
    w.bind("web", node).await;
    w.running("web").await;
    w.tenant.until("running", &w.path("pods", "web"), |p| p["status"]["phase"] == "Running").await;
}

/// FM1: the host's API is down, then something before it answers in its place: nothing is deleted on either side, it is
/// told, and what the tenant did meanwhile is done once the host is back. (Services without a host: SY-80.)
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_fm1_the_host_is_down() {
    let w = swift("hostdown", Reach::Embedded).await;
    a_running_pod(&w, "n-hostdown").await;
    w.tenant.post(&of(&w, "services"), service("old", "a")).await;
    w.host.until("Service", &w.host_path("services", "old").await, |_| true).await;
    let before = [uids(&w, "pods").await, uids(&w, "secrets").await, uids(&w, "services").await];

    w.to_host.down();
    w.tenant.post(&of(&w, "services"), service("new", "a")).await;
    w.synced("HostUnreachable").await;
    w.to_host.rule(|_| Fate::Page(404));
    tokio::time::sleep(Duration::from_secs(3)).await;
    w.tenant.delete(&w.path("services", "old"), None).await;
    w.to_host.rule(|_| Fate::Page(503));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let pod = w.tenant.get(&w.path("pods", "web")).await.expect("there");
    assert_eq!(pod["status"]["phase"], "Running", "pods run on");
    let after = [uids(&w, "pods").await, uids(&w, "secrets").await, uids(&w, "services").await];
    assert_eq!(before, after);

    w.to_host.up();
    w.host.until("carried now", &w.host_path("services", "new").await, |_| true).await;
    w.host.gone("deleted now", &w.host_path("services", "old").await).await;
    w.synced("CaughtUp").await;
    let after = [uids(&w, "pods").await, uids(&w, "secrets").await];
    assert_eq!(before[..2], after, "the same pod, and its token");
    let pod = w.tenant.get(&w.path("pods", "web")).await.expect("there");
    assert_eq!(pod["status"]["phase"], "Running");
    w.end().await;
}

/// FM2: the tenant's API is down, or not itself: the host stays as it is, tokens too, and status waits.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_fm2_the_tenant_is_down() {
    for reach in [Reach::Embedded, Reach::Own] {
        let w = swift(if reach == Reach::Own { "owndown" } else { "tenantdown" }, reach).await;
        a_running_pod(&w, "n-tenantdown").await;
        let before = [uids(&w, "pods").await, uids(&w, "secrets").await, uids(&w, "configmaps").await];
        w.to_tenants.down();
        w.to_shards.down();
        let later = json!({"status": {"podIP": "10.2.0.8", "podIPs": [{"ip": "10.2.0.8"}]}});
        w.host.merge(&format!("{}/status", w.host_path("pods", "web").await), later).await;
        w.synced("TenantUnreachable").await;
        for line in [&w.to_tenants, &w.to_shards] {
            line.rule(|_| Fate::Page(404));
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = [uids(&w, "pods").await, uids(&w, "secrets").await, uids(&w, "configmaps").await];
        assert_eq!(before, after);
        let seen = w.tenant.get(&w.path("pods", "web")).await.expect("there");
        assert_eq!(seen["status"]["podIP"], "10.2.0.7");
        w.to_tenants.up();
        w.to_shards.up();
        w.tenant.until("status", &w.path("pods", "web"), |p| p["status"]["podIP"] == "10.2.0.8").await;
        w.synced("CaughtUp").await;
        let after = [uids(&w, "pods").await, uids(&w, "secrets").await, uids(&w, "configmaps").await];
        assert_eq!(before, after);
        w.end().await;
    }
}

/// FM3: both sides were away while much happened on both: lists, comparison, repair; nothing is held and nothing too much
/// is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_fm3_both_back_after_hours() {
    let w = swift("hours", Reach::Own).await;
    let name = |i: usize| format!("s{i}");
    for i in 0..90 {
        w.tenant.post(&of(&w, "services"), service(&name(i), "own")).await;
    }
    let host = format!("/api/v1/namespaces/{}/services", w.host_namespace().await);
    let is_full = |l: &Value| l["items"].as_array().is_some_and(|l| l.len() == 90);
    w.host.until("all", &host, is_full).await;
    w.to_host.down();
    w.to_tenants.down();
    for i in 0..30 {
        w.tenant.delete(&w.path("services", &name(i)), None).await;
        w.tenant.post(&of(&w, "services"), service(&format!("new{i}"), "own")).await;
    }
    for i in 30..60 {
        w.tenant.merge(&w.path("services", &name(i)), json!({"spec": {"selector": {"app": "later"}}})).await;
    }
    for i in 60..75 {
        w.host.delete(&format!("{host}/{}", name(i)), None).await;
    }
    for i in 75..90 {
        w.host.merge(&format!("{host}/{}", name(i)), json!({"spec": {"selector": {"app": "theirs"}}})).await;
    }
    w.to_host.up();
    w.to_tenants.up();
    let agrees = |l: &Value| {
        let all = l["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let app = |name: &str| {
            let found = all.iter().find(|s| s["metadata"]["name"] == name);
            found.map(|s| s["spec"]["selector"]["app"].as_str().unwrap_or_default().to_owned())
        };
        let is = |name: String, wanted: &str| app(&name).as_deref() == Some(wanted);
        all.len() == 90
            && (0..30).all(|i| is(format!("new{i}"), "own"))
            && (30..60).all(|i| is(name(i), "later"))
            && (60..90).all(|i| is(name(i), "own"))
    };
    w.host.until("both agree", &host, agrees).await;
    w.synced("CaughtUp").await;
    let rest = w.tenant.get(&of(&w, "services")).await.expect("a list");
    assert!(is_full(&rest), "nothing went in the tenant");
    w.end().await;
}

/// FM4: each write is done and its answer lost, the first time it is tried: everything is there once, and nothing twice.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_fm4_lost_answers() {
    let w = swift("unheard", Reach::Embedded).await;
    let lossy = |line: &Arc<Line>| {
        let tried = Mutex::new(BTreeSet::new());
        line.rule(move |asked| {
            let first = asked.is_write() && tried.lock().insert((asked.method.clone(), asked.path.clone()));
            if first { Fate::Lost } else { Fate::Pass }
        });
    };
    lossy(&w.to_host);
    lossy(&w.to_tenants);
    w.tenant.post(&of(&w, "secrets"), json!({"metadata": {"name": "pw"}, "stringData": {"k": "v"}})).await;
    w.tenant.post(&of(&w, "services"), service("web", "web")).await;
    a_running_pod(&w, "n-unheard").await;
    w.host.until("Secret", &w.host_path("secrets", "pw").await, |s| s["data"]["k"] == "dg==").await;
    w.host.until("Service", &w.host_path("services", "web").await, |_| true).await;
    let secrets = format!("/api/v1/namespaces/{}/secrets", w.host_namespace().await);
    let tokens = |l: &Value| {
        l["items"].as_array().map_or(0, |l| l.iter().filter(|s| s["type"] == "skerry.dev/token").count())
    };
    w.host.until("one token Secret", &secrets, |l| tokens(l) == 1).await;
    assert_eq!(uids(&w, "pods").await.as_object().map(serde_json::Map::len), Some(1));
    let events = w.tenant.get(&of(&w, "events")).await.expect("a list").to_string();
    assert!(!events.contains("HostNameTaken"), "its own objects are known: {events}");
    w.tenant.delete(&w.path("pods", "web"), None).await;
    let host = w.host_path("pods", "web").await;
    w.host.until("deleting", &host, |p| p["metadata"]["deletionTimestamp"].is_string()).await;
    w.host.delete(&host, Some(0)).await;
    w.tenant.gone("the tenant's", &w.path("pods", "web")).await;
    w.end().await;
}

/// FM6: what the host's admission refuses stays Pending with its words, and goes when it is changed.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_fm6_a_webhook_denies() {
    let w = swift("denied", Reach::Embedded).await;
    w.to_host.rule(|asked| {
        let posts = asked.method == "POST" && asked.path.ends_with("/pods");
        let message = "admission webhook \"images.example\" denied the request: unsigned image";
        if posts { Fate::Says(403, message.to_owned()) } else { Fate::Pass }
    });
    w.tenant.post(&of(&w, "pods"), w.pod("web")).await;
    let carried = |p: &Value| {
        let all = p["status"]["conditions"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|c| c["type"] == "skerry.dev/Carried").unwrap_or_default()
    };
    let told = |p: &Value| carried(p)["reason"] == "HostAdmissionDenied";
    let pod = w.tenant.until("told", &w.path("pods", "web"), told).await;
    assert_eq!(carried(&pod)["status"], "False");
    assert!(carried(&pod)["message"].as_str().unwrap().ends_with("denied the request: unsigned image"));
    assert_eq!(pod["status"]["phase"], "Pending");
    w.synced("CaughtUp").await;
    w.to_host.taken();
    w.to_host.up();
    w.tenant.merge(&w.path("pods", "web"), json!({"metadata": {"labels": {"signed": "yes"}}})).await;
    w.host.until("sent", &w.host_path("pods", "web").await, |_| true).await;
    w.tenant.until("over", &w.path("pods", "web"), |p| carried(p)["status"] == "True").await;
    w.end().await;
}

/// FM7: the host's clock is decades ahead and the tenant's decades behind: a pod's life is the same, its token is made
/// once, and a deletion takes its grace by number. (Renewals after a restart on another machine: `plan_fm7_…`.)
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_fm7_clocks_differ() {
    let mut w = swift("clocks", Reach::Own).await;
    w.halt().await;
    let space = w.tenant.get(&format!("/api/v1/namespaces/{}", w.namespace)).await.unwrap();
    let year = format!("\"{}-", &space["metadata"]["creationTimestamp"].as_str().unwrap()[..4]);
    for (line, other) in [(&w.to_host, "\"2071-"), (&w.to_tenants, "\"1971-")] {
        let year = year.clone();
        line.edit(move |_, text| Some(text.replace(&year, other)));
    }
    w.start(None);
    w.synced("CaughtUp").await;
    a_running_pod(&w, "n-clocks").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(w.count("tokens_renewed_total", "ok"), 1, "by the issuer's lifetime from receipt");
    let settled = w.writes();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(w.writes(), settled, "{:?}", w.handle().counts());
    let host = w.host_path("pods", "web").await;
    w.tenant.delete(&w.path("pods", "web"), None).await;
    w.host.until("with its grace", &host, |p| p["metadata"]["deletionGracePeriodSeconds"] == 5).await;
    w.tenant.delete(&w.path("pods", "web"), Some(2)).await;
    w.host.until("with less", &host, |p| p["metadata"]["deletionGracePeriodSeconds"] == 2).await;
    assert!(w.tenant.get(&w.path("pods", "web")).await.is_some());
    w.host.delete(&host, Some(0)).await;
    w.tenant.gone("after the host's", &w.path("pods", "web")).await;
    w.end().await;
}

/// FM12: a host that is out of something for one tenant: that one is told and heals, others go on.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_fm12_the_host_is_out_of_quota() {
    let mut w = swift("full", Reach::Embedded).await;
    let other = w.join("beside-full").await;
    let own = w.host_namespace().await;
    w.to_host.rule(move |asked| {
        let posts = asked.method == "POST" && asked.path.ends_with("/pods") && asked.path.contains(&own);
        let message = "pods \"web\" is forbidden: exceeded quota: of-the-host, requested: pods=1, used: pods=9, limited: pods=9";
        if posts { Fate::Says(403, message.to_owned()) } else { Fate::Pass }
    });
    for i in 0..20 {
        w.tenant.post(&of(&w, "pods"), w.pod(&format!("p{i}"))).await;
    }
    let path = format!("/api/v1/namespaces/{}/pods", other.namespace);
    other.tenant.post(&path, w.pod_in(&other.namespace, "web")).await;
    let selector = format!("/api/v1/pods?labelSelector=skerry.dev%2Ftenant%3D{}", other.entry.id);
    let there = |l: &Value| l["items"].as_array().is_some_and(|l| l.len() == 1);
    w.host.until("the other's", &selector, there).await;
    let told = |p: &Value| p["status"].to_string().contains("HostQuotaExceeded");
    for i in [0, 19] {
        w.tenant.until("told", &w.path("pods", &format!("p{i}")), told).await;
    }
    w.to_host.taken();
    w.to_host.up();
    let mine = format!("/api/v1/namespaces/{}/pods", w.host_namespace().await);
    let all = |l: &Value| l["items"].as_array().is_some_and(|l| l.len() == 20);
    w.host.until("healed", &mine, all).await;
    w.end().await;
}

/// SY-11, FM5: a stream that is told 410, and lists that break off half-way, on either side: no deletion meanwhile. One
/// event that is lost for good is found by the deep walk and counted, once.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy11_lists_streams_and_lost_events() {
    for reach in [Reach::Own, Reach::Embedded] {
        let mut w = swift(if reach == Reach::Own { "lostown" } else { "lostevent" }, reach).await;
        for i in 0..8 {
            w.tenant.post(&of(&w, "services"), service(&format!("s{i}"), "own")).await;
            w.tenant.post(&of(&w, "pods"), w.pod(&format!("p{i}"))).await;
        }
        for i in 0..8 {
            w.host.until("Service", &w.host_path("services", &format!("s{i}")).await, |_| true).await;
            w.host.until("pod", &w.host_path("pods", &format!("p{i}")).await, |_| true).await;
        }
        let before = [uids(&w, "pods").await, uids(&w, "services").await, uids(&w, "secrets").await];
        let lines = [w.to_host.clone(), w.to_tenants.clone(), w.to_shards.clone()];

        // Every stream is told 410 once; the lists that follow break off after three objects.
        for line in &lines {
            let told = Mutex::new(BTreeSet::new());
            line.turn(|query| query.replace("limit=500", "limit=3"));
            line.rule(move |asked| {
                if asked.is_watch() && told.lock().insert(asked.path.clone()) {
                    return Fate::Says(410, "too old".to_owned());
                }
                if asked.query.contains("continue=") { Fate::Page(500) } else { Fate::Pass }
            });
            line.cut();
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(before, [uids(&w, "pods").await, uids(&w, "services").await, uids(&w, "secrets").await]);
        assert!(
            w.handle().counts().iter().all(|(_, label, _)| !label.starts_with("delete")),
            "{:?}",
            w.handle().counts()
        );
        lines.iter().for_each(|line| line.up());
        w.synced("CaughtUp").await;
        let label = json!({"metadata": {"labels": {"later": "1"}}});
        w.tenant.merge(&w.path("services", "s7"), label).await;
        let is_later = |s: &Value| s["metadata"]["labels"]["later"] == "1";
        w.host.until("all is followed again", &w.host_path("services", "s7").await, is_later).await;

        // Deep walks from now on, and an event of each side that nobody hears of.
        w.halt().await;
        w.periods.deep = Duration::from_secs(2);
        let lost = |line: &Line, kind: &'static str, name: &'static str| {
            let (kind, name) = (format!("\"type\":\"{kind}\""), format!("\"name\":\"{name}\""));
            line.edit(move |asked, text| {
                let is_lost = asked.is_watch() && text.contains(&kind) && text.contains(&name);
                (!is_lost).then_some(text)
            });
        };
        w.start(None);
        w.synced("CaughtUp").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        lost(&w.to_host, "DELETED", "s0");
        w.host.delete(&w.host_path("services", "s0").await, None).await;
        let path = w.host_path("services", "s0").await;
        let first = before[1]["s0"].clone();
        w.host.until("made again", &path, |s| s["metadata"]["uid"] != first).await;
        assert_eq!(w.count("patrol_mismatch_total", "stale_cache"), 1, "{:?}", w.handle().counts());
        w.to_host.up();

        lost(&w.to_tenants, "MODIFIED", "s1");
        lost(&w.to_shards, "MODIFIED", "s1");
        w.tenant.merge(&w.path("services", "s1"), json!({"spec": {"selector": {"app": "later"}}})).await;
        let host = w.host_path("services", "s1").await;
        w.host.until("followed", &host, |s| s["spec"]["selector"]["app"] == "later").await;
        assert_eq!(w.count("patrol_mismatch_total", "stale_cache"), 2, "{:?}", w.handle().counts());
        w.end().await;
    }
}
