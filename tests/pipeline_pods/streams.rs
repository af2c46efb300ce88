//! `logs`, `exec`, `attach` and `port-forward` from a tenant's client to the kubelet of its host and back: LG1, SE5,
//! SY-100, apiserver T1 to T3.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{AsyncBufReadExt as _, TryStreamExt as _};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, LogParams};
use serde_json::{Value, json};
use skerry::cli::adapters::streams::{BySyncer, Ways};
use skerry::control_plane::admin::{Admin, CredentialAsk};
use skerry_api::labels;
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::Server;
use skerry_apiserver::model::status::ApiStatus;
use skerry_apiserver::tenant::TenantId;
use skerry_apiserver::tunnel::{Target, Tunnel, TunnelError};
use skerry_kit::kubeconfig::{Entry, User};
use skerry_syncer::{PodStream, StreamError, StreamHead};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::kubelet::{Kubelet, PIECE};
use crate::link::{self, Served};
use crate::world::{Apart, Cluster, World};

const LIMIT: Duration = Duration::from_secs(20);

/// A pod of a tenant that runs on a host with a kubelet.
struct Rig {
    w: World,
    kubelet: Arc<Kubelet>,
    pods: Api<Pod>,
    /// Server of the host, where it is one apart.
    beyond: Option<Arc<Server>>,
}

impl Rig {
    /// Tenant and host in one server, as in `skerry up`; nothing where the clusters are given from outside.
    async fn inside(name: &str) -> Option<Self> {
        let (kubelet, w) = (Arc::<Kubelet>::default(), World::new(name, false).await);
        if !w.is_inside() {
            return None;
        }
        let host: Arc<dyn Tunnel> = kubelet.clone();
        let ways = Ways {
            hosts: HashMap::from([(TenantId::of_uid("the-host"), host)]),
            tenants: BySyncer(w.handle().clone()),
        };
        w.server().attach_tunnel(Arc::new(ways));
        Some(Self::of(w, kubelet, None).await)
    }

    /// The host behind a socket, reached by a kubeconfig.
    async fn apart(name: &str) -> Option<Self> {
        let (w, kubelet, server) = Self::beyond(name).await?;
        w.server().attach_tunnel(Arc::new(BySyncer(w.handle().clone())));
        Some(Self::of(w, kubelet, Some(server)).await)
    }

    /// The same, and the syncer behind its link.
    async fn linked(name: &str) -> Option<(Self, Served)> {
        let (w, kubelet, server) = Self::beyond(name).await?;
        let served = Served::of(w.handle().clone()).await;
        w.server().attach_tunnel(Arc::new(link::tunnel(&served).await));
        Some((Self::of(w, kubelet, Some(server)).await, served))
    }

    async fn beyond(name: &str) -> Option<(World, Arc<Kubelet>, Arc<Server>)> {
        let kubelet = Arc::<Kubelet>::default();
        let config = ServerConfig::from_yaml("store: {backend: memory}").unwrap();
        let defaults = config.tenant_defaults;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let builder = Server::builder().config(config).advertise(address).tunnel(kubelet.clone());
        let server = builder.build().await.unwrap();
        let id = TenantId::of_uid("the-host");
        server.tenants().create(TenantSpec::new(id, "the-host", Role::Host, &defaults)).await.unwrap();
        let serving = server.clone();
        tokio::spawn(async move { serving.serve(listener).await });
        let ask = CredentialAsk {
            user: "hub:credential:owner",
            groups: &["hub:role:admins"],
            ttl: Duration::from_secs(3600),
            token: false,
        };
        let made = Admin::new(server.system_client("manager")).credential(id.as_str(), &ask).await.unwrap();
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        let entry = Entry {
            name: "host",
            server: &format!("https://{address}/clusters/{id}"),
            server_name: "",
            ca: &server.serving_authority(),
            user: User::Certificate { certificate: text("certificate"), key: text("key") },
            namespace: None,
        };
        let file = serde_json::from_value(entry.file()).unwrap();
        let config = kube::Config::from_custom_kubeconfig(file, &Default::default()).await.unwrap();
        let hands = Cluster(server.client(id, Identity::system("admin")));
        let w = World::on(name, Apart { hands, own: kube::Client::try_from(config).unwrap() }).await;
        w.is_inside().then_some((w, kubelet, server))
    }

