//! Server-side apply and status writes that happen only where something differs.

use std::fmt::Debug;

use kube::api::{Api, Patch, PatchParams};
use kube::{Client, Error, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Applies `object` as `manager`, taking over the fields it names: only for objects that are our own by proof.
pub async fn apply<K>(api: &Api<K>, manager: &str, object: &K) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize,
{
    let name = object.meta().name.clone().unwrap_or_default();
    let mut body = serde_json::to_value(object).map_err(Error::SerdeError)?;
    body["apiVersion"] = K::api_version(&()).into();
    body["kind"] = K::kind(&()).into();
    api.patch(&name, &PatchParams::apply(manager).force(), &Patch::Apply(&body)).await
}

/// Applies `status` (an object of status fields) as `manager`, taking over the fields it names and giving up those it
/// no longer names.
pub async fn apply_status<K>(api: &Api<K>, manager: &str, name: &str, status: Value) -> Result<K, Error>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": name},
        "status": status,
    });
    api.patch_status(name, &PatchParams::apply(manager).force(), &Patch::Apply(&body)).await
}

/// Whether applying `wanted` would leave `current` as it is: every field that `wanted` names is there with that value.
/// Lists are compared whole, but for those whose items are told apart by `type` or `name`, which are compared by it.
pub fn covers(current: &Value, wanted: &Value) -> bool {
    match (current, wanted) {
        (Value::Object(have), Value::Object(want)) => want
            .iter()
            .all(|(key, value)| have.get(key).map_or(is_nothing(value), |inner| covers(inner, value))),
        (Value::Array(have), Value::Array(want)) => match item_key(want) {
            Some(key) => want
                .iter()
                .all(|item| have.iter().any(|other| other.get(key) == item.get(key) && covers(other, item))),
            None => have == want,
        },
        _ => current == wanted,
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// The key that tells items of a list of conditions apart.
fn item_key(items: &[Value]) -> Option<&'static str> {
    let all_have =
        |key: &str| !items.is_empty() && items.iter().all(|i| i.get(key).is_some_and(Value::is_string));
    (all_have("type") && all_have("status")).then_some("type")
}

/// An `Api` in a namespace, or over the cluster where there is none.
pub fn scoped<K>(client: &Client, namespace: Option<&str>) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>,
{
    namespace.map_or_else(|| Api::all(client.clone()), |ns| Api::namespaced(client.clone(), ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_written_again() {
        let have = json!({"a": 1, "b": {"c": [1, 2]}, "conditions": [
            {"type": "Ready", "status": "True", "reason": "Ready"}, {"type": "Synced", "status": "False"}]});
        assert!(covers(&have, &json!({"b": {"c": [1, 2]}})));
        assert!(covers(&have, &json!({"conditions": [{"type": "Synced", "status": "False"}]})));
        assert!(covers(&have, &json!({"d": {}})));
        assert!(!covers(&have, &json!({"b": {"c": [1]}})));
        assert!(!covers(&have, &json!({"d": 1})));
        assert!(!covers(&have, &json!({"conditions": [{"type": "Synced", "status": "True"}]})));
    }
}
