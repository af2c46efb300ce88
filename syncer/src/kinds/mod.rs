//! Translators: what a tenant object looks like on the host, and what of the host object comes back.
//!
//! Total, pure functions (EN8): no client, clock, randomness or global.

pub mod claim;
pub mod data;
pub mod event;
pub mod node;
pub mod pod;
pub mod policy;
pub mod service;
pub mod slice;
#[cfg(test)]
pub(crate) mod tests_support;

use serde_json::Value;
use skerry_api::quantity;

use crate::{
    facts::Facts,
    kind::Kind,
    object::{HostObj, TenantObj},
    refusal::Refusal,
};

/// A tenant object that must lie on the host with another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ref {
    /// Its kind.
    pub kind: Kind,
    /// Its name, in the namespace of the object that refers to it.
    pub name: String,
}

/// Something the tenant is told as an Event, once per object and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Reason of the Event.
    pub reason: &'static str,
    /// What is different from an ordinary cluster.
    pub message: String,
}

/// A kind's translation in both directions.
pub trait Translator: Send + Sync {
    /// The kind it serves.
    fn kind(&self) -> Kind;

    /// What must lie on the host with the object (KI2, PO44).
    fn refs(&self, _tenant: &TenantObj) -> Vec<Ref> {
        Vec::new()
    }

    /// Whether the object goes down at all.
    fn wanted(&self, _tenant: &TenantObj, _facts: &Facts) -> bool {
        true
    }

    /// The whole desired host object.
    fn down(&self, tenant: &TenantObj, facts: &Facts) -> Result<HostObj, Refusal>;

    /// What differs from an ordinary cluster for this object.
    fn notes(&self, _tenant: &TenantObj, _facts: &Facts) -> Vec<Note> {
        Vec::new()
    }

    /// The tenant's status as it should be; `None` when nothing of this kind comes up.
    fn up(&self, _tenant: &TenantObj, _host: &HostObj, _facts: &Facts) -> Option<Value> {
        None
    }

    /// One write that turns the live host object into the desired one: `None` when owned fields agree.
    fn change(&self, desired: &HostObj, live: &HostObj) -> Option<Change>;
}

/// How a live host object is changed (EN13, EN14).
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Forced apply of the whole desired object.
    Apply,
    /// A strategic merge patch of the fields that may still change.
    Patch(Value),
    /// Fields that can not change: deleted and made again.
    Replace,
}

/// The translator of a carried kind.
pub fn translator(kind: Kind) -> Option<&'static dyn Translator> {
    Some(match kind {
        Kind::Pod => &pod::PodTranslator,
        Kind::Service => &service::ServiceTranslator,
        Kind::ConfigMap => &data::CONFIG_MAPS,
        Kind::Secret => &data::SECRETS,
        Kind::PersistentVolumeClaim => &claim::ClaimTranslator,
        Kind::EndpointSlice => &slice::SliceTranslator,
        Kind::NetworkPolicy => &policy::PolicyTranslator,
        _ => return None,
    })
}

/// Metadata of a carried object: translated, named and stamped.
pub(crate) fn metadata(
    kind: Kind,
    tenant: &TenantObj,
    facts: &Facts,
) -> Result<serde_json::Map<String, Value>, Refusal> {
    use crate::object::Fields;
    let namespace = facts
        .host_namespace(tenant.namespace())
        .ok_or_else(|| Refusal::unsupported(format_args!("namespace {}", tenant.namespace())))?;
    let translated = facts.rules.translate(tenant.0.get("metadata"));
    let mut meta = serde_json::Map::new();
    let name = facts.host_name(kind, tenant.namespace(), tenant.name());
    meta.insert("name".to_owned(), Value::from(name.as_str()));
    meta.insert("namespace".to_owned(), Value::from(namespace.as_str()));
    meta.insert("labels".to_owned(), Value::Object(translated.labels));
    meta.insert("annotations".to_owned(), Value::Object(translated.annotations));
    facts.mapping.stamp(&mut meta, kind, tenant);
    Ok(meta)
}

/// Whether every member that `desired` sets has an equal one in `live`; members the host added are never looked at.
///
/// Lists are compared by position, each element again by what we set (EN9).
pub(crate) fn contained(desired: &Value, live: &Value) -> bool {
    match (desired, live) {
        (Value::Object(want), Value::Object(have)) => want.iter().all(|(key, value)| match have.get(key) {
            Some(found) => contained(value, found),
            None => !crate::object::filled(value),
        }),
        (Value::Array(want), Value::Array(have)) => match list_key(want) {
            Some(key) => want
                .iter()
                .all(|a| have.iter().find(|b| b.get(key) == a.get(key)).is_some_and(|b| contained(a, b))),
            None => want.len() == have.len() && want.iter().zip(have).all(|(a, b)| contained(a, b)),
        },
        (Value::String(a), Value::String(b)) => a == b || quantity_equal(a, b),
        (a, b) => a == b || scalar_equal(a, b),
    }
}