    async fn of(w: World, kubelet: Arc<Kubelet>, beyond: Option<Arc<Server>>) -> Self {
        let pods = Api::namespaced(w.tenant.0.clone(), &w.namespace);
        let rig = Self { w, kubelet, pods, beyond };
        rig.w.node("n1").await;
        rig.pod("p").await;
        rig
    }

    /// A running pod.
    async fn pod(&self, name: &str) {
        let w = &self.w;
        w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), w.pod(name)).await;
        w.host.until("host pod", &w.host_path("pods", name).await, |_| true).await;
        w.bind(name, "n1").await;
        w.running(name).await;
        let is_running = |p: &Value| p["status"]["phase"] == "Running" && p["spec"]["nodeName"] == "n1";
        w.tenant.until("running", &w.path("pods", name), is_running).await;
    }

    async fn uid(&self, name: &str) -> String {
        let pod = self.w.tenant.get(&self.w.path("pods", name)).await.unwrap();
        pod["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    /// A stream with a protocol of which the API server knows nothing.
    async fn switch(&self, method: Method, rest: &str, headers: &[(&str, &str)]) -> TokioIo<Upgraded> {
        let mut request = Request::builder().method(method).uri(self.w.path("pods", &format!("p/{rest}")));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("connection", "Upgrade").body(kube::client::Body::empty()).unwrap();
        let mut answer = self.w.tenant.0.send(request).await.unwrap();
        assert_eq!(answer.status(), 101, "{rest}");
        assert!(!answer.headers().contains_key("x-node"), "{:?}", answer.headers());
        TokioIo::new(hyper::upgrade::on(&mut answer).await.unwrap())
    }

    /// What the syncer answers for a pod of these names and this UID.
    async fn opened(&self, tenant: &str, name: &str, uid: &str) -> StreamError {
        let to = PodStream {
            namespace: self.w.namespace.clone(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            subresource: "log".to_owned(),
        };
        let head = StreamHead {
            method: Method::GET,
            query: String::new(),
            server: (String::new(), String::new()),
            body: bytes::Bytes::new(),
            headers: http::HeaderMap::new(),
            audit_id: "a".to_owned(),
        };
        self.w.handle().open(tenant, &to, head).await.err().expect("no stream")
    }

    /// The refusal of a log.
    async fn refused(&self, name: &str) -> (u16, String) {
        match self.pods.logs(name, &LogParams::default()).await {
            Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
            other => panic!("{name}: {other:?}"),
        }
    }

    async fn end(self) {
        self.w.end().await;
        if let Some(server) = self.beyond {
            server.shutdown().await;
        }
    }
}

/// Sends bytes of every value and reads as many back.
async fn echoed(mut read: impl AsyncRead + Unpin, mut write: impl AsyncWrite + Unpin) {
    let sent: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    let mut back = vec![0; sent.len()];
    let both = async { tokio::join!(write.write_all(&sent), read.read_exact(&mut back)) };
    let (wrote, got) = tokio::time::timeout(LIMIT, both).await.unwrap();
    wrote.unwrap();
    got.unwrap();
    assert!(back == sent, "bytes are equal");
}

async fn all_pass(rig: &Rig) {
    let w = &rig.w;
    let of_host = w.host.get(&w.host_path("pods", "p").await).await.unwrap();
    let log = rig.pods.logs("p", &LogParams::default()).await.unwrap();
    assert_eq!(log, format!("log of {}\n", of_host["metadata"]["uid"].as_str().unwrap()));
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = rig.pods.log_stream("p", &follow).await.unwrap().lines();
    for i in 0..3 {
        assert_eq!(lines.try_next().await.unwrap().unwrap(), format!("line {i}"));
    }
    drop(lines);

    let with_input = AttachParams { stdin: true, stderr: false, ..AttachParams::default() };
    let mut exec = rig.pods.exec("p", ["cat"], &with_input).await.unwrap();
    let (mut input, output) = (exec.stdin().unwrap(), exec.stdout().unwrap());
    let status = exec.take_status().unwrap();
    echoed(output, &mut input).await;
    input.shutdown().await.unwrap();
    drop(input);
    let status = tokio::time::timeout(LIMIT, status).await.unwrap().unwrap();
    assert_eq!(status.reason, Some("NonZeroExitCode".to_owned()), "{status:?}");

    let mut attached = rig.pods.attach("p", &AttachParams::default()).await.unwrap();
    let mut said = String::new();
    attached.stdout().unwrap().read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "no input\n");

    let mut forward = rig.pods.portforward("p", &[80]).await.unwrap();
    let (read, write) = tokio::io::split(forward.take_stream(80).unwrap());
    echoed(read, write).await;

    for rest in ["exec?command=sh&stdin=true", "attach?stdin=true", "portforward"] {
        let (read, write) =
            tokio::io::split(rig.switch(Method::POST, rest, &[("upgrade", "SPDY/3.1")]).await);
        echoed(read, write).await;
    }
    let tunnelled = [
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "SPDY/3.1+portforward.k8s.io"),
        ("authorization", "Bearer of-the-tenant"),
    ];
    let (read, write) = tokio::io::split(rig.switch(Method::GET, "portforward", &tunnelled).await);
    echoed(read, write).await;

    // What the pod's own server answers, by the path, port and body that the client named.
    for (at, body, said) in [
        ("p/proxy/", "", "GET : proxy? "),
        ("http:p:8080/proxy/a/b%20c%3Ff?d=e", "sent", "POST http:8080 proxy/a/b c?f?d=e sent"),
    ] {
        let method = if body.is_empty() { Method::GET } else { Method::POST };
        let request = Request::builder().method(method).uri(w.path("pods", at));
        let request = request.body(body.as_bytes().to_vec()).unwrap();
        assert_eq!(w.tenant.0.request_text(request).await.unwrap(), said, "{at}");
    }

    let space = w.host_namespace().await;
    for (to, head) in rig.kubelet.asked.lock().iter() {
        assert!(matches!(to, Target::Pod { namespace, .. } if *namespace == space), "{to:?}");
        assert!(!head.headers.contains_key("authorization"), "{head:?}");
    }
}

