//! Placements from spec to delivered objects: the core of placement 59, 65, 70, 72, 74, 92 and 93 and of inventory I29.
//!
//! Hub and members are tenants of one API server in this process; cycles and delivery passes are called by hand, so a
//! case counts them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail as tests do; clippy sees only functions marked #[test]"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use serde_json::{Value, json};
use skerry::inventory::{InventorySettings, InventoryState};
use skerry::placement::raw::{self, items, text};
use skerry::placement::{Planner, Site};
use skerry::rollout::Executor;
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::Server;
use skerry_apiserver::tenant::TenantId;

const HOME: &str = "/apis/skerry.dev/v1alpha1/namespaces/team-a";
const CORE: &str = "/api/v1/namespaces/team-a";

struct Fleet {
    server: Arc<Server>,
    hub: Client,
    members: BTreeMap<String, Client>,
    settings: InventorySettings,
    figures: InventoryState,
    planner: Planner,
    executor: Executor,
}

async fn post(client: &Client, path: &str, object: Value) -> Value {
    raw::create(client, path, &object).await.expect("created")
}

async fn get(client: &Client, path: &str) -> Option<Value> {
    raw::get(client, path).await.expect("read")
}

async fn merge(client: &Client, path: &str, patch: Value) -> Value {
    raw::merge(client, path, &patch).await.expect("patched")
}

impl Fleet {
    /// A hub with namespace team-a and `count` members of it.
    async fn new(count: usize) -> Self {
        let config = ServerConfig::from_yaml("store: {backend: memory}").expect("config");
        let defaults = config.tenant_defaults;
        let server = Server::builder().config(config).build().await.expect("server");
        let make = async |uid: &str, role: Role| {
            let id = TenantId::of_uid(uid);
            server.tenants().create(TenantSpec::new(id, uid, role, &defaults)).await.expect("tenant");
            server.client(id, Identity::system("admin"))
        };
        let hub = make("the-hub", Role::Hub).await;
        let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/crds")).expect("definitions");
        for file in files {
            let body = std::fs::read_to_string(file.expect("entry").path()).expect("file");
            let definition: Value = serde_yaml_ng::from_str(&body).expect("yaml");
            let name = text(&definition, &["metadata", "name"]).to_owned();
            if get(&hub, &format!("{definitions}/{name}")).await.is_none() {
                post(&hub, definitions, definition).await;
            }
        }
        for path in ["clusterbindings", "clusterreports", "placements"] {
            until(&hub, &format!("/apis/skerry.dev/v1alpha1/{path}")).await;
        }
        for path in ["clusterprofiles", "placementdecisions"] {
            until(&hub, &format!("/apis/multicluster.x-k8s.io/v1alpha1/{path}")).await;
        }
        for namespace in ["team-a", "skerry-inventory"] {
            if get(&hub, &format!("/api/v1/namespaces/{namespace}")).await.is_none() {
                post(&hub, "/api/v1/namespaces", json!({"metadata": {"name": namespace}})).await;
            }
        }
        let mut members = BTreeMap::new();
        for i in 0..count {
            let uid = format!("member-{i}");
            let id = skerry_api::ids::tenant_id(&uid);
            members.insert(id.clone(), make(&uid, Role::Tenant).await);
            register(&hub, &format!("skerry.team-a.m{i}"), &id).await;
        }
        let (settings, figures) = (InventorySettings::default(), InventoryState::default());
        let (planner, executor) = (Planner::default(), Executor::default());
        Self { server, hub, members, settings, figures, planner, executor }
    }

    fn member(&self, i: usize) -> &Client {
        &self.members[&skerry_api::ids::tenant_id(&format!("member-{i}"))]
    }

    /// Cycles and passes until everything has settled.
    async fn settle(&mut self) {
        for _ in 0..4 {
            let clients = self.members.clone();
            let site = Site {
                hub: self.hub.clone(),
                settings: &self.settings,
                figures: &self.figures,
                members: Box::new(move |id| clients.get(id).cloned()),
            };
            self.planner.cycle(&site).await.expect("cycle");
            self.executor.pass(&site).await.expect("pass");
        }
    }

