//! A kubelet as far as streams go, attached to the host's API server: it logs, echoes what is sent into pods, and exits
//! with 3 where its input ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use parking_lot::Mutex;
use serde_json::{Value, json};
use skerry_apiserver::listen::{BoxError, body};
use skerry_apiserver::tenant::TenantId;
use skerry_apiserver::tunnel::{Target, Tunnel, TunnelError, TunnelHead, TunnelStream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Size of one piece of a long log.
pub const PIECE: usize = 64 * 1024;

/// The kubelet.
#[derive(Default)]
pub struct Kubelet {
    /// What was asked of it.
    pub asked: Mutex<Vec<(Target, TunnelHead)>>,
    /// What it answers instead.
    pub refusal: Mutex<Option<TunnelError>>,
    /// Ports that are forwarded lead to loopback instead of an echo.
    pub dials: AtomicBool,
    /// Bytes of logs it has given away.
    pub logged: Arc<AtomicUsize>,
}

fn log(head: &TunnelHead, uid: &str, logged: &Arc<AtomicUsize>) -> Response<skerry_apiserver::listen::Body> {
    let value = |key: &str| {
        let of_key = |pair: &str| Some(pair.strip_prefix(key)?.strip_prefix('=')?.to_owned());
        head.query.split('&').find_map(of_key)
    };
    if let Some(bytes) = value("limitBytes").and_then(|n| n.parse::<usize>().ok()) {
        let logged = logged.clone();
        let pieces = stream::iter(0..bytes / PIECE).map(move |i| {
            logged.fetch_add(PIECE, Ordering::SeqCst);
            Ok::<_, BoxError>(Frame::data(Bytes::from(vec![b'a' + (i % 26) as u8; PIECE])))
        });
        return Response::new(StreamBody::new(pieces).boxed_unsync());
    }
    if value("follow").is_some() {
        let lines = stream::iter(0..).then(|i| async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok::<_, BoxError>(Frame::data(Bytes::from(format!("line {i}\n"))))
        });
        return Response::new(StreamBody::new(lines).boxed_unsync());
    }
    Response::new(body::full(format!("log of {uid}\n")))
}

#[async_trait]
impl Tunnel for Kubelet {
    async fn open(&self, _: TenantId, to: Target, head: TunnelHead) -> Result<TunnelStream, TunnelError> {
        self.asked.lock().push((to.clone(), head.clone()));
        if let Some(refusal) = self.refusal.lock().clone() {
            return Err(refusal);
        }
        let Target::Pod { uid, subresource, .. } = to else { return Err(TunnelError::Gone) };
        if subresource == "log" {
            return Ok(TunnelStream::Answer(log(&head, &uid, &self.logged)));
        }
        if subresource.starts_with("proxy") {
            let (asked, sent) = (&head.proxy, String::from_utf8_lossy(&head.proxy.body));
            let said = format!(
                "{} {}:{} {subresource}?{} {sent}",
                head.method, asked.scheme, asked.port, head.query
            );
            return Ok(TunnelStream::Answer(Response::new(body::full(said))));
        }
        let (near, far) = tokio::io::duplex(PIECE);
        let text = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let mut answer = Response::builder().status(101).header("connection", "Upgrade");
        answer = answer.header("upgrade", text("upgrade")).header("x-node", "node-7.host.internal");
        let protocol = text("sec-websocket-protocol").split(',').next().unwrap_or_default().trim().to_owned();
        if text("upgrade") == "websocket" {
            answer = answer
                .header("sec-websocket-accept", derive_accept_key(text("sec-websocket-key").as_bytes()));
            answer = answer.header("sec-websocket-protocol", protocol.clone());
        }
        let is_channels = protocol.ends_with(".channel.k8s.io");
        let query = head.query.clone();
        let dials = self.dials.load(Ordering::SeqCst);
        tokio::spawn(async move {
            match (is_channels, &*subresource) {
                (true, "portforward") if dials => dial(far, &query).await,
                (true, "portforward") => forward(far, &query).await,
                (true, _) => command(far, query.contains("stdin=true")).await,
                (false, _) => echo(far).await,
            }
        });
        let head = answer.body(()).map_err(|_| TunnelError::Unspeakable)?;
        Ok(TunnelStream::Switched { head, io: Box::new(near) })
    }
}

async fn echo(io: impl AsyncRead + AsyncWrite) {
    let (mut read, mut write) = tokio::io::split(io);
    let _ended = tokio::io::copy(&mut read, &mut write).await;
}

async fn socket(io: DuplexStream) -> WebSocketStream<DuplexStream> {
    WebSocketStream::from_raw_socket(io, Role::Server, None).await
}

fn on(channel: u8, bytes: &[u8]) -> Message {
    Message::binary([&[channel][..], bytes].concat())
}

/// The channels of exec and attach: input comes back as output until it ends.
async fn command(io: DuplexStream, has_input: bool) {
    let mut socket = socket(io).await;
    let status = if has_input {
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Binary(bytes) if bytes.first() == Some(&0) => {
                    let _sent = socket.send(on(1, &bytes[1..])).await;
                }
                Message::Binary(bytes) if bytes[..] == [255, 0] => break,
                _ => {}
            }
        }
        json!({"kind": "Status", "status": "Failure", "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}})
    } else {
        let _sent = socket.send(on(1, b"no input\n")).await;
        json!({"kind": "Status", "status": "Success"})
    };
    let _sent = socket.send(on(3, Value::to_string(&status).as_bytes())).await;
    let _closed = socket.close(None).await;
}

/// The channels of port-forward: each port's number first.
async fn opened(io: DuplexStream, query: &str) -> (u16, WebSocketStream<DuplexStream>) {
    let port: u16 = query.split("ports=").nth(1).and_then(|p| p.parse().ok()).unwrap_or_default();
    let mut socket = socket(io).await;
    for channel in [0, 1] {
        let _sent = socket.send(on(channel, &port.to_le_bytes())).await;
    }
    (port, socket)
}

/// To the port itself, on loopback.
async fn dial(io: DuplexStream, query: &str) {
    let (port, mut socket) = opened(io, query).await;
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let mut buffer = vec![0; PIECE];
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&0) => {
                    let _sent = stream.write_all(&bytes[1..]).await;
                }
                Some(Ok(_)) => {}
                _ => return,
            },
            read = stream.read(&mut buffer) => match read {
                Ok(n) if n > 0 => drop(socket.send(on(0, &buffer[..n])).await),
                _ => return,
            },
        }
    }
}

/// What comes goes back.
async fn forward(io: DuplexStream, query: &str) {
    let (_, mut socket) = opened(io, query).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_binary() && socket.send(message).await.is_err() {
            return;
        }
    }
}
