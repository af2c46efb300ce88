//! `GET /shards/<n>/clusters/*/<api path>?watch=true`: one kind over all tenants of a shard (K14).

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, Request, Response, header};
use http_body::Frame as BodyFrame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::{Value, json};

use crate::listen::{Body, BoxError, Server};
use crate::model::catalog::Catalog;
use crate::model::gvk::ResourceId;
use crate::model::status::ApiStatus;
use crate::registry::{Seen, Selection};
use crate::request::{RequestInfo, selectors};
use crate::store::{Frame, Wildcard, WildcardError};

/// Answers the watch; anything else about the path is refused.
pub fn answer(
    server: &Arc<Server>,
    number: &str,
    rest: &[&str],
    req: &Request<Body>,
) -> Result<Response<Body>, ApiStatus> {
    let path = format!("/{}", rest.join("/"));
    let info = RequestInfo::parse(req.method(), &path, req.uri().query().unwrap_or_default())?;
    let target = info.resource.as_ref().ok_or_else(ApiStatus::no_such_resource)?;
    let shard: usize = number.parse().map_err(|_| ApiStatus::no_such_resource())?;
    let in_path = RequestInfo::parse(req.method(), &path, "")?.resource.is_some_and(|r| !r.name.is_empty());
    if *req.method() != Method::GET || info.verb != "watch" || in_path {
        return Err(ApiStatus::method_not_allowed_here());
    }
    let resource = ResourceId::new(&target.group, &target.plural);
    // Of tenants' own kinds nothing is known here; each tenant may have its own.
    let row = Catalog::builtin().lookup(&target.group, &target.version, &target.plural);
    let selection = Selection::new(row.as_deref(), target, selectors(&info.query)?)?;
    let from = position(info.query.get("resourceVersion"))?;
    let watch = server.db().wildcard(shard, &resource, from).map_err(|error| status_of(&error))?;
    let epoch =
        server.db().shards().into_iter().find(|s| s.number == shard).map(|s| s.epoch).unwrap_or_default();
    let bookmarks = info.query.flag("allowWatchBookmarks") || info.query.flag("sendInitialEvents");
    let lines = Lines { epoch, bookmarks, selection };
    Ok(respond(watch, lines, server.stopping().clone()))
}

/// `<epoch>-<seq>`; empty or 0 for a listing first.
fn position(text: &str) -> Result<Option<(u64, u64)>, ApiStatus> {
    if text.is_empty() || text == "0" {
        return Ok(None);
    }
    let parsed = text.split_once('-').and_then(|(epoch, seq)| Some((epoch.parse().ok()?, seq.parse().ok()?)));
    parsed.map(Some).ok_or_else(|| {
        ApiStatus::bad_request(format!("invalid resource version {text:?}: <epoch>-<seq> is expected"))
    })
}

fn status_of(error: &WildcardError) -> ApiStatus {
    match error {
        WildcardError::NoShard => ApiStatus::no_such_resource(),
        WildcardError::Forgotten => ApiStatus::expired("the position is no longer known"),
        WildcardError::Failed => ApiStatus::unavailable("storage has failed"),
        WildcardError::NotReady(_) => {
            ApiStatus::unavailable("tenants of the shard are still being opened").retry_after(1)
        }
    }
}

/// How the frames of one watch are told.
struct Lines {
    epoch: u64,
    bookmarks: bool,
    selection: Selection,
}

fn respond(watch: Wildcard, lines: Lines, stop: tokio_util::sync::CancellationToken) -> Response<Body> {
    let lines = stream::unfold(Some((watch, lines, stop)), |state| async move {
        let (mut watch, lines, stop) = state?;
        let next = tokio::select! {
            () = stop.cancelled() => return None,
            next = watch.next() => next,
        };
        match next {
            Ok(frame) => Some((lines.line(&frame), Some((watch, lines, stop)))),
            Err(error) => {
                let status = status_of(&error).to_value();
                let last = json!({ "type": "ERROR", "object": status });
                Some((Some(Bytes::from(format!("{last}\n"))), None))
            }
        }
    });
    let frames = lines.filter_map(|line| async move { line.map(|l| Ok::<_, BoxError>(BodyFrame::data(l))) });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-cache, private"));
    response
}

impl Lines {
    fn line(&self, frame: &Frame) -> Option<Bytes> {
        let place = |seq: u64| format!("{}-{seq}", self.epoch);
        match frame {
            Frame::Listed { tenant, name, record, seq } => {
                let takes = self.selection.takes(name, record);
                takes.then(|| event("ADDED", &record.json(), tenant.as_str(), &place(*seq)))
            }
            Frame::ListingEnd { seq } if self.bookmarks => {
                let object: Value = json!({ "metadata": {
                    "resourceVersion": place(*seq),
                    "annotations": { "k8s.io/initial-events-end": "true" },
                } });
                let object = object.to_string();
                Some(event("BOOKMARK", object.as_bytes(), "", &place(*seq)))
            }
            Frame::ListingEnd { .. } => None,
            Frame::Change { tenant, change } => {
                let (kind, object) = match self.selection.sees(change)? {
                    Seen::Now(kind) => (kind, change.new.json()),
                    Seen::Left(record) => ("DELETED", record.json()),
                };
                Some(event(kind, &object, tenant.as_str(), &place(change.seq)))
            }
        }
    }
}

/// Object bytes are the tenant's own, untouched.
fn event(kind: &str, object: &[u8], tenant: &str, seq: &str) -> Bytes {
    let mut out = Vec::with_capacity(object.len() + 96);
    out.extend_from_slice(format!(r#"{{"type":"{kind}","#).as_bytes());
    if !tenant.is_empty() {
        out.extend_from_slice(format!(r#""tenant":"{tenant}","#).as_bytes());
    }
    out.extend_from_slice(format!(r#""seq":"{seq}","object":"#).as_bytes());
    out.extend_from_slice(object);
    out.extend_from_slice(b"}\n");
    out.into()
}
