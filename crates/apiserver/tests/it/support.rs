//! A server with one tenant in memory, and a caller of it.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use skerry_apiserver::bus::Local;
use skerry_apiserver::config::{Role, ServerConfig, TenantSpec};
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::Server;
use skerry_apiserver::model::status::ApiStatus;
use skerry_apiserver::store::{Db, Layer, StoreConfig};
use skerry_apiserver::tenant::{Tenant, TenantId, Tenants};

/// One server, one tenant, one system caller.
pub struct World {
    pub server: Arc<Server>,
    pub tenant: Arc<Tenant>,
    pub api: Local,
}

impl World {
    pub async fn new() -> Self {
        let db = Arc::new(Db::memory(StoreConfig::default()).unwrap());
        let config = ServerConfig::default();
        let defaults = config.tenant_defaults;
        let tenants = Tenants::new(
            db.clone(),
            "https://127.0.0.1:1".into(),
            Box::new(|_, _, _| Layer::default()),
            Box::new(|_| {}),
            defaults,
        );
        let server = Arc::new(Server::new(config, db, tenants, Vec::new()));
        let id = TenantId::of_uid("a-uid");
        let tenant =
            server.tenants().create(TenantSpec::new(id, "a-uid", Role::Tenant, &defaults)).await.unwrap();
        let api = Local::new(server.clone(), tenant.clone(), Identity::system("test"), "test");
        let world = Self { server, tenant, api };
        world.post("/api/v1/namespaces", json!({"metadata": {"name": "default"}})).await.unwrap();
        world
            .post("/api/v1/namespaces/default/serviceaccounts", json!({"metadata": {"name": "default"}}))
            .await
            .unwrap();
        world
    }

    pub async fn post(&self, path: &str, object: Value) -> Result<Value, ApiStatus> {
        self.api.create(path, &object).await
    }

    pub async fn get(&self, path: &str) -> Result<Value, ApiStatus> {
        self.api.send(Method::GET, path, "application/json", None).await
    }
}
