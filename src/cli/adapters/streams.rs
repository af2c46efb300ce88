//! The API server's tunnel: by the syncer to hosts, and what a simulated host answers there.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderValue, Response, header};
use http_body_util::BodyExt as _;
use skerry_apiserver::listen::body;
use skerry_apiserver::model::status::ApiStatus;
use skerry_apiserver::tenant::TenantId;
use skerry_apiserver::tunnel::{Target, Tunnel, TunnelError, TunnelHead, TunnelStream};
use skerry_hollow::NOTHING_RUNS;
use skerry_syncer::{HostStream, PodStream, StreamError, StreamHead};

use super::hosts::Hosts;

/// Tunnels of one server: those of its logical hosts, and the way of all others.
pub struct Ways<H> {
    /// Logical clusters that are hosts themselves.
    pub hosts: HashMap<TenantId, Arc<dyn Tunnel>>,
    /// Tenants, by the syncer.
    pub tenants: BySyncer<H>,
}

#[async_trait]
impl<H: Hosts> Tunnel for Ways<H> {
    async fn open(&self, of: TenantId, to: Target, head: TunnelHead) -> Result<TunnelStream, TunnelError> {
        match self.hosts.get(&of) {
            Some(host) => host.open(of, to, head).await,
            None => self.tenants.open(of, to, head).await,
        }
    }
}

/// To the tenant's host (syncer LG1).
pub struct BySyncer<H>(pub H);

fn reason(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        403 => "Forbidden",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        410 => "Gone",
        422 => "Invalid",
        500 => "InternalError",
        501 => "NotImplemented",
        _ => "Unknown",
    }
}

#[async_trait]
impl<H: Hosts> Tunnel for BySyncer<H> {
    async fn open(&self, of: TenantId, to: Target, head: TunnelHead) -> Result<TunnelStream, TunnelError> {
        let Target::Pod { namespace, name, uid, subresource } = to else { return Err(TunnelError::NoHost) };
        let to = PodStream { namespace, name, uid, subresource };
        let TunnelHead { method, query, headers, audit_id, proxy } = head;
        let (server, body) = ((proxy.scheme, proxy.port), proxy.body);
        let head = StreamHead { method, query, server, body, headers, audit_id };
        let opened = self.0.open(of.as_str(), &to, head).await;
        match opened {
            Ok(HostStream::Answer(answer)) => {
                Ok(TunnelStream::Answer(answer.map(|body| body.map_err(Into::into).boxed_unsync())))
            }
            Ok(HostStream::Switched { head, io }) => Ok(TunnelStream::Switched { head, io: Box::new(io) }),
            Err(failed) => Err(match failed {
                StreamError::NoHost => TunnelError::NoHost,
                StreamError::Unreachable => TunnelError::Unreachable,
                StreamError::Gone => TunnelError::Gone,
                StreamError::Unspeakable => TunnelError::Unspeakable,
                StreamError::Refused { code, message } => {
                    TunnelError::Refused(ApiStatus::plain(code, reason(code), message))
                }
            }),
        }
    }
}

/// A simulated host: every log is the one line that says so, and nothing else is opened (invariant 11).
pub struct Simulated;

#[async_trait]
impl Tunnel for Simulated {
    async fn open(&self, _: TenantId, to: Target, _: TunnelHead) -> Result<TunnelStream, TunnelError> {
        match to {
            Target::Pod { subresource, .. } if subresource == "log" => {
                let mut log = Response::new(body::full(format!("{NOTHING_RUNS}\n")));
                log.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
                Ok(TunnelStream::Answer(log))
            }
            _ => Err(TunnelError::Refused(ApiStatus::plain(501, "NotImplemented", NOTHING_RUNS))),
        }
    }
}