/// LG1: every stream, both ways, host in the process.
#[tokio::test(flavor = "multi_thread")]
async fn pipeline_lg1_streams_reach_pods() {
    let Some(rig) = Rig::inside("streams").await else { return };
    tokio::time::timeout(3 * LIMIT, all_pass(&rig)).await.expect("nothing hangs");
    rig.end().await;
}

/// LG1: the same by a kubeconfig; a host that is down is said to be (apiserver 7.1), and not which one.
#[tokio::test(flavor = "multi_thread")]
async fn pipeline_lg1_streams_reach_pods_of_a_host_apart() {
    let Some(mut rig) = Rig::apart("moored").await else { return };
    tokio::time::timeout(3 * LIMIT, all_pass(&rig)).await.expect("nothing hangs");
    rig.beyond.take().unwrap().shutdown().await;
    assert_eq!(rig.refused("p").await, (503, "the host cannot be reached".to_owned()));
    let exec = rig.pods.exec("p", ["cat"], &AttachParams::default()).await.err().unwrap();
    assert!(matches!(&exec, kube::Error::Api(status) if status.code == 503), "{exec:?}");
    rig.w.halt().await;
}

/// LG1: the same over the syncer's link; a syncer that is down is a host that cannot be reached.
#[tokio::test(flavor = "multi_thread")]
async fn pipeline_lg1_streams_pass_the_link() {
    let Some((rig, served)) = Rig::linked("moored-apart").await else { return };
    tokio::time::timeout(3 * LIMIT, all_pass(&rig)).await.expect("nothing hangs");
    let old = rig.uid("p").await;
    let w = &rig.w;
    w.host.delete(&w.host_path("pods", "p").await, Some(0)).await;
    w.host.gone("the host pod", &w.host_path("pods", "p").await).await;
    assert_eq!(rig.opened(&w.entry.id, "p", &old).await, StreamError::Gone);
    assert_eq!(rig.refused("p").await.0, 404);
    rig.pod("q").await;
    drop(served);
    assert_eq!(rig.refused("q").await, (503, "the host cannot be reached".to_owned()));
    rig.end().await;
}

