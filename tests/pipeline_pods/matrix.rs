//! SY-4, SY-5, SY-6: every row of EN11 for every carried kind, while the syncer runs and over its absence.

use std::time::Duration;

use serde_json::{Value, json};
use skerry_api::labels;

use crate::world::World;

/// A carried kind, and what the rows do with its objects.
struct Kind {
    name: &'static str,
    prefix: &'static str,
    plural: &'static str,
    make: fn() -> Value,
    /// A stranger's edit of the host object, and whether it has been taken back.
    drift: fn() -> Value,
    is_repaired: fn(&Value) -> bool,
    /// The tenant's edit, and whether the host object has followed.
    edit: fn() -> Value,
    has_followed: fn(&Value) -> bool,
    /// The host's status, and whether the tenant sees it.
    status: Option<(fn() -> Value, Test)>,
}

type Test = fn(&Value) -> bool;

const CARRIED: &str = "skerry.dev/sync";

const KINDS: [Kind; 7] = [
    Kind {
        name: "Pod",
        prefix: "api/v1",
        plural: "pods",
        make: || {
            let containers = json!([{"name": "c", "image": "nginx:1"}]);
            json!({"metadata": {"labels": {"app": "own"}},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": containers}})
        },
        drift: || json!({"metadata": {"labels": {"app": "stolen"}}}),
        is_repaired: |o| o["metadata"]["labels"]["app"] == "own",
        edit: || json!({"metadata": {"labels": {"later": "1"}}}),
        has_followed: |o| o["metadata"]["labels"]["later"] == "1",
        status: Some((
            || json!({"status": {"phase": "Running", "podIP": "10.2.0.9", "podIPs": [{"ip": "10.2.0.9"}]}}),
            |o| o["status"]["phase"] == "Running" && o["status"]["podIP"] == "10.2.0.9",
        )),
    },
    Kind {
        name: "Service",
        prefix: "api/v1",
        plural: "services",
        make: || json!({"spec": {"type": "LoadBalancer", "selector": {"app": "own"}, "ports": [{"name": "p", "port": 80}]}}),
        drift: || json!({"spec": {"selector": {"app": "stolen"}}}),
        is_repaired: |o| o["spec"]["selector"]["app"] == "own",
        edit: || json!({"spec": {"ports": [{"name": "p", "port": 81}]}}),
        has_followed: |o| o["spec"]["ports"][0]["port"] == 81,
        status: Some((
            || json!({"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.80"}]}}}),
            |o| o["status"]["loadBalancer"]["ingress"][0]["ip"] == "192.0.2.80",
        )),
    },
    Kind {
        name: "ConfigMap",
        prefix: "api/v1",
        plural: "configmaps",
        make: || json!({"metadata": {"annotations": {CARRIED: "true"}}, "data": {"k": "own"}}),
        drift: || json!({"data": {"k": "stolen"}}),
        is_repaired: |o| o["data"]["k"] == "own",
        edit: || json!({"data": {"later": "1"}}),
        has_followed: |o| o["data"]["later"] == "1",
        status: None,
    },
    Kind {
        name: "Secret",
        prefix: "api/v1",
        plural: "secrets",
        make: || json!({"metadata": {"annotations": {CARRIED: "true"}}, "stringData": {"k": "own"}}),
        drift: || json!({"data": {"k": "c3RvbGVu"}}),
        is_repaired: |o| o["data"]["k"] == "b3du",
        edit: || json!({"stringData": {"later": "1"}}),
        has_followed: |o| o["data"]["later"] == "MQ==",
        status: None,
    },
    Kind {
        name: "PersistentVolumeClaim",
        prefix: "api/v1",
        plural: "persistentvolumeclaims",
        make: || {
            let storage = json!({"requests": {"storage": "1Gi"}});
            json!({"metadata": {"labels": {"app": "own"}}, "spec": {"accessModes": ["ReadWriteOnce"],
                "storageClassName": "fast", "resources": storage}})
        },
        drift: || json!({"metadata": {"labels": {"app": "stolen"}}}),
        is_repaired: |o| o["metadata"]["labels"]["app"] == "own",
        edit: || json!({"metadata": {"labels": {"later": "1"}}}),
        has_followed: |o| o["metadata"]["labels"]["later"] == "1",
        status: Some((
            || json!({"status": {"phase": "Pending", "conditions": [{"type": "Resizing", "status": "True"}]}}),
            |o| o["status"]["conditions"][0]["type"] == "Resizing",
        )),
    },
    Kind {
        name: "EndpointSlice",
        prefix: "apis/discovery.k8s.io/v1",
        plural: "endpointslices",
        make: || {
            json!({"metadata": {"labels": {"kubernetes.io/service-name": "bare"}}, "addressType": "IPv4",
                "ports": [{"name": "p", "port": 5432}], "endpoints": [{"addresses": ["93.184.216.34"]}]})
        },
        drift: || json!({"endpoints": [{"addresses": ["93.184.216.99"]}]}),
        is_repaired: |o| o["endpoints"][0]["addresses"][0] == "93.184.216.34",
        edit: || json!({"ports": [{"name": "p", "port": 5433}]}),
        has_followed: |o| o["ports"][0]["port"] == 5433,
        status: None,
    },
    Kind {
        name: "NetworkPolicy",
        prefix: "apis/networking.k8s.io/v1",
        plural: "networkpolicies",
        make: || {
            let rule =
                json!({"from": [{"podSelector": {"matchLabels": {"app": "own"}}}], "ports": [{"port": 80}]});
            json!({"spec": {"podSelector": {"matchLabels": {"app": "none"}}, "ingress": [rule]}})
        },
        drift: || json!({"spec": {"ingress": [{}]}}),
        is_repaired: |o| o["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]["app"] == "own",
        edit: || json!({"spec": {"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "own"}}}]}]}}),
        has_followed: |o| o["spec"]["ingress"][0].get("ports").is_none(),
        status: None,
    },
];

impl Kind {
    fn collection(&self, namespace: &str) -> String {
        format!("/{}/namespaces/{namespace}/{}", self.prefix, self.plural)
    }

    /// Name of the object that a row is about.
    fn called(&self, row: &str) -> String {
        format!("{row}-{}", self.name.to_lowercase())
    }

    fn object(&self, row: &str) -> Value {
        let mut object = (self.make)();
        object["metadata"]["name"] = self.called(row).into();
        object
    }
}

/// A tenant's namespace and its host namespace.
struct Both<'a> {
    world: &'a World,
    own: String,
    host: String,
}

impl Both<'_> {
    fn mine(&self, kind: &Kind, row: &str) -> String {
        format!("{}/{}", kind.collection(&self.own), kind.called(row))
    }

    fn theirs(&self, kind: &Kind, row: &str) -> String {
        format!("{}/{}", kind.collection(&self.host), kind.called(row))
    }

    async fn make(&self, kind: &Kind, row: &str) -> Value {
        self.world.tenant.post(&kind.collection(&self.own), kind.object(row)).await
    }

    async fn on_host(&self, kind: &Kind, row: &str, test: impl Fn(&Value) -> bool) -> Value {
        self.world.host.until(&format!("{row} of {}", kind.name), &self.theirs(kind, row), test).await
    }
}

fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().expect("an object").to_owned()
}

