//! AS-51: streams of pods pass as bytes, by pod UID, end with their pod, and carry no credential to the host and no host
//! name to the tenant.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::json;
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::{BoxError, body};
use skerry_apiserver::model::status::ApiStatus;
use skerry_apiserver::tenant::TenantId;
use skerry_apiserver::tunnel::{Target, Tunnel, TunnelError, TunnelHead, TunnelStream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::wire::{Connection, Wire, memory};

/// Where lines of a followed log go in.
type Lines = mpsc::Sender<Result<Frame<Bytes>, BoxError>>;

/// A host that knows one pod by its UID: it logs a line, and more of them to who follows; into the pod goes what comes
/// back from it.
#[derive(Default)]
struct Echo {
    known: Mutex<String>,
    heads: Mutex<Vec<TunnelHead>>,
    fails: Mutex<Option<TunnelError>>,
    lines: Mutex<Option<Lines>>,
    /// Streams whose end has reached the host.
    ended: Arc<AtomicUsize>,
}

#[async_trait]
impl Tunnel for Echo {
    async fn open(&self, _: TenantId, to: Target, head: TunnelHead) -> Result<TunnelStream, TunnelError> {
        self.heads.lock().push(head.clone());
        let Target::Pod { uid, subresource, .. } = to else { return Err(TunnelError::Gone) };
        if let Some(failed) = self.fails.lock().clone() {
            return Err(failed);
        }
        if uid != *self.known.lock() {
            return Err(TunnelError::Gone);
        }
        if subresource == "log" && head.query.contains("tailLines=0") {
            // A container that says nothing: kubelets answer with the first line.
            return std::future::pending().await;
        }
        if subresource == "log" && head.query.contains("follow") {
            let (lines, body) = mpsc::channel(1);
            *self.lines.lock() = Some(lines);
            let body = StreamBody::new(ReceiverStream::new(body)).boxed_unsync();
            return Ok(TunnelStream::Answer(Response::new(body)));
        }
        if subresource == "log" {
            return Ok(TunnelStream::Answer(Response::new(body::full("one line\n"))));
        }
        let (ours, theirs) = tokio::io::duplex(1024);
        let (mut read, mut write) = tokio::io::split(theirs);
        let ended = self.ended.clone();
        tokio::spawn(async move {
            let _copied = tokio::io::copy(&mut read, &mut write).await;
            ended.fetch_add(1, Ordering::SeqCst);
        });
        let protocol = head.headers["upgrade"].clone();
        let head =
            Response::builder().status(101).header("connection", "Upgrade").header("upgrade", protocol);
        let head = head.header("x-host", "node-7.host.internal").body(()).unwrap();
        Ok(TunnelStream::Switched { head, io: Box::new(ours) })
    }
}

const PODS: &str = "/api/v1/namespaces/default/pods";

struct World {
    wire: Wire,
    echo: Arc<Echo>,
    id: TenantId,
    owner: Connection,
}

impl World {
    async fn new() -> Self {
        let echo = Arc::new(Echo::default());
        let wire = Wire::with(memory(), |builder| builder.tunnel(echo.clone())).await;
        let id = wire.tenant("a").await;
        let owner = wire.connect(wire.owner(id).await).await;
        let mut out = Self { wire, echo, id, owner };
        out.pod().await;
        out
    }

    fn path(&self, rest: &str) -> String {
        format!("/clusters/{}{PODS}{rest}", self.id)
    }

    /// A bound pod that the host knows.
    async fn pod(&mut self) {
        let pod = json!({ "metadata": { "name": "p" },
            "spec": { "containers": [{ "name": "c", "image": "i" }], "terminationGracePeriodSeconds": 0 } });
        let made = self.owner.send(Method::POST, &self.path(""), Some(pod)).await;
        assert_eq!(made.code, 201, "{}", made.body);
        let unbound = self.owner.get(&self.path("/p/log")).await;
        assert_eq!(unbound.body["message"], "pod p does not have a host assigned");
        let bind = json!({ "metadata": { "name": "p" }, "target": { "kind": "Node", "name": "n" } });
        assert_eq!(self.owner.send(Method::POST, &self.path("/p/binding"), Some(bind)).await.code, 201);
        *self.echo.known.lock() = made.body["metadata"]["uid"].as_str().unwrap().to_owned();
    }

    /// Asks to switch to a protocol.
    async fn switch(&self, how: &Asked) -> Response<Incoming> {
        let (method, rest, protocol) = how;
        let request = Request::builder()
            .method(method)
            .uri(self.path(rest))
            .header("host", "127.0.0.1")
            .header("connection", "Upgrade")
            .header("upgrade", *protocol)
            .header("cookie", "secret")
            .header("authorization", format!("Bearer {}", self.wire.owner_token(self.id).await));
        let mut connection = self.wire.connect(self.wire.owner(self.id).await).await;
        connection.raw(request.body(Default::default()).unwrap()).await
    }

    async fn delete(&mut self) {
        let at_once = json!({ "gracePeriodSeconds": 0 });
        let deleted = self.owner.send(Method::DELETE, &self.path("/p"), Some(at_once)).await;
        assert_eq!(deleted.code, 200, "{}", deleted.body);
    }
}

/// Method, path below the pod, protocol.
type Asked = (Method, &'static str, &'static str);

/// What kubectl and other clients open; the last is the tunnelled port-forward of kubectl 1.30 and later.
const STREAMS: [Asked; 6] = [
    (Method::POST, "/p/exec?command=sh&command=-c&stdin=true", "SPDY/3.1"),
    (Method::GET, "/p/exec?command=sh&command=-c&stdin=true", "websocket"),
    (Method::POST, "/p/attach?stdin=true&stdout=true", "SPDY/3.1"),
    (Method::GET, "/p/attach?stdin=true&stdout=true", "websocket"),
    (Method::POST, "/p/portforward", "SPDY/3.1"),
    (Method::GET, "/p/portforward", "websocket"),
];

/// Sends bytes of every value and reads as many back.
async fn echoed(stream: impl AsyncRead + AsyncWrite) {
    let sent: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
    let (mut read, mut write) = tokio::io::split(stream);
    let mut back = vec![0; sent.len()];
    let (wrote, got) = tokio::join!(write.write_all(&sent), read.read_exact(&mut back));
    wrote.unwrap();
    got.unwrap();
    assert!(back == sent, "bytes are equal");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_pass_as_bytes() {
    let w = World::new().await;
    for asked in &STREAMS {
        let switched = w.switch(asked).await;
        let upgrade = switched.headers().get("upgrade").and_then(|v| v.to_str().ok());
        assert_eq!((switched.status().as_u16(), upgrade), (101, Some(asked.2)), "{asked:?}");
        assert!(!switched.headers().contains_key("x-host"), "no host name reaches the tenant");
        let head = w.echo.heads.lock().last().unwrap().clone();
        assert_eq!(head.method, asked.0);
        assert!(!head.headers.contains_key("authorization") && !head.headers.contains_key("cookie"));
        if asked.1.contains("exec") {
            assert_eq!(head.query, "command=sh&command=-c&stdin=true&container=c");
        }
        echoed(TokioIo::new(hyper::upgrade::on(switched).await.unwrap())).await;
    }
    for _ in 0..200 {
        if w.echo.ended.load(Ordering::SeqCst) == STREAMS.len() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("a client that has gone is not gone for the host");
}

/// G5: a client in the process switches protocols as one behind a socket does.
#[tokio::test(flavor = "multi_thread")]
async fn streams_pass_in_the_process_too() {
    let w = World::new().await;
    let client = w.wire.server.client(w.id, Identity::system("test"));
    for (method, rest, protocol) in STREAMS {
        let request = Request::builder().method(method).uri(format!("{PODS}{rest}"));
        let request = request.header("connection", "Upgrade").header("upgrade", protocol);
        let mut switched = client.send(request.body(kube::client::Body::empty()).unwrap()).await.unwrap();
        assert_eq!(switched.status(), 101, "{rest}");
        echoed(TokioIo::new(hyper::upgrade::on(&mut switched).await.unwrap())).await;
    }
}

/// T1, T3: a stream ends with its pod, and a pod of the same name does not inherit it.
#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_their_pod() {
    let mut w = World::new().await;
    let mut open = Vec::new();
    for asked in &STREAMS {
        open.push(TokioIo::new(hyper::upgrade::on(w.switch(asked).await).await.unwrap()));
    }
    let client = w.wire.server.client(w.id, Identity::system("test"));
    let silent = Request::get(format!("{PODS}/p/log?follow=true&tailLines=0"));
    let silent =
        tokio::spawn(async move { client.send(silent.body(kube::client::Body::empty()).unwrap()).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    w.delete().await;
    let silent = tokio::time::timeout(Duration::from_secs(10), silent).await.unwrap().unwrap().unwrap();
    assert_eq!(silent.status(), 404, "a log that has not begun ends too");
    for mut stream in open {
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut [0; 16])).await.unwrap();
        assert!(matches!(ended, Ok(0) | Err(_)), "the stream ends with its pod");
    }
    let old = w.echo.known.lock().clone();
    w.pod().await;
    *w.echo.known.lock() = old;
    for asked in &STREAMS {
        let refused = w.switch(asked).await;
        assert_eq!(refused.status(), 404, "the same name, another pod");
        let said = refused.into_body().collect().await.unwrap().to_bytes();
        let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
        assert_eq!(said["message"], "pods \"p\" not found");
    }
    assert_eq!(w.owner.get(&w.path("/p/log")).await.code, 404);
}

/// T3: a tenant that is deleted leaves no stream behind.
#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_their_tenant() {
    let w = World::new().await;
    let mut exec = TokioIo::new(hyper::upgrade::on(w.switch(&STREAMS[0]).await).await.unwrap());
    let mut connection = w.wire.connect(w.wire.owner(w.id).await).await;
    let mut log = connection.open(Method::GET, &w.path("/p/log?follow=true"), None).await;
    let gone = w.wire.admin(Method::DELETE, &format!("/skerry/v1/tenants/{}", w.id), json!({})).await;
    assert!(gone.code < 300, "{}: {}", gone.code, gone.body);
    let ended = tokio::time::timeout(Duration::from_secs(10), exec.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let last = tokio::time::timeout(Duration::from_secs(20), log.body_mut().frame()).await.unwrap();
    assert!(last.is_none(), "{last:?}");
}

/// T2, T3: a log goes line by line, holds a tunnel's place (Q16), and ends with its pod.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_followed_to_the_end_of_its_pod() {
    let mut w = World::new().await;
    let log = w.owner.get(&w.path("/p/log?container=c")).await;
    assert_eq!((log.code, log.body.as_str()), (200, Some("one line\n")));
    let path = w.path("/p/log?follow=true&insecureSkipTLSVerifyBackend=true");
    let mut connection = w.wire.connect(w.wire.owner(w.id).await).await;
    let mut answer = connection.open(Method::GET, &path, None).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(w.echo.heads.lock().last().unwrap().query, "follow=true&container=c");
    let lines = w.echo.lines.lock().clone().unwrap();
    for line in ["first\n", "second\n"] {
        lines.send(Ok(Frame::data(Bytes::from(line)))).await.unwrap();
        let frame = tokio::time::timeout(Duration::from_secs(10), answer.body_mut().frame()).await.unwrap();
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), line, "before the next one is there");
    }
    w.delete().await;
    let last = tokio::time::timeout(Duration::from_secs(20), answer.body_mut().frame()).await.unwrap();
    assert!(last.is_none(), "{last:?}");
}

