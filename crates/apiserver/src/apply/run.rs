//! One attempt of an apply: merge, prune, ask the other managers.

use serde_json::Value;

use super::compare::Diff;
use super::managers::{self, Entry, Manager, Operation};
use super::refusal::conflicts_of;
use super::typed::{At, Types, same};
use super::{Apply, ApplyError, Conflict, FieldSet, UNOWNED};
use crate::model::schema::Ty;

/// One attempt of an apply: without force, and once more with it when all conflicts may be taken.
pub(super) struct Run<'a> {
    pub(super) request: Apply<'a>,
    pub(super) types: Types<'a>,
    pub(super) root: At<'a>,
    pub(super) live: &'a Value,
}

impl Run<'_> {
    /// The merged object with its managers.
    pub(super) fn run(&self, mut entries: Vec<Entry>, force: bool) -> Result<Value, ApplyError> {
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
            entry.fields.subtract(&UNOWNED);
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
pub(super) fn take_over(
    entries: &mut Vec<Entry>,
    diff: &Diff,
    me: &Manager,
    force: bool,
) -> Result<(), ApplyError> {
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
