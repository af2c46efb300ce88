//! Lists inside a strategic merge patch: finding items by their merge key, and the order of what results.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{Map, Value};

use super::PatchError;
use super::strategic::{DIRECTIVE, SET_ORDER};
use crate::model::go_text;

/// Positions of items by the value of their merge key; the first of several wins.
pub(super) struct KeyIndex(HashMap<String, usize>);

impl KeyIndex {
    pub(super) fn new(items: &[Value], key: &str) -> KeyIndex {
        let mut index = KeyIndex(HashMap::with_capacity(items.len()));
        for (at, item) in items.iter().enumerate() {
            if let Some(value) = item.get(key) {
                index.add(value, at);
            }
        }
        index
    }

    pub(super) fn of_scalars(items: &[Value]) -> KeyIndex {
        let mut index = KeyIndex(HashMap::with_capacity(items.len()));
        for (at, item) in items.iter().enumerate() {
            index.add(item, at);
        }
        index
    }

    pub(super) fn add(&mut self, value: &Value, at: usize) {
        self.0.entry(value.to_string()).or_insert(at);
    }

    pub(super) fn get(&self, value: &Value) -> Option<usize> {
        self.0.get(&value.to_string()).copied()
    }
}

/// Where items stand for ordering when deletions and additions come together: an added item takes the place
/// at the end that a deleted one left, as upstream's lists do.
pub(super) fn places(live: &[Value], patch: &[Value], key: &str) -> Vec<Value> {
    let deletes = |item: &Value| item.get(DIRECTIVE).and_then(Value::as_str) == Some("delete");
    let gone: Vec<Value> = patch.iter().filter(|item| deletes(item)).cloned().collect();
    let gone = KeyIndex::new(&gone, key);
    let mut out: Vec<Value> =
        live.iter().filter(|item| item.get(key).is_none_or(|id| gone.get(id).is_none())).cloned().collect();
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
pub(super) fn same_kinds(lists: &[&[Value]]) -> Result<bool, PatchError> {
    let mut items = lists.iter().copied().flatten();
    let Some(first) = items.next() else {
        return Err(PatchError::internal("no elements in any of the given slices"));
    };
    if first.is_array() {
        return Err(PatchError::unfit("lists of lists are not supported"));
    }
    if items.any(|item| std::mem::discriminant(item) != std::mem::discriminant(first)) {
        let lists: Vec<String> = lists.iter().map(|l| go_text::value(&Value::Array(l.to_vec()))).collect();
        return Err(PatchError::internal(format!(
            "list element types are not identical: [{}]",
            lists.join(" ")
        )));
    }
    Ok(first.is_object())
}

/// Puts a merged list in order: items named in `order` follow it, the others keep the live order, and both
/// are woven together by their live positions where they have any.
pub(super) fn arrange(
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
pub(super) fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), PatchError> {
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
                go_text::value(&Value::Array(patch.to_vec())),
                go_text::value(&Value::Array(order.to_vec()))
            )));
        }
    }
    Ok(())
}

pub(super) fn as_list(value: &Value) -> Result<&Vec<Value>, PatchError> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(wrong_kind("[]interface {}", other)),
    }
}

pub(super) fn as_object(value: &Value) -> Result<&Map<String, Value>, PatchError> {
    match value {
        Value::Object(members) => Ok(members),
        other => Err(wrong_kind("map[string]interface {}", other)),
    }
}

pub(super) fn wrong_kind(expected: &str, got: &Value) -> PatchError {
    let got = match got {
        Value::Null => "%!s(<nil>)",
        other => go_text::type_name(other),
    };
    PatchError::internal(format!("expected a {expected}, but received a {got}"))
}

pub(super) fn no_merge_key(item: &Map<String, Value>, key: &str) -> PatchError {
    let item = go_text::value(&Value::Object(item.clone()));
    PatchError::internal(format!("map: {item} does not contain declared merge key: {key}"))
}

pub(super) fn unknown_directive(directive: &Value, item: &Map<String, Value>) -> PatchError {
    let (directive, item) = (go_text::value(directive), go_text::value(&Value::Object(item.clone())));
    PatchError::internal(format!("unknown patch type: {directive} in map: {item}"))
}
