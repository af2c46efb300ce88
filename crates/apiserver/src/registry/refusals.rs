//! Refusals of the pure parts (patches, apply) on the wire.

use super::call::Call;
use crate::apply::ApplyError;
use crate::model::status::{ApiStatus, Cause};
use crate::patch::{Category, PatchError};

/// A patch that was not applied.
pub fn of_patch(call: &Call<'_>, error: &PatchError) -> ApiStatus {
    match error.category {
        Category::BadRequest => ApiStatus::bad_request(&*error.message),
        Category::Unprocessable => {
            let subject = call.subject(&call.target.name);
            ApiStatus {
                details: ApiStatus::not_found(subject).details,
                ..ApiStatus::plain(422, "Invalid", &*error.message)
            }
        }
        Category::TooLarge => ApiStatus::too_large(&*error.message),
        // Upstream answers these without a reason.
        Category::Internal => ApiStatus::plain(500, "", &*error.message),
    }
}

/// An apply that was refused.
pub fn of_apply(call: &Call<'_>, error: &ApplyError) -> ApiStatus {
    let name = call.target.name.as_str();
    match error {
        ApplyError::Conflicts(conflicts) => {
            let mut status = ApiStatus::plain(409, "Conflict", error.to_string());
            status.details.causes = conflicts
                .iter()
                .map(|c| Cause::new("FieldManagerConflict", c.path_text.clone(), c.message.clone()))
                .collect();
            status
        }
        ApplyError::DuplicateKeys { faults, .. } => {
            let causes = faults
                .iter()
                .map(|fault| Cause::new("FieldValueDuplicate", fault.path.clone(), fault.message.clone()))
                .collect();
            let mut status = ApiStatus::invalid(call.gvk(), name, causes);
            status.message = error.to_string();
            status
        }
        ApplyError::Invalid { .. } => ApiStatus::plain(500, "", error.to_string()),
        ApplyError::ManagedFieldsGiven => ApiStatus::bad_request(error.to_string()),
    }
}
