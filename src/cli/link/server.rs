//! The syncer's end: it serves the one API server of the installation, known by its certificate.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::WebPkiClientVerifier;
use serde::Serialize;
use serde_json::Value;
use skerry_syncer::{HostStream, PodStream, StreamError, StreamHead};
use skerry_telemetry::Shutdown;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{AUDIT_ID, FAILED, ROOT, TARGET};
use crate::cli::adapters::hosts::Hosts;

/// Common name of the only certificate that is served.
pub const API_SERVER: &str = "skerry-apiserver";
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Most bytes of a Service, and of what is sent to a pod's own server.
const BODY: usize = 3 * 1024 * 1024;

type Body = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// PEM files of a link.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Chain that is shown.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Authority of the API server's certificate.
    pub authority: PathBuf,
}

/// Why the link is not served.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A PEM file cannot be used.
    #[error("{}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        #[source]
        /// Why.
        source: pem::Error,
    },
    /// Certificate, key and authority do not make a TLS end.
    #[error("the certificates of the link cannot be used")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The address is not to be had.
    #[error("{address}")]
    Address {
        /// Which.
        address: SocketAddr,
        #[source]
        /// Why.
        source: std::io::Error,
    },
}

/// A bound link.
pub struct Listen {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

/// Reads the files and binds the address.
pub async fn listen(address: SocketAddr, files: &TlsFiles) -> Result<Listen, ListenError> {
    let pem = |path: &PathBuf| {
        let path = path.clone();
        move |source| ListenError::Pem { path: path.clone(), source }
    };
    let tls = |error: rustls::Error| ListenError::Tls(error.into());
    let read = |path: &PathBuf| {
        let all = CertificateDer::pem_file_iter(path).map_err(pem(path))?;
        all.collect::<Result<Vec<_>, _>>().map_err(pem(path))
    };
    let mut roots = RootCertStore::empty();
    for authority in read(&files.authority)? {
        roots.add(authority).map_err(tls)?;
    }
    let chain = read(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(pem(&files.key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| ListenError::Tls(error.into()))?;
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_client_cert_verifier(verifier).with_single_cert(chain, key))
        .map_err(tls)?;
    let listener = TcpListener::bind(address).await;
    let listener = listener.map_err(|source| ListenError::Address { address, source })?;
    Ok(Listen { listener, acceptor: TlsAcceptor::from(Arc::new(config)) })
}

impl Listen {
    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the end.
    pub async fn serve<H: Hosts + 'static>(self, hosts: Arc<H>, shutdown: Shutdown) {
        loop {
            let stream = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    // Of one connection that is gone already, or of descriptors that are used up for the moment.
                    Err(error) => {
                        tracing::debug!(%error, "a connection of the link was not accepted");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                },
                () = shutdown.wait() => return,
            };
            let (acceptor, hosts, shutdown) = (self.acceptor.clone(), hosts.clone(), shutdown.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = connection(acceptor, stream, hosts) => {}
                    () = shutdown.wait() => {}
                }
            });
        }
    }
}

async fn connection<H: Hosts + 'static>(acceptor: TlsAcceptor, stream: TcpStream, hosts: Arc<H>) {
    // Keystrokes go at once.
    let _best_effort = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a handshake of the link failed"),
        Err(_elapsed) => return tracing::debug!("a handshake of the link took too long"),
    };
    let leaf = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let name = leaf.and_then(|leaf| common_name(leaf)).unwrap_or_default();
    if name != API_SERVER {
        return tracing::warn!(name, "a client of the link is not the API server");
    }
    let service = service_fn(move |request| {
        let hosts = hosts.clone();
        async move { Ok::<_, Infallible>(answer(&*hosts, request).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a connection of the link ended");
    }
}

fn common_name(leaf: &[u8]) -> Option<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let name = certificate.subject().iter_common_name().next()?;
    name.as_str().ok().map(str::to_owned)
}

async fn answer<H: Hosts>(hosts: &H, mut request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.strip_prefix(ROOT).unwrap_or_default().split('/').collect();
    match *parts.as_slice() {
        [tenant, "services", verb] => addresses(hosts, tenant, verb, request).await,
        [tenant, "streams"] => {
            let target = request.headers_mut().remove(TARGET);
            match target.and_then(|target| serde_json::from_slice(target.as_bytes()).ok()) {
                Some((to, server)) => stream(hosts, tenant, to, server, request).await,
                None => plain(StatusCode::BAD_REQUEST, "no stream is named"),
            }
        }
        _ => plain(StatusCode::NOT_FOUND, "no such path"),
    }
}

async fn addresses<H: Hosts>(
    hosts: &H,
    tenant: &str,
    verb: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    let Ok(body) = Limited::new(request.into_body(), BODY).collect().await else {
        return plain(StatusCode::BAD_REQUEST, "the body cannot be read");
    };
    let Ok(body) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
        return plain(StatusCode::BAD_REQUEST, "the body is no JSON");
    };
    match verb {
        "reserve" => json(StatusCode::OK, &hosts.reserve(tenant, &body).await),
        "update" => json(StatusCode::OK, &hosts.update(tenant, &body).await),
        "release" => json(StatusCode::OK, &hosts.release(tenant, body.as_str().unwrap_or_default()).await),
        _ => plain(StatusCode::NOT_FOUND, "no such path"),
    }
}

async fn stream<H: Hosts>(
    hosts: &H,
    tenant: &str,
    to: PodStream,
    server: (String, String),
    mut request: Request<Incoming>,
) -> Response<Body> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let method = request.method().clone();
    let upgrade = hyper::upgrade::on(&mut request);
    let mut headers = request.headers().clone();
    headers.remove(header::HOST);
    let audit_id = headers.remove(AUDIT_ID);
    let audit_id = audit_id.and_then(|id| id.to_str().ok().map(str::to_owned)).unwrap_or_default();
    let Ok(body) = Limited::new(request.into_body(), BODY).collect().await else {
        return plain(StatusCode::BAD_REQUEST, "the body cannot be read");
    };
    let head = StreamHead { method, query, server, body: body.to_bytes(), headers, audit_id };
    match hosts.open(tenant, &to, head).await {
        Ok(HostStream::Answer(answer)) => answer.map(|body| body.map_err(Into::into).boxed_unsync()),
        Ok(HostStream::Switched { head, mut io }) => {
            tokio::spawn(async move {
                match upgrade.await {
                    Ok(server) => {
                        let ended = copy_bidirectional(&mut TokioIo::new(server), &mut io).await;
                        tracing::debug!(stream = %to.subresource, ?ended, "a stream ended");
                    }
                    Err(error) => tracing::debug!(%error, "the API server did not switch protocols"),
                }
            });
            head.map(|()| empty())
        }
        Err(failed) => failure(&failed),
    }
}

fn failure(failed: &StreamError) -> Response<Body> {
    let mut answer = json(StatusCode::BAD_GATEWAY, failed);
    answer.headers_mut().insert(FAILED, HeaderValue::from_static("true"));
    answer
}

fn json<T: Serialize>(status: StatusCode, body: &T) -> Response<Body> {
    let Ok(body) = serde_json::to_vec(body) else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR, "the answer is no JSON");
    };
    let mut answer = Response::new(full(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

fn plain(status: StatusCode, message: &'static str) -> Response<Body> {
    let mut answer = Response::new(full(message));
    *answer.status_mut() = status;
    answer
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

fn empty() -> Body {
    full(Bytes::new())
}
