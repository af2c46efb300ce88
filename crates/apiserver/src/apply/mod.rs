//! Server-side apply and `managedFields` (A1-A6, U7). Pure: objects, a schema and a time give objects.
//!
//! Every manager owns a set of field paths. An apply merges a configuration, takes its fields into the
//! manager's set, removes what that set lost and nobody else owns, and refuses to change what others own
//! unless forced. Any other write just takes ownership of what it changed. Sets live in the object itself.
//! All managers are judged along the schema of the version written now: field paths of other versions are
//! carried along as they are.

mod check;
mod element;
mod fields;
mod legacy;
mod managers;
mod order;
mod typed;
mod update;
mod walk;

#[cfg(test)]
mod properties;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub use check::{Fault, FaultKind};
pub use fields::FieldSet;
pub use typed::same;
pub use update::{Update, update};

use crate::model::schema::{Schema, Ty, TypeId};
use managers::{Entry, Manager, Operation};
use typed::{At, Types};
use walk::Diff;

/// What never belongs to a manager.
const UNOWNED: [&str; 12] = [
    "apiVersion",
    "kind",
    "metadata",
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

/// A field that another manager owns and that would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Name of the owner.
    pub manager: String,
    /// Version in which the owner wrote it.
    pub api_version: String,
    /// Subresource by which the owner wrote it.
    pub subresource: String,
    /// The field, as `.spec.replicas`: field of the cause.
    pub path_text: String,
    /// `conflict with "owner" using apps/v1`: message of the cause.
    pub message: String,
}

/// Why an apply was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Others own fields that would change: 409, a cause `FieldManagerConflict` each.
    #[error("{}", conflict_summary(.0))]
    Conflicts(Vec<Conflict>),
    /// The configuration names an item of a list twice: 422.
    #[error("failed to create typed patch object ({object}): {}", check::summary(.faults))]
    DuplicateKeys {
        /// `namespace/name; group/version, Kind=kind`.
        object: String,
        /// All findings.
        faults: Vec<Fault>,
    },
    /// The configuration does not fit the schema: upstream answers 500 with this text.
    #[error("failed to create typed patch object ({object}): {}", check::summary(.faults))]
    Invalid {
        /// `namespace/name; group/version, Kind=kind`.
        object: String,
        /// All findings.
        faults: Vec<Fault>,
    },
    /// The configuration carries managedFields: 400.
    #[error("metadata.managedFields must be nil")]
    ManagedFieldsGiven,
}

fn conflict_summary(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: {}: {}", only.message, only.path_text);
    }
    let mut out = format!("Apply failed with {} conflicts: ", conflicts.len());
    let mut lines: Vec<String> = Vec::new();
    let mut last = None;
    for conflict in conflicts {
        if last != Some(&conflict.message) {
            lines.push(format!("{}:", conflict.message.replacen("conflict with", "conflicts with", 1)));
            last = Some(&conflict.message);
        }
        lines.push(format!("- {}", conflict.path_text));
    }
    out.push_str(&lines.join("\n"));
    out
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

/// `namespace/name; group/version, Kind=kind` of messages.
fn describe(object: &Value) -> String {
    let text = |at: Option<&Value>| at.and_then(Value::as_str).unwrap_or_default().to_owned();
    let meta = object.get("metadata");
    let version = text(object.get("apiVersion"));
    let version = if version.contains('/') { version } else { format!("/{version}") };
    format!(
        "{}/{}; {version}, Kind={}",
        text(meta.and_then(|m| m.get("namespace"))),
        text(meta.and_then(|m| m.get("name"))),
        text(object.get("kind"))
    )
}

/// One attempt of an apply: without force, and once more with it when all conflicts may be taken.
struct Run<'a> {
    request: Apply<'a>,
    types: Types<'a>,
    root: At<'a>,
    live: &'a Value,
}

