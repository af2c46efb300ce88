//! A server with one tenant in memory, and a caller of it.

use std::sync::Arc;

use http::Method;
use serde_json::Value;
use skerry_apiserver::bus::Local;
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::Server;
use skerry_apiserver::model::status::ApiStatus;
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
