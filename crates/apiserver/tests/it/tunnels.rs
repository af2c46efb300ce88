//! AS-51: streams of pods pass as bytes, by pod UID, and carry no credential to the host.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::json;
use skerry_apiserver::listen::body;
use skerry_apiserver::tenant::TenantId;
use skerry_apiserver::tunnel::{Target, Tunnel, TunnelError, TunnelHead, TunnelStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::wire::{Connection, Wire, memory};

/// A host that knows one pod by its UID: it logs a line, and answers exec with what it is sent.
#[derive(Default)]
struct Echo {
    known: Mutex<String>,
    heads: Mutex<Vec<TunnelHead>>,
}

#[async_trait]
impl Tunnel for Echo {
    async fn open(&self, _: TenantId, to: Target, head: TunnelHead) -> Result<TunnelStream, TunnelError> {
        self.heads.lock().push(head.clone());
        let Target::Pod { uid, subresource, .. } = to else { return Err(TunnelError::Gone) };
        if uid != *self.known.lock() {
            return Err(TunnelError::Gone);
        }
        if subresource == "log" {
            return Ok(TunnelStream::Answer(Response::new(body::full("one line\n"))));
        }
        let (ours, theirs) = tokio::io::duplex(1024);
        let (mut read, mut write) = tokio::io::split(theirs);
        tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
        let head =
            Response::builder().status(101).header("connection", "Upgrade").header("upgrade", "SPDY/3.1");
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

    async fn exec(&mut self, connection: &mut Connection) -> Response<hyper::body::Incoming> {
        let request = Request::post(self.path("/p/exec?command=sh&command=-c&stdin=true"))
            .header("host", "127.0.0.1")
            .header("connection", "Upgrade")
            .header("upgrade", "SPDY/3.1")
            .header("cookie", "secret")
            .header("authorization", format!("Bearer {}", self.wire.owner_token(self.id).await));
        connection.raw(request.body(Default::default()).unwrap()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_pass_as_bytes_and_end_with_their_pod() {
    let mut w = World::new().await;
    let log = w.owner.get(&w.path("/p/log?follow=true&container=c")).await;
    assert_eq!((log.code, log.body.as_str()), (200, Some("one line\n")));
    assert_eq!(w.echo.heads.lock().last().unwrap().query, "follow=true&container=c");

    let mut connection = w.wire.connect(w.wire.owner(w.id).await).await;
    let switched = w.exec(&mut connection).await;
    assert_eq!(
        (switched.status().as_u16(), switched.headers()["upgrade"].to_str().unwrap()),
        (101, "SPDY/3.1")
    );
    assert!(!switched.headers().contains_key("x-host"), "no host name reaches the tenant");
    let head = w.echo.heads.lock().last().unwrap().clone();
    assert_eq!(head.query, "command=sh&command=-c&stdin=true");
    assert!(!head.headers.contains_key("authorization") && !head.headers.contains_key("cookie"));
    let mut stream = TokioIo::new(hyper::upgrade::on(switched).await.unwrap());
    let sent: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let mut back = vec![0; sent.len()];
    let (wrote, got) = tokio::join!(write.write_all(&sent), read.read_exact(&mut back));
    wrote.unwrap();
    got.unwrap();
    assert!(back == sent, "bytes are equal");

    let deleted = w.owner.send(Method::DELETE, &w.path("/p"), Some(json!({ "gracePeriodSeconds": 0 }))).await;
    assert_eq!(deleted.code, 200, "{}", deleted.body);
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut back)).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "the stream ends with its pod");

    let old = w.echo.known.lock().clone();
    w.pod().await;
    *w.echo.known.lock() = old;
    let refused = w.exec(&mut w.wire.connect(w.wire.owner(w.id).await).await).await;
    assert_eq!(refused.status(), 404, "the same name, another pod");
    refused.into_body().collect().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn exec_needs_create_even_by_get() {
    let mut w = World::new().await;
    let rules = json!([{ "apiGroups": [""], "resources": ["pods", "pods/exec"], "verbs": ["get"] }]);
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
    assert_eq!(robot.get(&w.path("/p/exec?command=sh")).await.code, 403);
}