    async fn config(&self, name: &str, data: Value) {
        post(&self.hub, &format!("{CORE}/configmaps"), json!({"metadata": {"name": name}, "data": data}))
            .await;
    }

    async fn place(&self, spec: Value) -> String {
        let object = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "Placement",
                            "metadata": {"name": "shop"}, "spec": spec});
        text(&post(&self.hub, &format!("{HOME}/placements"), object).await, &["metadata", "uid"]).to_owned()
    }

    async fn placement(&self) -> Value {
        get(&self.hub, &format!("{HOME}/placements/shop")).await.expect("there")
    }

    /// Deletes the Placement and lets everything settle.
    async fn unplace(&mut self) {
        let placement = self.placement().await;
        raw::delete(&self.hub, &format!("{HOME}/placements/shop"), text(&placement, &["metadata", "uid"]))
            .await
            .expect("deleted");
        self.settle().await;
    }

    async fn condition(&self, ty: &str) -> (String, String, String) {
        let placement = self.placement().await;
        let all = items(&placement, &["status", "conditions"]);
        let found = all.iter().find(|c| text(c, &["type"]) == ty).cloned().unwrap_or_default();
        let word = |field: &str| text(&found, &[field]).to_owned();
        (word("status"), word("reason"), word("message"))
    }

    async fn bindings(&self) -> Vec<Value> {
        raw::list(&self.hub, &format!("{HOME}/clusterbindings")).await.expect("list")
    }

    async fn decisions(&self) -> Vec<Value> {
        let path = "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/team-a/placementdecisions";
        raw::list(&self.hub, path).await.expect("list")
    }

    async fn on(&self, i: usize, name: &str) -> Option<Value> {
        get(self.member(i), &format!("{CORE}/configmaps/{name}")).await
    }

    async fn end(self) {
        self.server.shutdown().await;
    }
}

async fn until(client: &Client, path: &str) {
    for _ in 0..200 {
        if raw::list(client, path).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{path} is not served");
}

async fn register(hub: &Client, name: &str, id: &str) {
    let inventory = "/namespaces/skerry-inventory";
    let profile = json!({"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ClusterProfile",
        "metadata": {"name": name, "labels": {"multicluster.x-k8s.io/inventory-member-id": id,
            "x-k8s.io/cluster-manager": "skerry", "skerry.dev/member-kind": "virtual",
            "skerry.dev/owner-namespace": "team-a", "multicluster.x-k8s.io/clusterset": "team-a"}},
        "spec": {"displayName": name, "clusterManager": {"name": "skerry"}}});
    post(hub, &format!("/apis/multicluster.x-k8s.io/v1alpha1{inventory}/clusterprofiles"), profile).await;
    let report = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "ClusterReport",
        "metadata": {"name": name}, "spec": {"mode": "Virtual"}});
    let reports = format!("/apis/skerry.dev/v1alpha1{inventory}/clusterreports");
    post(hub, &reports, report).await;
    merge(hub, &format!("{reports}/{name}/status"), json!({"status": {"verdict": "Healthy"}})).await;
}

fn all_maps(delivery: Value) -> Value {
    json!({"workload": {"select": [{"group": "", "kind": "ConfigMap"}]}, "delivery": delivery})
}

fn version(object: &Value) -> String {
    text(object, &["metadata", "resourceVersion"]).to_owned()
}

