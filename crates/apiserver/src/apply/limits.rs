//! How many managers, finalizers and owners one object may have (Q23).

use serde_json::Value;

/// Path, name below metadata, limit.
const LIMITS: [(&str, &str, usize); 3] = [
    ("metadata.managedFields", "managedFields", 256),
    ("metadata.finalizers", "finalizers", 64),
    ("metadata.ownerReferences", "ownerReferences", 256),
];

/// A list that is too long: 422 `Too many` on its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The list, as `metadata.finalizers`.
    pub path: &'static str,
    /// How long it is.
    pub have: usize,
    /// How long it may be.
    pub limit: usize,
}

/// The lists of an object to be stored that are too long.
pub fn excess(object: &Value) -> Vec<Excess> {
    let Some(metadata) = object.get("metadata") else { return Vec::new() };
    let len = |name| metadata.get(name).and_then(Value::as_array).map_or(0, Vec::len);
    LIMITS
        .into_iter()
        .map(|(path, name, limit)| Excess { path, have: len(name), limit })
        .filter(|e| e.have > e.limit)
        .collect()
}