/// Q16: who follows logs holds tunnels.
#[tokio::test(flavor = "multi_thread")]
async fn followed_logs_are_counted() {
    let w = World::new().await;
    let client = w.wire.server.client(w.id, Identity::system("test"));
    let log = |query: &str| {
        let request = Request::get(format!("{PODS}/p/log{query}")).body(kube::client::Body::empty()).unwrap();
        client.send(request)
    };
    let mut held = Vec::new();
    for _ in 0..200 {
        let answer = log("?follow=true").await.unwrap();
        assert_eq!(answer.status(), 200);
        held.push((answer, w.echo.lines.lock().take()));
    }
    assert_eq!(log("").await.unwrap().status(), 429);
    held.pop();
    assert_eq!(log("").await.unwrap().status(), 200);
}

/// T2, 7.1: what a host cannot do is said in the tenant's words; what it said is found by the audit id.
#[tokio::test(flavor = "multi_thread")]
async fn failures_name_no_host() {
    let mut w = World::new().await;
    let refused = ApiStatus::plain(400, "BadRequest", "container \"c\" in pod \"p\" is waiting to start");
    for (failed, code, message) in [
        (TunnelError::NoHost, 501, "pods/log: no host is attached"),
        (TunnelError::Unreachable, 503, "the host cannot be reached"),
        (TunnelError::Gone, 404, "pods \"p\" not found"),
        (TunnelError::Refused(refused), 400, "container \"c\" in pod \"p\" is waiting to start"),
    ] {
        *w.echo.fails.lock() = Some(failed);
        let said = w.owner.get(&w.path("/p/log")).await;
        assert_eq!((said.code, said.body["message"].as_str()), (code, Some(message)));
    }
    *w.echo.fails.lock() = Some(TunnelError::Unspeakable);
    let said = w.owner.open(Method::GET, &w.path("/p/log"), None).await;
    let id = said.headers()["audit-id"].to_str().unwrap().to_owned();
    assert_eq!(
        (said.status().as_u16(), w.echo.heads.lock().last().unwrap().audit_id.clone()),
        (500, id.clone())
    );
    let said = said.into_body().collect().await.unwrap().to_bytes();
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(said["message"], format!("Internal error occurred: the host failed, audit id {id}"));
    let foreign = w.owner.get(&w.path("/p/log?container=mesh")).await;
    assert_eq!(
        (foreign.code, &foreign.body["message"]),
        (400, &json!("container mesh is not valid for pod p"))
    );
}

