//! Reading one object.

use super::call::Call;
use crate::model::status::ApiStatus;
use crate::store::Record;

/// The record asked for, or 404.
pub fn get(call: &Call<'_>) -> Result<Record, ApiStatus> {
    let key = call.key(&call.target.namespace, &call.target.name);
    call.tenant.store.snapshot().get(&key).ok_or_else(|| call.not_found())
}