/// SY-100: a long log goes no faster than it is read; what lies between the kubelet and the reader stays small.
#[tokio::test(flavor = "multi_thread")]
async fn pipeline_sy100_a_long_log_is_not_kept() {
    const ALL: usize = 128 << 20;
    let Some(rig) = Rig::apart("flood").await else { return };
    let path = rig.w.path("pods", &format!("p/log?limitBytes={ALL}"));
    let request = Request::get(path).body(kube::client::Body::empty()).unwrap();
    let mut body = rig.w.tenant.0.send(request).await.unwrap().into_body();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(mut bytes) = frame.unwrap().into_data() else { continue };
        while !bytes.is_empty() {
            let of_piece = bytes.split_to(bytes.len().min(PIECE - read % PIECE));
            let letter = b'a' + (read / PIECE % 26) as u8;
            assert!(of_piece.iter().all(|byte| *byte == letter), "at {read}");
            read += of_piece.len();
        }
        if (1 << 20..2 << 20).contains(&read) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let ahead = rig.kubelet.logged.load(Ordering::SeqCst) - read;
            assert!(ahead < 24 << 20, "{ahead} bytes are somewhere on the way");
        }
    }
    assert_eq!(read, ALL);
    rig.end().await;
}

/// SE5, NM5: another tenant's pod, a UID that was, a stranger or a forgery under the name: 404, and the kubelet is not
/// asked.
#[tokio::test(flavor = "multi_thread")]
async fn isolation_se5_streams_open_for_the_proven_pod_alone() {
    let Some(rig) = Rig::inside("proof").await else { return };
    let w = &rig.w;
    let (id, old) = (w.entry.id.to_string(), rig.uid("p").await);
    let unbound = w.pod("q");
    w.tenant.post(&format!("/api/v1/namespaces/{}/pods", w.namespace), unbound).await;
    assert_eq!(rig.refused("q").await, (400, "pod q does not have a host assigned".to_owned()));
    assert_eq!(rig.refused("nobody").await, (404, "pods \"nobody\" not found".to_owned()));
    assert_eq!(rig.opened("taaaaaaaaaaa", "p", &old).await, StreamError::NoHost);
    assert_eq!(rig.opened(&id, "p", "1b4e28ba-2fa1-11d2-883f-0016d3cca427").await, StreamError::Gone);
    assert_eq!(rig.opened(&id, "nobody", &old).await, StreamError::Gone);

    // The name is used again.
    w.tenant.delete(&w.path("pods", "p"), Some(0)).await;
    w.tenant.gone("the first pod", &w.path("pods", "p")).await;
    w.host.delete(&w.host_path("pods", "p").await, Some(0)).await;
    w.host.gone("the first host pod", &w.host_path("pods", "p").await).await;
    rig.pod("p").await;
    let new = rig.uid("p").await;
    assert_eq!(rig.opened(&id, "p", &old).await, StreamError::Gone);
    assert!(rig.kubelet.asked.lock().is_empty(), "{:?}", rig.kubelet.asked.lock());

    // Others under its name on the host, while nothing is repaired.
    let mut entry = w.entry.clone();
    Arc::make_mut(&mut entry.effective).paused = true;
    w.give(entry);
    w.synced("Paused").await;
    let (space, place) = (w.host_namespace().await, w.host_path("pods", "p").await);
    let ours = w.host.get(&place).await.unwrap();
    let mut forged = ours["metadata"].clone();
    forged["annotations"][labels::ORIGIN_UID] = json!(old);
    let mut of_another = ours["metadata"].clone();
    of_another["annotations"][labels::UID] = json!("another-cluster");
    for metadata in [json!({}), forged, of_another] {
        w.host.delete(&place, Some(0)).await;
        w.host.gone("the pod before", &place).await;
        let metadata =
            json!({"name": "p", "labels": metadata["labels"], "annotations": metadata["annotations"]});
        let spec = json!({"nodeName": "n1", "containers": [{"name": "c", "image": "i"}]});
        let pods = format!("/api/v1/namespaces/{space}/pods");
        w.host.post(&pods, json!({"metadata": metadata, "spec": spec})).await;
        assert_eq!(rig.opened(&id, "p", &new).await, StreamError::Gone, "{metadata}");
    }
    assert!(rig.kubelet.asked.lock().is_empty(), "{:?}", rig.kubelet.asked.lock());
    rig.end().await;
}

