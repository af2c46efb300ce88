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
use skerry_api::labels;
use skerry_api::rights::{self, HOST_ACCOUNT, HOST_ROLE, SYNC_ROLE};
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::Server;
use skerry_apiserver::tenant::TenantId;
use skerry_kit::isolation::Subject;
use skerry_syncer::{
    DnsServers, EmbeddedSource, HostEntry, Periods, Reach, Syncer, SyncerConfig, SyncerHandle, TenantEntry,
    facts::Network,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::faults::{Asked, Line};

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
    /// The syncer's ways to its tenants, to its host, and to the shards of the server.
    pub to_tenants: Arc<Line>,
    pub to_host: Arc<Line>,
    pub to_shards: Arc<Line>,
    /// For syncers that start from now on.
    pub periods: Periods,
    running: Option<Running>,
    server: Option<Arc<Server>>,
    /// The syncer's client of a host apart from the tenant's server.
    apart: Option<kube::Client>,
    /// Other tenants on the same host.
    others: Vec<Arc<TenantEntry>>,
}

/// Another tenant on the host of a [`World`].
pub struct Neighbour {
    pub tenant: Cluster,
    pub entry: TenantEntry,
    pub namespace: String,
}

/// Names of what a host holds of a tenant begin so.
pub fn prefix(entry: &TenantEntry) -> String {
    format!("sk-{}-", entry.id)
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

/// A tenant as the directory gives it to the syncer.
fn entry(name: &str, uid: &str, id: &str, tenant: &Cluster, reach: Reach, agreed: bool) -> TenantEntry {
    let object = json!({"metadata": {"name": name, "namespace": "team-a", "uid": uid, "generation": 1},
        "spec": {"podSecurity": {"enforce": "privileged"}, "sync": {}},
        "status": {"id": id, "hosts": [{"name": "h"}], "class": {"name": "standard"}}});
    let network = Network { front_door: vec!["10.9.9.9".into()], port: 6443, ..Network::default() };
    TenantEntry::of(&object, &Value::Null, tenant.0.clone(), reach, network, agreed).expect("entry")
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
        let entry = entry(name, &uid, &id, &tenant, reach, agreed);
        let namespace = format!("{name}-{}", std::process::id());
        let mut world = Self {
            tenant,
            host,
            entry,
            namespace,
            to_tenants: Arc::default(),
            to_host: Arc::default(),
            to_shards: Arc::default(),
            periods: Periods {
                patrol: Duration::from_secs(3),
                unreferenced: Duration::from_secs(1),
                idle_node: Duration::from_secs(2),
                pending: Duration::from_secs(3),
                ..Periods::default()
            },
            running: None,
            server,
            apart,
            others: Vec::new(),
        };
        if world.has_rights() {
            world.grant().await;
        }
        world.start(None);
        world.fresh(&world.namespace.clone()).await;
        world.synced("CaughtUp").await;
        world
    }

    /// Whether the syncer has the chart's rights on the host, and no more: where the host is of this process.
    fn has_rights(&self) -> bool {
        self.server.is_some() && self.apart.is_none()
    }

    /// The roles of the chart, as a join makes them on a host (tenancy I9).
    async fn grant(&self) {
        const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
        let system = labels::SYSTEM_NAMESPACE;
        let account = json!([{"kind": "ServiceAccount", "name": HOST_ACCOUNT, "namespace": system}]);
        let role_ref =
            |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": HOST_ROLE});
        let named = json!({"name": HOST_ROLE});
        let inner = format!("{RBAC}/namespaces/{system}");
        for (path, object) in [
            ("/api/v1/namespaces".to_owned(), json!({"metadata": {"name": system}})),
            (
                format!("/api/v1/namespaces/{system}/serviceaccounts"),
                json!({"metadata": {"name": HOST_ACCOUNT}}),
            ),
            (
                format!("{RBAC}/clusterroles"),
                json!({"metadata": {"name": SYNC_ROLE}, "rules": rights::tenant_sync()}),
            ),
            (format!("{RBAC}/clusterroles"), json!({"metadata": named, "rules": rights::host()})),
            (
                format!("{RBAC}/clusterrolebindings"),
                json!({"metadata": named, "roleRef": role_ref("ClusterRole"), "subjects": account}),
            ),
            (format!("{inner}/roles"), json!({"metadata": named, "rules": rights::host_system()})),
            (
                format!("{inner}/rolebindings"),
                json!({"metadata": named, "roleRef": role_ref("Role"), "subjects": account}),
            ),
        ] {
            self.host.post(&path, object).await;
        }
    }

    /// Makes another tenant on the same host, with a namespace of its own.
    pub async fn join(&mut self, name: &str) -> Neighbour {
        let uid = format!("{name}-{}", std::process::id());
        let defaults = ServerConfig::from_yaml("store: {backend: memory}").expect("config").tenant_defaults;
        let spec = TenantSpec::new(TenantId::of_uid(&uid), &uid, Role::Tenant, &defaults);
        self.server().tenants().create(spec).await.expect("tenant");
        let tenant = Cluster(self.server().client(TenantId::of_uid(&uid), Identity::system("admin")));
        let id = skerry_api::ids::tenant_id(&uid);
        let entry = entry(name, &uid, &id, &tenant, Reach::Embedded, false);
        let mut served = entry.clone();
        served.client = self.to_tenants.client(self.own(&tenant, &uid));
        self.others.push(Arc::new(served));
        self.give(self.entry.clone());
        let namespace = uid;
        let object = json!({"metadata": {"name": namespace, "labels": {"team": "a"}}});
        tenant.post("/api/v1/namespaces", object).await;
        let sa = format!("/api/v1/namespaces/{namespace}/serviceaccounts/default");
        tenant.until("default account", &sa, |_| true).await;
        Neighbour { tenant, entry, namespace }
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
        entry.client = to_tenant(self.to_tenants.client(self.own(&self.tenant, &self.entry.owner.uid)));
        let (tenants, tenants_rx) = watch::channel(self.all(entry));
        let own = self.apart.clone().unwrap_or_else(|| self.own(&self.host, "the-host"));
        let subject =
            Subject { namespace: labels::SYSTEM_NAMESPACE.to_owned(), name: HOST_ACCOUNT.to_owned() };
        let host = HostEntry {
            name: "h".into(),
            client: to_host(self.to_host.client(own)),
            simulated: false,
            subject: self.has_rights().then_some(subject),
        };
        let (hosts, hosts_rx) = watch::channel(Arc::new(vec![host]));
        let mut config = SyncerConfig::new(tenants_rx, hosts_rx);
        config.periods = self.periods;
        config.dns = Some(Arc::new(DnsServers::new([127, 0, 0, 1].into(), [127, 0, 0, 1].into())));
        config.image = Some("registry.example/skerry:1".into());
        config.embedded = self
            .server
            .as_ref()
            .map(|server| EmbeddedSource { client: self.to_shards.client(server.system_client("syncer")) });
        let syncer = Syncer::new(config);
        let (handle, stop) = (syncer.handle(), CancellationToken::new());
        let run = tokio::spawn(syncer.run(stop.clone()));
        Running { handle, stop, run, tenants, _hosts: hosts }
    }

    /// The syncer's own client of a cluster.
    pub fn own(&self, cluster: &Cluster, uid: &str) -> kube::Client {
        let who = match uid {
            "the-host" => Identity::service_account(labels::SYSTEM_NAMESPACE, HOST_ACCOUNT, ""),
            _ => Identity::system("syncer"),
        };
        match &self.server {
            Some(server) => server.client(TenantId::of_uid(uid), who),
            None => cluster.0.clone(),
        }
    }

    /// All tenants, with this entry of the first.
    fn all(&self, entry: TenantEntry) -> Arc<Vec<Arc<TenantEntry>>> {
        Arc::new([Arc::new(entry)].into_iter().chain(self.others.iter().cloned()).collect())
    }

    /// What the host refused to the syncer, for want of rights. Where a namespace comes or goes, its binding may be missing
    /// for a moment: there, what is refused again and again.
    pub fn forbidden(&self) -> Vec<Asked> {
        let all: Vec<Asked> = self.to_host.asked().into_iter().filter(|asked| asked.code == 403).collect();
        let is_lasting = |asked: &Asked| {
            !asked.path.contains("/namespaces/sk-t") || all.iter().filter(|other| *other == asked).count() > 2
        };
        all.iter().filter(|asked| is_lasting(asked)).cloned().collect()
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
    pub fn give(&self, mut entry: TenantEntry) {
        entry.client = self.to_tenants.client(self.own(&self.tenant, &entry.owner.uid));
        self.at_work().tenants.send_replace(self.all(entry));
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
        self.pod_in(&self.namespace, name)
    }

    pub fn pod_in(&self, namespace: &str, name: &str) -> Value {
        json!({"metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
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

    /// Writes to either side, those that were not taken among them.
    pub fn writes(&self) -> u64 {
        let writes = [
            "host_writes_total",
            "tenant_writes_total",
            "host_failed_writes_total",
            "tenant_failed_writes_total",
        ];
        self.handle().counts().iter().filter(|(n, ..)| writes.contains(n)).map(|(.., c)| c).sum()
    }

    pub async fn end(mut self) {
        self.tenant.delete(&format!("/api/v1/namespaces/{}", self.namespace), None).await;
        self.halt().await;
        // SY-22: each case of the suite runs with the chart's rights, and asks for nothing beyond them.
        assert_eq!(self.forbidden(), [], "the host refused the syncer");
        if let Some(server) = self.server {
            server.shutdown().await;
        }
    }
}
