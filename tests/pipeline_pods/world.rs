//! A tenant, a host and a syncer between them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
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
    DnsServers, EmbeddedSource, HostEntry, Periods, Reach, Syncer, SyncerConfig, SyncerHandle, TenantEntry,
    facts::Network,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// One API server.
#[derive(Clone)]
pub struct Cluster(pub kube::Client);

impl Cluster {
    pub async fn of(variable: &str) -> Option<Self> {
        let path = std::env::var(variable).ok()?;
        let kubeconfig = kube::config::Kubeconfig::read_from(path).expect("kubeconfig");
        let config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.expect("config");
        Some(Self(kube::Client::try_from(config).expect("client")))
    }

    pub async fn call(
        &self,
        method: &str,
        path: &str,
        content: &str,
        body: Option<Value>,
    ) -> Result<Value, u16> {
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

    pub async fn get(&self, path: &str) -> Option<Value> {
        self.call("GET", path, "application/json", None).await.ok()
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.call("POST", path, "application/json", Some(body)).await.expect("created")
    }

    pub async fn merge(&self, path: &str, body: Value) -> Value {
        self.call("PATCH", path, "application/merge-patch+json", Some(body)).await.expect("patched")
    }

    pub async fn delete(&self, path: &str, grace: Option<i64>) {
        let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        if let Some(grace) = grace {
            options["gracePeriodSeconds"] = json!(grace);
        }
        let _ = self.call("DELETE", path, "application/json", Some(options)).await;
    }

    pub async fn until(&self, what: &str, path: &str, test: impl Fn(&Value) -> bool) -> Value {
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

    pub async fn gone(&self, what: &str, path: &str) {
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

/// A running syncer.
pub struct Running {
    handle: SyncerHandle,
    stop: CancellationToken,
    run: tokio::task::JoinHandle<()>,
    tenants: watch::Sender<Arc<Vec<Arc<TenantEntry>>>>,
    _hosts: watch::Sender<Arc<Vec<HostEntry>>>,
}

impl Running {
    /// Stops it and waits for all its tasks.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.run).await.expect("ends").expect("no panic");
    }
}

/// A tenant, a host, and a syncer between them.
pub struct World {
    pub tenant: Cluster,
    pub host: Cluster,
    pub entry: TenantEntry,
    pub namespace: String,
    running: Option<Running>,
    server: Option<Arc<Server>>,
    /// The syncer's client of a host apart from the tenant's server.
    apart: Option<kube::Client>,
}

/// A host of a server of its own.
pub struct Apart {
    /// The hands of the test.
    pub hands: Cluster,
    /// The syncer's client.
    pub own: kube::Client,
}

/// Lets a number of writes pass, then nothing at all: a process killed after its n-th write.
pub struct Kill {
    left: AtomicI64,
}

impl Kill {
    pub fn after(writes: i64) -> Arc<Self> {
        Arc::new(Self { left: AtomicI64::new(writes) })
    }

    /// From now on nothing passes.
    pub fn end(&self) {
        self.left.store(0, Ordering::SeqCst);
    }

    /// Whether the last write that may pass has passed.
    pub fn dead(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }

    fn client(self: &Arc<Self>, inner: kube::Client) -> kube::Client {
        let kill = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (kill, inner) = (kill.clone(), inner.clone());
            async move {
                let write = request.method() != http::Method::GET
                    && !request.uri().query().is_some_and(|q| q.contains("dryRun"));
                let before = if write {
                    kill.left.fetch_sub(1, Ordering::SeqCst)
                } else {
                    kill.left.load(Ordering::SeqCst)
                };
                if before <= 0 {
                    return Err(tower::BoxError::from("killed"));
                }
                inner.send(request).await.map_err(tower::BoxError::from)
            }
        });
        kube::Client::new(service, "default")
    }
}

impl World {
    pub async fn new(name: &str, agreed: bool) -> Self {
        Self::with(name, agreed, &["10.96.0.0/12"], None).await
    }

    /// Both families on both sides, addresses agreed between them.
    pub async fn dual(name: &str) -> Self {
        Self::with(name, true, &["10.96.0.0/12", "fd00:96::/108"], None).await
    }

