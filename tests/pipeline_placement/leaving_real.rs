//! A real member leaves, killed at each step, blocked at each step, and gone for good (inventory 12, I44).

use std::time::Duration;

use kube::api::Api;
use serde_json::{Value, json};
use skerry::inventory::leave::real::{Leaving, Pass};
use skerry::placement::raw::{self, text};
use skerry_api::ClusterReport;

use crate::fleet::*;
use crate::wire::Wire;

const NAME: &str = "skerry.harbour";
const REPORTS: &str = "/apis/skerry.dev/v1alpha1/namespaces/skerry-inventory/clusterreports";
const PROFILES: &str = "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/skerry-inventory/clusterprofiles";
const SECRETS: &str = "/api/v1/namespaces/skerry-inventory/secrets";
const RIGHTS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const ABANDONED: &str = "/api/v1/namespaces/skerry-inventory/configmaps/skerry-abandoned";

/// A fleet of one member that joined as a real one does, with one object on it, asked to leave.
async fn asked(delivery: Value) -> Fleet {
    let mut f = Fleet::joined(0, NAME).await;
    f.config("a", json!({"k": "1"})).await;
    f.place(all_maps(delivery)).await;
    f.settle().await;
    assert!(f.on(0, "a").await.is_some(), "delivered");
    leave(&f, json!({"step": "Cordon", "since": "2026-01-01T00:00:00Z"})).await;
    f
}

async fn leave(f: &Fleet, leave: Value) {
    merge(&f.hub, &format!("{REPORTS}/{NAME}/status"), json!({"status": {"leave": leave}})).await;
}

/// The progress on record; nothing once the Report is gone.
async fn progress(f: &Fleet) -> Option<(String, String, String)> {
    let report = get(&f.hub, &format!("{REPORTS}/{NAME}")).await?;
    let word = |field: &str| text(&report, &["status", "leave", field]).to_owned();
    Some((word("step"), word("blockedOn"), word("stuckOn")))
}

/// One pass over these wires; `None` if a request did not come through.
async fn pass(f: &Fleet, hub: &Wire, member: &Wire) -> Option<Pass> {
    let reports: Api<ClusterReport> = Api::namespaced(f.hub.clone(), "skerry-inventory");
    let Some(report) = reports.get_opt(NAME).await.expect("read") else { return Some(Pass::Gone) };
    let hub = hub.over(f.hub.clone());
    let member = Ok(member.over(f.member(0).clone()));
    Leaving { hub: &hub, settings: &f.settings, member }.pass(&report).await.ok()
}

/// Passes between which the rest of the hub goes on, until nothing is left.
async fn to_the_end(f: &mut Fleet) {
    for _ in 0..10 {
        if pass(f, &Wire::default(), &Wire::default()).await == Some(Pass::Gone) {
            return;
        }
        f.settle().await;
    }
    panic!("it does not end: {:?}", progress(f).await);
}

/// What must not be there afterwards.
async fn left_behind(f: &Fleet) -> Vec<String> {
    let mut left = Vec::new();
    for path in
        [format!("{REPORTS}/{NAME}"), format!("{PROFILES}/{NAME}"), format!("{SECRETS}/skerry-push-harbour")]
    {
        left.extend(get(&f.hub, &path).await.map(|_| path));
    }
    left.extend(f.bindings().await.iter().map(|b| text(b, &["metadata", "name"]).to_owned()));
    left
}

