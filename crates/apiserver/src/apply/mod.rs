//! Server-side apply and `managedFields` (A1-A6, U7). Pure: objects, a schema and a time give objects.
//!
//! Every manager owns a set of field paths. An apply merges a configuration, takes its fields into the
//! manager's set, removes what that set lost and nobody else owns, and refuses to change what others own
//! unless forced. Any other write just takes ownership of what it changed. Sets live in the object itself.
//! All managers are judged along the schema of the version written now: field paths of other versions are
//! carried along as they are.

mod check;
mod compare;
mod element;
mod equal;
mod fields;
mod legacy;
mod managers;
mod order;
mod refusal;
mod run;
mod typed;
mod update;
mod walk;

#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use serde_json::Value;

pub use check::{Fault, FaultKind};
pub use equal::equal_ignoring_times;
pub use fields::FieldSet;
pub use refusal::{ApplyError, Conflict};
pub use typed::same;
pub use update::{Update, update};

use crate::model::schema::{Schema, TypeId};
use refusal::describe;
use run::Run;
use typed::Types;

/// What never belongs to a manager.
static UNOWNED: LazyLock<FieldSet> = LazyLock::new(|| {
    let metadata = [
        "metadata.name",
        "metadata.namespace",
        "metadata.creationTimestamp",
        "metadata.selfLink",
        "metadata.uid",
        "metadata.clusterName",
        "metadata.generation",
        "metadata.managedFields",
        "metadata.resourceVersion",
    ];
    FieldSet::of_paths(["apiVersion", "kind", "metadata"].into_iter().chain(metadata))
});

/// An apply request.
#[derive(Clone, Copy, Debug)]
pub struct Apply<'a> {
    /// Types of the kind.
    pub schema: &'a Schema,
    /// Type of the object in the version of the request.
    pub root: TypeId,
    /// The stored object in that version.
    pub live: Option<&'a Value>,
    /// The applied configuration.
    pub applied: &'a Value,
    /// Who applies.
    pub manager: &'a str,
    /// Version of the request, as `apps/v1`.
    pub api_version: &'a str,
    /// Subresource of the request; empty on the main endpoint.
    pub subresource: &'a str,
    /// Take what others own.
    pub force: bool,
    /// The time of the write, RFC 3339 in UTC to the second.
    pub now: &'a str,
    /// Dotted paths that this endpoint does not write; they are never owned through it.
    pub reset_fields: &'a [&'a str],
}

/// What an apply gives.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The merged object with its managers; not yet defaulted.
    pub object: Value,
    /// It differs from the stored object in more than times.
    pub changed: bool,
}

/// Applies a configuration.
pub fn apply(request: Apply<'_>) -> Result<Applied, ApplyError> {
    let (types, root) = Types::of(request.schema, request.root);
    if managers::peek(request.applied).is_some_and(|m| !m.is_null()) {
        return Err(ApplyError::ManagedFieldsGiven);
    }
    let faults = types.check(root, request.applied);
    if !faults.is_empty() {
        let object = describe(request.applied);
        return Err(if faults.iter().any(|f| f.kind != FaultKind::Duplicate) {
            ApplyError::Invalid { object, faults }
        } else {
            ApplyError::DuplicateKeys { object, faults }
        });
    }
    let mut live = request.live.cloned().unwrap_or_else(|| head(request.applied));
    let mut entries = managers::trusted(managers::take(&mut live).unwrap_or_default());
    if entries.is_empty() && request.live.is_some() {
        entries = update::before_first_apply(&request, types, root, &live);
    }
    for entry in &mut entries {
        types.fold_atomic(root, &mut entry.fields.0);
    }
    let run = Run { request, types, root, live: &live };
    let mut done = match run.run(entries.clone(), request.force) {
        Err(ApplyError::Conflicts(conflicts)) => {
            // Fields of kubectl's client-side apply move to its server-side apply without a conflict.
            let left = legacy::remaining(&request, types, root, &live, conflicts);
            if !left.is_empty() {
                return Err(ApplyError::Conflicts(left));
            }
            run.run(entries, true)?
        }
        other => other?,
    };
    legacy::refresh(&request, &mut done);
    let changed = request.live.is_none_or(|live| !equal_ignoring_times(live, &done));
    Ok(Applied { object: done, changed })
}

/// What an object that does not exist yet has in common with its configuration.
fn head(applied: &Value) -> Value {
    let mut out = serde_json::Map::new();
    for name in ["apiVersion", "kind"] {
        if let Some(value) = applied.get(name) {
            out.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(out)
}
