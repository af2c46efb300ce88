//! `/debug/tenants/<id>/<part>` of the hub: what parts of the installation beside this server know of a tenant (tenancy
//! M3). Answered by whoever is attached; RBAC on the hub decides who may ask (`nonResourceURLs`).

use async_trait::async_trait;
use http::Method;
use serde_json::Value;

use crate::model::status::ApiStatus;
use crate::request::Query;
use crate::tenant::TenantId;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which part is asked, as `sync`.
    pub part: String,
    /// GET looks; POST has something done.
    pub method: Method,
    /// Query of the request.
    pub query: Query,
}

/// Parts that know something of tenants.
#[async_trait]
pub trait TenantDebug: Send + Sync {
    /// Answers a question whose asker may ask it.
    async fn answer(&self, tenant: TenantId, question: Question) -> Result<Value, ApiStatus>;
}
