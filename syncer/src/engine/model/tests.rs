//! Of the model: what events and lists do to memory.

use serde_json::json;

use super::*;

fn pod(name: &str, version: u64, secret: &str) -> TenantObj {
    TenantObj(
        json!({"metadata": {"name": name, "namespace": "web", "uid": name, "resourceVersion": version.to_string()},
        "spec": {"volumes": [{"name": "s", "secret": {"secretName": secret}}]}}),
    )
}

fn host(name: &str, version: u64) -> HostObj {
    HostObj(
        json!({"metadata": {"name": name, "uid": format!("h-{name}"), "resourceVersion": version.to_string()}}),
    )
}

/// SY-88, its part for references: removed only when the last one goes.
#[test]
fn plan_sy88_references_are_counted() {
    let mut model = Model::default();
    let secret = Key::new(Kind::Secret, "web", "pw");
    assert!(model.tenant_seen(Kind::Pod, &pod("a", 1, "pw")).is_some_and(|t| t.keys.contains(&secret)));
    assert!(model.tenant_seen(Kind::Pod, &pod("b", 2, "pw")).is_some_and(|t| !t.keys.contains(&secret)));
    let gone = model.tenant_gone(&Key::new(Kind::Pod, "web", "a"), 3, true);
    assert!(gone.unreferenced.is_empty() && model.referenced(&secret));
    let gone = model.tenant_gone(&Key::new(Kind::Pod, "web", "b"), 4, true);
    assert_eq!(gone.unreferenced, std::slice::from_ref(&secret));
    assert!(!model.referenced(&secret));
}

/// SY-16: versions are compared as numbers; a stale event after a newer one is not acted on.
#[test]
fn plan_sy16_stale_events_are_ignored() {
    let mut model = Model::default();
    assert!(model.tenant_seen(Kind::Pod, &pod("a", 1000, "x")).is_some());
    assert!(model.tenant_seen(Kind::Pod, &pod("a", 999, "x")).is_none());
    let key = Key::new(Kind::Pod, "web", "a");
    assert!(model.host_seen(&key, &host("a", 1000)) && !model.host_seen(&key, &host("a", 999)));
    model.tenant_gone(&key, 1001, true);
    assert!(
        model.tenant_seen(Kind::Pod, &pod("a", 1000, "x")).is_none(),
        "an older list brings nothing back"
    );
    assert!(model.tenant_seen(Kind::Pod, &pod("a", 1002, "x")).is_some());
}

/// SY-13, its pure part: 60 of 100 vanish unseen.
#[test]
fn plan_sy13_mass_deletion_is_held() {
    let mut model = Model::default();
    for n in 0..100 {
        let key = Key::new(Kind::Service, "web", &format!("s{n}"));
        model.host_seen(&key, &host(&format!("s{n}"), 1));
        if n >= 60 {
            let service = TenantObj(
                json!({"metadata": {"name": format!("s{n}"), "namespace": "web", "uid": "u", "resourceVersion": "1"}}),
            );
            model.tenant_seen(Kind::Service, &service);
        }
    }
    model.guard(Kind::Service, None);
    assert_eq!(model.held.get(&Kind::Service), Some(&60));
    model.guard(Kind::Service, Some(60));
    assert!(model.held.is_empty());
}

/// The answer to a write may come after the event that ended its object: it brings nothing back, and another object of
/// the name is another object.
#[test]
fn plan_a_late_answer_brings_no_host_object_back() {
    let mut model = Model::default();
    let key = Key::new(Kind::Pod, "web", "a");
    assert!(model.host_seen(&key, &host("a", 5)));
    let uid = model.entries[&key].host.as_ref().expect("seen").uid.clone();
    model.tenant_seen(Kind::Pod, &pod("a", 1, "x"));
    assert!(model.host_gone(&key, &uid, Gone::Certain));
    assert!(!model.host_seen(&key, &host("a", 6)) && model.entries[&key].host.is_none());
    let mut other = host("a", 9);
    other.0["metadata"]["uid"] = "another".into();
    assert!(model.host_seen(&key, &other));
    // A list may be older than the object that it lacks.
    assert!(model.host_gone(&key, "another", Gone::Absent) && model.host_seen(&key, &other));
}

/// SY-45, its pure part: tokens of a ServiceAccount that was made anew are due at once, others' are not.
#[test]
fn plan_sy45_an_account_made_anew_voids_its_tokens() {
    let mut model = Model::default();
    let account = |uid: &str, version: u64| {
        TenantObj(
            json!({"metadata": {"name": "default", "namespace": "web", "uid": uid, "resourceVersion": version.to_string()}}),
        )
    };
    let mut other = pod("b", 2, "x");
    other.0["spec"]["serviceAccountName"] = json!("keeper");
    model.tenant_seen(Kind::ServiceAccount, &account("one", 1));
    model.tenant_seen(Kind::Pod, &pod("a", 2, "x"));
    model.tenant_seen(Kind::Pod, &other);
    let far = Instant::now() + std::time::Duration::from_secs(3600);
    for name in ["a", "b"] {
        model.entries.get_mut(&Key::new(Kind::Pod, "web", name)).expect("seen").tokens_due = Some(far);
    }
    let same = model.tenant_seen(Kind::ServiceAccount, &account("one", 3)).expect("seen");
    assert!(same.keys.is_empty(), "a changed label is nothing");
    model.tenant_gone(&Key::new(Kind::ServiceAccount, "web", "default"), 4, true);
    let anew = model.tenant_seen(Kind::ServiceAccount, &account("two", 5)).expect("seen");
    assert_eq!(anew.keys, [Key::new(Kind::Pod, "web", "a")]);
    assert!(model.entries[&anew.keys[0]].tokens_due.is_some_and(|due| due <= Instant::now()));
}

/// EN27: what is remembered of each object stays small.
#[test]
fn plan_en27_an_entry_is_small() {
    let size = size_of::<Entry>();
    assert!(size <= 352, "{size}");
}
