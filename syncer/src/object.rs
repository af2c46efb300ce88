//! Objects with the side they belong to: a tenant's object and a host's object are different types (EN8).

use serde_json::{Map, Value};

use crate::kind::Kind;

/// An object as a tenant's API server holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantObj(pub Value);

/// An object as a host's API server holds it, or as it should.
#[derive(Clone, Debug, PartialEq)]
pub struct HostObj(pub Value);

/// Reading access that both sides share.
pub trait Fields {
    /// The tree.
    fn value(&self) -> &Value;

    /// Text at a JSON pointer; empty when absent.
    fn text(&self, pointer: &str) -> &str {
        at(self.value(), pointer).and_then(Value::as_str).unwrap_or_default()
    }
    /// `metadata.name`.
    fn name(&self) -> &str {
        self.text("/metadata/name")
    }
    /// `metadata.namespace`.
    fn namespace(&self) -> &str {
        self.text("/metadata/namespace")
    }
    /// `metadata.uid`.
    fn uid(&self) -> &str {
        self.text("/metadata/uid")
    }
    /// `metadata.resourceVersion` as a number; 0 when absent.
    fn version(&self) -> u64 {
        self.text("/metadata/resourceVersion").parse().unwrap_or_default()
    }
    /// `metadata.generation`.
    fn generation(&self) -> i64 {
        at(self.value(), "/metadata/generation").and_then(Value::as_i64).unwrap_or_default()
    }
    /// Why it could not be decoded, where nothing but its metadata is known (FM11).
    fn unreadable(&self) -> Option<&str> {
        self.value().get(crate::raw::UNREADABLE)?.as_str()
    }
    /// Whether a deletion is under way.
    fn deleting(&self) -> bool {
        at(self.value(), "/metadata/deletionTimestamp").is_some_and(|v| !v.is_null())
    }
    /// The grace period of a deletion under way.
    fn deletion_grace(&self) -> Option<i64> {
        at(self.value(), "/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64)
    }
    /// A label.
    fn label(&self, key: &str) -> Option<&str> {
        at(self.value(), "/metadata/labels")?.get(key)?.as_str()
    }
    /// An annotation.
    fn annotation(&self, key: &str) -> Option<&str> {
        at(self.value(), "/metadata/annotations")?.get(key)?.as_str()
    }
    /// The owner that controls it.
    fn controller(&self) -> Option<&Value> {
        at(self.value(), "/metadata/ownerReferences")?
            .as_array()?
            .iter()
            .find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))
    }
}

impl Fields for TenantObj {
    fn value(&self) -> &Value {
        &self.0
    }
}

impl Fields for HostObj {
    fn value(&self) -> &Value {
        &self.0
    }
}

/// Whether a label selector matches labels; an empty one matches all.
pub(crate) fn selects<'a>(selector: &Value, label: impl Fn(&str) -> Option<&'a str>) -> bool {
    let equal = selector.get("matchLabels").and_then(Value::as_object);
    let fits = equal.into_iter().flatten().all(|(key, value)| label(key) == value.as_str());
    fits && items(selector, "/matchExpressions").iter().all(|term| {
        let have = label(text(term, "key"));
        let listed = have.is_some_and(|h| items(term, "/values").iter().any(|v| v.as_str() == Some(h)));
        match text(term, "operator") {
            "In" => listed,
            "NotIn" => !listed,
            "Exists" => have.is_some(),
            "DoesNotExist" => have.is_none(),
            _ => false,
        }
    })
}

/// An empty object of a kind.
pub(crate) fn shell(kind: Kind) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("apiVersion".to_owned(), Value::from(kind.api_version()));
    map.insert("kind".to_owned(), Value::from(kind.name()));
    map
}

/// The object at a key, made when absent or of another type.
pub(crate) fn entry<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let slot = map.entry(key.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(inner) => inner,
        _ => unreachable!("made an object just above"),
    }
}

/// What is at a JSON pointer through members of objects, as `Value::pointer`, which makes a string of each part.
pub(crate) fn at<'a>(value: &'a Value, pointer: &str) -> Option<&'a Value> {
    if pointer.contains('~') {
        return value.pointer(pointer);
    }
    pointer.split('/').skip(1).try_fold(value, |value, part| match value {
        Value::Object(map) => map.get(part),
        Value::Array(list) => list.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Items of an array at a pointer; none when absent.
pub(crate) fn items<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    at(value, pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Text of a member; empty when absent.
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Whether a value is worth sending: not null, not an empty list or object.
pub(crate) fn filled(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}