fn origin(object: &Value) -> &Value {
    &object["metadata"]["annotations"][labels::ORIGIN_UID]
}

/// Marks as the syncer's objects of another tenant have them.
fn of_another(kind: &Kind, own: &str) -> Value {
    let mut object = kind.object("other");
    object["metadata"]["labels"][labels::TENANT] = "tanothertenant00".into();
    object["metadata"]["labels"][labels::MANAGED_BY] = "syncer".into();
    for (key, value) in [
        (labels::UID, "1b4e28ba-2fa1-11d2-883f-0016d3cca427"),
        (labels::ORIGIN_KIND, kind.name),
        (labels::ORIGIN_NAMESPACE, own),
        (labels::ORIGIN_NAME, &kind.called("other")),
        (labels::ORIGIN_UID, "1b4e28ba-2fa1-11d2-883f-0016d3cca428"),
    ] {
        object["metadata"]["annotations"][key] = value.into();
    }
    object
}

const ROWS: [&str; 10] =
    ["new", "twin", "taken", "other", "gone", "orphan", "lost", "drift", "edit", "status"];

/// Rows T23–T32 of SY-4 for each kind, with SY-5 (deleted on the host) and SY-6 (edited there), running and down.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_sy4_every_row_for_every_kind() {
    let mut w = World::new("matrix", false).await;
    let class = json!({"metadata": {"name": "fast"}, "provisioner": "csi.example"});
    w.host.post("/apis/storage.k8s.io/v1/storageclasses", class).await;
    w.tenant.until("class", "/apis/storage.k8s.io/v1/storageclasses/fast", |_| true).await;
    let bare = json!({"metadata": {"name": "bare"}, "spec": {"clusterIP": "None", "ports": [{"name": "p", "port": 5432}]}});
    w.tenant.post(&format!("/api/v1/namespaces/{}/services", w.namespace), bare).await;
    w.host.until("first object", &w.host_path("services", "bare").await, |_| true).await;
    let (own, host) = (w.namespace.clone(), w.host_namespace().await);

    let b = Both { world: &w, own: own.clone(), host: host.clone() };
    let mut strangers = Vec::new();
    for kind in &KINDS {
        let mut taken = kind.object("taken");
        taken["metadata"]["annotations"] = json!({"their": "own"});
        for object in [taken, of_another(kind, &own)] {
            strangers.push((kind, w.host.post(&kind.collection(&host), object).await));
        }
    }
    for kind in &KINDS {
        for row in ROWS {
            b.make(kind, row).await;
        }
    }

    // New (T23): on the host, with the proof of where it comes from.
    for kind in &KINDS {
        for row in ROWS.into_iter().filter(|r| !["taken", "other"].contains(r)) {
            let copy = b.on_host(kind, row, |_| true).await;
            let mine = w.tenant.get(&b.mine(kind, row)).await.expect("there");
            assert_eq!(origin(&copy), &mine["metadata"]["uid"], "{} {row}", kind.name);
            assert_eq!(copy["metadata"]["labels"][labels::TENANT], *w.entry.id);
            assert_eq!(copy["metadata"]["annotations"][labels::UID], *w.entry.owner.uid);
        }
    }

    // Another's object has the name (T25, T32): untouched, and the tenant is told.
    for (kind, stranger) in &strangers {
        let name = stranger["metadata"]["name"].as_str().expect("a name");
        let told = |list: &Value| {
            list["items"].as_array().is_some_and(|l| {
                l.iter().any(|e| {
                    e["reason"] == "HostNameTaken"
                        && e["involvedObject"]["name"] == name
                        && e["involvedObject"]["kind"] == kind.name
                })
            })
        };
        let events = format!("/api/v1/namespaces/{own}/events");
        let list = w.tenant.until(&format!("event for {name}"), &events, told).await;
        assert!(!list.to_string().contains(&host), "no host namespace in an event");
        let path = format!("{}/{name}", kind.collection(&host));
        assert_eq!(w.host.get(&path).await.expect("theirs")["metadata"], stranger["metadata"], "{name}");
    }

    // While it runs: lost on the host (T29), edited there (T30), edited by the tenant, status (T31).
    for kind in &KINDS {
        let first = uid(&b.on_host(kind, "lost", |_| true).await);
        w.host.delete(&b.theirs(kind, "lost"), Some(0)).await;
        b.on_host(kind, "lost", |o| uid(o) != first).await;
        w.host.merge(&b.theirs(kind, "drift"), (kind.drift)()).await;
        b.on_host(kind, "drift", kind.is_repaired).await;
        w.tenant.merge(&b.mine(kind, "edit"), (kind.edit)()).await;
        b.on_host(kind, "edit", kind.has_followed).await;
        if let Some((status, is_seen)) = kind.status {
            w.host.merge(&format!("{}/status", b.theirs(kind, "status")), status()).await;
            w.tenant.until(&format!("status of {}", kind.name), &b.mine(kind, "status"), is_seen).await;
        }
    }

    // While it is down: made again by the tenant, gone on both sides, on one, on the other; edited.
    w.halt().await;
    let b = Both { world: &w, own: own.clone(), host: host.clone() };
    for kind in &KINDS {
        w.tenant.delete(&b.mine(kind, "twin"), Some(0)).await;
        b.make(kind, "twin").await;
        w.tenant.delete(&b.mine(kind, "gone"), Some(0)).await;
        w.host.delete(&b.theirs(kind, "gone"), Some(0)).await;
        w.tenant.delete(&b.mine(kind, "orphan"), Some(0)).await;
        w.host.delete(&b.theirs(kind, "lost"), Some(0)).await;
        w.host.merge(&b.theirs(kind, "drift"), (kind.drift)()).await;
        let unowned = json!({"metadata": {"annotations": {"their.example/own": "kept"}}});
        w.host.merge(&b.theirs(kind, "drift"), unowned).await;
    }
    w.start(None);
    w.synced("CaughtUp").await;
    let b = Both { world: &w, own: own.clone(), host: host.clone() };
    for kind in &KINDS {
        let twin = uid(&w.tenant.get(&b.mine(kind, "twin")).await.expect("made again"));
        b.on_host(kind, "twin", |o| *origin(o) == twin.as_str()).await;
        w.host.gone(&format!("orphan of {}", kind.name), &b.theirs(kind, "orphan")).await;
        b.on_host(kind, "lost", |_| true).await;
        let repaired = b.on_host(kind, "drift", kind.is_repaired).await;
        assert_eq!(repaired["metadata"]["annotations"]["their.example/own"], "kept", "{}", kind.name);
        assert!(w.host.get(&b.theirs(kind, "gone")).await.is_none(), "{}", kind.name);
    }

    // What could not be carried goes without a trace on the host.
    for (kind, stranger) in &strangers {
        let name = stranger["metadata"]["name"].as_str().expect("a name");
        w.tenant.delete(&format!("{}/{name}", kind.collection(&own)), Some(0)).await;
        let path = format!("{}/{name}", kind.collection(&host));
        assert_eq!(w.host.get(&path).await.expect("theirs")["metadata"], stranger["metadata"], "{path}");
    }

    // On the host and ours (T24): passes and a start write nothing.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = w.writes();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(w.writes(), before, "{:?}", w.handle().counts());
    w.halt().await;
    w.start(None);
    w.synced("CaughtUp").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(w.writes(), 0, "{:?}", w.handle().counts());

    // Deleted by the tenant (T26): ours go, the strangers stay as they were.
    let b = Both { world: &w, own: own.clone(), host: host.clone() };
    for kind in &KINDS {
        for row in ["new", "twin", "lost", "drift", "edit", "status"] {
            w.tenant.delete(&b.mine(kind, row), Some(0)).await;
            w.host.gone(&format!("{row} of {}", kind.name), &b.theirs(kind, row)).await;
        }
    }
    for (kind, stranger) in &strangers {
        let path =
            format!("{}/{}", kind.collection(&host), stranger["metadata"]["name"].as_str().expect("a name"));
        assert_eq!(w.host.get(&path).await.expect("theirs")["metadata"], stranger["metadata"], "{path}");
    }
    w.end().await;
}
