//! The admin API of tenants (G9). Callers are system identities.

use std::sync::Arc;

use http::{Method, Request, Response};
use serde_json::{Value, json};

use crate::bus::{Local, Patch};
use crate::config::{SpecChange, TenantSpec};
use crate::identity::Identity;
use crate::identity::credential::CredentialRequest;
use crate::listen::body::{self, ReadError};
use crate::listen::{Body, Server};
use crate::model::gvk::Gvk;
use crate::model::status::{ApiStatus, Subject};
use crate::store::{CommitError, TenantError};
use crate::tenant::{Found, State, Tenant, TenantId, TenantsError};

const MAX_BODY: usize = 1 << 20;

/// Answers below `/skerry/v1/tenants`.
pub async fn answer(
    server: &Arc<Server>,
    rest: &[&str],
    req: Request<Body>,
) -> Result<Response<Body>, ApiStatus> {
    let method = req.method().clone();
    match rest {
        [] if method == Method::GET => Ok(body::json(200, &list(server))),
        [id] => {
            let id = parse(id)?;
            match method {
                Method::GET => get(server, id).await,
                Method::PUT => put(server, id, read(req).await?).await,
                Method::DELETE => delete(server, id).await,
                _ => Err(ApiStatus::method_not_allowed_here()),
            }
        }
        [id, "credentials"] if method == Method::POST => {
            let tenant = active(server, parse(id)?).await?;
            credential(server, &tenant, &read(req).await?)
        }
        [id, "usage"] if method == Method::GET => {
            Ok(body::json(200, &usage(&*active(server, parse(id)?).await?)))
        }
        [_, "credentials" | "usage"] | [] => Err(ApiStatus::method_not_allowed_here()),
        _ => Err(ApiStatus::no_such_resource()),
    }
}

fn parse(id: &str) -> Result<TenantId, ApiStatus> {
    id.parse().map_err(|_| not_found(id))
}

fn not_found(id: &str) -> ApiStatus {
    ApiStatus::not_found(subject(id))
}

fn subject(id: &str) -> Subject<'_> {
    Subject { group: "skerry.dev", plural: "virtualclusters", name: id }
}

fn kind(name: &str) -> Gvk {
    Gvk::new("skerry.dev", "v1", name)
}

async fn read(req: Request<Body>) -> Result<Value, ApiStatus> {
    let bytes = body::read(req.into_body(), MAX_BODY).await.map_err(|error| match error {
        ReadError::TooLarge => ApiStatus::too_large(format!("Request entity too large: limit is {MAX_BODY}")),
        ReadError::Broken(_) => ApiStatus::bad_request("the request body could not be read"),
    })?;
    serde_json::from_slice(&bytes).map_err(|e| ApiStatus::bad_request(format!("the body is no JSON: {e}")))
}

async fn active(server: &Server, id: TenantId) -> Result<Arc<Tenant>, ApiStatus> {
    match server.tenants().find(id).await {
        Found::Active(tenant) => Ok(tenant),
        Found::None => Err(not_found(id.as_str())),
        Found::Coming => Err(ApiStatus::unavailable("the tenant is being made").retry_after(1)),
        Found::Failed(reason) => Err(ApiStatus::unavailable(format!("the tenant failed: {reason}"))),
    }
}

fn list(server: &Server) -> Value {
    let row = |(id, state): (TenantId, State)| json!({ "id": id, "state": state.as_str() });
    json!({ "items": server.tenants().states().into_iter().map(row).collect::<Vec<_>>() })
}

/// What the manager needs to know of a tenant. No key is part of it (Q28).
fn describe(server: &Server, tenant: &Tenant) -> Value {
    let spec = tenant.spec();
    json!({
        "id": tenant.id, "uid": spec.uid, "state": State::Active.as_str(), "spec": spec.to_value(),
        "created": tenant.created(), "url": server.tenants().url(tenant.id), "path": format!("/clusters/{}", tenant.id),
        "servingCA": server.serving_authority(), "clientCA": tenant.keys().client.to_pem(),
    })
}

async fn get(server: &Server, id: TenantId) -> Result<Response<Body>, ApiStatus> {
    match server.tenants().find(id).await {
        Found::Active(tenant) => Ok(body::json(200, &describe(server, &tenant))),
        Found::Coming => Ok(body::json(200, &json!({ "id": id, "state": State::Creating.as_str() }))),
        Found::Failed(why) => {
            Ok(body::json(200, &json!({ "id": id, "state": State::Failed.as_str(), "reason": why })))
        }
        Found::None if server.tenants().state(id) == Some(State::Deleting) => {
            Ok(body::json(200, &json!({ "id": id, "state": State::Deleting.as_str() })))
        }
        Found::None => Err(not_found(id.as_str())),
    }
}

