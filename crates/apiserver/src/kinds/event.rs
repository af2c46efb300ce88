//! Event: one storage, two groups.

use serde_json::Value;

use crate::model::gvk::Gvk;
use crate::model::object::Object;

/// (core name, events.k8s.io name).
const NAMES: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// Renames the members that the two groups call differently.
pub fn convert(mut object: Value, to: &Gvk) -> Value {
    for (core, events) in NAMES {
        let (from, into) = if to.group.is_empty() { (events, core) } else { (core, events) };
        if let Some(value) = object.remove_at(&[from]) {
            object.put(&[into], value);
        }
    }
    object
}
