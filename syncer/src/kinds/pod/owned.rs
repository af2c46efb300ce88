//! Fields of a live host pod that may still change (PO32), as one strategic merge patch (EN14).

use serde_json::{Map, Value, json};
use skerry_api::labels;

use crate::{
    mapping::Mapping,
    object::{Fields, HostObj, entry, items, text},
    wire::FIELD_MANAGER,
};

/// The patch that brings a live host pod to the desired state; `None` when nothing of ours differs.
pub(super) fn patch(desired: &HostObj, live: &HostObj) -> Option<Value> {
    let mut out = Map::new();
    for member in ["labels", "annotations"] {
        let changed = keys(desired, live, member);
        if !changed.is_empty() {
            entry(&mut out, "metadata").insert(member.to_owned(), Value::Object(changed));
        }
    }
    for member in ["initContainers", "containers"] {
        let images = images(desired, live, member);
        if !images.is_empty() {
            entry(&mut out, "spec").insert(member.to_owned(), Value::Array(images));
        }
    }
    let number =
        |obj: &HostObj, field: &str| obj.0.pointer(&format!("/spec/{field}")).and_then(Value::as_i64);
    if let Some(deadline) = number(desired, "activeDeadlineSeconds")
        && number(live, "activeDeadlineSeconds").is_none_or(|have| deadline < have)
    {
        entry(&mut out, "spec").insert("activeDeadlineSeconds".to_owned(), json!(deadline));
    }
    if number(desired, "terminationGracePeriodSeconds") == Some(1)
        && number(live, "terminationGracePeriodSeconds").is_some_and(|have| have < 0)
    {
        entry(&mut out, "spec").insert("terminationGracePeriodSeconds".to_owned(), json!(1));
    }
    let have = items(&live.0, "/spec/tolerations");
    let missing = items(&desired.0, "/spec/tolerations").iter().any(|t| !have.contains(t));
    if missing {
        let mut all = have.to_vec();
        all.extend(items(&desired.0, "/spec/tolerations").iter().filter(|t| !have.contains(t)).cloned());
        entry(&mut out, "spec").insert("tolerations".to_owned(), Value::Array(all));
    }
    if out.is_empty() {
        return None;
    }
    entry(&mut out, "metadata").insert("uid".to_owned(), Value::from(live.uid()));
    Some(Value::Object(out))
}

/// Labels or annotations to set, and null for those that we own on the host and no longer set.
fn keys(desired: &HostObj, live: &HostObj, member: &str) -> Map<String, Value> {
    let pointer = format!("/metadata/{member}");
    let empty = Map::new();
    let want = desired.0.pointer(&pointer).and_then(Value::as_object).unwrap_or(&empty);
    let have = live.0.pointer(&pointer).and_then(Value::as_object).unwrap_or(&empty);
    let mut out = Map::new();
    for (key, value) in want {
        if have.get(key) != Some(value) {
            out.insert(key.clone(), value.clone());
        }
    }
    for key in owned_keys(live, member) {
        if !want.contains_key(&key) && have.contains_key(&key) {
            out.insert(key, Value::Null);
        }
    }
    out
}

/// Keys that our manager owns by the host's `managedFields`.
fn owned_keys(live: &HostObj, member: &str) -> Vec<String> {
    let mut out = Vec::new();
    for owner in items(&live.0, "/metadata/managedFields") {
        if text(owner, "manager") != FIELD_MANAGER {
            continue;
        }
        let fields = owner.pointer(&format!("/fieldsV1/f:metadata/f:{member}")).and_then(Value::as_object);
        out.extend(fields.into_iter().flatten().filter_map(|(k, _)| k.strip_prefix("f:")).map(str::to_owned));
    }
    out
}

/// Images that differ. A container of our own has done its work: what is set for later pods changes nothing that runs (AP2).
fn images(desired: &HostObj, live: &HostObj, member: &str) -> Vec<Value> {
    let pointer = format!("/spec/{member}");
    let own = Mapping::hosts_file(desired.annotation(labels::ORIGIN_UID).unwrap_or_default());
    items(&desired.0, &pointer)
        .iter()
        .filter(|container| text(container, "name") != own.as_str())
        .filter_map(|container| {
            let name = text(container, "name");
            let image = text(container, "image");
            let have = items(&live.0, &pointer).iter().find(|c| text(c, "name") == name)?;
            (text(have, "image") != image).then(|| json!({"name": name, "image": image}))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SY-57, its pure part: one patch with what may still change, and nothing when all agrees.
    #[test]
    fn translate_sy57_one_patch() {
        let desired = HostObj(json!({"metadata": {"labels": {"a": "2"}, "annotations": {"n": "1"}},
            "spec": {"containers": [{"name": "c", "image": "img:2", "env": []}], "activeDeadlineSeconds": 10,
                "tolerations": [{"key": "t"}]}}));
        let live = HostObj(json!({"metadata": {"uid": "u", "labels": {"a": "1", "old": "x", "host": "y"},
            "annotations": {"n": "1", "other": "z"},
            "managedFields": [{"manager": "skerry-syncer", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:a": {}, "f:old": {}}}}}]},
            "spec": {"containers": [{"name": "injected", "image": "i"}, {"name": "c", "image": "img:1"}], "tolerations": [{"key": "k"}]}}));
        assert_eq!(
            patch(&desired, &live),
            Some(json!({"metadata": {"uid": "u", "labels": {"a": "2", "old": null}},
                "spec": {"containers": [{"name": "c", "image": "img:2"}], "activeDeadlineSeconds": 10,
                    "tolerations": [{"key": "k"}, {"key": "t"}]}}))
        );
        assert_eq!(patch(&live, &live), None);
    }
}
