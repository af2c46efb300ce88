//! Streams of pods (LG1): tenant and UID → what is remembered → proof against the live host object → the host's own
//! subresource, by the syncer's identity. Bytes are not looked at.

mod words;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use serde::{Deserialize, Serialize};

use super::{SyncerHandle, carry::Pass, model::Key, sources};
use crate::{
    kind::Kind,
    mapping::{Claim, Mapping, NamespaceOrigin},
    object::{Fields, HostObj},
};

/// How long a host may take to switch protocols. A log has no such limit: it is answered with its first line.
const SWITCH: Duration = Duration::from_secs(30);
/// Most bytes of a refusal that are read.
const REFUSAL: usize = 64 * 1024;
/// What is carried; everything else of a pod stays closed.
const CARRIED: [&str; 5] = ["log", "exec", "attach", "portforward", "proxy"];

/// A pod's stream, in the tenant's own names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodStream {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID: a name that was used again is another pod.
    pub uid: String,
    /// `log`, `exec`, `attach`, `portforward`, or `proxy` with what follows it in the path.
    pub subresource: String,
}

/// Head of the request that goes to the host.
#[derive(Clone, Debug)]
pub struct StreamHead {
    /// Method.
    pub method: Method,
    /// Query.
    pub query: String,
    /// For `proxy`: scheme and port of the pod's server, empty for the host's choice.
    pub server: (String, String),
    /// For `proxy`: what is sent.
    pub body: Bytes,
    /// Protocols and what belongs to them; never a credential.
    pub headers: HeaderMap,
    /// What the request is found by in logs, the host's too.
    pub audit_id: String,
}

/// What a host gave.
pub enum HostStream {
    /// An ordinary answer, its body as it comes: `log`.
    Answer(Response<Body>),
    /// A connection that is the pod's from here on.
    Switched {
        /// Head of the 101 answer.
        head: Response<()>,
        /// The host's side.
        io: TokioIo<Upgraded>,
    },
}

/// Why there is no stream. No variant holds a word of the host that is not the tenant's too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum StreamError {
    /// The tenant is not served here, or nothing of it is carried.
    #[error("no host is attached")]
    NoHost,
    /// The host does not answer, or is not known well enough yet.
    #[error("the host cannot be reached")]
    Unreachable,
    /// There is no such pod on the host, or another one under its name.
    #[error("the pod is not running on a host")]
    Gone,
    /// The host failed in words that cannot be told; they are in the log, under the audit id.
    #[error("the host failed")]
    Unspeakable,
    /// Refused, in the tenant's words.
    #[error("{message}")]
    Refused {
        /// HTTP code.
        code: u16,
        /// Sentence.
        message: String,
    },
}

impl PodStream {
    /// The subresource alone.
    fn kind(&self) -> &str {
        self.subresource.split('/').next().unwrap_or_default()
    }
}

impl SyncerHandle {
    /// Opens a stream to a pod on the tenant's host.
    pub async fn open(
        &self,
        tenant: &str,
        to: &PodStream,
        head: StreamHead,
    ) -> Result<HostStream, StreamError> {
        let proxied = to.kind() == "proxy";
        if !CARRIED.contains(&to.kind()) {
            let message = format!("pods/{} is not carried to hosts", to.kind());
            return Err(StreamError::Refused { code: 501, message });
        }
        let pass = self.pass(tenant)?;
        let pod = proven(&pass, to).await?;
        if names_ours(&head.query, &to.uid) {
            return Err(StreamError::Gone);
        }
        let audit_id = head.audit_id.clone();
        let answer = send(&pass, &pod, to, head).await?;
        match answer.status() {
            StatusCode::SWITCHING_PROTOCOLS => switched(answer).await,
            status if status.is_success() => Ok(HostStream::Answer(plain(answer))),
            status => {
                let head = answer.headers().get(header::CONTENT_TYPE).cloned();
                let body = Limited::new(answer.into_body(), REFUSAL).collect().await;
                let body = body.map(|read| read.to_bytes()).unwrap_or_default();
                if proxied && !words::of_a_host(&body) {
                    return Ok(HostStream::Answer(of_the_pod(status, head, body)));
                }
                let refusal = words::refusal(status.as_u16(), &body, to, &pod, &pass.facts);
                if operators(&refusal) {
                    tracing::warn!(tenant = %pass.tenant.id, host = %pass.tenant.host.entry.name, %audit_id,
                        pod = %to.name, stream = %to.subresource, code = status.as_u16(),
                        answer = %String::from_utf8_lossy(&body), "a host failed to open a stream");
                }
                Err(refusal)
            }
        }
    }

    fn pass(&self, tenant: &str) -> Result<Pass, StreamError> {
        let Some(tenant) = self.engine.tenants.read().get(tenant).cloned() else {
            return Err(if self.engine.awaits(tenant) {
                StreamError::Unreachable
            } else {
                StreamError::NoHost
            });
        };
        let settings = tenant.entry().effective.settings.clone();
        if !settings.enabled || !settings.to_host.pods.enabled {
            return Err(StreamError::NoHost);
        }
        let known = tenant.open.load(Ordering::Acquire) && tenant.host.ready.load(Ordering::Acquire);
        // Behind another identity are other pods (EN6).
        if !known || tenant.replaced.load(Ordering::Acquire) {
            return Err(StreamError::Unreachable);
        }
        Ok(Pass::new(Arc::clone(&self.engine), tenant))
    }
}

