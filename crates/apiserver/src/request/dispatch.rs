//! Which handler answers a request for a resource.

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, stream};
use http::{HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::{Value, json};

use super::accept::{Encoding, Form};
use super::{DeleteOptions, Exchange, ListOptions, ResourcePath, decode, respond, write};
use crate::codec::table;
use crate::fair;
use crate::kinds::{proxy, subresource};
use crate::listen::{Body, BoxError};
use crate::model::status::ApiStatus;
use crate::registry::{self, Call, Page};
use crate::store::{NsName, Record};
use crate::tunnel::Proxied;
use crate::watch::{self, WatchRequest};

/// Size of one piece of a streamed list.
const CHUNK: usize = 64 * 1024;

/// Answers a request for a resource.
pub async fn resource(
    x: &Exchange<'_>,
    target: &ResourcePath,
    body: Body,
) -> Result<Response<Body>, ApiStatus> {
    let catalog = x.tenant.catalog();
    let resource = catalog
        .lookup(&target.group, &target.version, &target.plural)
        .ok_or_else(ApiStatus::no_such_resource)?;
    let asked = &target.name;
    let mut target = target.clone();
    if target.group.is_empty()
        && target.plural == "pods"
        && target.subresource.split('/').next() == Some("proxy")
    {
        target.name = proxy::pod(asked).to_owned();
    }
    if !resource.namespaced {
        if !target.namespace.is_empty() && target.plural != "namespaces" {
            return Err(ApiStatus::no_such_resource());
        }
        target.namespace.clear();
    }
    let verb = x.info.verb;
    let call = Call {
        server: x.server,
        tenant: x.tenant,
        who: x.who,
        resource: resource.clone(),
        catalog: catalog.clone(),
        warnings: x.warnings,
        agent: x.header(header::USER_AGENT),
        turn: x.turn,
        target,
    };
    let sub = call.subresource();
    let verbs = match sub {
        "" => &resource.verbs,
        sub => &resource.subresource(sub).ok_or_else(ApiStatus::no_such_resource)?.verbs,
    };
    let stream_of_pod = matches!(sub, "exec" | "attach" | "portforward" | "proxy" | "log");
    if !stream_of_pod && !verbs.iter().any(|v| &**v == verb) {
        return Err(ApiStatus::method_not_allowed(call.subject(&call.target.name), verb));
    }
    if let Some(deprecation) = resource.custom.as_ref().and_then(|custom| custom.deprecation.as_deref()) {
        call.warnings.add(deprecation);
    }
    if resource.namespaced && call.target.namespace.is_empty() && !matches!(verb, "list" | "watch") {
        return Err(ApiStatus::method_not_allowed_here());
    }
    if stream_of_pod {
        let proxied = match sub {
            "proxy" => {
                let body = x.turn.away(decode::read(x.headers, body)).await??;
                proxy::read(asked, &call.target.subresource, body)?
            }
            _ => Proxied::default(),
        };
        return subresource::tunnel(&call, x, proxied).await;
    }
    match verb {
        "get" => get(x, &call),
        "list" => list(x, &call).await,
        "watch" => watch(x, &call).await,
        "create" => write::create(x, &call, body).await,
        "update" => write::update(x, &call, body).await,
        "patch" => write::patch(x, &call, body).await,
        "delete" => delete(x, &call, body).await,
        "deletecollection" => delete_collection(x, &call, body).await,
        other => Err(ApiStatus::method_not_allowed(call.subject(""), other)),
    }
}

fn get(x: &Exchange<'_>, call: &Call<'_>) -> Result<Response<Body>, ApiStatus> {
    let record = registry::get(call)?;
    if call.subresource() == "scale" {
        let scale = crate::kinds::scale::of(&call.resource, &registry::view(&call.resource, &record));
        return Ok(respond::object(200, &x.accept, None, scale, ""));
    }
    if x.accept.form == Form::Object
        && x.accept.encoding == Encoding::Json
        && registry::is_stored_version(&call.resource)
    {
        return Ok(respond::bytes(200, &x.accept, record.json()));
    }
    let object = registry::view(&call.resource, &record);
    Ok(respond::object(200, &x.accept, Some(&call.resource), object, x.info.query.get("includeObject")))
}

async fn list(x: &Exchange<'_>, call: &Call<'_>) -> Result<Response<Body>, ApiStatus> {
    let options = ListOptions::parse(&x.info.query, false)?;
    let page = registry::list(call, &options).await?;
    let mut metadata = json!({"resourceVersion": page.rv.to_string()});
    if !page.next.is_empty() {
        metadata["continue"] = page.next.as_str().into();
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    match (x.accept.form, x.accept.encoding) {
        (Form::Object, Encoding::Json) if registry::is_stored_version(&call.resource) => {
            Ok(streamed(call, &metadata, page))
        }
        (form, _) => {
            let objects: Vec<Value> =
                page.records.iter().map(|(_, record)| registry::view(&call.resource, record)).collect();
            let include = x.info.query.get("includeObject");
            let value = match form {
                Form::Object => json!({
                    "apiVersion": call.gvk().api_version(), "kind": call.resource.list_kind(),
                    "metadata": metadata, "items": objects,
                }),
                Form::Table(version) => table::of_list(&call.resource, &objects, metadata, version, include),
                Form::Partial(version) => table::partial_list(&objects, metadata, version),
            };
            Ok(respond::bytes(200, &x.accept, respond::encode(x.accept.encoding, &value)))
        }
    }
}

/// A list that is written while it is sent: the extra memory is one piece (L4).
fn streamed(call: &Call<'_>, metadata: &Value, page: Page) -> Response<Body> {
    let head = format!(
        "{{\"apiVersion\":{},\"kind\":{},\"metadata\":{metadata},\"items\":[",
        Value::from(call.gvk().api_version()),
        Value::from(call.resource.list_kind()),
    );
    let pieces = Pieces { head: Some(head), records: page.records.into_iter(), first: true, done: false };
    let frames = stream::iter(pieces).map(|bytes| Ok::<_, BoxError>(Frame::data(bytes)));
    let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

struct Pieces {
    head: Option<String>,
    records: std::vec::IntoIter<(NsName, Record)>,
    first: bool,
    done: bool,
}

impl Iterator for Pieces {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.done {
            return None;
        }
        let mut out = Vec::with_capacity(CHUNK);
        if let Some(head) = self.head.take() {
            out.extend_from_slice(head.as_bytes());
        }
        while out.len() < CHUNK {
            let Some((_, record)) = self.records.next() else {
                out.extend_from_slice(b"]}");
                self.done = true;
                break;
            };
            if !std::mem::replace(&mut self.first, false) {
                out.push(b',');
            }
            record.write_json(&mut out);
        }
        Some(BytesMut::from(&out[..]).freeze())
    }
}

async fn watch(x: &Exchange<'_>, call: &Call<'_>) -> Result<Response<Body>, ApiStatus> {
    let options = ListOptions::parse(&x.info.query, true)?;
    let include = x.info.query.get("includeObject").to_owned();
    let request = WatchRequest { options, accept: x.accept, include };
    let seat = fair::watch(call.tenant, call.who)?;
    let frames = watch::stream(call, request).await?;
    let frames = frames.map(move |bytes| {
        let _open = &seat;
        Ok::<_, BoxError>(Frame::data(bytes))
    });
    let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(frames)));
    let media = HeaderValue::from_static(watch::content_type(&x.accept));
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    Ok(response)
}

async fn delete_options(x: &Exchange<'_>, body: Body) -> Result<DeleteOptions, ApiStatus> {
    let bytes = x.turn.away(decode::read(x.headers, body)).await??;
    if bytes.is_empty() {
        return DeleteOptions::parse(&x.info.query, None);
    }
    let format = decode::format_of(decode::media_type(x.headers))?;
    let found = decode::object(format, &bytes)?;
    DeleteOptions::parse(&x.info.query, Some(&found.object))
}

async fn delete(x: &Exchange<'_>, call: &Call<'_>, body: Body) -> Result<Response<Body>, ApiStatus> {
    let options = delete_options(x, body).await?;
    let outcome = registry::delete(call, &options).await?;
    Ok(respond::object(outcome.code, &x.accept, Some(&call.resource), outcome.object, ""))
}

async fn delete_collection(
    x: &Exchange<'_>,
    call: &Call<'_>,
    body: Body,
) -> Result<Response<Body>, ApiStatus> {
    let options = delete_options(x, body).await?;
    let selection = ListOptions::parse(&x.info.query, false)?;
    let list = registry::delete_collection(call, &options, &selection).await?;
    Ok(respond::bytes(200, &x.accept, respond::encode(x.accept.encoding, &list)))
}
