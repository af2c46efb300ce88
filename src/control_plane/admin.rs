//! The admin API of the embedded server (apiserver G9), spoken over a client with a system identity, in process or not.

use http::{Method, Request};
use kube::Client;
use serde_json::Value;
use skerry_kit::error;

/// Calls below `/skerry/v1/tenants`.
#[derive(Clone)]
pub struct Admin {
    client: Client,
}

/// A credential to be made.
#[derive(Clone, Debug)]
pub struct CredentialAsk<'a> {
    /// User name.
    pub user: &'a str,
    /// Groups.
    pub groups: &'a [&'a str],
    /// Life.
    pub ttl: std::time::Duration,
    /// A token instead of a certificate.
    pub token: bool,
}

impl Admin {
    /// Over this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, kube::Error> {
        let bytes = match body {
            Some(value) => serde_json::to_vec(value).map_err(kube::Error::SerdeError)?,
            None => Vec::new(),
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("/skerry/v1/tenants/{path}"))
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(bytes)
            .map_err(kube::Error::HttpError)?;
        self.client.request::<Value>(request).await
    }

    /// `/readyz` of the server, which stands for all its tenants.
    pub async fn is_ready(&self) -> Result<(), kube::Error> {
        let request = Request::get("/readyz").body(Vec::new()).map_err(kube::Error::HttpError)?;
        self.client.request_text(request).await.map(drop)
    }

    /// Makes or updates a tenant record; 409 if it belongs to another UID.
    pub async fn put(&self, id: &str, record: &Value) -> Result<Value, kube::Error> {
        self.call(Method::PUT, id, Some(record)).await
    }

    /// The record, if there is one.
    pub async fn get(&self, id: &str) -> Result<Option<Value>, kube::Error> {
        error::optional(self.call(Method::GET, id, None).await)
    }

    /// Removes a tenant; answers how many keys are left.
    pub async fn delete(&self, id: &str) -> Result<u64, kube::Error> {
        match error::optional(self.call(Method::DELETE, id, None).await)? {
            Some(answer) => Ok(answer["remaining"].as_u64().unwrap_or(1).max(1)),
            None => Ok(0),
        }
    }

    /// Makes a credential.
    pub async fn credential(&self, id: &str, ask: &CredentialAsk<'_>) -> Result<Value, kube::Error> {
        let body = serde_json::json!({
            "user": ask.user,
            "groups": ask.groups,
            "ttlSeconds": ask.ttl.as_secs(),
            "kind": if ask.token { "token" } else { "certificate" },
        });
        self.call(Method::POST, &format!("{id}/credentials"), Some(&body)).await
    }
}
