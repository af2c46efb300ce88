//! Paths that are no resource: discovery, OpenAPI, version, health, keys.

use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};

use super::Exchange;
use crate::config::Role;
use crate::discover::{self, Answer};
use crate::listen::{Body, body};
use crate::model::status::{ApiStatus, Subject};
use crate::ops::{self, Question};

/// Answers one of them.
pub async fn answer(x: &Exchange<'_>) -> Result<Response<Body>, ApiStatus> {
    if let Some(path) = x.info.path.strip_prefix("/debug/tenants/").filter(|_| is_hub(x)) {
        return debug(x, path).await;
    }
    if !matches!(*x.method, Method::GET | Method::HEAD) {
        return Err(ApiStatus::method_not_allowed_here());
    }
    let path = x.info.path.trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match parts.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => {
            Ok(ops::tenant_health(x.tenant, &x.info.path, x.info.query.has("verbose")))
        }
        ["metrics"] => Ok(ops::tenant_metrics(x.tenant)),
        [".well-known", "openid-configuration"] => Ok(body::json(200, &x.tenant.issuer().discovery())),
        ["openid", "v1", "jwks"] => Ok(body::json(200, &x.tenant.issuer().key_set())),
        ["skerry", "v1", "fidelity"] => Ok(body::json(200, &fidelity(x))),
        parts => discovery(x, parts),
    }
}

fn is_hub(x: &Exchange<'_>) -> bool {
    x.tenant.spec().role == Role::Hub
}

/// `<id>/<part>`: asked of whoever is attached, without the seat.
async fn debug(x: &Exchange<'_>, path: &str) -> Result<Response<Body>, ApiStatus> {
    let attached = x.server.debug().ok_or_else(ApiStatus::no_such_resource)?;
    let (id, part) = path.split_once('/').ok_or_else(ApiStatus::no_such_resource)?;
    let tenant = id.parse().map_err(|_| {
        ApiStatus::not_found(Subject { group: "skerry.dev", plural: "virtualclusters", name: id })
    })?;
    let method = if *x.method == Method::HEAD { Method::GET } else { x.method.clone() };
    if !matches!(method, Method::GET | Method::POST) {
        return Err(ApiStatus::method_not_allowed_here());
    }
    let question = Question { part: part.to_owned(), method, query: x.info.query.clone() };
    let answer = x.turn.away(attached.answer(tenant, question)).await??;
    Ok(body::json(200, &answer))
}

fn fidelity(x: &Exchange<'_>) -> Value {
    let level = |r: &std::sync::Arc<crate::model::resource::Resource>| json!({"apiVersion": r.gvk.api_version(), "kind": &*r.gvk.kind, "level": r.fidelity.as_str()});
    x.tenant.catalog().builtin_rows().iter().map(level).collect()
}

fn discovery(x: &Exchange<'_>, parts: &[&str]) -> Result<Response<Body>, ApiStatus> {
    let catalog = x.tenant.catalog();
    let accept = x.header(header::ACCEPT);
    let known = Some(x.header(header::IF_NONE_MATCH)).filter(|k| !k.is_empty());
    let not_acceptable = || ApiStatus::not_acceptable(super::accept::ACCEPTED);
    let found = match parts {
        [""] | [] => Some(root(x)),
        ["version"] => Some(discover::version()),
        ["api"] => {
            Some(discover::api(&catalog, accept, known, x.header(header::HOST)).ok_or_else(not_acceptable)?)
        }
        ["apis"] => Some(discover::apis(&catalog, accept, known).ok_or_else(not_acceptable)?),
        ["api", version] => discover::group_version(&catalog, "", version),
        ["apis", group] => discover::group(&catalog, group),
        ["apis", group, version] => discover::group_version(&catalog, group, version),
        ["openapi", "v2"] => Some(discover::openapi::v2(&catalog, accept, known).ok_or_else(not_acceptable)?),
        ["openapi", "v3"] => Some(discover::openapi::v3_index(&catalog, known)),
        ["openapi", "v3", path @ ..] => {
            let hash = Some(x.info.query.get("hash")).filter(|h| !h.is_empty());
            discover::openapi::v3(&catalog, &path.join("/"), hash, known)
        }
        _ => None,
    };
    found.map(response).ok_or_else(ApiStatus::no_such_resource)
}

/// `/`: what there is.
fn root(x: &Exchange<'_>) -> Answer {
    let catalog = x.tenant.catalog();
    let mut paths = vec!["/api".to_owned(), "/api/v1".into(), "/apis".into()];
    for group in catalog.groups().iter().filter(|g| !g.name.is_empty()) {
        paths.push(format!("/apis/{}", group.name));
        paths.extend(group.versions.iter().map(|v| format!("/apis/{}/{v}", group.name)));
    }
    paths.extend(
        ["/healthz", "/livez", "/metrics", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]
            .map(str::to_owned),
    );
    Answer::ok("application/json", json!({"paths": paths}).to_string())
}

fn response(answer: Answer) -> Response<Body> {
    let mut response = Response::new(body::full(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