/// Whether a query names the container that Skerry put into the pod: to the tenant there is none (PO30).
fn names_ours(query: &str, uid: &str) -> bool {
    let ours = Mapping::hosts_file(uid);
    query.split('&').any(|pair| pair.strip_prefix("container=") == Some(ours.as_str()))
}

/// The live host pod, proven to be the one asked for (NM5).
async fn proven(pass: &Pass, to: &PodStream) -> Result<HostObj, StreamError> {
    let key = Key::new(Kind::Pod, &to.namespace, &to.name);
    let known = pass.entry(&key).and_then(|entry| entry.tenant).ok_or(StreamError::Gone)?;
    let fact = pass.facts.namespaces.get(&key.namespace).ok_or(StreamError::Gone)?;
    let place = pass.place(&key).ok_or(StreamError::Gone)?;
    if *known.uid != *to.uid {
        return Err(StreamError::Gone);
    }
    let path = Kind::Pod.path(place.namespace.as_str(), place.name.as_str());
    let found = pass.host().find(&path).await.map_err(|error| {
        tracing::debug!(tenant = %pass.tenant.id, category = error.category(), %error, "no host pod read for a stream");
        StreamError::Unreachable
    })?;
    let pod = HostObj(found.ok_or(StreamError::Gone)?);
    let namespace = NamespaceOrigin { name: to.namespace.clone(), uid: fact.uid.to_string() };
    match pass.facts.mapping.prove(Kind::Pod, &pod, &namespace) {
        Claim::Ours(origin) if origin.name == to.name && origin.uid == to.uid => Ok(pod),
        Claim::Ours(_) | Claim::Foreign => Err(StreamError::Gone),
    }
}

async fn send(
    pass: &Pass,
    pod: &HostObj,
    to: &PodStream,
    head: StreamHead,
) -> Result<Response<Body>, StreamError> {
    let name = match &head.server {
        (scheme, port) if scheme.is_empty() && port.is_empty() => pod.name().to_owned(),
        (scheme, port) if scheme.is_empty() => format!("{}:{port}", pod.name()),
        (scheme, port) => format!("{scheme}:{}:{port}", pod.name()),
    };
    // Without the slash the host would answer with where to ask instead, in its own names.
    let slash = if to.subresource == "proxy" { "/" } else { "" };
    // It is read decoded, and is again a path of the host's alone.
    let parts: Vec<String> = to.subresource.split('/').map(sources::escaped).collect();
    let pod_path = Kind::Pod.path(pod.namespace(), &name);
    let path = format!("{pod_path}/{}{slash}?{}", parts.join("/"), head.query);
    let request = Request::builder().method(head.method).uri(path).body(Body::from(head.body.to_vec()));
    let mut request = request.map_err(|error| {
        tracing::debug!(%error, "a stream's query is no URI");
        StreamError::Refused { code: 400, message: "the query cannot be passed on".to_owned() }
    })?;
    *request.headers_mut() = head.headers;
    request.headers_mut().remove(header::USER_AGENT);
    if let Ok(id) = HeaderValue::from_str(&head.audit_id) {
        request.headers_mut().insert(HeaderName::from_static("audit-id"), id);
    }
    let answer = pass.host().open(request);
    let answer = if matches!(to.kind(), "log" | "proxy") {
        answer.await
    } else {
        tokio::time::timeout(SWITCH, answer).await.map_err(|_| StreamError::Unreachable)?
    };
    answer.map_err(|error| {
        tracing::debug!(tenant = %pass.tenant.id, category = error.category(), %error, "no stream from a host");
        StreamError::Unreachable
    })
}

async fn switched(mut answer: Response<Body>) -> Result<HostStream, StreamError> {
    let io = hyper::upgrade::on(&mut answer).await.map_err(|error| {
        tracing::debug!(%error, "a host switched protocols and did not go on");
        StreamError::Unreachable
    })?;
    Ok(HostStream::Switched { head: answer.map(drop), io: TokioIo::new(io) })
}

/// What the pod's own server said, a failure among it.
fn of_the_pod(status: StatusCode, kind: Option<HeaderValue>, body: Bytes) -> Response<Body> {
    let mut out = Response::new(Body::from(body.to_vec()));
    *out.status_mut() = status;
    out.headers_mut().extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
    out
}

/// Whether a refusal is for the operator to look into, and no matter of the pod.
fn operators(refusal: &StreamError) -> bool {
    matches!(refusal, StreamError::Unspeakable | StreamError::Refused { code: 403, .. })
}

/// The answer with what describes its body, and nothing that describes the host.
fn plain(answer: Response<Body>) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let kind = parts.headers.remove(header::CONTENT_TYPE);
    let mut out = Response::new(body);
    *out.status_mut() = parts.status;
    out.headers_mut().extend(kind.map(|kind| (header::CONTENT_TYPE, kind)));
    out
}
