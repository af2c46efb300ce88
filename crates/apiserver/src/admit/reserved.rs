//! Objects and keys that only the system writes (Z3).

use serde_json::Value;

use super::Operation;
use crate::model::object::Object;
use crate::model::status::ApiStatus;
use crate::registry::Call;

/// Prefixes of labels and annotations that only system identities change.
const KEYS: [&str; 3] = ["skerry.dev/state-", "skerry.dev/status-", "skerry.dev/deleting-"];
/// ClusterProperties that only system identities write (inventory A1).
const PROPERTIES: [&str; 2] = ["cluster.clusterset.k8s.io", "clusterset.k8s.io"];

fn reserved_keys(object: Option<&Value>) -> Vec<(&str, &Value)> {
    let maps = ["labels", "annotations"].map(|f| object.and_then(|o| o.at(&["metadata", f])?.as_object()));
    maps.into_iter()
        .flatten()
        .flatten()
        .filter(|(key, _)| KEYS.iter().any(|prefix| key.starts_with(prefix)))
        .map(|(key, value)| (key.as_str(), value))
        .collect()
}

/// Refuses what is not the caller's to write.
pub fn validate(
    call: &Call<'_>,
    op: Operation,
    new: Option<&Value>,
    old: Option<&Value>,
) -> Result<(), ApiStatus> {
    if call.who.is_system() || call.who.user.starts_with("system:serviceaccount:kube-system:") {
        return Ok(());
    }
    let name = new.or(old).map_or("", |o| o.meta("name"));
    if &*call.resource.id == "about.k8s.io/clusterproperties" && PROPERTIES.contains(&name) {
        return Err(ApiStatus::forbidden(
            call.subject(name),
            &format!("{name} is written by the platform alone"),
        ));
    }
    if op == Operation::Delete {
        return Ok(());
    }
    let (mut before, mut after) = (reserved_keys(old), reserved_keys(new));
    before.sort_by_key(|(key, _)| *key);
    after.sort_by_key(|(key, _)| *key);
    if before != after {
        let changed =
            after.iter().find(|e| !before.contains(e)).or_else(|| before.iter().find(|e| !after.contains(e)));
        let key = changed.map_or("", |(key, _)| *key);
        return Err(ApiStatus::forbidden(
            call.subject(name),
            &format!("{key} is written by the platform alone"),
        ));
    }
    Ok(())
}
