//! Strategic merge patch: a merge patch that knows from the tables by which key lists of structs merge,
//! with directives for replacing, deleting and ordering (P2).

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::PatchError;
use super::lists::{
    KeyIndex, arrange, as_list, as_object, check_order, no_merge_key, places, same_kinds, unknown_directive,
    wrong_kind,
};
use super::merge::without_nulls;
use crate::model::schema::{Patch, Schema, Ty};

pub(super) const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
pub(super) const SET_ORDER: &str = "$setElementOrder";

const BAD_PRIMITIVE_LIST: &str = "invalid patch format of primitive list";
const BAD_RETAIN_KEYS: &str = "invalid patch format of retainKeys";
const BAD_ORDER_LIST: &str = "invalid patch format of setElementOrder list";

/// Applies a strategic merge patch to a copy of `original`, whose type is `ty`.
pub fn strategic_merge(
    schema: &Schema,
    ty: &Ty,
    original: &Value,
    patch: &Value,
) -> Result<Value, PatchError> {
    let Value::Object(changes) = patch else {
        let kind = super::go_kind(patch);
        return Err(PatchError::bad(format!(
            "json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        )));
    };
    let base = match original {
        Value::Object(members) => members.clone(),
        _ => Map::new(),
    };
    Ok(Value::Object(Merger { schema }.object(Some(ty), base, changes)?))
}

static NO_PATCH: Patch = Patch { merge: false, retain_keys: false, merge_key: None };

struct Merger<'s> {
    schema: &'s Schema,
}

impl<'s> Merger<'s> {
    /// Type and strategies of a member; `None` where the tables know nothing.
    fn member(&self, ty: Option<&'s Ty>, key: &str) -> (Option<&'s Ty>, &'s Patch) {
        match ty {
            Some(Ty::Struct(id)) => match self.schema.get(*id).field(key) {
                Some(field) => (Some(&field.ty), &field.patch),
                None => (None, &NO_PATCH),
            },
            Some(Ty::Map(map)) => (Some(&map.value), &NO_PATCH),
            _ => (None, &NO_PATCH),
        }
    }

    fn object(
        &self,
        ty: Option<&'s Ty>,
        mut base: Map<String, Value>,
        changes: &Map<String, Value>,
    ) -> Result<Map<String, Value>, PatchError> {
        match changes.get(DIRECTIVE) {
            None => {}
            Some(Value::String(d)) if d == "replace" => {
                let mut replaced = changes.clone();
                replaced.remove(DIRECTIVE);
                return Ok(replaced);
            }
            Some(Value::String(d)) if d == "delete" => return Ok(Map::new()),
            Some(other) => return Err(unknown_directive(other, changes)),
        }
        if let Some(retained) = changes.get(RETAIN_KEYS) {
            retain_keys(&mut base, changes, retained)?;
        }
        // Lists that come with an order are merged first, with it; their values are not merged again below.
        let mut ordered: HashSet<&str> = HashSet::new();
        for (key, order) in changes.iter().filter(|(k, _)| k.starts_with(SET_ORDER)) {
            let name = suffix(key, SET_ORDER).ok_or_else(|| PatchError::bad(BAD_ORDER_LIST))?;
            if self.ordered_list(ty, &mut base, changes.get(name), name, order)? {
                ordered.insert(name);
            }
        }
        for (key, change) in changes {
            if key == RETAIN_KEYS || key.starts_with(SET_ORDER) || ordered.contains(key.as_str()) {
                continue;
            }
            if key.starts_with(DELETE_FROM) {
                let name = suffix(key, DELETE_FROM).ok_or_else(|| PatchError::bad(BAD_PRIMITIVE_LIST))?;
                delete_from_list(&mut base, name, change);
                continue;
            }
            if change.is_null() {
                base.remove(key);
                continue;
            }
            let (inner_ty, strategy) = self.member(ty, key);
            let merged = match (base.remove(key), change) {
                (Some(Value::Object(inner)), Value::Object(changes)) => {
                    Some(Value::Object(self.object(inner_ty, inner, changes)?))
                }
                (Some(Value::Array(items)), Value::Array(changes)) if strategy.merge => {
                    Some(Value::Array(self.list(item_type(inner_ty), strategy, items, changes)?))
                }
                (Some(Value::Array(_)), Value::Array(_)) => Some(change.clone()),
                _ => without_directives(&without_nulls(change)),
            };
            if let Some(merged) = merged {
                base.insert(key.clone(), merged);
            }
        }
        Ok(base)
    }

    /// Merges `name` with its `$setElementOrder` list. False when neither side has the list.
    fn ordered_list(
        &self,
        ty: Option<&'s Ty>,
        base: &mut Map<String, Value>,
        patch: Option<&Value>,
        name: &str,
        order: &Value,
    ) -> Result<bool, PatchError> {
        let order = as_list(order)?;
        let (inner_ty, strategy) = self.member(ty, name);
        let key = strategy.merge_key.as_deref();
        let live = match base.get(name) {
            Some(value) => Some(as_list(value)?.clone()),
            None => None,
        };
        let patch = patch.map(as_list).transpose()?;
        if let Some(patch) = patch {
            check_order(patch, order, key)?;
        }
        let merged = match (&live, patch) {
            (None, None) => return Ok(false),
            (Some(live), None) => live.clone(),
            (None, Some(patch)) => patch.iter().filter_map(without_directives).collect(),
            (Some(live), Some(patch)) if strategy.merge => {
                self.list(item_type(inner_ty), strategy, live.clone(), patch)?
            }
            (Some(_), Some(patch)) => patch.clone(),
        };
        let live = live.unwrap_or_default();
        same_kinds(&[&live, patch.map_or(&[], Vec::as_slice)])?;
        let was = match (key, patch) {
            (Some(key), Some(patch)) if strategy.merge => places(&live, patch, key),
            _ => live,
        };
        let sorted = arrange(merged, order, &was, key)?;
        base.insert(name.to_owned(), Value::Array(sorted));
        Ok(true)
    }

    /// Merges a list whose strategy is `merge`.
    fn list(
        &self,
        item: Option<&'s Ty>,
        strategy: &Patch,
        live: Vec<Value>,
        patch: &[Value],
    ) -> Result<Vec<Value>, PatchError> {
        if live.is_empty() && patch.is_empty() {
            return Ok(live);
        }
        if !same_kinds(&[&live, patch])? {
            let mut seen = HashSet::new();
            let merged: Vec<Value> =
                live.iter().chain(patch).filter(|v| seen.insert(v.to_string())).cloned().collect();
            return arrange(merged, patch, &live, None);
        }
        let Some(key) = strategy.merge_key.as_deref() else {
            return Err(PatchError::internal("cannot merge lists without merge key for struct"));
        };
        let mut gone = HashSet::new();
        let mut changes: Vec<&Map<String, Value>> = Vec::with_capacity(patch.len());
        let mut replace = false;
        for item in patch {
            let item = as_object(item)?;
            match item.get(DIRECTIVE) {
                None => changes.push(item),
                Some(Value::String(d)) if d == "delete" => {
                    let value = item.get(key).ok_or_else(|| no_merge_key(item, key))?;
                    gone.insert(value.to_string());
                }
                Some(Value::String(d)) if d == "replace" => replace = true,
                Some(Value::String(d)) if d == "merge" => {
                    return Err(PatchError::internal("merging lists cannot yet be specified in the patch"));
                }
                Some(other) => return Err(unknown_directive(other, item)),
            }
        }
        if replace {
            return Ok(changes.into_iter().map(|m| Value::Object(m.clone())).collect());
        }
        let kept = |item: &&Value| item.get(key).is_none_or(|id| !gone.contains(&id.to_string()));
        let mut merged: Vec<Value> = live.iter().filter(kept).cloned().collect();
        let mut index = KeyIndex::new(&merged, key);
        for change in &changes {
            let value = change.get(key).ok_or_else(|| no_merge_key(change, key))?;
            match index.get(value) {
                Some(at) => {
                    let base = match std::mem::take(&mut merged[at]) {
                        Value::Object(base) => base,
                        other => return Err(wrong_kind("map[string]interface {}", &other)),
                    };
                    merged[at] = Value::Object(self.object(item, base, change)?);
                }
                None => {
                    index.add(value, merged.len());
                    merged.push(Value::Object((*change).clone()));
                }
            }
        }
        let patch_order: Vec<Value> = changes
            .iter()
            .filter_map(|change| {
                Some(Value::Object(Map::from_iter([(key.to_owned(), change.get(key)?.clone())])))
            })
            .collect();
        arrange(merged, &patch_order, &live, Some(key))
    }
}

fn retain_keys(
    base: &mut Map<String, Value>,
    changes: &Map<String, Value>,
    retained: &Value,
) -> Result<(), PatchError> {
    let Value::Array(names) = retained else { return Err(PatchError::bad(BAD_RETAIN_KEYS)) };
    let names: HashSet<&str> = names.iter().filter_map(Value::as_str).collect();
    for (key, value) in changes {
        let directive = key == RETAIN_KEYS || key.starts_with(DELETE_FROM) || key.starts_with(SET_ORDER);
        if !directive && !value.is_null() && !names.contains(key.as_str()) {
            return Err(PatchError::bad(BAD_RETAIN_KEYS));
        }
    }
    base.retain(|key, _| names.contains(key.as_str()));
    Ok(())
}

fn delete_from_list(base: &mut Map<String, Value>, name: &str, gone: &Value) {
    match (base.get_mut(name), gone) {
        (Some(Value::Array(items)), Value::Array(gone)) => {
            let gone = KeyIndex::of_scalars(gone);
            items.retain(|item| gone.get(item).is_none());
        }
        (_, Value::Null) => {
            base.remove(name);
        }
        _ => {}
    }
}

fn suffix<'k>(key: &'k str, prefix: &str) -> Option<&'k str> {
    key.strip_prefix(prefix)?.strip_prefix('/')
}

fn item_type(ty: Option<&Ty>) -> Option<&Ty> {
    match ty {
        Some(Ty::List(list)) => Some(&list.item),
        _ => None,
    }
}

/// What is left of a value that had nothing to be merged with; `None` when it was a directive itself.
fn without_directives(value: &Value) -> Option<Value> {
    match value {
        Value::Object(members) if members.contains_key(DIRECTIVE) => None,
        Value::Object(members) => Some(Value::Object(
            members.iter().filter_map(|(k, v)| Some((k.clone(), without_directives(v)?))).collect(),
        )),
        Value::Array(items) => Some(Value::Array(items.iter().filter_map(without_directives).collect())),
        scalar => Some(scalar.clone()),
    }
}
