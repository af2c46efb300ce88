//! From a request head to what is asked, and to the handler that answers (stages 6 to 12).

mod accept;
mod decode;
mod dispatch;
mod impersonate;
mod info;
mod options;
mod paths;
mod respond;
mod write;

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use hyper::upgrade::OnUpgrade;

use parking_lot::Mutex;

pub use accept::{Accept, Encoding, Form};
pub use info::{Query, RequestInfo, ResourcePath};
pub use options::{DeleteOptions, FieldValidation, ListOptions, Match, Propagation, WriteOptions, selectors};

use crate::access::{self, Attributes};
use crate::fair::{self, Turn};
use crate::identity::Identity;
use crate::listen::{Body, Server};
use crate::model::status::ApiStatus;
use crate::registry::Warnings;
use crate::tenant::Tenant;

/// Everything a handler is told about one request.
pub(crate) struct Exchange<'a> {
    pub server: &'a Arc<Server>,
    pub tenant: &'a Arc<Tenant>,
    pub who: &'a Identity,
    pub info: &'a RequestInfo,
    pub headers: &'a HeaderMap,
    pub accept: Accept,
    pub warnings: &'a Warnings,
    pub method: &'a http::Method,
    /// The connection itself, where the client asks to switch protocols.
    pub upgrade: &'a Mutex<Option<OnUpgrade>>,
    /// What the request is found by in logs and audits.
    pub audit_id: &'a str,
    pub turn: &'a Turn,
}

impl Exchange<'_> {
    pub(crate) fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

/// Answers one request of an authenticated identity to one tenant. The path is the one inside the tenant.
pub async fn serve(
    server: &Arc<Server>,
    tenant: Arc<Tenant>,
    who: Identity,
    req: Request<Body>,
) -> Response<Body> {
    let audit_id = uuid::Uuid::new_v4().to_string();
    let (mut parts, body) = req.into_parts();
    let upgrade = Mutex::new(parts.extensions.remove::<OnUpgrade>());
    let warnings = Warnings::default();
    let query = parts.uri.query().unwrap_or_default();
    let pretty = Query::parse(query).has("pretty").then(|| Query::parse(query).flag("pretty"));
    let plain = Accept { form: Form::Object, ..Accept::JSON };
    let accept = Accept::negotiate(&parts.headers, pretty);
    let answer = async {
        let who = impersonate::effective(&tenant, who, &parts.headers)?;
        let info = RequestInfo::parse(&parts.method, parts.uri.path(), query)?;
        let turn = fair::enter(server, &tenant, &who, &info).await?;
        authorize(&tenant, &who, &info)?;
        let exchange = Exchange {
            server,
            tenant: &tenant,
            who: &who,
            info: &info,
            headers: &parts.headers,
            accept: *accept.as_ref().unwrap_or(&plain),
            warnings: &warnings,
            method: &parts.method,
            upgrade: &upgrade,
            audit_id: &audit_id,
            turn: &turn,
        };
        match &info.resource {
            Some(target) => {
                accept.clone()?;
                dispatch::resource(&exchange, target, body).await
            }
            None => paths::answer(&exchange).await,
        }
    };
    let mut response = match answer.await {
        Ok(response) => response,
        Err(status) => respond::refusal(accept.as_ref().unwrap_or(&plain), &status),
    };
    respond::warn(&mut response, &warnings.take());
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
    if let Ok(id) = HeaderValue::from_str(&audit_id) {
        headers.insert("audit-id", id);
    }
    response
}

fn authorize(tenant: &Tenant, who: &Identity, info: &RequestInfo) -> Result<(), ApiStatus> {
    let attributes = match &info.resource {
        None => Attributes::path(info.verb, &info.path),
        Some(target) => Attributes {
            verb: info.verb,
            group: &target.group,
            version: &target.version,
            resource: &target.plural,
            subresource: target.subresource.split('/').next().unwrap_or_default(),
            namespace: &target.namespace,
            name: &target.name,
            path: None,
        },
    };
    // A stream into a pod changes it, by whatever method it is opened (R1).
    let into_pod = info.verb == "get" && matches!(attributes.subresource, "exec" | "attach" | "portforward");
    let opening = into_pod.then_some(Attributes { verb: "create", ..attributes });
    let judged = [Some(attributes), opening]
        .iter()
        .flatten()
        .try_for_each(|attributes| access::authorize(tenant, who, attributes));
    judged.map_err(|denied| match &info.resource {
        None => ApiStatus::plain(403, "Forbidden", format!("forbidden: {}", denied.0)),
        Some(target) => ApiStatus::forbidden(
            crate::model::status::Subject {
                group: &target.group,
                plural: &target.plural,
                name: &target.name,
            },
            &denied.0,
        ),
    })
}
