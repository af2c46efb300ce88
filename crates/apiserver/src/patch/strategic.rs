//! Strategic merge patch: a merge patch that knows from the tables by which key lists of structs merge,
//! with directives for replacing, deleting and ordering (P2).

use std::cmp::Ordering;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::PatchError;
use crate::model::schema::{Patch, Schema, Ty};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

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
        let mut merged = live.clone();
        let mut changes: Vec<&Map<String, Value>> = Vec::with_capacity(patch.len());
        let mut replace = false;
        for item in patch {
            let item = as_object(item)?;
            match item.get(DIRECTIVE) {
                None => changes.push(item),
                Some(Value::String(d)) if d == "delete" => {
                    let value = item.get(key).ok_or_else(|| no_merge_key(item, key))?;
                    merged.retain(|v| v.get(key) != Some(value));
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

/// Where items stand for ordering when deletions and additions come together: an added item takes the place
/// at the end that a deleted one left, as upstream's lists do.
fn places(live: &[Value], patch: &[Value], key: &str) -> Vec<Value> {
    let deletes = |item: &Value| item.get(DIRECTIVE).and_then(Value::as_str) == Some("delete");
    let gone: Vec<&Value> =
        patch.iter().filter(|item| deletes(item)).filter_map(|item| item.get(key)).collect();
    let mut out: Vec<Value> =
        live.iter().filter(|item| item.get(key).is_none_or(|id| !gone.contains(&id))).cloned().collect();
    let free = live.len() - out.len();
    if free == 0 || patch.iter().any(|item| item.get(DIRECTIVE).and_then(Value::as_str) == Some("replace")) {
        return out;
    }
    let known = KeyIndex::new(&out, key);
    let added = patch.iter().filter(|item| item.get(DIRECTIVE).is_none());
    let added: Vec<Value> = added
        .filter(|item| item.get(key).is_some_and(|id| known.get(id).is_none()))
        .take(free)
        .cloned()
        .collect();
    out.extend(added);
    out
}

/// All items of the lists must be of one kind, and none a list. True when they are objects.
fn same_kinds(lists: &[&[Value]]) -> Result<bool, PatchError> {
    let mut items = lists.iter().copied().flatten();
    let Some(first) = items.next() else {
        return Err(PatchError::internal("no elements in any of the given slices"));
    };
    if first.is_array() {
        return Err(PatchError::unfit("lists of lists are not supported"));
    }
    if items.any(|item| std::mem::discriminant(item) != std::mem::discriminant(first)) {
        let lists: Vec<String> = lists.iter().map(|l| go_value(&Value::Array(l.to_vec()))).collect();
        return Err(PatchError::internal(format!(
            "list element types are not identical: [{}]",
            lists.join(" ")
        )));
    }
    Ok(first.is_object())
}

/// Positions of items by the value of their merge key; the first of several wins.
struct KeyIndex(std::collections::HashMap<String, usize>);

impl KeyIndex {
    fn new(items: &[Value], key: &str) -> KeyIndex {
        let mut index = KeyIndex(std::collections::HashMap::with_capacity(items.len()));
        for (at, item) in items.iter().enumerate() {
            if let Some(value) = item.get(key) {
                index.add(value, at);
            }
        }
        index
    }

    fn of_scalars(items: &[Value]) -> KeyIndex {
        let mut index = KeyIndex(std::collections::HashMap::with_capacity(items.len()));
        for (at, item) in items.iter().enumerate() {
            index.add(item, at);
        }
        index
    }

    fn add(&mut self, value: &Value, at: usize) {
        self.0.entry(value.to_string()).or_insert(at);
    }

    fn get(&self, value: &Value) -> Option<usize> {
        self.0.get(&value.to_string()).copied()
    }
}

/// Puts a merged list in order: items named in `order` follow it, the others keep the live order, and both
/// are woven together by their live positions where they have any.
fn arrange(
    merged: Vec<Value>,
    order: &[Value],
    live: &[Value],
    key: Option<&str>,
) -> Result<Vec<Value>, PatchError> {
    let (wanted, was) = match key {
        Some(key) => (KeyIndex::new(order, key), KeyIndex::new(live, key)),
        None => (KeyIndex::of_scalars(order), KeyIndex::of_scalars(live)),
    };
    let mut named = Vec::new();
    let mut rest = Vec::new();
    for item in merged {
        let id = match key {
            Some(key) => {
                let object = as_object(&item)?;
                object.get(key).ok_or_else(|| no_merge_key(object, key))?
            }
            None => &item,
        };
        let live_at = was.get(id);
        match wanted.get(id) {
            Some(at) => named.push((at, live_at, item)),
            None => rest.push((live_at, item)),
        }
    }
    named.sort_by_key(|(at, _, _)| *at);
    rest.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => a.cmp(b),
        _ => Ordering::Equal,
    });
    let mut out = Vec::with_capacity(named.len() + rest.len());
    let mut rest = rest.into_iter().peekable();
    for (_, live_at, item) in named {
        while let Some((rest_at, _)) = rest.peek() {
            let before = matches!((rest_at, live_at), (Some(r), Some(n)) if *r < n);
            if !before {
                break;
            }
            out.extend(rest.next().map(|(_, item)| item));
        }
        out.push(item);
    }
    out.extend(rest.map(|(_, item)| item));
    Ok(out)
}

/// The patch list must be a subsequence of its order list; deletions are not counted.
fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut places = order.iter();
    for item in patch {
        if item.get(DIRECTIVE).is_some() {
            continue;
        }
        let found = match key {
            None => places.any(|o| o == item),
            Some(key) => {
                let object = as_object(item)?;
                let id = object.get(key).ok_or_else(|| no_merge_key(object, key))?;
                let mut found = false;
                for place in places.by_ref() {
                    let place = as_object(place)?;
                    if place.get(key).ok_or_else(|| no_merge_key(place, key))? == id {
                        found = true;
                        break;
                    }
                }
                found
            }
        };
        if !found {
            return Err(PatchError::internal(format!(
                "The order in patch list:\n{}\n doesn't match {SET_ORDER} list:\n{}\n",
                go_value(&Value::Array(patch.to_vec())),
                go_value(&Value::Array(order.to_vec()))
            )));
        }
    }
    Ok(())
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
        (Some(Value::Array(items)), Value::Array(gone)) => items.retain(|item| !gone.contains(item)),
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

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .filter(|(_, v)| !v.is_null())
                .map(|(k, v)| (k.clone(), without_nulls(v)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        scalar => scalar.clone(),
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

fn as_list(value: &Value) -> Result<&Vec<Value>, PatchError> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(wrong_kind("[]interface {}", other)),
    }
}

fn as_object(value: &Value) -> Result<&Map<String, Value>, PatchError> {
    match value {
        Value::Object(members) => Ok(members),
        other => Err(wrong_kind("map[string]interface {}", other)),
    }
}

fn wrong_kind(expected: &str, got: &Value) -> PatchError {
    let got = match got {
        Value::Null => "%!s(<nil>)",
        Value::Bool(_) => "bool",
        Value::Number(n) if n.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    PatchError::internal(format!("expected a {expected}, but received a {got}"))
}

fn no_merge_key(item: &Map<String, Value>, key: &str) -> PatchError {
    let item = go_value(&Value::Object(item.clone()));
    PatchError::internal(format!("map: {item} does not contain declared merge key: {key}"))
}

fn unknown_directive(directive: &Value, item: &Map<String, Value>) -> PatchError {
    let (directive, item) = (go_value(directive), go_value(&Value::Object(item.clone())));
    PatchError::internal(format!("unknown patch type: {directive} in map: {item}"))
}

/// The text Go's `%v` gives a decoded JSON value.
fn go_value(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(s) => s.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(go_value).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(members) => {
            let members: Vec<String> = members.iter().map(|(k, v)| format!("{k}:{}", go_value(v))).collect();
            format!("map[{}]", members.join(" "))
        }
        scalar => scalar.to_string(),
    }
}