    /// A tenant on a host apart.
    pub async fn on(name: &str, host: Apart) -> Self {
        Self::with(name, false, &["10.96.0.0/12"], Some(host)).await
    }

    async fn with(name: &str, agreed: bool, ranges: &[&str], apart: Option<Apart>) -> Self {
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
                for mut spec in [
                    TenantSpec::new(tenant, &uid, Role::Tenant, &defaults),
                    TenantSpec::new(host, "the-host", Role::Host, &defaults),
                ] {
                    spec.service_cidrs = ranges.iter().map(|r| (*r).to_owned()).collect();
                    server.tenants().create(spec).await.expect("tenant");
                }
                // The hands of these tests are other hands than the syncer's.
                let client = |id| Cluster(server.client(id, Identity::system("admin")));
                (client(tenant), client(host), Some(server.clone()))
            }
        };
        let (host, apart) = match apart {
            Some(apart) => (apart.hands, Some(apart.own)),
            None => (host, None),
        };
        let reach = if server.is_some() { Reach::Embedded } else { Reach::Own };
        let object = json!({"metadata": {"name": name, "namespace": "team-a", "uid": uid, "generation": 1},
            "spec": {"podSecurity": {"enforce": "privileged"}, "sync": {}},
            "status": {"id": id, "hosts": [{"name": "h"}], "class": {"name": "standard"}}});
        let network = Network { front_door: vec!["10.9.9.9".into()], port: 6443, ..Network::default() };
        let entry =
            TenantEntry::of(&object, &Value::Null, tenant.0.clone(), reach, network, agreed).expect("entry");
        let namespace = format!("{name}-{}", std::process::id());
        let mut world = Self { tenant, host, running: None, entry, namespace, server, apart };
        world.start(None);
        world.fresh(&world.namespace.clone()).await;
        world.synced("CaughtUp").await;
        world
    }

    /// Makes a namespace and waits for its account.
    pub async fn fresh(&self, namespace: &str) {
        let object = json!({"metadata": {"name": namespace, "labels": {"team": "a"}}});
        self.tenant.post("/api/v1/namespaces", object).await;
        let sa = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
        self.tenant.until("default account", &sa, |_| true).await;
    }

    /// Starts a syncer; `kill`: its clients answer nothing any more after so many writes.
    pub fn start(&mut self, kill: Option<Arc<Kill>>) {
        let wrap = |client: kube::Client| match &kill {
            Some(kill) => kill.client(client),
            None => client,
        };
        self.running = Some(self.run(wrap, wrap));
    }

    /// Starts one whose way to the host is another.
    pub fn start_over(&mut self, host: impl Fn(kube::Client) -> kube::Client) {
        self.running = Some(self.run(|client| client, host));
    }

    /// A second one beside the first.
    pub fn beside(&self) -> Running {
        self.run(|client| client, |client| client)
    }

    fn run(
        &self,
        to_tenant: impl Fn(kube::Client) -> kube::Client,
        to_host: impl Fn(kube::Client) -> kube::Client,
    ) -> Running {
        let mut entry = self.entry.clone();
        entry.client = to_tenant(self.own(&self.tenant, &self.entry.owner.uid));
        let (tenants, tenants_rx) = watch::channel(Arc::new(vec![Arc::new(entry)]));
        let host = HostEntry {
            name: "h".into(),
            client: to_host(self.apart.clone().unwrap_or_else(|| self.own(&self.host, "the-host"))),
            simulated: false,
            subject: None,
        };
        let (hosts, hosts_rx) = watch::channel(Arc::new(vec![host]));
        let mut config = SyncerConfig::new(tenants_rx, hosts_rx);
        config.periods = Periods {
            patrol: Duration::from_secs(3),
            unreferenced: Duration::from_secs(1),
            idle_node: Duration::from_secs(2),
            pending: Duration::from_secs(3),
            ..Periods::default()
        };
        config.dns = Some(Arc::new(DnsServers::new([127, 0, 0, 1].into(), [127, 0, 0, 1].into())));
        config.embedded =
            self.server.as_ref().map(|server| EmbeddedSource { client: server.system_client("syncer") });
        let syncer = Syncer::new(config);
        let (handle, stop) = (syncer.handle(), CancellationToken::new());
        let run = tokio::spawn(syncer.run(stop.clone()));
        Running { handle, stop, run, tenants, _hosts: hosts }
    }

    /// The syncer's own client of a cluster.
    fn own(&self, cluster: &Cluster, uid: &str) -> kube::Client {
        match &self.server {
            Some(server) => server.client(TenantId::of_uid(uid), Identity::system("syncer")),
            None => cluster.0.clone(),
        }
    }

    /// Stops the syncer and waits for all its tasks.
    pub async fn halt(&mut self) {
        let Some(running) = self.running.take() else { return };
        running.stop().await;
    }

    /// Whether the tenant's server is in this process.
    pub fn is_inside(&self) -> bool {
        self.server.is_some()
    }

    /// The server in this process.
    pub fn server(&self) -> &Arc<Server> {
        self.server.as_ref().expect("in this process")
    }

    fn at_work(&self) -> &Running {
        self.running.as_ref().expect("a syncer runs")
    }

    pub fn handle(&self) -> &SyncerHandle {
        &self.at_work().handle
    }

    /// Gives the syncer another entry of the tenant.
    pub fn give(&self, entry: TenantEntry) {
        self.at_work().tenants.send_replace(Arc::new(vec![Arc::new(entry)]));
    }

    pub async fn synced(&self, reason: &str) {
        let mut states = self.handle().states();
        let id = self.entry.id.clone();
        let wait = states.wait_for(|s| s.get(&id).is_some_and(|s| s.reason == reason));
        let found = tokio::time::timeout(Duration::from_secs(30), wait).await;
        assert!(found.is_ok(), "{reason}: {:?}", self.handle().states().borrow().get(&id));
    }

    pub fn path(&self, plural: &str, name: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}/{name}", self.namespace)
    }

    pub async fn host_namespace(&self) -> String {
        let ns = self.tenant.get(&format!("/api/v1/namespaces/{}", self.namespace)).await.expect("namespace");
        let mapping = self.entry.mapping();
        mapping.namespace(&self.namespace, ns["metadata"]["uid"].as_str().expect("uid")).to_string()
    }

    pub async fn host_path(&self, plural: &str, name: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}/{name}", self.host_namespace().await)
    }

    pub fn pod(&self, name: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": self.namespace, "labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 5, "containers": [{"name": "c", "image": "nginx:1",
                "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "pw", "key": "k", "optional": true}}}]}]}})
    }

    pub async fn node(&self, name: &str) {
        let node =
            json!({"metadata": {"name": name, "labels": {"kubernetes.io/os": "linux", "private": "x"}}});
        let _ = self.host.call("POST", "/api/v1/nodes", "application/json", Some(node)).await;
        let status = json!({"status": {"capacity": {"cpu": "4"}, "conditions": [{"type": "Ready", "status": "True",
            "lastHeartbeatTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
        self.host.merge(&format!("/api/v1/nodes/{name}/status"), status).await;
    }

    pub async fn bind(&self, name: &str, node: &str) {
        let binding = json!({"metadata": {"name": name}, "target": {"kind": "Node", "name": node}});
        self.host.post(&format!("{}/binding", self.host_path("pods", name).await), binding).await;
    }

    pub async fn running(&self, name: &str) {
        let status = json!({"status": {"phase": "Running", "podIP": "10.2.0.7", "podIPs": [{"ip": "10.2.0.7"}],
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}],
            "containerStatuses": [{"name": "c", "image": "nginx:1", "imageID": "x", "ready": true, "restartCount": 0,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}});
        self.host.merge(&format!("{}/status", self.host_path("pods", name).await), status).await;
    }

    pub fn count(&self, name: &str, label: &str) -> u64 {
        self.handle().counts().iter().find(|(n, l, _)| *n == name && l == label).map_or(0, |(_, _, c)| *c)
    }

    pub fn writes(&self) -> u64 {
        let writes = ["host_writes_total", "tenant_writes_total"];
        self.handle().counts().iter().filter(|(n, ..)| writes.contains(n)).map(|(.., c)| c).sum()
    }

    pub async fn end(mut self) {
        self.tenant.delete(&format!("/api/v1/namespaces/{}", self.namespace), None).await;
        self.halt().await;
        if let Some(server) = self.server {
            server.shutdown().await;
        }
    }
}
