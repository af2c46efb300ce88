//! `kube::Client` without a socket: a tower service that enters the request path behind authentication (G5).

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::{Request, Response, header};
use http_body_util::BodyExt as _;
use tower::Service;

use super::switch;
use crate::identity::Identity;
use crate::listen::{Body, Server, body, front};
use crate::model::status::ApiStatus;
use crate::tenant::TenantId;

/// Calls the server as one identity: one tenant, or every path for a system component.
#[derive(Clone)]
struct InProcess {
    server: Weak<Server>,
    tenant: Option<TenantId>,
    who: Identity,
    agent: header::HeaderValue,
}

/// A client over [`InProcess`]. Needs a running runtime, as every `kube::Client` does.
pub fn client(server: Weak<Server>, tenant: Option<TenantId>, who: Identity) -> kube::Client {
    let agent = header::HeaderValue::from_str(&who.user.replace(':', "-"))
        .unwrap_or(header::HeaderValue::from_static("skerry"));
    kube::Client::new(InProcess { server, tenant, who, agent }, "default")
}

impl Service<Request<kube::client::Body>> for InProcess {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, req: Request<kube::client::Body>) -> Self::Future {
        let Self { server, tenant, who, agent } = self.clone();
        let mut req = req.map(|body| body.map_err(Into::into).boxed_unsync());
        req.headers_mut().entry(header::USER_AGENT).or_insert(agent);
        async move {
            let Some(server) = server.upgrade() else {
                return Ok(body::refusal(&ApiStatus::unavailable("the server is gone")));
            };
            if switch::is_asked(req.headers()) {
                return Ok(switch::call(server, tenant, who, req).await);
            }
            Ok(answer(&server, tenant, who, req).await)
        }
        .boxed()
    }
}

/// The answer to one request.
pub(super) async fn answer(
    server: &Arc<Server>,
    tenant: Option<TenantId>,
    who: Identity,
    req: Request<Body>,
) -> Response<Body> {
    match tenant {
        Some(id) => front::inside(server, id, who, req).await,
        None => front::system(server, who, req).await,
    }
}