/// R1: who may only read gets into no pod, by no method.
#[tokio::test(flavor = "multi_thread")]
async fn streams_need_create_even_by_get() {
    let mut w = World::new().await;
    let into = ["pods", "pods/log", "pods/exec", "pods/attach", "pods/portforward"];
    let rules = json!([{ "apiGroups": [""], "resources": into, "verbs": ["get"] }]);
    let base = format!("/clusters/{}/apis/rbac.authorization.k8s.io/v1/namespaces/default", w.id);
    let role = json!({ "metadata": { "name": "r" }, "rules": rules });
    assert_eq!(w.owner.send(Method::POST, &format!("{base}/roles"), Some(role)).await.code, 201);
    let binding = json!({ "metadata": { "name": "r" },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r" },
        "subjects": [{ "kind": "ServiceAccount", "name": "default", "namespace": "default" }] });
    assert_eq!(w.owner.send(Method::POST, &format!("{base}/rolebindings"), Some(binding)).await.code, 201);
    let path = format!("/clusters/{}/api/v1/namespaces/default/serviceaccounts/default/token", w.id);
    let issued = w.owner.send(Method::POST, &path, Some(json!({ "spec": {} }))).await;
    let mut robot = w.wire.connect(crate::wire::As::default()).await;
    robot.token = issued.body["status"]["token"].as_str().map(str::to_owned);
    assert_eq!(robot.get(&w.path("/p")).await.code, 200);
    assert_eq!(robot.get(&w.path("/p/log")).await.code, 200);
    for sub in ["exec?command=sh", "attach", "portforward"] {
        assert_eq!(robot.get(&w.path(&format!("/p/{sub}"))).await.code, 403, "{sub}");
    }
}