/// How an applied object is changed: by apply when a path we set differs, or one we own is no longer set (EN9).
pub(crate) fn apply_change(desired: &HostObj, live: &HostObj) -> Option<Change> {
    let surplus = applied(&live.0, "")
        .filter_map(|owner| owner.get("fieldsV1"))
        .any(|fields| surplus(fields, &desired.0));
    (surplus || !contained(&desired.0, &live.0)).then_some(Change::Apply)
}

/// Our own applies in `managedFields`, of the object (`""`) or of a subresource. What a POST of ours set besides, as
/// a binding does with conditions, is no apply and never a surplus.
fn applied<'a>(object: &'a Value, subresource: &'a str) -> impl Iterator<Item = &'a Value> {
    use crate::object::{items, text};
    items(object, "/metadata/managedFields").iter().filter(move |owner| {
        text(owner, "manager") == crate::wire::FIELD_MANAGER
            && text(owner, "operation") == "Apply"
            && text(owner, "subresource") == subresource
    })
}

/// Whether a field set names a path that `desired` no longer has.
fn surplus(fields: &Value, desired: &Value) -> bool {
    fields.as_object().into_iter().flatten().any(|(key, inner)| {
        if let Some(member) = key.strip_prefix("f:") {
            return match desired.get(member) {
                Some(value) => surplus(inner, value),
                None => true,
            };
        }
        if let Some(keys) = key.strip_prefix("k:") {
            let Ok(keys) = serde_json::from_str::<Value>(keys) else { return false };
            return match desired.as_array().and_then(|list| list.iter().find(|item| has_keys(item, &keys))) {
                Some(item) => surplus(inner, item),
                None => true,
            };
        }
        if let Some(value) = key.strip_prefix("v:") {
            let value: Option<Value> = serde_json::from_str(value).ok();
            return value.is_some_and(|v| desired.as_array().is_some_and(|list| !list.contains(&v)));
        }
        false
    })
}

/// Whether a list element has these key members; a key that the element leaves to its default agrees.
pub(crate) fn has_keys(item: &Value, keys: &Value) -> bool {
    keys.as_object().into_iter().flatten().all(|(key, value)| item.get(key).is_none_or(|have| have == value))
}

/// The member by which elements of a list are told apart: its order then means nothing, and others may add to it.
pub(crate) fn list_key(list: &[Value]) -> Option<&'static str> {
    ["type", "name", "mountPath", "ip"].into_iter().find(|key| {
        let mut seen = std::collections::HashSet::new();
        !list.is_empty()
            && list.iter().all(|item| item.get(*key).and_then(Value::as_str).is_some_and(|k| seen.insert(k)))
    })
}

/// Whether a status in a tenant differs from what should stand there, or we own a path that should not.
pub(crate) fn status_differs(tenant: &TenantObj, up: &Value) -> bool {
    let empty = Value::Null;
    let live = tenant.0.get("status").unwrap_or(&empty);
    if !contained(up, live) {
        return true;
    }
    let desired = serde_json::json!({ "status": up });
    applied(&tenant.0, "status")
        .filter_map(|owner| owner.pointer("/fieldsV1/f:status"))
        .any(|fields| surplus(fields, &desired["status"]))
}

/// Whether two texts are one quantity (`1000m` and `1`).
fn quantity_equal(a: &str, b: &str) -> bool {
    quantity::parse(a).is_some_and(|a| quantity::parse(b) == Some(a))
}

/// A number against a text quantity.
fn scalar_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(n), Value::String(s)) | (Value::String(s), Value::Number(n)) => {
            quantity_equal(&n.to_string(), s)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn translate_compares_only_what_we_set() {
        assert!(contained(&json!({"a": {"b": 1}}), &json!({"a": {"b": 1, "c": 2}, "d": 1})));
        assert!(!contained(&json!({"a": [1, 2]}), &json!({"a": [1]})));
        let one = json!([{"type": "Ready", "status": "True"}]);
        assert!(contained(
            &one,
            &json!([{"type": "Other"}, {"type": "Ready", "status": "True", "reason": "x"}])
        ));
        assert!(!contained(&one, &json!([{"type": "Ready", "status": "False"}])));
        assert!(contained(&json!({"cpu": "1000m", "mem": "1Gi"}), &json!({"cpu": "1", "mem": "1024Mi"})));
        assert!(contained(&json!({"list": [], "map": {}, "none": null}), &json!({})));
        assert!(!contained(&json!({"a": "x"}), &json!({})));
        let fields = json!({"f:data": {"f:a": {}}, "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}});
        let desired = json!({"data": {"a": "1"}, "spec": {"ports": [{"port": 80}]}});
        assert!(!surplus(&fields, &desired));
        assert!(surplus(&fields, &json!({"data": {}, "spec": {"ports": [{"port": 80}]}})));
        assert!(surplus(&fields, &json!({"data": {"a": "1"}, "spec": {"ports": [{"port": 81}]}})));
    }
}
