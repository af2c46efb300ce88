//! Sockets: connections counted and limited, TLS in time, HTTP/1.1 and 2 with limits, drained at the end (Q1-Q3).

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use super::progress::Progress;
use super::resolve::Conn;
use super::{Body, Server, front, tls};
use crate::ops;

const CONNECTIONS: usize = 20_000;
const CONNECTIONS_PER_SOURCE: usize = 1_000;
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADER_BLOCK: usize = 64 * 1024;
const STREAMS: u32 = 250;
const RESETS: usize = 200;
/// How long connections may go on after the end was announced.
const DRAIN: Duration = Duration::from_secs(10);

/// Open connections by source.
#[derive(Default)]
struct Counts(Mutex<(usize, HashMap<IpAddr, usize>)>);

struct Counted<'a>(&'a Counts, IpAddr);

impl Counts {
    fn enter(&self, source: IpAddr) -> Option<Counted<'_>> {
        let mut counts = self.0.lock();
        let of_source = counts.1.get(&source).copied().unwrap_or_default();
        if counts.0 >= CONNECTIONS || of_source >= CONNECTIONS_PER_SOURCE {
            return None;
        }
        counts.0 += 1;
        *counts.1.entry(source).or_default() += 1;
        Some(Counted(self, source))
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut counts = self.0.0.lock();
        counts.0 -= 1;
        if let Some(of_source) = counts.1.get_mut(&self.1) {
            *of_source -= 1;
            if *of_source == 0 {
                counts.1.remove(&self.1);
            }
        }
    }
}

impl Server {
    /// Serves the API on a socket, until [`Server::shutdown`].
    pub async fn serve(self: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        if let Ok(address) = listener.local_addr() {
            self.add_addresses([address.ip()]);
        }
        let config = tls::server_config(self.serving.clone()).map_err(io::Error::other)?;
        let acceptor = TlsAcceptor::from(config);
        let counts = Arc::new(Counts::default());
        while let Some((stream, peer)) = self.next(&listener).await? {
            let (server, acceptor, counts) = (self.clone(), acceptor.clone(), counts.clone());
            self.tasks.spawn(async move {
                let Some(_counted) = counts.enter(peer.ip()) else {
                    server.metrics().refused("connections");
                    return;
                };
                server.metrics().connections.inc();
                secure(&server, acceptor, stream, peer).await;
                server.metrics().connections.dec();
            });
        }
        Ok(())
    }

    /// Serves probes and metrics of the process on a plain socket, until [`Server::shutdown`].
    pub async fn serve_ops(self: &Arc<Self>, listener: TcpListener) -> io::Result<()> {
        while let Some((stream, _)) = self.next(&listener).await? {
            let server = self.clone();
            self.tasks.spawn(async move {
                let answer = |req: Request<Incoming>| {
                    let response = ops::probe(&server, req.uri());
                    async move { Ok::<_, Infallible>(response) }
                };
                let http = builder();
                let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service_fn(answer)));
                tokio::select! {
                    _ended = connection.as_mut() => {}
                    () = server.stop.cancelled() => {}
                }
            });
        }
        Ok(())
    }

    /// The next connection; `None` at the end.
    async fn next(&self, listener: &TcpListener) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return Ok(None),
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(connection) => return Ok(Some(connection)),
                // Of one connection that is gone already, or of descriptors that are used up for the moment.
                Err(error) => {
                    tracing::debug!(%error, "accepting a connection failed");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HANDSHAKE).max_buf_size(HEADER_BLOCK);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADER_BLOCK as u32)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(15));
    http
}

async fn secure(server: &Arc<Server>, acceptor: TlsAcceptor, stream: TcpStream, peer: SocketAddr) {
    // Small answers go out at once.
    let _best_effort = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "TLS handshake failed"),
        Err(_elapsed) => return server.metrics().refused("handshake"),
    };
    let (_, session) = stream.get_ref();
    let chain = session.peer_certificates().unwrap_or_default().iter();
    let conn = Conn {
        peer: Some(peer),
        sni: session.server_name().map(str::to_ascii_lowercase),
        chain: chain.map(|c| c.to_vec()).collect::<Vec<_>>().into(),
    };
    serve_connection(server, Arc::new(conn), stream).await;
}

async fn serve_connection<S>(server: &Arc<Server>, conn: Arc<Conn>, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let close = Arc::new(Notify::new());
    let answer = |req: Request<Incoming>| {
        let (server, conn, close) = (server.clone(), conn.clone(), close.clone());
        async move {
            let is_http2 = req.version() == Version::HTTP_2;
            let response = front::outside(&server, &conn, req.map(incoming)).await;
            if is_http2 && response.status() == StatusCode::UNAUTHORIZED {
                // A client with a new certificate must not be answered on the old connection (I5).
                close.notify_one();
            }
            Ok::<Response<Body>, Infallible>(response)
        }
    };
    let http = builder();
    let mut connection = pin!(http.serve_connection_with_upgrades(TokioIo::new(stream), service_fn(answer)));
    let mut draining = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(peer = ?conn.peer, %error, "connection ended");
                }
                return;
            }
            () = server.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                // Watches do not end by themselves.
                if tokio::time::timeout(DRAIN, connection.as_mut()).await.is_err() {
                    tracing::debug!(peer = ?conn.peer, "connection cut at the end of draining");
                }
                return;
            }
            () = close.notified(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

fn incoming(body: Incoming) -> Body {
    use http_body::Body as _;
    if body.is_end_stream() {
        return super::body::empty();
    }
    Progress::new(body).boxed_unsync()
}