/// Placement 59, 74: objects follow their source; once settled, nothing is written; the end leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn placement_59_74_copies_follow_and_passes_are_quiet() {
    let mut f = Fleet::new(2).await;
    f.config("a", json!({"k": "1"})).await;
    f.place(all_maps(json!({}))).await;
    f.settle().await;
    assert_eq!(f.condition("Ready").await.0, "True", "{:?}", f.placement().await["status"]);
    for i in 0..2 {
        assert_eq!(f.on(i, "a").await.expect("delivered")["data"]["k"], "1");
    }
    merge(&f.hub, &format!("{CORE}/configmaps/a"), json!({"data": {"k": "2"}})).await;
    f.config("b", json!({"x": "y"})).await;
    f.settle().await;
    assert_eq!(f.on(1, "a").await.expect("there")["data"]["k"], "2");
    assert!(f.on(0, "b").await.is_some());

    let mut before = vec![version(&f.placement().await)];
    before.extend(f.bindings().await.iter().chain(&f.decisions().await).map(version));
    before.push(version(&f.on(0, "a").await.expect("there")));
    f.settle().await;
    let mut after = vec![version(&f.placement().await)];
    after.extend(f.bindings().await.iter().chain(&f.decisions().await).map(version));
    after.push(version(&f.on(0, "a").await.expect("there")));
    assert_eq!(before, after, "placement 74");

    let left = get(&f.hub, &format!("{CORE}/configmaps/b")).await;
    if let Some(left) = left {
        raw::delete(&f.hub, &format!("{CORE}/configmaps/b"), text(&left, &["metadata", "uid"]))
            .await
            .expect("deleted");
    }
    f.settle().await;
    assert!(f.on(0, "b").await.is_none(), "an unselected object goes");

    f.unplace().await;
    assert_eq!(f.bindings().await, Vec::<Value>::new());
    assert!(f.on(0, "a").await.is_none() && f.on(1, "a").await.is_none());
    f.end().await;
}

/// Placement 65: what is there already, under each rule of taking over.
#[tokio::test(flavor = "multi_thread")]
async fn placement_65_taking_over() {
    for (rule, same, taken) in [
        ("Never", true, false),
        ("IfNoDiff", true, true),
        ("IfNoDiff", false, false),
        ("Always", false, true),
    ] {
        let mut f = Fleet::new(1).await;
        f.config("a", json!({"k": "hub"})).await;
        post(f.member(0), "/api/v1/namespaces", json!({"metadata": {"name": "team-a"}})).await;
        let there = if same { "hub" } else { "own" };
        post(
            f.member(0),
            &format!("{CORE}/configmaps"),
            json!({"metadata": {"name": "a"}, "data": {"k": there}}),
        )
        .await;
        f.place(all_maps(json!({"takeOver": rule}))).await;
        f.settle().await;
        let live = f.on(0, "a").await.expect("there");
        let (applied, reason, message) = f.condition("Applied").await;
        if taken {
            assert_eq!(
                (applied.as_str(), text(&live, &["data", "k"])),
                ("True", "hub"),
                "{rule} {same}: {message}"
            );
        } else {
            assert_eq!(
                (applied.as_str(), reason.as_str()),
                ("False", "NotOwned"),
                "{rule} {same}: {message}"
            );
            assert_eq!(text(&live, &["data", "k"]), there);
        }
        f.end().await;
    }
}

/// Placement 70: Reapply mends, Report writes nothing and says what differs, Secrets masked, first seen kept.
#[tokio::test(flavor = "multi_thread")]
async fn placement_70_drift() {
    for rule in ["Reapply", "Report"] {
        let mut f = Fleet::new(1).await;
        let secret = json!({"metadata": {"name": "s"}, "data": {"k": "aHVi"}});
        post(&f.hub, &format!("{CORE}/secrets"), secret).await;
        let spec = json!({"workload": {"select": [{"group": "", "kind": "Secret", "name": "s"}]},
                          "delivery": {"whenDrifted": rule}});
        f.place(spec).await;
        f.settle().await;
        let path = format!("{CORE}/secrets/s");
        let edited = merge(f.member(0), &path, json!({"data": {"k": "ZHJpZnRlZA=="}})).await;
        f.settle().await;
        let live = get(f.member(0), &path).await.expect("there");
        if rule == "Reapply" {
            assert_eq!(text(&live, &["data", "k"]), "aHVi");
        } else {
            assert_eq!(version(&live), version(&edited), "Report never writes");
            let binding = f.bindings().await.remove(0);
            let drift = items(&binding, &["status", "drift"]);
            assert_eq!((text(&drift[0], &["pointer"]), text(&drift[0], &["member"])), ("/data/k", "***"));
            assert!(!binding["status"].to_string().contains("ZHJpZnRlZA"));
            assert_eq!(f.condition("Drifted").await.0, "True");
            f.settle().await;
            assert_eq!(version(&f.bindings().await[0]), version(&binding), "nothing new, nothing written");
            // A new revision still goes out.
            merge(&f.hub, &path, json!({"data": {"k": "bmV3"}})).await;
            f.settle().await;
            let live = get(f.member(0), &path).await.expect("there");
            assert_eq!(text(&live, &["data", "k"]), "bmV3");
        }
        f.end().await;
    }
}

