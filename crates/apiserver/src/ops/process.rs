//! Paths of the process: `/skerry/v1/…`, `/shards…`, and on the plain socket probes and metrics.

use std::sync::Arc;

use http::{Method, Request, Response, Uri};
use serde_json::{Value, json};

use super::{admin, process_health, wildcard};
use crate::listen::{Body, Server, body};
use crate::model::catalog::Catalog;
use crate::model::status::ApiStatus;
use crate::store::Health;

const FIDELITY: &str = "/skerry/v1/fidelity";

/// Whether a path tells nothing that anybody may not know.
pub(crate) fn is_public(path: &str) -> bool {
    path == FIDELITY
}

/// Answers a system identity.
pub(crate) async fn process(server: &Arc<Server>, req: Request<Body>) -> Response<Body> {
    let path = req.uri().path().to_owned();
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let answer = match parts.as_slice() {
        ["skerry", "v1", "tenants", rest @ ..] => admin::answer(server, rest, req).await,
        ["skerry", "v1", "fidelity"] => only_get(&req, fidelity),
        ["shards"] => only_get(&req, || shards(server)),
        ["shards", number, "clusters", "*", rest @ ..] => wildcard::answer(server, number, rest, &req),
        _ => Err(ApiStatus::no_such_resource()),
    };
    answer.unwrap_or_else(|status| body::refusal(&status))
}

fn only_get(req: &Request<Body>, answer: impl FnOnce() -> Value) -> Result<Response<Body>, ApiStatus> {
    if req.method() != Method::GET {
        return Err(ApiStatus::method_not_allowed_here());
    }
    Ok(body::json(200, &answer()))
}

/// Level of each built-in kind (M1).
fn fidelity() -> Value {
    let catalog = Catalog::builtin();
    let row = |r: &Arc<crate::model::resource::Resource>| json!({ "apiVersion": r.gvk.api_version(), "kind": r.gvk.kind, "level": r.fidelity.as_str() });
    catalog.builtin_rows().iter().map(row).collect()
}

fn shards(server: &Server) -> Value {
    let status = |shard: crate::store::ShardStatus| {
        json!({
            "number": shard.number, "epoch": shard.epoch.to_string(), "bytes": shard.bytes,
            "ready": shard.health == Health::Ready,
        })
    };
    server.db().shards().into_iter().map(status).collect()
}

/// Answers on the plain socket.
pub(crate) fn probe(server: &Server, uri: &Uri) -> Response<Body> {
    let verbose =
        uri.query().is_some_and(|q| q.split('&').any(|p| p == "verbose" || p.starts_with("verbose=")));
    match uri.path() {
        path @ ("/healthz" | "/livez" | "/readyz") => {
            process_health(server.db(), server.tenants(), path, verbose)
        }
        "/metrics" => server.metrics().encode(),
        _ => body::refusal(&ApiStatus::no_such_resource()),
    }
}
