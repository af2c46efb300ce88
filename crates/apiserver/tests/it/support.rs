//! A server with one tenant in memory, and a caller of it.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use serde_json::Value;
use skerry_apiserver::bus::Local;
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::{Body, Server, body};
use skerry_apiserver::model::status::ApiStatus;
use skerry_apiserver::request;
use skerry_apiserver::tenant::{Tenant, TenantId};

/// One server, one tenant, one system caller.
pub struct World {
    pub server: Arc<Server>,
    pub tenant: Arc<Tenant>,
    pub api: Local,
}

impl World {
    pub async fn new() -> Self {
        let config = ServerConfig::from_yaml("store: {backend: memory}").unwrap();
        let defaults = config.tenant_defaults;
        let server = Server::builder().config(config).without_controllers().build().await.unwrap();
        let id = TenantId::of_uid("a-uid");
        let tenant =
            server.tenants().create(TenantSpec::new(id, "a-uid", Role::Tenant, &defaults)).await.unwrap();
        let api = Local::new(server.clone(), tenant.clone(), Identity::system("test"), "test");
        Self { server, tenant, api }
    }

    pub async fn post(&self, path: &str, object: Value) -> Result<Value, ApiStatus> {
        self.api.create(path, &object).await
    }

    pub async fn get(&self, path: &str) -> Result<Value, ApiStatus> {
        self.api.send(Method::GET, path, "application/json", None).await
    }
}

/// What a request was answered with.
pub struct Reply {
    pub code: u16,
    pub warnings: Vec<String>,
    pub body: Value,
}

impl World {
    /// One request with a body of any form.
    pub async fn raw(&self, method: Method, path: &str, media: &str, bytes: impl Into<Bytes>) -> Reply {
        let response = self.open(Identity::system("test"), method, path, media, bytes.into()).await;
        let code = response.status().as_u16();
        let warnings =
            response.headers().get_all("warning").iter().map(|v| v.to_str().unwrap().to_owned()).collect();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Reply { code, warnings, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    pub async fn open(
        &self,
        who: Identity,
        method: Method,
        path: &str,
        media: &str,
        bytes: Bytes,
    ) -> Response<Body> {
        let request = Request::builder().method(method).uri(path).header("content-type", media);
        let request = request.header("accept", "application/json").body(body::full(bytes)).unwrap();
        request::serve(&self.server, self.tenant.clone(), who, request).await
    }

    pub async fn watch(&self, path: &str) -> Events {
        self.watch_as(Identity::system("test"), path).await
    }

    pub async fn watch_as(&self, who: Identity, path: &str) -> Events {
        let response = self.open(who, Method::GET, path, "", Bytes::new()).await;
        assert_eq!(response.status(), 200, "{path}");
        Events { body: response.into_body(), text: String::new() }
    }
}

/// Events of a watch as they come.
pub struct Events {
    body: Body,
    text: String,
}

impl Events {
    pub fn new(body: Body) -> Self {
        Self { body, text: String::new() }
    }

    /// The next event; `None` when the stream has ended.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((line, rest)) = self.text.split_once('\n') {
                let event = serde_json::from_str(line).unwrap();
                self.text = rest.to_owned();
                return Some(event);
            }
            let frame = tokio::time::timeout(Duration::from_secs(20), self.body.frame()).await.unwrap()?;
            let data = frame.unwrap().into_data().unwrap_or_default();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }
}

/// Type, name and version of an event.
pub fn brief(event: &Value) -> (String, String, u64) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &event["object"]["metadata"];
    let rv = metadata["resourceVersion"].as_str().unwrap().parse().unwrap();
    (text(&event["type"]), text(&metadata["name"]), rv)
}

/// Looks until `test` holds, for at most ten seconds.
pub async fn eventually(w: &World, path: &str, test: impl Fn(&Result<Value, u16>) -> bool) -> Value {
    let mut last = Err(0);
    for _ in 0..500 {
        last = w.get(path).await.map_err(|s| s.code);
        if test(&last) {
            return last.unwrap_or(Value::Null);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{path} stayed {last:?}");
}

/// Items of a list.
pub fn count(list: &Result<Value, u16>) -> usize {
    list.as_ref().map_or(0, |l| l["items"].as_array().map_or(0, Vec::len))
}
