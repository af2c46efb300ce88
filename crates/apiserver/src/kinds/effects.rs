//! What a commit takes with it: allocations that must hold exactly when the object does.

use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use super::{crd, service, service_range};
use crate::model::status::ApiStatus;
use crate::registry::Call;
use crate::store::Write;

/// Writes of the same batch, and what is undone if the batch is refused.
#[derive(Default)]
pub struct SideEffects {
    /// Committed together with the object, all or nothing.
    pub writes: Vec<Write>,
    /// UID of a Service whose addresses a host holds until the commit is through.
    pub reserved: Option<String>,
    /// Held until the commit is through by what was found free without a write of its own.
    pub turn: Option<OwnedMutexGuard<()>>,
}

impl SideEffects {
    /// Gives back what was reserved outside the store.
    pub async fn undo(&self, call: &Call<'_>) {
        let (Some(uid), Some(gate)) = (&self.reserved, call.server.service_gate()) else { return };
        if let Err(error) = gate.release(call.tenant.id, uid).await {
            tracing::warn!(tenant = %call.tenant.id, %error, "a reserved Service address was not given back");
        }
    }
}

/// Allocations for a new or changed object; may fill members in.
pub async fn side_effects(
    call: &Call<'_>,
    new: &mut Value,
    old: Option<&Value>,
) -> Result<SideEffects, ApiStatus> {
    match &*call.resource.id {
        "/services" => service::allocate(call, new, old).await,
        crd::ID => Ok(crd::establish_in(call, new, old)),
        _ => Ok(SideEffects::default()),
    }
}

/// Allocations that end with the object.
pub async fn release(call: &Call<'_>, last: &Value) -> SideEffects {
    match &*call.resource.id {
        "/services" => service_range::release(call, last),
        _ => SideEffects::default(),
    }
}

/// Called after a commit went through, before the client is answered.
pub fn committed(call: &Call<'_>, _new: Option<&Value>) {
    if &*call.resource.id == crd::ID {
        call.tenant.rebuild_catalog();
    }
}