impl Run<'_> {
    fn run(&self, mut entries: Vec<Entry>, force: bool) -> Result<Value, ApplyError> {
        let Run { request, types, root, live } = self;
        let me = Manager {
            name: request.manager.to_owned(),
            operation: Operation::Apply,
            api_version: request.api_version.to_owned(),
            subresource: request.subresource.to_owned(),
        };
        let reset = FieldSet::of_paths(request.reset_fields.iter().copied());
        let mut merged = types.merge(*root, (*live).clone(), request.applied);
        let mut set = types.fields_of(*root, request.applied);
        set.subtract_trees(&reset);
        let last = match managers::position(&entries, &me) {
            Some(at) => {
                let entry = &mut entries[at];
                entry.manager.api_version.clone_from(&me.api_version);
                std::mem::replace(&mut entry.fields, set)
            }
            None => {
                entries.push(Entry { manager: me.clone(), time: None, fields: set });
                FieldSet::default()
            }
        };
        let gone = self.abandoned(&merged, &entries, &me, &last);
        // What loses its last item counts as there, empty, until others have kept or lost it.
        let mut diff = match &gone {
            Some(gone) => types.compare(*root, live, &types.remove(*root, &merged, &gone.0, true)),
            None => types.compare(*root, live, &merged),
        };
        if let Some(gone) = gone {
            merged = types.remove(*root, &merged, &gone.0, false);
        }
        diff.ignore(&reset);
        take_over(&mut entries, &diff, &me, force)?;
        if let Some(at) = managers::position(&entries, &me) {
            let entry = &mut entries[at];
            entry.fields.subtract(&FieldSet::of_paths(UNOWNED));
            if !same(live, &merged) {
                entry.time = Some(request.now.to_owned());
            }
        }
        if types.builtin {
            drop_nulls(*types, *root, &mut merged);
        }
        managers::write(&mut merged, entries);
        Ok(merged)
    }

    /// What the manager owned, did not apply this time, and nobody else owns.
    fn abandoned(
        &self,
        merged: &Value,
        entries: &[Entry],
        me: &Manager,
        last: &FieldSet,
    ) -> Option<FieldSet> {
        let (types, root) = (self.types, self.root);
        let mine = managers::position(entries, me).map(|at| &entries[at].fields);
        if mine.is_some_and(|mine| last.is_subset(mine)) {
            return None;
        }
        let named = |set: &FieldSet| FieldSet(types.with_named(Some(root), &set.0));
        let last = named(last);
        let mut owned = FieldSet::default();
        for entry in entries {
            owned.unite(entry.fields.clone());
        }
        let owned = named(&owned);
        let all = named(&types.fields_of(root, merged));
        // Without all that was applied last, but with what anyone owns now.
        let bare = types.remove(root, merged, &last.0, true);
        let mut gone = all.clone();
        gone.subtract(&named(&types.fields_of(root, &bare)));
        gone.subtract(&owned);
        let kept = types.remove(root, merged, &gone.0, true);
        // Of that only what this manager had owned.
        let mut gone = all;
        gone.subtract(&named(&types.fields_of(root, &kept)));
        let gone = gone.intersection(&last);
        (!gone.is_empty()).then_some(gone)
    }
}

/// Other managers lose what changes. Without force, what they own must not.
fn take_over(entries: &mut Vec<Entry>, diff: &Diff, me: &Manager, force: bool) -> Result<(), ApplyError> {
    let changed = diff.changed();
    if changed.is_empty() && diff.removed.is_empty() {
        return Ok(());
    }
    if !force {
        let mut found: Vec<(String, Vec<Conflict>)> = Vec::new();
        for entry in entries.iter().filter(|e| !e.manager.is(me)) {
            let conflicts = entry.fields.intersection(&changed);
            if !conflicts.is_empty() {
                found.push((entry.manager.identifier(), conflicts_of(&entry.manager, &conflicts)));
            }
        }
        if !found.is_empty() {
            found.sort_by(|(a, _), (b, _)| a.cmp(b));
            return Err(ApplyError::Conflicts(found.into_iter().flat_map(|(_, c)| c).collect()));
        }
    }
    for entry in entries.iter_mut().filter(|e| !e.manager.is(me)) {
        entry.fields.subtract(&changed);
        entry.fields.subtract(&diff.removed);
    }
    entries.retain(|e| !e.fields.is_empty());
    Ok(())
}

fn conflicts_of(manager: &Manager, paths: &FieldSet) -> Vec<Conflict> {
    let message = format!("conflict with {}", manager.print());
    let conflict = |path_text| Conflict {
        manager: manager.name.clone(),
        api_version: manager.api_version.clone(),
        subresource: manager.subresource.clone(),
        path_text,
        message: message.clone(),
    };
    paths.paths().into_iter().map(conflict).collect()
}

/// A null in a configuration means that the member is absent; built-in structs cannot hold it, and maps of
/// texts hold an empty text instead.
fn drop_nulls(types: Types<'_>, at: At<'_>, value: &mut Value) {
    match value {
        Value::Object(members) => {
            let shape = types.members_shape(at);
            members.retain(|name, value| {
                let (below, field) = types.member(shape, name);
                if value.is_null() {
                    if matches!(below, At::Ty(Ty::Str)) && field.is_none() {
                        *value = Value::String(String::new());
                    }
                    return field.is_none_or(|f| f.nullable);
                }
                drop_nulls(types, below, value);
                true
            });
        }
        Value::Array(items) => {
            if let At::Ty(Ty::List(list)) = at {
                for item in items {
                    drop_nulls(types, At::Ty(&list.item), item);
                }
            }
        }
        _ => {}
    }
}

/// Whether two states differ in nothing but times of `managedFields` (U4).
pub fn equal_ignoring_times(a: &Value, b: &Value) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return a == b };
    members_equal(a, b, |name, a, b| match (name, a, b) {
        ("metadata", Value::Object(a), Value::Object(b)) => {
            members_equal(a, b, |name, a, b| match (name, a, b) {
                ("managedFields", Value::Array(a), Value::Array(b)) => {
                    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| entries_equal(a, b))
                }
                _ => a == b,
            })
        }
        _ => a == b,
    })
}

fn entries_equal(a: &Value, b: &Value) -> bool {
    let (Value::Object(a), Value::Object(b)) = (a, b) else { return a == b };
    let rest = |m: &&serde_json::Map<String, Value>| m.len() - usize::from(m.contains_key("time"));
    rest(&a) == rest(&b)
        && a.iter().filter(|(name, _)| *name != "time").all(|(name, value)| b.get(name) == Some(value))
}

fn members_equal(
    a: &serde_json::Map<String, Value>,
    b: &serde_json::Map<String, Value>,
    equal: impl Fn(&str, &Value, &Value) -> bool,
) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((an, a), (bn, b))| an == bn && equal(an, a, b))
}
