//! OB2: what those who operate the syncer are told of a tenant and of one object.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skerry_syncer::look::{LookError, ObjectName, Proof, Why};

use crate::failing::{of, service};
use crate::faults::Fate;
use crate::world::World;

pub fn name(w: &World, kind: &str, name: &str) -> ObjectName {
    format!("{kind}/{}/{name}", w.namespace).parse().expect("a name")
}

/// What is told about an object, once it is told as the test wants it.
async fn why(w: &World, object: &ObjectName, test: impl Fn(&Why) -> bool) -> Value {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let found = w.handle().why(&w.entry.id, object);
        if let Ok(found) = &found
            && test(found)
        {
            return json!(found);
        }
        assert!(Instant::now() < end, "{object}: {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub fn row(list: &Value, key: &str, value: &str) -> Value {
    let all = list.as_array().into_iter().flatten();
    all.clone().find(|row| row[key] == value).cloned().unwrap_or_else(|| panic!("no {value}: {list}"))
}

/// `why`: a rule for what is carried, refused, foreign, unreferenced and failing, and no answer for what is nowhere.
#[tokio::test(flavor = "multi_thread")]
async fn pipeline_ob2_why_names_rule_and_next_try() {
    let w = World::new("looks", false).await;
    w.tenant.post(&of(&w, "pods"), w.pod("web")).await;
    // Its token is to be renewed some time: that is when it is looked at next.
    let settled = |why: &skerry_syncer::look::Why| {
        why.host.is_some() && why.rule == "PO40" && why.next.due_seconds.is_some_and(|s| s > 60.0)
    };
    let carried = why(&w, &name(&w, "pod", "web"), settled).await;
    assert_eq!((&carried["refusal"], &carried["stopped"]), (&Value::Null, &Value::Null));
    let live = w.host.get(&w.host_path("pods", "web").await).await.expect("a host pod");
    assert_eq!(carried["host"]["uid"], live["metadata"]["uid"]);
    w.node("n-looks").await;
    w.bind("web", "n-looks").await;
    why(&w, &name(&w, "pod", "web"), |why| why.rule == "EN11").await;

    let mut bad = w.pod("bad");
    bad["spec"]["schedulerName"] = json!("mine");
    w.tenant.post(&of(&w, "pods"), bad).await;
    let refused = why(&w, &name(&w, "po", "bad"), |why| why.refusal.is_some()).await;
    assert_eq!((&refused["rule"], &refused["decision"]), (&json!("SC2"), &json!("Refused")));
    assert!(refused["refusal"]["message"].as_str().is_some_and(|m| m.contains("mine")), "{refused}");
    assert_eq!(refused["host"], Value::Null);

    let taken = service("taken", "a");
    let space = format!("/api/v1/namespaces/{}/services", w.host_namespace().await);
    w.host.post(&space, taken.clone()).await;
    w.tenant.post(&of(&w, "services"), taken).await;
    let foreign =
        why(&w, &name(&w, "svc", "taken"), |why| why.refusal.is_some() && why.next.due_seconds.is_some())
            .await;
    assert_eq!((&foreign["rule"], &foreign["refusal"]["reason"]), (&json!("NM5"), &json!("HostNameTaken")));

    w.tenant.post(&of(&w, "configmaps"), json!({"metadata": {"name": "alone"}, "data": {"a": "b"}})).await;
    why(&w, &name(&w, "cm", "alone"), |why| why.rule == "KI2").await;

    w.to_host.rule(|asked| match asked.is_write() && asked.path.ends_with("/services/later") {
        true => Fate::Says(500, "no room".to_owned()),
        false => Fate::Pass,
    });
    w.tenant.post(&of(&w, "services"), service("later", "a")).await;
    let failing = why(&w, &name(&w, "svc", "later"), |why| why.failed.is_some()).await;
    assert!(failing["failed"]["error"].as_str().is_some_and(|e| e.contains("no room")), "{failing}");
    let status = json!(w.handle().status(&w.entry.id).expect("a status"));
    assert!(status["queue"]["failing"].as_u64() >= Some(1), "{status}");
    w.to_host.up();
    why(&w, &name(&w, "svc", "later"), |why| why.failed.is_none() && why.host.is_some()).await;

    let absent = w.handle().why(&w.entry.id, &name(&w, "pod", "none"));
    assert!(matches!(absent, Err(LookError::NoObject(_))), "{absent:?}");
    assert!(matches!(w.handle().why("tother", &name(&w, "pod", "web")), Err(LookError::NotServed)));
    w.end().await;
}

/// `diff`: each field with its owner; a change on the host that no watch told of is seen, and mended by a patrol that
/// counts it.
#[tokio::test(flavor = "multi_thread")]
async fn pipeline_ob2_diff_names_owners_and_patrol_mends() {
    let w = World::new("lookdiff", false).await;
    w.tenant.post(&of(&w, "services"), service("web", "web")).await;
    let path = w.host_path("services", "web").await;
    w.host.until("carried", &path, |_| true).await;
    let object = name(&w, "service", "web");
    why(&w, &object, |why| why.host.is_some()).await;
    let diff = async |object: &ObjectName| json!(w.handle().diff(&w.entry.id, object).await.expect("a diff"));
    let agreed = diff(&object).await;
    assert_eq!((&agreed["proof"], &agreed["repair"]), (&json!("Ours"), &json!("Nothing")));
    assert!(
        agreed["fields"].as_array().is_some_and(|all| all.iter().all(|f| f["differs"] == false)),
        "{agreed}"
    );
    let selector = row(&agreed["fields"], "path", "spec.selector.app");
    assert_eq!(selector["owners"], json!(["skerry-syncer"]));
    assert_eq!(
        (&agreed["tenant"]["kind"], &agreed["desired"]["kind"]),
        (&json!("Service"), &json!("Service"))
    );
    assert_eq!(agreed["live"]["metadata"].get("managedFields"), None, "owners stand at the fields");

    w.to_host.edit(|asked, text| (!(asked.is_watch() && text.contains("\"stolen\""))).then_some(text));
    let stolen = json!({"spec": {"selector": {"app": "stolen"}}});
    w.host.merge(&format!("{path}?fieldManager=thief"), stolen).await;
    let differing = diff(&object).await;
    let selector = row(&differing["fields"], "path", "spec.selector.app");
    assert_eq!(selector["differs"], true);
    assert_eq!((&selector["desired"], &selector["live"]), (&json!("web"), &json!("stolen")));
    assert_eq!(selector["owners"], json!(["thief"]));
    assert_eq!(differing["repair"], "Apply");

    let found = json!(w.handle().patrol(&w.entry.id).await.expect("a patrol"));
    assert_eq!(found["found"]["stale_cache"], 1, "{found}");
    w.host.until("mended", &path, |s| s["spec"]["selector"]["app"] == "web").await;
    w.to_host.up();
    why(&w, &object, |why| json!(why)["decision"] == "Mended").await;
    let status = json!(w.handle().status(&w.entry.id).expect("a status"));
    assert_eq!(status["patrol"]["found"]["stale_cache"], 1, "{status}");
    let again = json!(w.handle().patrol(&w.entry.id).await.expect("a patrol"));
    assert_eq!(again["found"]["stale_cache"], 0, "{again}");

    // What is not ours, what is refused, what is nowhere.
    let space = format!("/api/v1/namespaces/{}/services", w.host_namespace().await);
    w.host.post(&space, service("taken", "theirs")).await;
    w.tenant.post(&of(&w, "services"), service("taken", "ours")).await;
    let foreign = w.handle().diff(&w.entry.id, &name(&w, "svc", "taken")).await.expect("a diff");
    assert_eq!((foreign.proof, foreign.repair), (Proof::Foreign, None));
    let mut bad = w.pod("bad");
    bad["spec"]["schedulerName"] = json!("mine");
    w.tenant.post(&of(&w, "pods"), bad).await;
    let refused = diff(&name(&w, "pod", "bad")).await;
    assert_eq!((&refused["kept"]["refused"]["rule"], &refused["desired"]), (&json!("SC2"), &Value::Null));
    assert_eq!(refused["proof"], "Absent");
    let absent = w.handle().diff(&w.entry.id, &name(&w, "pod", "none")).await;
    assert!(matches!(absent, Err(LookError::NoObject(_))), "{absent:?}");
    w.end().await;
}

/// `status` counts what is there, and a patrol of a tenant that is paused is refused.
#[tokio::test(flavor = "multi_thread")]
async fn pipeline_ob2_status_counts() {
    let w = World::new("lookstate", false).await;
    w.tenant
        .post(&of(&w, "secrets"), json!({"metadata": {"name": "pw"}, "stringData": {"k": "topsecret"}}))
        .await;
    w.tenant.post(&of(&w, "pods"), w.pod("web")).await;
    let mut bad = w.pod("bad");
    bad["spec"]["schedulerName"] = json!("mine");
    w.tenant.post(&of(&w, "pods"), bad).await;
    w.host.until("secret", &w.host_path("secrets", "pw").await, |_| true).await;
    why(&w, &name(&w, "pod", "web"), |why| why.host.is_some()).await;
    why(&w, &name(&w, "pod", "bad"), |why| why.refusal.is_some()).await;
    let status = json!(w.handle().status(&w.entry.id).expect("a status"));
    let pods = row(&status["objects"], "kind", "Pod");
    assert_eq!([&pods["inTenant"], &pods["onHost"], &pods["refused"]], [&json!(2), &json!(1), &json!(1)]);
    assert_eq!(status["refusals"], json!({"SchedulerUnknown": 1}));
    assert_eq!([&status["open"], &status["writable"]], [&json!(true); 2]);
    assert_eq!(status["watches"]["tenant"]["missing"], json!([]), "{status}");
    assert_eq!(status["watches"]["host"]["missing"], json!([]), "{status}");
    assert_eq!(status["state"]["reason"], "CaughtUp");

    let mut entry = w.entry.clone();
    let mut effective = (*entry.effective).clone();
    effective.paused = true;
    entry.effective = effective.into();
    w.give(entry);
    w.synced("Paused").await;
    let refused = w.handle().patrol(&w.entry.id).await;
    assert!(matches!(&refused, Err(LookError::NotNow(why)) if why.contains("pause")), "{refused:?}");
    let stopped = why(&w, &name(&w, "pod", "web"), |why| why.stopped.is_some()).await;
    assert!(stopped["stopped"].as_str().is_some_and(|why| why.contains("pause")), "{stopped}");
    w.give(w.entry.clone());
    w.synced("CaughtUp").await;
    w.end().await;
}
