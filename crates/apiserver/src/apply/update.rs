//! Ownership after a write that is no apply (A5, U7).

use serde_json::Value;

use super::managers::{self, Entry, Manager, Operation};
use super::run::take_over;
use super::typed::{At, Types};
use super::{Apply, FieldSet, UNOWNED};
use crate::model::schema::{Schema, TypeId};

/// Who owns what existed before the first apply to an object without managers.
const BEFORE: &str = "before-first-apply";

/// A write that is no apply.
#[derive(Debug)]
pub struct Update<'a> {
    /// Types of the kind.
    pub schema: &'a Schema,
    /// Type of the object in the version of the request.
    pub root: TypeId,
    /// The stored object in that version; `None` on create.
    pub live: Option<&'a Value>,
    /// The object to be stored, as the client sent it, defaulted. Its `managedFields` are rewritten.
    pub new: &'a mut Value,
    /// Who writes.
    pub manager: &'a str,
    /// Version of the request, as `apps/v1`.
    pub api_version: &'a str,
    /// Subresource of the request; empty on the main endpoint.
    pub subresource: &'a str,
    /// The time of the write, RFC 3339 in UTC to the second.
    pub now: &'a str,
    /// Dotted paths that this endpoint does not write; they are never owned through it.
    pub reset_fields: &'a [&'a str],
}

/// Rewrites `managedFields` of the new object. Times move only with content; on a subresource the list that
/// the client sent is ignored; an object that has no managers gets none by an update.
pub fn update(request: Update<'_>) {
    let Update { schema, root, live, new, manager, api_version, subresource, now, reset_fields } = request;
    let (types, root) = Types::of(schema, root);
    let entries = base(live, new, subresource);
    if entries.is_empty() && live.is_some() {
        return;
    }
    let name = if manager.is_empty() { "unknown" } else { manager };
    let me = Manager {
        name: name.to_owned(),
        operation: Operation::Update,
        api_version: api_version.to_owned(),
        subresource: subresource.to_owned(),
    };
    let nothing;
    let old = match live {
        Some(live) => live,
        None => {
            nothing = super::head(new);
            &nothing
        }
    };
    let mut entries = advance(types, root, old, new, entries, me, now, reset_fields);
    managers::fold_updaters(&mut entries);
    managers::write(new, entries);
}

/// The entries that the write starts from; the member is taken out of the new object.
fn base(live: Option<&Value>, new: &mut Value, subresource: &str) -> Vec<Entry> {
    let given = managers::take(new);
    let stored = live.and_then(managers::peek);
    let from_live = || managers::trusted(stored.cloned().unwrap_or_default());
    match given {
        _ if !subresource.is_empty() => from_live(),
        Some(given) if managers::is_reset(&given) => Vec::new(),
        // What came back unchanged needs no check.
        Some(given) if stored == Some(&given) => managers::trusted(given),
        Some(given) => match managers::foreign(given) {
            Some(entries) if !entries.is_empty() => entries,
            _ => from_live(),
        },
        None => from_live(),
    }
}

#[expect(clippy::too_many_arguments, reason = "one write, its two callers build the parts differently")]
fn advance(
    types: Types<'_>,
    root: At<'_>,
    old: &Value,
    new: &Value,
    mut entries: Vec<Entry>,
    me: Manager,
    now: &str,
    reset_fields: &[&str],
) -> Vec<Entry> {
    for entry in &mut entries {
        types.fold_atomic(root, &mut entry.fields.0);
    }
    let mut diff = types.compare(root, old, new);
    diff.ignore(&FieldSet::of_paths(reset_fields.iter().copied()));
    diff.removed.subtract_trees(&FieldSet::of_paths(["metadata.managedFields"]));
    // Nobody is this manager while fields are taken: also its own earlier entry gives up what changed.
    let nobody = Manager { name: "current-operation".to_owned(), ..me.clone() };
    // Forced, so there are no conflicts to report.
    let _ = take_over(&mut entries, &diff, &nobody, true);
    let mut set = diff.modified;
    set.unite(diff.added);
    set.subtract(&UNOWNED);
    if set.is_empty() {
        return entries;
    }
    match managers::position(&entries, &me) {
        Some(at) => {
            let entry = &mut entries[at];
            entry.fields.unite(set);
            entry.time = Some(now.to_owned());
        }
        None => entries.push(Entry { manager: me, time: Some(now.to_owned()), fields: set }),
    }
    entries
}

/// Gives all that a live object without managers has to one manager, so that an apply can meet it.
pub(super) fn before_first_apply(
    request: &Apply<'_>,
    types: Types<'_>,
    root: At<'_>,
    live: &Value,
) -> Vec<Entry> {
    let me = Manager {
        name: BEFORE.to_owned(),
        operation: Operation::Update,
        api_version: request.api_version.to_owned(),
        subresource: request.subresource.to_owned(),
    };
    let nothing = super::head(live);
    advance(types, root, &nothing, live, Vec::new(), me, request.now, request.reset_fields)
}
