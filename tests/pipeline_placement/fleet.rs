//! The fleet of the cases: a hub and members over one API server, and a wire to each member that keeps a record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

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

use crate::wire::Wire;

pub const HOME: &str = "/apis/skerry.dev/v1alpha1/namespaces/team-a";
pub const CORE: &str = "/api/v1/namespaces/team-a";

/// A hub, its members, and what decides and delivers.
pub struct Fleet {
    pub server: Arc<Server>,
    pub hub: Client,
    pub members: BTreeMap<String, Client>,
    wires: BTreeMap<String, Wire>,
    pub settings: InventorySettings,
    pub figures: InventoryState,
    pub planner: Planner,
    pub executor: Executor,
}

pub async fn post(client: &Client, path: &str, object: Value) -> Value {
    raw::create(client, path, &object).await.expect("created")
}

pub async fn get(client: &Client, path: &str) -> Option<Value> {
    raw::get(client, path).await.expect("read")
}

pub async fn merge(client: &Client, path: &str, patch: Value) -> Value {
    raw::merge(client, path, &patch).await.expect("patched")
}

impl Fleet {
    /// A hub with namespace team-a and a member beside the others that joined as a real one does.
    pub async fn joined(virtual_ones: usize, name: &str) -> Self {
        let mut fleet = Self::new(virtual_ones).await;
        let id = fleet.member_of(virtual_ones).await;
        enter(
            &fleet.hub,
            name,
            &id,
            json!({"mode": "Push", "push": {"secretRef": {"name": "skerry-push-harbour"}}}),
        )
        .await;
        let secret =
            json!({"metadata": {"name": "skerry-push-harbour"}, "type": "skerry.dev/push-credential"});
        post(&fleet.hub, "/api/v1/namespaces/skerry-inventory/secrets", secret).await;
        let rights = json!({"metadata": {"name": "skerry-member"}, "roleRef":
            {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "skerry-member"}});
        let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
        post(fleet.member(virtual_ones), path, rights).await;
        fleet
    }

    /// A cluster that is to be a member; its id.
    async fn member_of(&mut self, i: usize) -> String {
        let uid = format!("member-{i}");
        let client = make(&self.server, &uid, Role::Tenant).await;
        let id = skerry_api::ids::tenant_id(&uid);
        self.members.insert(id.clone(), client);
        self.wires.insert(id.clone(), Wire::default());
        id
    }

    /// A hub with namespace team-a and `count` members of it.
    pub async fn new(count: usize) -> Self {
        let config = ServerConfig::from_yaml("store: {backend: memory}").expect("config");
        let server = Server::builder().config(config).build().await.expect("server");
        let hub = make(&server, "the-hub", Role::Hub).await;
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
        let (settings, figures) = (InventorySettings::default(), InventoryState::default());
        let (planner, executor) = (Planner::default(), Executor::default());
        let (members, wires) = (BTreeMap::new(), BTreeMap::new());
        let mut fleet = Self { server, hub, members, wires, settings, figures, planner, executor };
        for i in 0..count {
            let id = fleet.member_of(i).await;
            enter(&fleet.hub, &format!("skerry.team-a.m{i}"), &id, json!({"mode": "Virtual"})).await;
        }
        fleet
    }

    pub fn member(&self, i: usize) -> &Client {
        &self.members[&skerry_api::ids::tenant_id(&format!("member-{i}"))]
    }

    /// The wire to a member.
    pub fn wire(&self, i: usize) -> &Wire {
        &self.wires[&skerry_api::ids::tenant_id(&format!("member-{i}"))]
    }

    /// Cycles and passes until everything has settled.
    pub async fn settle(&mut self) {
        for _ in 0..4 {
            self.cycle().await;
            self.pass(Instant::now()).await;
        }
    }

    /// One cycle of planning.
    pub async fn cycle(&mut self) {
        let mut planner = std::mem::take(&mut self.planner);
        planner.cycle(&self.site()).await.expect("cycle");
        self.planner = planner;
    }

    /// One pass of delivery.
    pub async fn pass(&mut self, now: Instant) {
        let mut executor = std::mem::take(&mut self.executor);
        executor.pass(&self.site(), now).await.expect("pass");
        self.executor = executor;
    }