/// Placement 72: a wave waits for the one before.
#[tokio::test(flavor = "multi_thread")]
async fn placement_72_a_wave_waits_for_the_one_before() {
    let mut f = Fleet::new(1).await;
    post(f.member(0), "/api/v1/namespaces", json!({"metadata": {"name": "team-a"}})).await;
    post(
        f.member(0),
        &format!("{CORE}/configmaps"),
        json!({"metadata": {"name": "early"}, "data": {"k": "own"}}),
    )
    .await;
    f.config("early", json!({"k": "hub"})).await;
    let late =
        json!({"metadata": {"name": "late", "annotations": {"skerry.dev/wave": "7"}}, "data": {"k": "v"}});
    post(&f.hub, &format!("{CORE}/configmaps"), late).await;
    f.place(all_maps(json!({"takeOver": "Never"}))).await;
    f.settle().await;
    assert!(f.on(0, "late").await.is_none(), "wave 1 is not there yet");
    let early = f.on(0, "early").await.expect("there");
    let path = format!("{CORE}/configmaps/early");
    raw::delete(f.member(0), &path, text(&early, &["metadata", "uid"])).await.expect("deleted");
    f.settle().await;
    assert!(f.on(0, "late").await.is_some());
    f.end().await;
}

/// Placement 92, I29: undecided = no decision; an edited or deleted one is restored; the Placement's end is theirs.
#[tokio::test(flavor = "multi_thread")]
async fn placement_92_i29_decisions_are_restored() {
    let mut f = Fleet::new(2).await;
    f.config("a", json!({"k": "1"})).await;
    f.settle().await;
    assert_eq!(f.decisions().await.len(), 0);
    let uid = f.place(all_maps(json!({}))).await;
    f.settle().await;
    let first = f.decisions().await.remove(0);
    assert_eq!(items(&first, &["decisions"]).len(), 2);
    assert_eq!(text(&first, &["metadata", "labels", "multicluster.x-k8s.io/decision-key"]), uid);
    let path = "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/team-a/placementdecisions/shop-0";
    let mut edited = items(&first, &["decisions"])[..1].to_vec();
    edited[0]["reason"] = "mine".into();
    merge(&f.hub, path, json!({"decisions": edited})).await;
    f.settle().await;
    assert_eq!(f.decisions().await[0]["decisions"], first["decisions"]);
    raw::delete(&f.hub, path, text(&f.decisions().await[0], &["metadata", "uid"])).await.expect("deleted");
    f.settle().await;
    assert_eq!(f.decisions().await[0]["decisions"], first["decisions"]);
    f.end().await;
}

