//! Passes a stream between client and host as bytes, until either ends it (T1-T3).

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use http::{HeaderMap, HeaderName, Response, StatusCode, header};
use http_body_util::{BodyExt as _, BodyStream, StreamBody};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split};
use tokio::time::Instant;

use super::{Duplex, Target, Tunnel, TunnelError, TunnelHead, TunnelStream};
use crate::fair::{self, Place};
use crate::listen::{Body, Server, body};
use crate::model::gvk::ResourceId;
use crate::model::status::ApiStatus;
use crate::store::{ChangeKind, CursorEnd, Key, NsName};
use crate::tenant::Tenant;

/// A switched stream without bytes ends after this time (T3).
const IDLE: Duration = Duration::from_secs(4 * 3600);
/// How long the last bytes of a log may take after its pod is gone, and those of a host after the client has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);
const BUFFER: usize = 16 * 1024;

/// Headers that go to the host. A client's credential is none of them.
const FORWARDED: [HeaderName; 11] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::CONNECTION,
    header::CONTENT_TYPE,
    header::UPGRADE,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_VERSION,
    header::USER_AGENT,
    HeaderName::from_static("x-stream-protocol-version"),
];

/// Headers of a host's 101 answer that go to the client.
const ANSWERED: [HeaderName; 6] = [
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_PROTOCOL,
    HeaderName::from_static("x-stream-protocol-version"),
];

/// Why nothing was passed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassError {
    /// The tunnel was not opened.
    #[error(transparent)]
    Tunnel(#[from] TunnelError),
    /// The host switched protocols, the client cannot.
    #[error("the client did not ask to switch protocols")]
    NoUpgrade,
    /// A limit of the tenant.
    #[error("{}", .0.message)]
    Limit(ApiStatus),
}

fn only(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let mut out = HeaderMap::new();
    for name in names {
        for value in headers.get_all(name) {
            out.append(name, value.clone());
        }
    }
    out
}

/// Opens a tunnel and joins it with the client's connection. The answer is the host's.
pub async fn pass(
    server: &Arc<Server>,
    tenant: &Arc<Tenant>,
    by: &dyn Tunnel,
    to: Target,
    mut head: TunnelHead,
    upgrade: Option<OnUpgrade>,
) -> Result<Response<Body>, PassError> {
    let seat = fair::tunnel(tenant).map_err(PassError::Limit)?;
    head.headers = only(&head.headers, &FORWARDED);
    let opened = tokio::select! {
        opened = by.open(tenant.id, to.clone(), head) => opened?,
        // The log of a silent container is not even opened before its first line.
        () = gone(tenant, &to) => return Err(TunnelError::Gone.into()),
    };
    let (answered, io) = match opened {
        TunnelStream::Answer(response) => {
            let tenant = tenant.clone();
            return Ok(response.map(|body| while_there(body, seat, tenant, to)));
        }
        TunnelStream::Switched { head, io } => (head, io),
    };
    let upgrade = upgrade.ok_or(PassError::NoUpgrade)?;
    let tenant = tenant.clone();
    server.spawn(async move {
        let _seat = seat;
        let joined = async {
            match upgrade.await {
                Ok(client) => join(TokioIo::new(client), io).await,
                Err(error) => tracing::debug!(%error, "the client did not switch protocols"),
            }
        };
        tokio::select! {
            () = joined => {}
            () = gone(&tenant, &to) => {}
        }
    });
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = only(answered.headers(), &ANSWERED);
    Ok(response)
}

/// An answer that ends, at the latest, soon after its pod.
fn while_there(body: Body, seat: Place, tenant: Arc<Tenant>, to: Target) -> Body {
    let end = async move {
        gone(&tenant, &to).await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    let frames = BodyStream::new(body).take_until(Box::pin(end)).map(move |frame| {
        let _held = &seat;
        frame
    });
    StreamBody::new(frames).boxed_unsync()
}

/// Bytes in both directions until the host has ended, or the client and soon after it the host, or nothing came for
/// long.
async fn join(client: impl AsyncRead + AsyncWrite, host: Box<dyn Duplex>) {
    let began = Instant::now();
    let last = AtomicU64::new(0);
    let (client_read, client_write) = split(client);
    let (host_read, host_write) = split(host);
    let up = copy(client_read, host_write, began, &last);
    let mut down = pin!(copy(host_read, client_write, began, &last));
    tokio::select! {
        () = &mut down => {}
        () = up => {
            let _in_time = tokio::time::timeout(LAST_WORDS, down).await;
        }
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    began: Instant,
    last: &AtomicU64,
) {
    let mut buffer = vec![0; BUFFER];
    loop {
        match tokio::time::timeout(IDLE, from.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(n)) => {
                last.store(began.elapsed().as_secs(), Ordering::Relaxed);
                let Some(bytes) = buffer.get(..n) else { break };
                if to.write_all(bytes).await.is_err() || to.flush().await.is_err() {
                    break;
                }
            }
            Err(_elapsed) => {
                let quiet = began.elapsed().as_secs().saturating_sub(last.load(Ordering::Relaxed));
                if quiet >= IDLE.as_secs() {
                    break;
                }
            }
        }
    }
    // The other side may have closed it already.
    let _closed = to.shutdown().await;
}

/// Waits until the pod or the tenant is gone.
async fn gone(tenant: &Tenant, to: &Target) {
    let Target::Pod { namespace, name, uid, .. } = to else {
        return std::future::pending().await;
    };
    let pods = ResourceId::new("", "pods");
    let name = NsName::new(namespace, name);
    loop {
        let from = tenant.store.current_rv();
        let Ok(mut cursor) = tenant.store.watch(&pods, from) else { return };
        let key = Key { resource: pods.clone(), name: name.clone() };
        let live = tenant.store.snapshot().get(&key);
        if live.is_none_or(|record| &*record.index().uid != uid.as_str()) {
            return;
        }
        loop {
            match cursor.next().await {
                Ok(change) if change.kind == ChangeKind::Deleted && change.key.name == name => {
                    if &*change.new.index().uid == uid.as_str() {
                        return;
                    }
                }
                Ok(_) => {}
                // What was missed may be the deletion.
                Err(CursorEnd::Forgotten(_)) => break,
                Err(CursorEnd::TenantGone | CursorEnd::Failed) => return,
            }
        }
    }
}
