//! Stages 2 to 5 and what surrounds the rest: resolution, waking, authentication, deadline, panics, the access log.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{FutureExt as _, StreamExt as _};
use http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, BodyStream, StreamBody};

use super::resolve::{self, Conn, Names, Route};
use super::{Body, Server, body};
use crate::audit;
use crate::config::Role;
use crate::identity::{Identity, authn};
use crate::model::status::ApiStatus;
use crate::ops;
use crate::request::{self, RequestInfo};
use crate::tenant::{Found, Tenant, TenantId};

/// Longest URI (Q2).
const MAX_URI: usize = 32 * 1024;
/// Time of a request that is not long-running (Q5).
const DEADLINE: Duration = Duration::from_secs(60);
/// Paths whose requests are no activity (G8).
const PROBES: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];

/// Answers a request from a socket.
pub(super) async fn outside(server: &Arc<Server>, conn: &Conn, req: Request<Body>) -> Response<Body> {
    let of_host = |host: &str| server.tenants().of_host(host);
    let names = Names { base_domain: &server.config().serving.base_domain, of_host: &of_host };
    if req.uri().path_and_query().is_some_and(|p| p.as_str().len() > MAX_URI) {
        server.metrics().refused("uri");
        return body::refusal(&ApiStatus::plain(414, "RequestURITooLong", "the request URI is too long"));
    }
    let began = Instant::now();
    let method = req.method().clone();
    let is_watch = method == Method::GET
        && (req.uri().query().is_some_and(|q| q.contains("watch=")) || req.uri().path().contains("/watch/"));
    let response = match resolve::resolve(conn, req.uri(), req.headers(), &names) {
        Err(status) => body::refusal(&status),
        Ok(Route::Process) => process(server, conn, req).await,
        Ok(Route::Hub(path)) => match hub(server) {
            Some(tenant) => authenticated(server, conn, tenant, inner(req, &path)).await,
            None => without_hub(server, &path),
        },
        Ok(Route::Tenant(id, path)) => {
            let is_hinted = resolve::is_hinted(conn, req.uri(), req.headers(), &names);
            match found(server, id).await {
                Ok(tenant) => authenticated(server, conn, tenant, inner(req, &path)).await,
                Err(status) if is_hinted && status.code == 404 => {
                    refuse_credential(server, conn, None, "names an unknown tenant")
                }
                Err(status) => body::refusal(&status),
            }
        }
    };
    server.metrics().answered(&method, response.status().as_u16(), began.elapsed());
    if is_watch { response.map(|body| until_stop(server, body)) } else { response }
}

/// A watch, which would go on for ever, ends when the server does: informers connect to the next one.
fn until_stop(server: &Server, body: Body) -> Body {
    let stop = server.stopping().clone().cancelled_owned();
    let frames = BodyStream::new(body).take_until(Box::pin(stop));
    StreamBody::new(frames).boxed_unsync()
}

/// Answers a request of a part of the process to one tenant (G5).
pub(crate) async fn inside(
    server: &Arc<Server>,
    id: TenantId,
    who: Identity,
    req: Request<Body>,
) -> Response<Body> {
    match found(server, id).await {
        Ok(tenant) => guarded(server, tenant, who, req).await,
        Err(status) => body::refusal(&status),
    }
}

/// Answers a request of a system component, which may use every path.
pub(crate) async fn system(server: &Arc<Server>, who: Identity, req: Request<Body>) -> Response<Body> {
    let names = Names { base_domain: "", of_host: &|_| None };
    match resolve::resolve(&Conn::default(), req.uri(), &http::HeaderMap::new(), &names) {
        Err(status) => body::refusal(&status),
        Ok(Route::Process) => ops::process(server, req).await,
        Ok(Route::Hub(path)) => match hub(server) {
            Some(tenant) => guarded(server, tenant, who, inner(req, &path)).await,
            None => without_hub(server, &path),
        },
        Ok(Route::Tenant(id, path)) => inside(server, id, who, inner(req, &path)).await,
    }
}

fn hub(server: &Arc<Server>) -> Option<Arc<Tenant>> {
    server.tenants().of_role(Role::Hub)
}

/// What is asked of nobody in a process without a hub: how it is, and nothing else.
fn without_hub(server: &Arc<Server>, path: &str) -> Response<Body> {
    match path {
        "/healthz" | "/livez" | "/readyz" => ops::process_health(server.db(), server.tenants(), path, false),
        _ => body::refusal(&ApiStatus::no_such_resource()),
    }
}

/// The tenant in a state that is served.
async fn found(server: &Arc<Server>, id: TenantId) -> Result<Arc<Tenant>, ApiStatus> {
    match server.tenants().find(id).await {
        Found::Active(tenant) => Ok(tenant),
        Found::Coming => Err(ApiStatus::unavailable("the virtual cluster is being made").retry_after(1)),
        Found::Failed(reason) => Err(ApiStatus::unavailable(format!("the virtual cluster failed: {reason}"))),
        Found::None => Err(resolve::unknown(id.as_str())),
    }
}

