//! What the syncer knows of a tenant, as `/debug/tenants/<id>/sync` answers it (syncer OB2): of the hub in this process,
//! or of the syncer's own loopback address.

use async_trait::async_trait;
use http::Method;
use serde::Serialize;
use serde_json::{Value, json};
use skerry_apiserver::model::status::{ApiStatus, Details};
use skerry_apiserver::ops::{Question, TenantDebug};
use skerry_apiserver::request::Query;
use skerry_apiserver::tenant::TenantId;
use skerry_kit::error::chain;
use skerry_syncer::SyncerHandle;
use skerry_syncer::look::{LookError, ObjectName};

/// The part of the path that the syncer answers.
pub const PART: &str = "sync";
/// Group of the answers; they are no objects of an API.
const GROUP: &str = "debug.skerry.dev/v1";
/// What may be asked for, with GET; POST patrols.
const WHATS: &str = "status, diff and why; a patrol is asked for by POST";

/// The syncer of this process.
pub struct Looks(pub SyncerHandle);

#[async_trait]
impl TenantDebug for Looks {
    async fn answer(&self, tenant: TenantId, question: Question) -> Result<Value, ApiStatus> {
        if question.part != PART {
            return Err(ApiStatus::no_such_resource());
        }
        answer(&self.0, tenant.as_str(), &question.method, &question.query).await
    }
}

/// Answers one question.
pub async fn answer(
    syncer: &SyncerHandle,
    tenant: &str,
    method: &Method,
    query: &Query,
) -> Result<Value, ApiStatus> {
    let refused = |failed| refusal(tenant, failed);
    let owner = syncer.owner(tenant).map_err(refused)?;
    match (method, query.get("what")) {
        (&Method::POST, "" | "patrol") => {
            let found = syncer.patrol(tenant).await.map_err(refused)?;
            Ok(shaped("SyncPatrol", &owner, &found))
        }
        (&Method::GET, "" | "status") => {
            Ok(shaped("SyncStatus", &owner, &syncer.status(tenant).map_err(refused)?))
        }
        (&Method::GET, "diff") => {
            let found = syncer.diff(tenant, &object(query)?).await.map_err(refused)?;
            Ok(shaped("SyncDiff", &owner, &found))
        }
        (&Method::GET, "why") => {
            Ok(shaped("SyncWhy", &owner, &syncer.why(tenant, &object(query)?).map_err(refused)?))
        }
        (_, what) => Err(ApiStatus::bad_request(format!("what={what}: what may be asked for is {WHATS}"))),
    }
}

/// An answer with what kubectl expects of a document.
fn shaped<T: Serialize>(kind: &str, (namespace, name): &(String, String), answer: &T) -> Value {
    let mut out =
        json!({"apiVersion": GROUP, "kind": kind, "metadata": {"name": name, "namespace": namespace}});
    if let (Some(out), Ok(Value::Object(members))) = (out.as_object_mut(), serde_json::to_value(answer)) {
        out.extend(members);
    }
    out
}

fn object(query: &Query) -> Result<ObjectName, ApiStatus> {
    let text = query.get("object");
    text.parse().map_err(|wrong| ApiStatus::bad_request(format!("object={text}: {wrong}")))
}

/// A look that failed, as a client reads it. Its details tell it from a path that is not served.
fn refusal(tenant: &str, failed: LookError) -> ApiStatus {
    let about = |kind: &str, name: String| Details {
        group: if kind == "virtualclusters" { "skerry.dev".into() } else { String::new() },
        kind: kind.into(),
        name,
        ..Details::default()
    };
    let (code, reason, details) = match &failed {
        LookError::NotServed => (404, "NotFound", about("virtualclusters", tenant.into())),
        LookError::NoObject(object) => (404, "NotFound", about(object.kind.plural(), object.name.clone())),
        LookError::NotNow(_) => (409, "Conflict", about("virtualclusters", tenant.into())),
        LookError::Tenant(_) | LookError::Host(_) => (503, "ServiceUnavailable", Details::default()),
    };
    ApiStatus { details, ..ApiStatus::plain(code, reason, chain(&failed)) }
}
