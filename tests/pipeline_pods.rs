//! The syncer between a tenant and a host: SY-4, SY-5, SY-61, SY-80, SY-95, SY-143 as far as they are named below.
//!
//! Both are tenants of one API server in this process; with `SKERRY_TENANT_KUBECONFIG` and `SKERRY_HOST_KUBECONFIG` set
//! they are the clusters named there (real ones), and the cases must run one at a time. Each case plays the host's
//! scheduler and kubelet itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::Request;
use kube::client::Body;
use serde_json::{Value, json};
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::Server;
use skerry_apiserver::tenant::TenantId;
use skerry_syncer::{
    EmbeddedSource, HostEntry, Periods, Reach, Syncer, SyncerConfig, SyncerHandle, TenantEntry,
    facts::Network,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// One API server.
#[derive(Clone)]
struct Cluster(kube::Client);

impl Cluster {
    async fn of(variable: &str) -> Option<Self> {
        let path = std::env::var(variable).ok()?;
        let kubeconfig = kube::config::Kubeconfig::read_from(path).expect("kubeconfig");
        let config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.expect("config");
        Some(Self(kube::Client::try_from(config).expect("client")))
    }

    async fn call(&self, method: &str, path: &str, content: &str, body: Option<Value>) -> Result<Value, u16> {
        use http_body_util::BodyExt;
        let bytes = body.map(|b| serde_json::to_vec(&b).expect("json")).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content)
            .body(Body::from(bytes))
            .expect("request");
        let response = self.0.send(request).await.expect("answer");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("body").to_bytes();
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            Ok(value)
        } else {
            if status.as_u16() != 404 && status.as_u16() != 409 {
                eprintln!("{method} {path}: {status} {}", value["message"]);
            }
            Err(status.as_u16())
        }
    }

    async fn get(&self, path: &str) -> Option<Value> {
        self.call("GET", path, "application/json", None).await.ok()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, "application/json", Some(body)).await.expect("created")
    }

    async fn merge(&self, path: &str, body: Value) -> Value {
        self.call("PATCH", path, "application/merge-patch+json", Some(body)).await.expect("patched")
    }

    async fn delete(&self, path: &str, grace: Option<i64>) {
        let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        if let Some(grace) = grace {
            options["gracePeriodSeconds"] = json!(grace);
        }
        let _ = self.call("DELETE", path, "application/json", Some(options)).await;
    }

    async fn until(&self, what: &str, path: &str, test: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + Duration::from_secs(30);
        let mut last = None;
        while Instant::now() < end {
            last = self.get(path).await;
            if let Some(value) = last.as_ref().filter(|v| test(v)) {
                return value.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what}: {path}: {last:?}")
    }

    async fn gone(&self, what: &str, path: &str) {
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            match self.get(path).await {
                None => return,
                Some(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("{what}: {path} is still there: {:?}", self.get(path).await)
    }
}

/// A running syncer between the two.
struct World {
    tenant: Cluster,
    host: Cluster,
    handle: SyncerHandle,
    stop: CancellationToken,
    run: tokio::task::JoinHandle<()>,
    tenants: watch::Sender<Arc<Vec<Arc<TenantEntry>>>>,
    entry: TenantEntry,
    namespace: String,
    _hosts: watch::Sender<Arc<Vec<HostEntry>>>,
    server: Option<Arc<Server>>,
}

impl World {
    async fn new(name: &str, agreed: bool) -> Self {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        let uid = format!("{name}-{}", std::process::id());
        let id = skerry_api::ids::tenant_id(&uid);
        let outside =
            (Cluster::of("SKERRY_TENANT_KUBECONFIG").await, Cluster::of("SKERRY_HOST_KUBECONFIG").await);
        let (tenant, host, server) = match outside {
            (Some(tenant), Some(host)) => (tenant, host, None),
            _ => {
                let config = ServerConfig::from_yaml("store: {backend: memory}").expect("config");
                let defaults = config.tenant_defaults;
                let server = Server::builder().config(config).build().await.expect("server");
                let tenant = TenantId::of_uid(&uid);
                let host = TenantId::of_uid("the-host");
                for spec in [
                    TenantSpec::new(tenant, &uid, Role::Tenant, &defaults),
                    TenantSpec::new(host, "the-host", Role::Host, &defaults),
                ] {
                    server.tenants().create(spec).await.expect("tenant");
                }
                let client = |id| Cluster(server.client(id, Identity::system("syncer")));
                (client(tenant), client(host), Some(server.clone()))
            }
        };
        let reach = if server.is_some() { Reach::Embedded } else { Reach::Own };
        let object = json!({"metadata": {"name": name, "namespace": "team-a", "uid": uid, "generation": 1},
            "spec": {"podSecurity": {"enforce": "privileged"}, "sync": {}},
            "status": {"id": id, "hosts": [{"name": "h"}], "class": {"name": "standard"}}});
        let network = Network { front_door: vec!["10.9.9.9".into()], port: 6443, ..Network::default() };
        let entry =
            TenantEntry::of(&object, &Value::Null, tenant.0.clone(), reach, network, agreed).expect("entry");
        let (tenants, tenants_rx) = watch::channel(Arc::new(vec![Arc::new(entry.clone())]));
        let hosts =
            vec![HostEntry { name: "h".into(), client: host.0.clone(), simulated: false, subject: None }];
        let (hosts, hosts_rx) = watch::channel(Arc::new(hosts));
        let mut config = SyncerConfig::new(tenants_rx, hosts_rx);
        config.periods = Periods {
            patrol: Duration::from_secs(3),
            unreferenced: Duration::from_secs(1),
            idle_node: Duration::from_secs(2),
            pending: Duration::from_secs(3),
            ..Periods::default()
        };
        config.embedded =
            server.as_ref().map(|server| EmbeddedSource { client: server.system_client("syncer") });
        let syncer = Syncer::new(config);
        let (handle, stop) = (syncer.handle(), CancellationToken::new());
        let run = tokio::spawn(syncer.run(stop.clone()));
        let namespace = format!("{name}-{}", std::process::id());
        tenant
            .post("/api/v1/namespaces", json!({"metadata": {"name": namespace, "labels": {"team": "a"}}}))
            .await;
        let sa = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
        tenant.until("default account", &sa, |_| true).await;
        let world =
            Self { tenant, host, handle, stop, run, tenants, entry, namespace, _hosts: hosts, server };
        world.synced("CaughtUp").await;
        world
    }

    async fn synced(&self, reason: &str) {
        let mut states = self.handle.states();
        let id = self.entry.id.clone();
        let wait = states.wait_for(|s| s.get(&id).is_some_and(|s| s.reason == reason));
        let found = tokio::time::timeout(Duration::from_secs(30), wait).await;
        assert!(found.is_ok(), "{reason}: {:?}", self.handle.states().borrow().get(&id));
    }

    fn path(&self, plural: &str, name: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}/{name}", self.namespace)
    }

    async fn host_namespace(&self) -> String {
        let ns = self.tenant.get(&format!("/api/v1/namespaces/{}", self.namespace)).await.expect("namespace");
        let mapping = self.entry.mapping();
        mapping.namespace(&self.namespace, ns["metadata"]["uid"].as_str().expect("uid")).to_string()
    }

    async fn host_path(&self, plural: &str, name: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}/{name}", self.host_namespace().await)
    }

    fn pod(&self, name: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": self.namespace, "labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": [{"name": "c", "image": "nginx:1",
                "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "pw", "key": "k", "optional": true}}}]}]}})
    }

    async fn node(&self, name: &str) {
        let node =
            json!({"metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", "private": "x"}}});
        let _ = self.host.call("POST", "/api/v1/nodes", "application/json", Some(node)).await;
        let status = json!({"status": {"capacity": {"cpu": "4"}, "conditions": [{"type": "Ready", "status": "True",
            "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        self.host.merge(&format!("/api/v1/nodes/{name}/status"), status).await;
    }

    async fn bind(&self, name: &str, node: &str) {
        let binding = json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": node}});
        self.host.post(&format!("{}/binding", self.host_path("pods", name).await), binding).await;
    }

    async fn running(&self, name: &str) {
        let status = json!({"status": {"phase": "Running", "podIP": "10.2.0.7", "podIPs": [{"ip": "10.2.0.7"}],
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [{"name": "c", "image": "nginx:1", "imageID": "x", "ready": true, "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}});
        self.host.merge(&format!("{}/status", self.host_path("pods", name).await), status).await;
    }

    fn count(&self, name: &str, label: &str) -> u64 {
        self.handle.counts().iter().find(|(n, l, _)| *n == name && l == label).map_or(0, |(_, _, c)| *c)
    }

    fn writes(&self) -> u64 {
        let writes = ["host_writes_total", "tenant_writes_total"];
        self.handle.counts().iter().filter(|(n, ..)| writes.contains(n)).map(|(.., c)| c).sum()
    }

    async fn end(self) {
        self.tenant.delete(&format!("/api/v1/namespaces/{}", self.namespace), None).await;
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.run).await.expect("ends").expect("no panic");
        if let Some(server) = self.server {
            server.shutdown().await;
        }
    }
}

/// Rows of PO40 and PF4, PF5: a pod's whole life, with a token, a Secret, a node and a deletion.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_a_pods_life() {
    let w = World::new("life", false).await;
    w.node("n-life").await;
    w.tenant
        .post(
            &format!("/api/v1/namespaces/{}/secrets", w.namespace),
            json!({"metadata": {"name": "pw"}, "stringData": {"k": "v"}}),
        )
        .await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("web")).await;
    let host = w.host.until("host pod", &w.host_path("pods", "web").await, |_| true).await;
    assert_eq!(host["spec"]["automountServiceAccountToken"], false);
    assert_eq!(host["metadata"]["ownerReferences"][0]["kind"], "Namespace");
    assert_eq!(host["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"], "skerry-env");
    let secret = w.host.until("secret", &w.host_path("secrets", "pw").await, |_| true).await;
    assert_eq!(secret["data"]["k"], "dg==");
    let env = w.host.until("env map", &w.host_path("configmaps", "skerry-env").await, |_| true).await;
    assert_eq!(env["data"]["KUBERNETES_SERVICE_HOST"], "kubernetes.default.svc");
    let tokens =
        w.host.get(&format!("/api/v1/namespaces/{}/secrets", w.host_namespace().await)).await.expect("list");
    let token =
        tokens["items"].as_array().and_then(|l| l.iter().find(|s| s["type"] == "skerry.dev/token").cloned());
    assert_eq!(token.expect("token Secret")["metadata"]["ownerReferences"][0]["name"], "web");
    assert_eq!(w.count("host_writes_total", "create pods"), 1, "PF4: {:?}", w.handle.counts());

    w.bind("web", "n-life").await;
    w.running("web").await;
    let tenant =
        w.tenant.until("running", &w.path("pods", "web"), |p| p["status"]["phase"] == "Running").await;
    assert_eq!(tenant["spec"]["nodeName"], "n-life");
    assert_eq!(tenant["status"]["podIP"], "10.2.0.7");
    let node = w.tenant.get("/api/v1/nodes/n-life").await.expect("node");
    assert!(node["metadata"]["labels"].get("private").is_none());
    let per_pod = w.count("tenant_writes_total", "bind pods") + w.count("tenant_writes_total", "status pods");
    assert!(per_pod <= 5, "PF5: {per_pod}");

    // A second pass writes nothing.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = w.writes();
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(w.writes(), before, "{:?}", w.handle.counts());

    // Changes down: a label, an image.
    w.tenant.merge(&w.path("pods", "web"), json!({"metadata": {"labels": {"app": "two", "new": "x"}}})).await;
    w.host.until("label", &w.host_path("pods", "web").await, |p| p["metadata"]["labels"]["new"] == "x").await;
    w.tenant.merge(&w.path("pods", "web"), json!({"metadata": {"labels": {"new": null}}})).await;
    w.host
        .until("label removed", &w.host_path("pods", "web").await, |p| {
            p["metadata"]["labels"].get("new").is_none()
        })
        .await;

    // Deletion both ways: the host keeps its grace, the tenant goes after the host.
    w.tenant.delete(&w.path("pods", "web"), None).await;
    w.host
        .until("deleting", &w.host_path("pods", "web").await, |p| {
            p["metadata"]["deletionGracePeriodSeconds"] == 5
        })
        .await;
    assert!(w.tenant.get(&w.path("pods", "web")).await.is_some());
    w.host.delete(&w.host_path("pods", "web").await, Some(0)).await;
    w.tenant.gone("tenant pod", &w.path("pods", "web")).await;
    w.host.gone("secret", &w.host_path("secrets", "pw").await).await;
    w.tenant.gone("idle node", "/api/v1/nodes/n-life").await;
    w.host.delete("/api/v1/nodes/n-life", None).await;
    w.end().await;
}

/// PO41: a lost host pod is reported, a bare pod stays Failed; an unbound one is made again.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_lost_pods() {
    let w = World::new("lost", false).await;
    w.node("n-lost").await;
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod("bare")).await;
    let first = w.host.until("host pod", &w.host_path("pods", "bare").await, |_| true).await;
    w.host.delete(&w.host_path("pods", "bare").await, Some(0)).await;
    w.host
        .until("made again", &w.host_path("pods", "bare").await, |p| {
            p["metadata"]["uid"] != first["metadata"]["uid"]
        })
        .await;
    w.bind("bare", "n-lost").await;
    w.running("bare").await;
    w.tenant.until("running", &w.path("pods", "bare"), |p| p["status"]["phase"] == "Running").await;
    w.host.delete(&w.host_path("pods", "bare").await, Some(0)).await;
    let pod = w.tenant.until("failed", &w.path("pods", "bare"), |p| p["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["reason"], "HostPodDeleted");
    assert_eq!(pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(w.host.get(&w.host_path("pods", "bare").await).await.is_none(), "never made again");
    w.host.delete("/api/v1/nodes/n-lost", None).await;
    w.end().await;
}

/// Refusals are told; drift is repaired; foreign objects stay; a Service's addresses are reserved and given back.
#[tokio::test(flavor = "multi_thread")]
async fn reconcile_refusals_drift_and_services() {
    let w = World::new("drift", true).await;
    let mut bad = w.pod("bad");
    bad["spec"]["hostNetwork"] = json!(true);
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), bad).await;
    let refused = w
        .tenant
        .until("refused", &w.path("pods", "bad"), |p| {
            p["status"]["conditions"]
                .as_array()
                .is_some_and(|c| c.iter().any(|c| c["type"] == "skerry.dev/Carried"))
        })
        .await;
    let condition = refused["status"]["conditions"]
        .as_array()
        .and_then(|c| c.iter().find(|c| c["type"] == "skerry.dev/Carried").cloned());
    assert_eq!(condition.map(|c| c["reason"].clone()), Some(json!("PolicyDenied")));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let state = w.handle.states().borrow().get(&w.entry.id).cloned().expect("state");
    assert!(state.refused >= 1 && state.synced, "a refused object alone never turns Synced False: {state:?}");

    // Agreement on addresses, idempotent by UID, and given back.
    let uid = "5d2f6a50-0000-4000-8000-000000000001";
    let service = json!({"metadata": {"name": "svc", "namespace": w.namespace, "uid": uid},
        "spec": {"type": "NodePort", "selector": {"app": "a"}, "ports": [{"port": 80}]}});
    let one = w.handle.reserve(&w.entry.id, &service).await.expect("reserved");
    let two = w.handle.reserve(&w.entry.id, &service).await.expect("reserved");
    assert_eq!(one, two);
    assert!(!one.cluster_ips.is_empty() && one.node_ports.len() == 1, "{one:?}");
    w.handle.release(&w.entry.id, uid).await.expect("released");
    w.host.gone("released", &w.host_path("services", "svc").await).await;
    // One that is never stored and never given back is swept.
    w.handle.reserve(&w.entry.id, &service).await.expect("reserved");
    w.host.gone("swept", &w.host_path("services", "svc").await).await;

    // Mirrored drift repair on a headless Service.
    let headless = json!({"metadata": {"name": "peers"}, "spec": {"clusterIP": "None", "selector": {"app": "a"}, "ports": [{"port": 80}]}});
    w.tenant.post(&format!("/api/v1/namespaces/{}/services", w.namespace), headless).await;
    let path = w.host_path("services", "peers").await;
    w.host.until("headless", &path, |_| true).await;
    w.host.merge(&path, json!({"spec": {"selector": {"app": "stolen"}}})).await;
    w.host.until("repaired", &path, |s| s["spec"]["selector"]["app"] == "a").await;
    w.host.delete(&path, None).await;
    w.host.until("made again", &path, |_| true).await;

    // A foreign object of the same name is never touched.
    let foreign = w.host_path("services", "taken").await;
    let collection = foreign.rsplit_once('/').map(|(c, _)| c.to_owned()).expect("path");
    w.host
        .post(
            &collection,
            json!({"metadata": {"name": "taken"}, "spec": {"clusterIP": "None", "ports": [{"port": 1}]}}),
        )
        .await;
    let taken = json!({"metadata": {"name": "taken"}, "spec": {"clusterIP": "None", "ports": [{"port": 2}]}});
    w.tenant.post(&format!("/api/v1/namespaces/{}/services", w.namespace), taken).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(w.host.get(&foreign).await.expect("foreign")["spec"]["ports"][0]["port"], 1);
    let state = w.handle.states().borrow().get(&w.entry.id).cloned().expect("state");
    assert!(state.problems.iter().any(|p| p.reason == "HostNameTaken"), "{:?}", state.problems);

    // Drain: ours go by proof, the foreign one stays and is named.
    let mut entry = w.entry.clone();
    entry.owner.draining = true;
    w.tenants.send_replace(Arc::new(vec![Arc::new(entry)]));
    w.host.gone("drained", &path).await;
    w.synced("Draining").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let state = w.handle.states().borrow().get(&w.entry.id).cloned().expect("state");
    let left = state.remaining.expect("remaining");
    assert!(
        left.iter().any(|r| r.kind == "Service" && r.blocked_on.as_deref() == Some("foreign Service taken")),
        "{left:?}"
    );
    w.host.delete(&foreign, None).await;
    w.synced("Drained").await;
    w.end().await;
}
