//! JSON merge patch (RFC 7386).

use serde_json::{Map, Value};

use super::{PatchError, go_kind};

/// Applies a merge patch to a copy of `target`. `null` deletes; nulls inside what is added are dropped, in
/// members of lists too, while null items of lists stay.
pub fn merge_patch(target: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Value::Object(changes) = patch else {
        let kind = go_kind(patch);
        return Err(PatchError::bad(format!(
            "error decoding patch: json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        )));
    };
    let mut doc = target.clone();
    match &mut doc {
        Value::Object(members) => merge(members, changes),
        other => *other = without_nulls(patch),
    }
    Ok(doc)
}

fn merge(members: &mut Map<String, Value>, changes: &Map<String, Value>) {
    for (key, change) in changes {
        match (members.get_mut(key), change) {
            (_, Value::Null) => {
                members.remove(key);
            }
            (Some(Value::Object(inner)), Value::Object(changes)) => merge(inner, changes),
            // A list put in place of an object is taken as it is.
            (Some(Value::Object(_)), _) => {
                members.insert(key.clone(), change.clone());
            }
            _ => {
                members.insert(key.clone(), without_nulls(change));
            }
        }
    }
}

/// A value without its `null` members, at any depth.
pub(super) fn without_nulls(value: &Value) -> Value {
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
