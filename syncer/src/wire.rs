//! Calls to an API server as trees: no kind of ours has a type of its own, and one bad object fails alone.

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::{Value, json};

use crate::{
    kind::Kind,
    raw::{self, Page},
};

/// Field manager of everything the syncer writes (EN13).
pub const FIELD_MANAGER: &str = "skerry-syncer";
/// Version that no object has: an apply that carries it creates, and never merges into what is there (EN13).
pub const NEVER: &str = "9223372036854775807";
/// Time limit of one call; watches have none.
const CALL: std::time::Duration = std::time::Duration::from_secs(10);

/// Answers asked for.
const JSON: &str = "application/json";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The server answered with a status.
    #[error("{code} {reason}: {message}")]
    Status {
        /// HTTP code.
        code: u16,
        /// `reason` of the Status.
        reason: String,
        /// `message` of the Status.
        message: String,
        /// `Retry-After` in seconds.
        retry_after: Option<u64>,
    },
    /// The request could not be made.
    #[error("building the request")]
    Request(#[source] http::Error),
    /// No answer.
    #[error("calling the API server")]
    Call(#[source] kube::Error),
    /// The answer broke off.
    #[error("reading the answer")]
    Read(#[source] kube::Error),
    /// The answer is not JSON.
    #[error("decoding the answer")]
    Decode(#[source] serde_json::Error),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
}

impl WireError {
    /// HTTP code of a status; 0 when there was none.
    pub fn code(&self) -> u16 {
        match self {
            WireError::Status { code, .. } => *code,
            _ => 0,
        }
    }

    /// 404 by an API server's own word; another's, on the way there, says nothing of an object.
    pub fn not_found(&self) -> bool {
        matches!(self, WireError::Status { code: 404, reason, .. } if reason == "NotFound")
    }

    /// 404 for a kind that a server may lack.
    pub(crate) fn unserved(&self, kind: Kind) -> bool {
        self.code() == 404 && kind.optional()
    }

    /// 409.
    pub fn conflict(&self) -> bool {
        self.code() == 409
    }

    /// Whether the server asks for less, or could not be reached: the window shrinks (EN19).
    pub fn pushback(&self) -> bool {
        matches!(self.code(), 429 | 503 | 504) || matches!(self, WireError::Timeout)
    }

    /// Whether there was no answer of an API server at all.
    pub fn unreachable(&self) -> bool {
        match self {
            WireError::Call(_) | WireError::Read(_) | WireError::Timeout | WireError::Decode(_) => true,
            // What stands before a server that is down answers for it, and without a Status.
            WireError::Status { code: 404 | 500 | 502..=504, reason, .. } => reason.is_empty(),
            WireError::Status { .. } | WireError::Request(_) => false,
        }
    }

    /// What became of a write, in a word of few (OB1).
    pub(crate) fn result(&self) -> &'static str {
        match self.code() {
            409 => "conflict",
            429 | 500.. => "failed",
            400.. => "refused",
            _ => "failed",
        }
    }

    /// The same without the server's own sentence, which may repeat what was sent.
    pub(crate) fn without_message(self) -> Self {
        match self {
            WireError::Status { code, reason, retry_after, .. } => {
                WireError::Status { code, reason, message: String::new(), retry_after }
            }
            other => other,
        }
    }

    /// A stable word for metrics and logs.
    pub fn category(&self) -> &'static str {
        match self {
            WireError::Status { code, .. } => match code {
                404 => "not_found",
                409 => "conflict",
                403 => "forbidden",
                410 => "expired",
                422 => "invalid",
                429 => "throttled",
                500..=599 => "server",
                _ => "status",
            },
            WireError::Request(_) => "request",
            WireError::Call(_) | WireError::Read(_) => "unreachable",
            WireError::Decode(_) => "decode",
            WireError::Timeout => "timeout",
        }
    }
}

/// An API server, by the client it is reached with.
#[derive(Clone)]
pub struct Wire {
    client: kube::Client,
}

impl Wire {
    /// Calls through `client`.
    pub fn new(client: kube::Client) -> Self {
        Self { client }
    }

    async fn call(
        &self,
        accept: &str,
        method: Method,
        path: &str,
        content: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Value, WireError> {
        let bytes = self.bytes(accept, method, path, content, body).await?;
        raw::object(&bytes).map_err(WireError::Decode)
    }

    async fn bytes(
        &self,
        accept: &str,
        method: Method,
        path: &str,
        content: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Bytes, WireError> {
        let run = async {
            let response = self.send(accept, method, path, content, body).await?;
            let (parts, body) = response.into_parts();
            let bytes = body.collect().await.map_err(WireError::Read)?.to_bytes();
            if parts.status.is_success() {
                return Ok(bytes);
            }
            Err(status_error(&parts, &bytes))
        };
        tokio::time::timeout(CALL, run).await.unwrap_or(Err(WireError::Timeout))
    }

    /// GET of a page of a list.
    pub(crate) async fn page(&self, path: &str) -> Result<Page, WireError> {
        let bytes = self.bytes(JSON, Method::GET, path, None, None).await?;
        raw::page(&bytes).map_err(WireError::Decode)
    }

    async fn send(
        &self,
        accept: &str,
        method: Method,
        path: &str,
        content: Option<&str>,
        body: Option<&Value>,
    ) -> Result<http::Response<Body>, WireError> {
        let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, accept);
        if let Some(content) = content {
            request = request.header(header::CONTENT_TYPE, content);
        }
        let bytes = body.map(|b| serde_json::to_vec(b).map_err(WireError::Decode)).transpose()?;
        let request = request.body(bytes.map_or_else(Body::empty, Body::from)).map_err(WireError::Request)?;
        self.client.send(request).await.map_err(WireError::Call)
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Value, WireError> {
        self.call(JSON, Method::GET, path, None, None).await
    }

    /// GET that knows absence.
    pub async fn find(&self, path: &str) -> Result<Option<Value>, WireError> {
        match self.get(path).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A collection's metadata alone.
    pub async fn list_metadata(&self, path: &str) -> Result<Value, WireError> {
        let bytes = self.bytes(PARTIAL_LIST, Method::GET, path, None, None).await?;
        let page = raw::page(&bytes).map_err(WireError::Decode)?;
        Ok(json!({"metadata": page.metadata, "items": page.items}))
    }

    /// POST to a collection or subresource.
    pub async fn create(&self, path: &str, body: &Value) -> Result<Value, WireError> {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}&fieldValidation=Strict");
        self.call(JSON, Method::POST, &path, Some(JSON), Some(body)).await
    }

    /// Apply to a path that carries its own options.
    pub async fn apply_raw(&self, path: &str, body: &Value) -> Result<Value, WireError> {
        self.call(JSON, Method::PATCH, path, Some("application/apply-patch+yaml"), Some(body)).await
    }

    /// Forced server-side apply.
    pub async fn apply(&self, path: &str, body: &Value) -> Result<Value, WireError> {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}&force=true&fieldValidation=Strict");
        self.call(JSON, Method::PATCH, &path, Some("application/apply-patch+yaml"), Some(body)).await
    }

    /// Apply that creates and never merges into what is there: 409 when present (EN13).
    pub async fn apply_new(&self, path: &str, body: &Value) -> Result<Value, WireError> {
        let mut body = body.clone();
        if let Some(meta) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.insert("resourceVersion".to_owned(), Value::from(NEVER));
        }
        self.apply(path, &body).await
    }

    /// Apply to the object with this UID: gone or replaced is refused.
    pub async fn apply_to(&self, path: &str, uid: &str, body: &Value) -> Result<Value, WireError> {
        let mut body = body.clone();
        if let Some(meta) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.insert("uid".to_owned(), Value::from(uid));
        }
        self.apply(path, &body).await
    }

    /// Strategic merge patch.
    pub async fn strategic(&self, path: &str, body: &Value) -> Result<Value, WireError> {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}");
        self.call(JSON, Method::PATCH, &path, Some("application/strategic-merge-patch+json"), Some(body))
            .await
    }

    /// JSON merge patch.
    pub async fn merge(&self, path: &str, body: &Value) -> Result<Value, WireError> {
        let path = format!("{path}?fieldManager={FIELD_MANAGER}");
        self.call(JSON, Method::PATCH, &path, Some("application/merge-patch+json"), Some(body)).await
    }

    /// DELETE with a UID precondition; absence is success.
    pub async fn delete(
        &self,
        path: &str,
        uid: &str,
        grace: Option<i64>,
    ) -> Result<Option<Value>, WireError> {
        let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid},
            "propagationPolicy": "Background"});
        if let Some(grace) = grace {
            options["gracePeriodSeconds"] = json!(grace);
        }
        match self.call(JSON, Method::DELETE, path, Some(JSON), Some(&options)).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The answer as it comes, body or connection, without a time limit.
    pub async fn open(&self, request: Request<Body>) -> Result<http::Response<Body>, WireError> {
        self.client.send(request).await.map_err(WireError::Call)
    }

    /// The open answer of a watch, to be read line by line.
    pub async fn stream(&self, path: &str) -> Result<Body, WireError> {
        let open = self.send(JSON, Method::GET, path, None, None);
        let response =
            tokio::time::timeout(CALL, open).await.map_err(|_| WireError::Timeout).and_then(|r| r)?;
        let (parts, body) = response.into_parts();
        if parts.status.is_success() {
            return Ok(body);
        }
        let bytes = body.collect().await.map_err(WireError::Read)?.to_bytes();
        Err(status_error(&parts, &bytes))
    }
}

fn status_error(parts: &http::response::Parts, bytes: &[u8]) -> WireError {
    let status: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let member = |key: &str| status.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let retry_after = parts
        .headers
        .get(header::RETRY_AFTER)
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.trim().parse().ok())
        .or_else(|| status.pointer("/details/retryAfterSeconds").and_then(Value::as_u64));
    WireError::Status {
        code: parts.status.as_u16(),
        reason: member("reason"),
        message: member("message"),
        retry_after,
    }
}
