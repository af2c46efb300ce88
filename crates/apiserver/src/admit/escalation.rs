//! Nobody grants more than they hold: roles and bindings (Z1).

use serde_json::Value;

use super::Operation;
use crate::access;
use crate::model::status::ApiStatus;
use crate::registry::Call;

/// Checks a role's rules, or the rules behind a binding, against those of the caller.
pub fn validate(
    call: &Call<'_>,
    op: Operation,
    new: Option<&Value>,
    old: Option<&Value>,
) -> Result<(), ApiStatus> {
    let is_rbac = call.resource.id.group() == "rbac.authorization.k8s.io";
    match new {
        Some(object) if is_rbac && op != Operation::Delete => {
            access::check_escalation(call.tenant, call.who, object, old)
        }
        _ => Ok(()),
    }
}