async fn put(server: &Arc<Server>, id: TenantId, tree: Value) -> Result<Response<Body>, ApiStatus> {
    let spec = TenantSpec::from_value(id, &tree, server.tenants().defaults())
        .map_err(|causes| ApiStatus::invalid(&kind("TenantSpec"), id.as_str(), causes))?;
    let before = server.tenants().get(id).map(|tenant| tenant.spec());
    // A caller that goes away does not leave half a tenant.
    let making = {
        let making_server = server.clone();
        server.tasks().spawn(async move { making_server.tenants().put(spec).await })
    };
    let (tenant, is_new) = making
        .await
        .map_err(|_| ApiStatus::internal("making the tenant failed"))?
        .map_err(|error| refusal(id, &error))?;
    let spec = tenant.spec();
    server.add_addresses(spec.kubernetes_service.addresses.iter().copied());
    if before.is_some_and(|before| before.kubernetes_service != spec.kubernetes_service) {
        follow_service(server, &tenant).await?;
    }
    Ok(body::json(if is_new { 201 } else { 200 }, &describe(server, &tenant)))
}

/// Brings `default/kubernetes` to the addresses of a changed specification (T8).
async fn follow_service(server: &Arc<Server>, tenant: &Arc<Tenant>) -> Result<(), ApiStatus> {
    let api = Local::new(server.clone(), tenant.clone(), Identity::system("apiserver"), "skerry-apiserver");
    for (path, object) in server.images().endpoints_of(&tenant.spec()) {
        let part = |key: &str| object.get(key).cloned().unwrap_or(Value::Null);
        let change = match object["kind"].as_str() {
            Some("Endpoints") => json!({ "subsets": part("subsets") }),
            _ => json!({ "endpoints": part("endpoints"), "ports": part("ports") }),
        };
        api.patch(&path, Patch::Merge, &change).await?;
    }
    Ok(())
}

fn refusal(id: TenantId, error: &TenantsError) -> ApiStatus {
    let conflict = |why: &str| ApiStatus::conflict(subject(id.as_str()), why);
    match error {
        TenantsError::Change(SpecChange::OtherUid) => conflict("the id belongs to another uid"),
        TenantsError::Change(SpecChange::Immutable(causes)) => {
            ApiStatus::invalid(&kind("TenantSpec"), id.as_str(), causes.clone())
        }
        TenantsError::HostTaken(name) => conflict(&format!("host name {name} is taken")),
        TenantsError::SecondHub => conflict("there is a hub already"),
        TenantsError::Busy(State::Deleting) | TenantsError::Store(TenantError::Dropping(_)) => {
            conflict("it is being deleted")
        }
        TenantsError::Busy(_) => ApiStatus::unavailable("the tenant is being made or opened").retry_after(1),
        TenantsError::Store(TenantError::Unknown(_)) => not_found(id.as_str()),
        TenantsError::Store(TenantError::Refused(CommitError::Full)) => {
            ApiStatus::unavailable("storage is full")
        }
        other => {
            tracing::error!(tenant = %id, error = %other, "a tenant could not be made or changed");
            ApiStatus::unavailable("the tenant could not be made or changed")
        }
    }
}

async fn delete(server: &Arc<Server>, id: TenantId) -> Result<Response<Body>, ApiStatus> {
    let was = server.tenants().state(id);
    let remaining = server.tenants().remove(id).await.map_err(|error| refusal(id, &error))?;
    if remaining > 0 && was != Some(State::Deleting) {
        server.finish_deletion(id);
    }
    Ok(body::json(202, &json!({ "remaining": remaining })))
}

fn credential(server: &Server, tenant: &Tenant, tree: &Value) -> Result<Response<Body>, ApiStatus> {
    let asked = CredentialRequest::from_value(tree)
        .map_err(|causes| ApiStatus::invalid(&kind("CredentialRequest"), tenant.id.as_str(), causes))?;
    let keys = tenant.keys();
    let made = asked
        .issue(&keys.client, &keys.issuer, tenant.limits().token_ttl)
        .map_err(|_| ApiStatus::internal("the credential could not be made"))?;
    let mut out = made.to_value();
    out["servingCA"] = server.serving_authority().into();
    Ok(body::json(201, &out))
}

fn usage(tenant: &Tenant) -> Value {
    let usage = tenant.store.usage();
    let snapshot = tenant.store.snapshot();
    let (reading, mutating) = tenant.in_flight().counts();
    let counts: serde_json::Map<String, Value> =
        snapshot.resources().into_iter().map(|id| (id.to_string(), snapshot.count(&id).into())).collect();
    json!({
        "objects": usage.objects, "bytes": usage.bytes, "historyBytes": usage.history_bytes,
        "resourceVersion": usage.rv.to_string(), "counts": counts, "inFlightReading": reading,
        "inFlightMutating": mutating, "lastActivity": tenant.last_activity().map(|at| at.to_string()),
    })
}
