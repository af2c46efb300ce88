//! What a host's no means: a refusal to be told, or a failure to be tried again.

use std::time::{Duration, Instant};

use super::{
    carry::{Next, Pass, StepError},
    decide::HostSide,
    model::Key,
};
use crate::{
    kind::Kind,
    kinds::pod::scrub,
    object::{Fields, HostObj, TenantObj},
    refusal::{Reason, Refusal},
    wire::WireError,
};

/// A host frees the address of a deleted Service after it has told of the deletion; so long it is not yet a conflict.
const RELEASE: Duration = Duration::from_secs(5);

/// The name belongs to somebody else's object.
pub(super) fn taken(tenant: &TenantObj) -> Refusal {
    let message =
        format!("the name {} is taken on the host by an object that is not this cluster's", tenant.name());
    Refusal::new(Reason::HostNameTaken, message)
}

/// Two of the tenant's objects have one host name.
pub(super) fn collision(tenant: &TenantObj) -> Refusal {
    let message =
        format!("another object of this cluster already stands under the host name of {}", tenant.name());
    Refusal::new(Reason::NameCollision, message)
}

/// Tells a refusal where users look, and when it is tried again.
pub(super) async fn refuse(pass: &Pass, key: &Key, tenant: &TenantObj, refusal: Refusal) -> Next {
    pass.refused(key, tenant, &refusal).await;
    Ok(refusal.reason.retry_seconds().map(Duration::from_secs))
}

/// Someone made the host object before us: ourselves in an earlier life, or a foreigner.
pub(super) async fn not_first(pass: &Pass, key: &Key, tenant: &TenantObj) -> Next {
    match pass.host_object(key, true).await? {
        Some(host) => match pass.claim(key, &host) {
            HostSide::Foreign => refuse(pass, key, tenant, taken(tenant)).await,
            HostSide::Collision => refuse(pass, key, tenant, collision(tenant)).await,
            _ => Ok(Some(Duration::ZERO)),
        },
        None => Ok(Some(Duration::from_millis(200))),
    }
}

/// A host that says no: a refusal of its own, or a failure to be tried again.
pub(super) async fn denied(pass: &Pass, key: &Key, tenant: &TenantObj, error: WireError) -> Next {
    let WireError::Status { code, message, .. } = &error else { return Err(StepError::Host(error)) };
    if *code == 404 || *code == 409 || *code == 410 || *code == 429 || *code >= 500 || *code == 401 {
        if *code == 404 {
            // The host namespace went away under us.
            pass.tenant.model.lock().prepared.remove(&key.namespace);
        }
        return Err(StepError::Host(error));
    }
    if message.contains("because it is being terminated") {
        pass.tenant.model.lock().prepared.remove(&key.namespace);
        return Err(StepError::Host(error));
    }
    let taken = key.kind == Kind::Service && message.contains("already allocated");
    if taken {
        let since = *pass.tenant.model.lock().taken.entry(key.clone()).or_insert_with(Instant::now);
        if since.elapsed() < RELEASE {
            return Ok(Some(Duration::from_millis(250)));
        }
    }
    let place = pass.place(key);
    let place = HostObj(serde_json::json!({"metadata": {
        "namespace": place.as_ref().map(|p| p.namespace.as_str()),
        "name": place.as_ref().map(|p| p.name.as_str())}}));
    let message = scrub(message, tenant, &place, &pass.facts);
    let reason = if *code == 403 && message.contains("exceeded quota") {
        Reason::HostQuotaExceeded
    } else if taken {
        Reason::HostConflict
    } else {
        Reason::HostAdmissionDenied
    };
    refuse(pass, key, tenant, Refusal::new(reason, message)).await
}