/// Placement 93: bad specs are refused by the server or the manager, with the path; what was accepted stays in force,
/// also for a manager that was started anew.
#[tokio::test(flavor = "multi_thread")]
async fn placement_93_bad_specs_change_nothing() {
    let mut f = Fleet::new(1).await;
    f.config("a", json!({"k": "1"})).await;
    let good = all_maps(json!({}));
    f.place(good.clone()).await;
    f.settle().await;
    let select = |s: Value| json!({"workload": {"select": [s]}});
    let with = |key: &str, value: Value| {
        let mut spec = all_maps(json!({}));
        spec[key] = value;
        spec
    };
    let bad = [
        (json!({"workload": {}}), "spec.workload"),
        (select(json!({"group": "", "kind": "Node"})), "spec.workload.select[0]"),
        (select(json!({"group": "", "kind": "Event"})), "spec.workload.select[0]"),
        (select(json!({"group": "skerry.dev", "kind": "Placement"})), "spec.workload.select[0]"),
        (select(json!({"group": "none.example", "kind": "None"})), "spec.workload.select[0]"),
        (
            select(json!({"group": "", "kind": "ConfigMap", "name": "a", "labelSelector": {}})),
            "spec.workload.select[0]",
        ),
        (select(json!({"group": "", "kind": "Namespace"})), "spec.workload.select[0]"),
        (
            json!({"workload": {"source": {"namespace": "kube-system"}, "select": [{"group": "", "kind": "ConfigMap"}]}}),
            "spec.workload.source.namespace",
        ),
        (
            json!({"workload": {"source": {"namespace": "other"}, "select": [{"group": "", "kind": "ConfigMap"}]}}),
            "spec.workload.source.namespace",
        ),
        (
            json!({"workload": {"source": {"virtualCluster": "x/y"}, "select": [{"group": "", "kind": "ConfigMap"}]}}),
            "spec.workload.source.virtualCluster",
        ),
        (
            json!({"workload": {"manifests": [{"kind": "ConfigMap", "apiVersion": "v1"}]}}),
            "spec.workload.manifests[0]",
        ),
        (with("select", json!({"count": 1001})), "spec.select.count"),
        (with("select", json!({"count": "101%"})), "spec.select.count"),
        (with("select", json!({"count": "many"})), "spec.select.count"),
        (with("select", json!({"count": -1})), "spec.select.count"),
        (with("select", json!({"mode": "Count"})), "spec.select"),
        (with("select", json!({"mode": "Fixed"})), "spec.select"),
        (with("select", json!({"mode": "Some"})), "spec.select.mode"),
        (with("select", json!({"count": 1, "names": ["m0"]})), "spec.select"),
        (with("spread", json!([{"topology": "a"}, {"topology": "a"}])), "spec.spread"),
        (with("replicas", json!({"mode": "Halved"})), "spec.replicas.mode"),
        (with("objective", json!({"prefer": "Luck"})), "spec.objective.prefer"),
        (with("delivery", json!({"takeOver": "Maybe"})), "spec.delivery.takeOver"),
        (with("delivery", json!({"whenDrifted": "Cry"})), "spec.delivery.whenDrifted"),
        (with("members", json!({"whenUnmatched": "Wait"})), "spec.members.whenUnmatched"),
        (with("rollout", json!({"trigger": "Now"})), "spec.rollout.trigger"),
    ];
    let path = format!("{HOME}/placements/shop");
    let copy = f.on(0, "a").await.expect("delivered");
    let mut wrong = Vec::new();
    for (spec, at) in &bad {
        let mut object = f.placement().await;
        object["spec"] = spec.clone();
        let said = match raw::replace(&f.hub, &path, &object).await {
            Err(kube::Error::Api(refusal)) => refusal.message.clone(),
            Err(other) => panic!("{other}"),
            Ok(_) => {
                f.planner = Planner::default();
                f.settle().await;
                let (accepted, _, message) = f.condition("Accepted").await;
                let now = f.on(0, "a").await.map(|o| version(&o));
                if accepted != "False" || now != Some(version(&copy)) {
                    wrong.push(format!("{spec}: Accepted={accepted}, copy {now:?}"));
                }
                message
            }
        };
        if !said.contains(at) {
            wrong.push(format!("{spec}: {said:?} does not name {at}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut object = f.placement().await;
    object["spec"] = good;
    raw::replace(&f.hub, &path, &object).await.expect("replaced");
    f.settle().await;
    assert_eq!(f.condition("Accepted").await.0, "True");
    f.end().await;
}

/// `delivery.whenRemoved: Orphan`: objects stay without our marks, also when the Placement is gone.
#[tokio::test(flavor = "multi_thread")]
async fn an_orphaned_object_stays_without_marks() {
    let mut f = Fleet::new(1).await;
    f.config("a", json!({"k": "1"})).await;
    f.place(all_maps(json!({"whenRemoved": "Orphan"}))).await;
    f.settle().await;
    f.unplace().await;
    assert_eq!(f.bindings().await, Vec::<Value>::new());
    let left = f.on(0, "a").await.expect("left");
    assert_eq!(left["metadata"]["labels"]["skerry.dev/placed"], Value::Null);
    f.end().await;
}