/// T2: a host's words in the tenant's names, or none of them.
#[tokio::test(flavor = "multi_thread")]
async fn pipeline_t2_refusals_name_no_host() {
    let Some(rig) = Rig::inside("words").await else { return };
    let (space, own) = (rig.w.host_namespace().await, rig.w.namespace.clone());
    let waiting =
        |space: &str| format!("container \"c\" in pod \"{space}/p\" is waiting to start: ContainerCreating");
    let dial = "Internal error occurred: error dialing backend: dial tcp 10.9.0.7:10250: connect: connection refused";
    let user =
        "pods \"p\" is forbidden: User \"system:serviceaccount:skerry-system:skerry\" cannot get pods/log";
    let cases = [
        (400, "BadRequest", waiting(&space), 400, waiting(&own)),
        (
            500,
            "InternalError",
            dial.to_owned(),
            500,
            "Internal error occurred: the host failed, audit id ".to_owned(),
        ),
        (
            403,
            "Forbidden",
            user.to_owned(),
            403,
            "pods \"p\" is forbidden: the host does not allow pods/log".to_owned(),
        ),
        (404, "NotFound", format!("pods \"{space}-p\" not found"), 404, "pods \"p\" not found".to_owned()),
        (
            503,
            "ServiceUnavailable",
            "node-7 is down".to_owned(),
            503,
            "the host cannot be reached".to_owned(),
        ),
        (501, "NotImplemented", "nothing runs in it".to_owned(), 501, "nothing runs in it".to_owned()),
    ];
    for (code, reason, said, tenant_code, told) in cases {
        *rig.kubelet.refusal.lock() = Some(TunnelError::Refused(ApiStatus::plain(code, reason, said)));
        let (got, message) = rig.refused("p").await;
        assert_eq!(got, tenant_code, "{message}");
        assert!(message.starts_with(&told), "{message}");
        assert!(!message.contains("sk-") && !message.contains("10.9.0.7"), "{message}");
    }
    // The kubelet's 403 is not the API server's.
    rig.w.to_host.taken();
    rig.end().await;
}

/// T3: whatever is open ends with the tenant's pod.
#[tokio::test(flavor = "multi_thread")]
async fn pipeline_t3_streams_end_with_their_pod() {
    let Some(rig) = Rig::inside("ending").await else { return };
    let w = &rig.w;
    let mut exec = rig.switch(Method::POST, "exec?command=sh", &[("upgrade", "SPDY/3.1")]).await;
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut lines = rig.pods.log_stream("p", &follow).await.unwrap().lines();
    assert!(lines.try_next().await.unwrap().is_some());
    w.tenant.delete(&w.path("pods", "p"), None).await;
    w.host
        .until("deleting", &w.host_path("pods", "p").await, |p| {
            p["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    assert!(lines.try_next().await.unwrap().is_some(), "a pod that is ending still logs");
    w.host.delete(&w.host_path("pods", "p").await, Some(0)).await;
    let ended = tokio::time::timeout(LIMIT, exec.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let rest = async { while let Ok(Some(_)) = lines.try_next().await {} };
    tokio::time::timeout(LIMIT, rest).await.expect("the log ends");
    rig.end().await;
}
