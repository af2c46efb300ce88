//! A call in the process that asks to switch protocols: streams need a connection, so it gets one of memory.

use std::convert::Infallible;
use std::sync::Arc;

use http::{HeaderMap, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::client::answer;
use crate::identity::Identity;
use crate::listen::{Body, Server, body};
use crate::model::status::ApiStatus;
use crate::tenant::TenantId;

/// Bytes on the way in each direction, at most.
const PIPE: usize = 64 * 1024;

/// Whether a request asks for another protocol.
pub fn is_asked(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
}

/// The answer, whose connection goes on as what both sides switched to.
pub async fn call(
    server: Arc<Server>,
    tenant: Option<TenantId>,
    who: Identity,
    req: Request<Body>,
) -> Response<Body> {
    let (near, far) = tokio::io::duplex(PIPE);
    let (mut sender, connection) = match hyper::client::conn::http1::handshake(TokioIo::new(near)).await {
        Ok(opened) => opened,
        Err(error) => return body::refusal(&ApiStatus::internal(error)),
    };
    server.spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection in the process ended");
        }
    });
    server.spawn(serve(server.clone(), tenant, who, TokioIo::new(far)));
    match sender.send_request(req).await {
        Ok(response) => response.map(|body| body.map_err(Into::into).boxed_unsync()),
        Err(error) => body::refusal(&ApiStatus::internal(error)),
    }
}

async fn serve(
    server: Arc<Server>,
    tenant: Option<TenantId>,
    who: Identity,
    io: TokioIo<tokio::io::DuplexStream>,
) {
    let service = service_fn(move |req: Request<Incoming>| {
        let (server, who) = (server.clone(), who.clone());
        let req = req.map(|body| body.map_err(Into::into).boxed_unsync());
        async move { Ok::<_, Infallible>(answer(&server, tenant, who, req).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(io, service);
    if let Err(error) = connection.with_upgrades().await {
        tracing::debug!(%error, "a connection in the process ended");
    }
}
