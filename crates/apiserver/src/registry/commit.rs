//! From a finished object to the store, and from the store's refusals to the wire.

use serde_json::Value;

use super::call::Call;
use super::view::{index_of, to_version};
use crate::kinds::SideEffects;
use crate::model::object::Object;
use crate::model::status::ApiStatus;
use crate::store::{CommitError, Expect, Intent, Key, Op, Write};

/// Why a commit did not happen.
pub enum Refused {
    /// Somebody was faster: look again.
    Raced,
    /// Final.
    Status(ApiStatus),
}

/// Stores `object` together with its side effects, which are undone if it is refused; gives the new resourceVersion.
pub async fn store(
    call: &Call<'_>,
    key: Key,
    object: Value,
    expect: Expect,
    side: SideEffects,
) -> Result<u64, Refused> {
    match put(call, key, object, expect) {
        Ok(write) => commit(call, write, side).await,
        Err(status) => {
            side.undo(call).await;
            Err(Refused::Status(status))
        }
    }
}

/// The write that stores `object`, in the storage version.
fn put(call: &Call<'_>, key: Key, object: Value, expect: Expect) -> Result<Write, ApiStatus> {
    let mut storage = to_version(&call.resource, object, &call.resource.storage);
    if call.resource.custom.is_some() {
        crate::custom::settle(&mut storage);
    }
    let size = serde_json::to_vec(&storage).map_err(ApiStatus::internal)?.len();
    let limit = usize::try_from(call.tenant.limits().object_bytes).unwrap_or(usize::MAX);
    if size > limit {
        return Err(ApiStatus::too_large(format!("object is {size} bytes: limit is {limit}")));
    }
    let row = call.catalog.storage(&call.resource.id).unwrap_or_else(|| call.resource.clone());
    let index = index_of(&row, &storage);
    Ok(Write { key, expect, op: Op::Put { tree: storage, index } })
}

/// Commits one write and its side writes; gives the new resourceVersion.
pub async fn commit(call: &Call<'_>, write: Write, mut side: SideEffects) -> Result<u64, Refused> {
    let mut writes = vec![write];
    writes.extend(std::mem::take(&mut side.writes));
    call.turn.leave();
    match call.tenant.store.commit(Intent::of(writes)).await {
        Ok(done) => Ok(done.rvs.first().copied().unwrap_or_default()),
        Err(error) => {
            side.undo(call).await;
            drop(side);
            let refused = refused(call, error);
            if matches!(refused, Refused::Raced) {
                // Another try is work again.
                call.turn.sit().await.map_err(Refused::Status)?;
            }
            Err(refused)
        }
    }
}

fn refused(call: &Call<'_>, error: CommitError) -> Refused {
    let name = call.target.name.as_str();
    match error {
        CommitError::Conflict { .. } | CommitError::Missing(_) | CommitError::AlreadyExists(_) => {
            Refused::Raced
        }
        CommitError::Limit { name: limit, requested, used, limited } => {
            Refused::Status(ApiStatus::forbidden(
                call.subject(name),
                &format!(
                    "exceeded tenant limit: {limit}, requested: {requested}, used: {used}, limited: {limited}"
                ),
            ))
        }
        CommitError::Busy => {
            Refused::Status(ApiStatus::too_many_requests("Too many requests, please try again later.", 1))
        }
        CommitError::Full => Refused::Status(ApiStatus::unavailable("storage is full")),
        CommitError::Failed(_) => {
            Refused::Status(ApiStatus::unavailable("the store has failed; restart required"))
        }
        CommitError::TenantGone => Refused::Status(ApiStatus::no_such_resource()),
    }
}

/// The object as a client sees it after the commit.
pub fn stored(mut object: Value, rv: u64) -> Value {
    object.set_meta("resourceVersion", rv.to_string());
    object
}