/// The request with its path inside the tenant; the query stays.
fn inner(mut req: Request<Body>, path: &str) -> Request<Body> {
    let query = req.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
    // A path that came as part of a URI is one.
    if let Ok(uri) = format!("{path}{query}").parse::<Uri>() {
        *req.uri_mut() = uri;
    }
    req
}

async fn authenticated(
    server: &Arc<Server>,
    conn: &Conn,
    tenant: Arc<Tenant>,
    req: Request<Body>,
) -> Response<Body> {
    let judged = tenant.authenticator(server.system_authorities()).authenticate(&conn.chain, req.headers());
    let who = match judged {
        Ok(who) => who,
        Err(error) => {
            tracing::debug!(tenant = %tenant.id, category = error.category(), %error, "credential refused");
            return refuse_credential(server, conn, Some(tenant.id), error.category());
        }
    };
    if !who.is_system() && !PROBES.contains(&req.uri().path()) {
        tenant.touch();
    }
    guarded(server, tenant, who, req).await
}

fn refuse_credential(
    server: &Server,
    conn: &Conn,
    tenant: Option<TenantId>,
    category: &'static str,
) -> Response<Body> {
    server.metrics().refused("credential");
    let too_many = conn.peer.is_some_and(|peer| server.failures.count(peer.ip(), tenant, Instant::now()));
    if too_many {
        server.metrics().refused("failures");
        tracing::info!(peer = ?conn.peer, category, "too many failed authentications");
        return body::refusal(&ApiStatus::too_many_requests("too many failed authentications", 60));
    }
    body::refusal(&ApiStatus::unauthorized())
}

/// Requests to the process itself: system identities only.
async fn process(server: &Arc<Server>, conn: &Conn, req: Request<Body>) -> Response<Body> {
    let is_system = authn::system_certificate(&conn.chain, server.system_authorities()).is_ok();
    if is_system || ops::is_public(req.uri().path()) {
        return ops::process(server, req).await;
    }
    if conn.chain.is_empty() && authn::bearer(req.headers()).is_none() {
        return refuse_credential(server, conn, None, "no system identity");
    }
    let message = format!("forbidden: {:?} is for system identities only", req.uri().path());
    body::refusal(&ApiStatus::plain(403, "Forbidden", message))
}

/// Time of a request: none for what runs long, the client's own where it is shorter.
fn deadline(info: &RequestInfo) -> Option<Duration> {
    let of_resource = |sub: &str| matches!(sub, "exec" | "attach" | "portforward" | "proxy" | "log");
    let is_long = info.verb == "watch"
        || info
            .resource
            .as_ref()
            .is_some_and(|r| of_resource(r.subresource.split('/').next().unwrap_or_default()));
    if is_long {
        return None;
    }
    let asked = info.query.get("timeout");
    let asked = asked.strip_suffix('s').and_then(|t| t.parse().ok()).map(Duration::from_secs);
    Some(asked.filter(|d| !d.is_zero()).map_or(DEADLINE, |d| d.min(DEADLINE)))
}

/// Stages 6 to 12 with a deadline. A panic ends the request, not the process (G6).
async fn guarded(
    server: &Arc<Server>,
    tenant: Arc<Tenant>,
    who: Identity,
    req: Request<Body>,
) -> Response<Body> {
    let began = Instant::now();
    if tenant.panics().is_resting(began) {
        return body::refusal(
            &ApiStatus::unavailable("the virtual cluster rests after failures").retry_after(5),
        );
    }
    let query = req.uri().query().unwrap_or_default();
    let info = RequestInfo::parse(req.method(), req.uri().path(), query);
    let limit = info.as_ref().map_or(Some(DEADLINE), deadline);
    let line = audit::Line::new(&tenant, &who, req.method(), req.uri().path(), info.as_ref().ok());
    let method = req.method().clone();

    let handler = (tenant.spec().role == Role::Hub).then(|| server.routes.find(req.uri().path())).flatten();
    let answer = match handler {
        Some(handler) => handler(who, req),
        None => {
            let (server, tenant) = (server.clone(), tenant.clone());
            async move { request::serve(&server, tenant, who, req).await }.boxed()
        }
    };
    let answer = AssertUnwindSafe(answer).catch_unwind();
    let ended = match limit {
        Some(limit) => tokio::time::timeout(limit, answer).await,
        None => Ok(answer.await),
    };
    let response = match ended {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            server.metrics().panics.inc();
            tenant.panics().count(Instant::now());
            body::refusal(&ApiStatus::internal("the request failed"))
        }
        Err(_elapsed) => {
            server.metrics().refused("time");
            body::refusal(&timed_out(&method))
        }
    };
    line.end(response.status().as_u16(), began.elapsed());
    response
}

fn timed_out(method: &Method) -> ApiStatus {
    let outcome = if *method == Method::GET { "" } else { "; it may or may not have been carried out" };
    ApiStatus::timeout(format!("Timeout: request did not complete within the allotted time{outcome}"), 1)
}