/// I44, L3: ended after each single write, the leave goes on from the step on record, and the end is the same.
#[tokio::test(flavor = "multi_thread")]
async fn i44_killed_after_each_write() {
    let mut kills = 0;
    for writes in 0..40 {
        let mut f = asked(json!({"whenMemberLeaves": "Delete"})).await;
        let (hub, member) = (Wire::default(), Wire::default());
        hub.ends_after(writes);
        let mut was_killed = false;
        for _ in 0..4 {
            match pass(&f, &hub, &member).await {
                Some(Pass::Gone) => break,
                Some(Pass::Waits { .. }) => f.settle().await,
                None => {
                    was_killed = true;
                    break;
                }
            }
        }
        to_the_end(&mut f).await;
        assert_eq!(left_behind(&f).await, Vec::<String>::new(), "killed after {writes} writes");
        assert!(get(f.member(0), &format!("{RIGHTS}/skerry-member")).await.is_none(), "after {writes}");
        assert!(f.on(0, "a").await.is_none(), "after {writes}");
        assert!(get(&f.hub, ABANDONED).await.is_none(), "nothing was let go of");
        f.end().await;
        if !was_killed {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 6, "cordon, evict, access, credential, profile, report: {kills}");
}

/// I44, L1: each step that can be held up names what holds it, past the deadline as stuck; it goes on when let.
#[tokio::test(flavor = "multi_thread")]
async fn i44_each_step_names_what_holds_it() {
    let mut f = asked(json!({"whenMemberLeaves": "Delete"})).await;
    let (open, silent) = (Wire::default(), Wire::default());
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    let free = json!({"metadata": {"finalizers": null}});

    // Evict: the copy on the member does not go. The deadline of ten minutes is long over.
    let copy = format!("{CORE}/configmaps/a");
    merge(f.member(0), &copy, hold.clone()).await;
    assert_eq!(pass(&f, &open, &open).await, Some(Pass::Waits { is_stuck: true }));
    f.settle().await;
    let (step, blocked, stuck) = progress(&f).await.expect("on record");
    let binding = text(&f.bindings().await[0], &["metadata", "name"]).to_owned();
    assert_eq!(step, "Evict");
    assert_eq!(blocked, format!("clusterbinding team-a/{binding}"));
    assert_eq!(stuck, format!("Evict/{blocked}"));
    merge(f.member(0), &copy, free.clone()).await;
    f.settle().await;

    // Access: the member does not answer. Within the deadline it is held up, not stuck.
    f.settings.leave_deadline = Duration::from_secs(100 * 365 * 86_400);
    silent.ends_after(0);
    assert_eq!(pass(&f, &open, &silent).await, Some(Pass::Waits { is_stuck: false }));
    let (step, blocked, stuck) = progress(&f).await.expect("on record");
    assert_eq!((step.as_str(), stuck.as_str()), ("Access", ""));
    assert_eq!(blocked, "clusterrolebinding skerry-member in the member: the wire is broken");
    assert!(get(&f.hub, &format!("{SECRETS}/skerry-push-harbour")).await.is_some(), "still needed");

    // Profile and Report: somebody's finalizer is waited for, never stripped.
    for (path, step, kind) in [(PROFILES, "Profile", "clusterprofile"), (REPORTS, "Report", "clusterreport")]
    {
        let path = format!("{path}/{NAME}");
        merge(&f.hub, &path, hold.clone()).await;
        assert_eq!(pass(&f, &open, &open).await, Some(Pass::Waits { is_stuck: false }));
        let (at, blocked, _) = progress(&f).await.expect("on record");
        assert_eq!(at, step);
        assert_eq!(blocked, format!("{kind} skerry-inventory/{NAME}: finalizer example.com/hold"));
        let held = get(&f.hub, &path).await.expect("held");
        assert_eq!(held["metadata"]["finalizers"], json!(["example.com/hold"]));
        merge(&f.hub, &path, free.clone()).await;
    }
    to_the_end(&mut f).await;
    assert_eq!(left_behind(&f).await, Vec::<String>::new());
    f.end().await;
}

/// I44, L1: of a member that is gone for good everything is let go of, each thing on the list once, whatever the number
/// of tries; nothing is sent to the member.
#[tokio::test(flavor = "multi_thread")]
async fn i44_what_is_abandoned_is_listed() {
    for writes in 0..40 {
        let mut f = asked(json!({"whenMemberLeaves": "Delete"})).await;
        f.wire(0).breaks(true);
        let silent = Wire::default();
        silent.ends_after(0);
        leave(&f, json!({"forget": true})).await;
        let hub = Wire::default();
        hub.ends_after(writes);
        let first = pass(&f, &hub, &silent).await;
        for _ in 0..10 {
            if pass(&f, &Wire::default(), &silent).await == Some(Pass::Gone) {
                break;
            }
            f.cycle().await;
        }
        assert_eq!(left_behind(&f).await, Vec::<String>::new(), "killed after {writes} writes");
        assert_eq!(silent.polls(), Vec::<String>::new(), "nobody dials a member that is gone");
        let list = get(&f.hub, ABANDONED).await.expect("a list");
        let lines: Vec<&str> = text(&list, &["data", "list"]).lines().collect();
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(
            lines[0].starts_with("2026-01-01T00:00:00Z skerry.harbour clusterbinding team-a/"),
            "{lines:?}"
        );
        assert!(lines[0].contains(" of Placement shop, revision "), "{lines:?}");
        let rights =
            "2026-01-01T00:00:00Z skerry.harbour clusterrolebinding skerry-member, namespace skerry-system";
        assert_eq!(lines[1], rights);
        f.end().await;
        if first.is_some() {
            assert!(writes >= 4, "list, deletion, finalizers, progress: {writes}");
            return;
        }
    }
    panic!("it is killed for ever");
}

/// L3: a credential that is somebody's own stays, and so does a profile of another manager.
#[tokio::test(flavor = "multi_thread")]
async fn i44_strangers_stay() {
    let mut f = asked(json!({})).await;
    let secret = format!("{SECRETS}/skerry-push-harbour");
    let stored = get(&f.hub, &secret).await.expect("there");
    raw::delete(&f.hub, &secret, text(&stored, &["metadata", "uid"])).await.expect("deleted");
    post(&f.hub, SECRETS, json!({"metadata": {"name": "skerry-push-harbour"}, "stringData": {"k": "v"}}))
        .await;
    merge(
        &f.hub,
        &format!("{PROFILES}/{NAME}"),
        json!({"metadata": {"labels": {
        "multicluster.x-k8s.io/inventory-member-id": "another"}}}),
    )
    .await;
    to_the_end(&mut f).await;
    assert!(get(&f.hub, &secret).await.is_some(), "not of our type");
    f.end().await;
}
