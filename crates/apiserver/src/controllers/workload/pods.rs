//! What controllers ask of pods: active, ready, available; and the order in which surplus ones go.

use jiff::Timestamp;
use serde_json::Value;

use crate::model::object::Object;

/// Whether a pod has ended, and said how.
pub fn is_over(pod: &Value) -> bool {
    matches!(pod.text(&["status", "phase"]), "Succeeded" | "Failed")
}

/// Neither finished nor on its way out.
pub fn is_active(pod: &Value) -> bool {
    !pod.is_deleting() && !is_over(pod)
}

fn ready_since(pod: &Value) -> Option<Timestamp> {
    let ready = pod.items(&["status", "conditions"]).iter().find(|c| c.text(&["type"]) == "Ready")?;
    if ready.text(&["status"]) != "True" {
        return None;
    }
    Some(ready.text(&["lastTransitionTime"]).parse().unwrap_or(Timestamp::UNIX_EPOCH))
}

/// Whether its `Ready` condition holds.
pub fn is_ready(pod: &Value) -> bool {
    ready_since(pod).is_some()
}

/// Ready for at least `min_ready` seconds; gives the seconds that are missing otherwise, if it is ready at all.
pub fn available_in(pod: &Value, min_ready: i64, now: Timestamp) -> Option<i64> {
    let since = ready_since(pod)?;
    Some((min_ready - (now.as_second() - since.as_second())).max(0))
}

/// Rank for removal: smaller goes first. Unbound before bound, pending before running, not ready before ready, younger
/// before older.
pub fn removal_rank(pod: &Value) -> (bool, u8, bool, std::cmp::Reverse<String>, String) {
    let phase = match pod.text(&["status", "phase"]) {
        "Pending" | "" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    (
        !pod.text(&["spec", "nodeName"]).is_empty(),
        phase,
        is_ready(pod),
        std::cmp::Reverse(pod.meta("creationTimestamp").to_owned()),
        pod.meta("name").to_owned(),
    )
}

/// The UID of the controlling owner.
pub fn controller_uid(object: &Value) -> Option<&str> {
    let owners = object.items(&["metadata", "ownerReferences"]).iter();
    owners.into_iter().find(|o| o.get("controller") == Some(&Value::Bool(true))).map(|o| o.text(&["uid"]))
}
