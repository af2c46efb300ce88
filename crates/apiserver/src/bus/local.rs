//! Calls of the server's own parts to a tenant's API: the ordinary request path without a socket. Everything from
//! stage 6 on runs: authorization, admission, limits (G5).

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use serde_json::Value;

use crate::identity::Identity;
use crate::listen::{Server, body};
use crate::model::status::ApiStatus;
use crate::request;
use crate::tenant::Tenant;

/// A caller inside the process: one identity at one tenant.
#[derive(Clone)]
pub struct Local {
    server: Arc<Server>,
    tenant: Arc<Tenant>,
    who: Identity,
    agent: &'static str,
}

/// Form of a patch body.
#[derive(Clone, Copy, Debug)]
pub enum Patch {
    /// RFC 7386.
    Merge,
    /// RFC 6902.
    Json,
    /// Server-side apply, taking what it names.
    ForcedApply,
}

impl Local {
    /// A caller. `agent` is the manager its writes are booked to.
    pub fn new(server: Arc<Server>, tenant: Arc<Tenant>, who: Identity, agent: &'static str) -> Self {
        Self { server, tenant, who, agent }
    }

    /// The tenant.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The server.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The manager that its writes are booked to.
    pub fn agent(&self) -> &'static str {
        self.agent
    }

    /// One request; `path` may carry a query.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        media: &'static str,
        body: Option<&Value>,
    ) -> Result<Value, ApiStatus> {
        let bytes = match body {
            Some(value) => Bytes::from(serde_json::to_vec(value).map_err(ApiStatus::internal)?),
            None => Bytes::new(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, media)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, self.agent)
            .body(body::full(bytes))
            .map_err(ApiStatus::internal)?;
        let response = request::serve(&self.server, self.tenant.clone(), self.who.clone(), request).await;
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.map_err(ApiStatus::internal)?.to_bytes();
        let value: Value = serde_json::from_slice(&bytes).map_err(ApiStatus::internal)?;
        if code < 300 { Ok(value) } else { Err(refusal(code, &value)) }
    }

    /// POST.
    pub async fn create(&self, path: &str, object: &Value) -> Result<Value, ApiStatus> {
        self.send(Method::POST, path, "application/json", Some(object)).await
    }

    /// PUT.
    pub async fn update(&self, path: &str, object: &Value) -> Result<Value, ApiStatus> {
        self.send(Method::PUT, path, "application/json", Some(object)).await
    }

    /// PATCH.
    pub async fn patch(&self, path: &str, kind: Patch, body: &Value) -> Result<Value, ApiStatus> {
        let (media, query) = match kind {
            Patch::Merge => ("application/merge-patch+json", String::new()),
            Patch::Json => ("application/json-patch+json", String::new()),
            Patch::ForcedApply => {
                ("application/apply-patch+yaml", format!("?fieldManager={}&force=true", self.agent))
            }
        };
        self.send(Method::PATCH, &format!("{path}{query}"), media, Some(body)).await
    }

    /// DELETE with options.
    pub async fn delete(&self, path: &str, options: &Value) -> Result<Value, ApiStatus> {
        self.send(Method::DELETE, path, "application/json", Some(options)).await
    }
}

/// A refusal read back from its wire form, as far as callers inside the process look at it.
fn refusal(code: u16, value: &Value) -> ApiStatus {
    let reason = match value["reason"].as_str().unwrap_or_default() {
        "NotFound" => "NotFound",
        "AlreadyExists" => "AlreadyExists",
        "Conflict" => "Conflict",
        "Invalid" => "Invalid",
        "Forbidden" => "Forbidden",
        _ => "Unknown",
    };
    let mut status = ApiStatus::plain(code, reason, value["message"].as_str().unwrap_or_default());
    for cause in value["details"]["causes"].as_array().into_iter().flatten() {
        let reason = match cause["reason"].as_str() {
            Some("NamespaceTerminating") => "NamespaceTerminating",
            Some("TemplateNamespace") => "TemplateNamespace",
            _ => "",
        };
        let text = |key: &str| cause[key].as_str().unwrap_or_default().to_owned();
        status.details.causes.push(crate::model::status::Cause {
            reason,
            message: text("message"),
            field: text("field"),
        });
    }
    status
}