    /// Where both run.
    pub fn site(&self) -> Site<'_> {
        let wired = |id: &str| Some(self.wires.get(id)?.over(self.members.get(id)?.clone()));
        Site {
            hub: self.hub.clone(),
            settings: &self.settings,
            figures: &self.figures,
            members: Box::new(wired),
            live: None,
        }
    }

    pub async fn config(&self, name: &str, data: Value) {
        post(&self.hub, &format!("{CORE}/configmaps"), json!({"metadata": {"name": name}, "data": data}))
            .await;
    }

    pub async fn place(&self, spec: Value) -> String {
        let object = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "Placement",
                            "metadata": {"name": "shop"}, "spec": spec});
        text(&post(&self.hub, &format!("{HOME}/placements"), object).await, &["metadata", "uid"]).to_owned()
    }

    /// A ClusterPlacement of inline objects, delivered as if they came from team-a.
    pub async fn place_cluster(&self, manifests: Value) {
        let spec = json!({"workload": {"source": {"namespace": "team-a"}, "manifests": manifests}});
        let object = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "ClusterPlacement",
                            "metadata": {"name": "all"}, "spec": spec});
        post(&self.hub, "/apis/skerry.dev/v1alpha1/clusterplacements", object).await;
    }

    /// Changes a part of the Placement's spec.
    pub async fn edit(&self, spec: Value) {
        merge(&self.hub, &format!("{HOME}/placements/shop"), json!({"spec": spec})).await;
    }

    /// Drift as the only binding has it: pointers, and the whole items.
    pub async fn drift(&self) -> (Vec<String>, Vec<Value>) {
        let binding = self.bindings().await.remove(0);
        let found = items(&binding, &["status", "drift"]).to_vec();
        (found.iter().map(|d| text(d, &["pointer"]).to_owned()).collect(), found)
    }

    pub async fn placement(&self) -> Value {
        get(&self.hub, &format!("{HOME}/placements/shop")).await.expect("there")
    }

    /// Deletes the Placement and lets everything settle.
    pub async fn unplace(&mut self) {
        let placement = self.placement().await;
        raw::delete(&self.hub, &format!("{HOME}/placements/shop"), text(&placement, &["metadata", "uid"]))
            .await
            .expect("deleted");
        self.settle().await;
    }

    pub async fn condition(&self, ty: &str) -> (String, String, String) {
        let placement = self.placement().await;
        let all = items(&placement, &["status", "conditions"]);
        let found = all.iter().find(|c| text(c, &["type"]) == ty).cloned().unwrap_or_default();
        let word = |field: &str| text(&found, &[field]).to_owned();
        (word("status"), word("reason"), word("message"))
    }

    pub async fn bindings(&self) -> Vec<Value> {
        raw::list(&self.hub, &format!("{HOME}/clusterbindings")).await.expect("list")
    }

    pub async fn decisions(&self) -> Vec<Value> {
        let path = "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/team-a/placementdecisions";
        raw::list(&self.hub, path).await.expect("list")
    }

    pub async fn on(&self, i: usize, name: &str) -> Option<Value> {
        get(self.member(i), &format!("{CORE}/configmaps/{name}")).await
    }

    pub async fn end(self) {
        self.server.shutdown().await;
    }
}

pub async fn until(client: &Client, path: &str) {
    for _ in 0..200 {
        if raw::list(client, path).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{path} is not served");
}

async fn make(server: &Arc<Server>, uid: &str, role: Role) -> Client {
    let id = TenantId::of_uid(uid);
    let defaults = ServerConfig::default().tenant_defaults;
    server.tenants().create(TenantSpec::new(id, uid, role, &defaults)).await.expect("tenant");
    server.client(id, Identity::system("admin"))
}

/// Profile and Report of a member.
async fn enter(hub: &Client, name: &str, id: &str, spec: Value) {
    let inventory = "/namespaces/skerry-inventory";
    let profile = json!({"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ClusterProfile",
        "metadata": {"name": name, "labels": {"multicluster.x-k8s.io/inventory-member-id": id,
            "x-k8s.io/cluster-manager": "skerry", "skerry.dev/member-kind": "virtual",
            "skerry.dev/owner-namespace": "team-a", "multicluster.x-k8s.io/clusterset": "team-a"}},
        "spec": {"displayName": name, "clusterManager": {"name": "skerry"}}});
    post(hub, &format!("/apis/multicluster.x-k8s.io/v1alpha1{inventory}/clusterprofiles"), profile).await;
    let report = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "ClusterReport",
        "metadata": {"name": name}, "spec": spec});
    let reports = format!("/apis/skerry.dev/v1alpha1{inventory}/clusterreports");
    post(hub, &reports, report).await;
    merge(hub, &format!("{reports}/{name}/status"), json!({"status": {"verdict": "Healthy"}})).await;
}

pub fn all_maps(delivery: Value) -> Value {
    json!({"workload": {"select": [{"group": "", "kind": "ConfigMap"}]}, "delivery": delivery})
}

pub fn version(object: &Value) -> String {
    text(object, &["metadata", "resourceVersion"]).to_owned()
}

/// A kind whose objects may hold anything.
pub fn loose_kind() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "looses.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Loose", "plural": "looses", "singular": "loose", "listKind": "LooseList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema":
                {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]}})
}
