//! Fields of a host object that should be set or are ours, compared one by one, each with its owners.

use serde::Serialize;
use serde_json::Value;

use crate::{
    kind::Kind,
    kinds::{contained, has_keys, list_key},
    object::{items, text},
    wire::FIELD_MANAGER,
};

/// One field.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Field {
    /// Where it is, as `spec.containers[name=web].image`.
    pub path: String,
    /// What should stand there; `None`: nothing.
    pub desired: Option<Value>,
    /// What does.
    pub live: Option<Value>,
    /// Whether the two differ in what is compared (EN9). Of a pod, not all that differs can be changed (EN14).
    pub differs: bool,
    /// Field managers on the host.
    pub owners: Vec<String>,
}

/// A manager's field set at one place; `whole`: it owns everything below.
#[derive(Clone)]
struct Owner<'a> {
    manager: &'a str,
    fields: &'a Value,
    whole: bool,
}

/// Compares a desired object with the live one, whose `managedFields` say who owns what.
pub fn compare(kind: Kind, desired: &Value, live: &Value) -> Vec<Field> {
    let entries = || items(live, "/metadata/managedFields").iter();
    let owners = entries().filter_map(|entry| {
        Some(Owner { manager: text(entry, "manager"), fields: entry.get("fieldsV1")?, whole: false })
    });
    let mut out = Vec::new();
    walk(String::new(), desired, Some(live), owners.collect(), &mut out);
    let ours =
        |entry: &&Value| text(entry, "manager") == FIELD_MANAGER && text(entry, "subresource").is_empty();
    for entry in entries().filter(ours) {
        let Some(fields) = entry.get("fieldsV1") else { continue };
        if kind != Kind::Pod {
            surplus("", fields, desired, Some(live), &mut out);
            continue;
        }
        // A pod is made by POST, whose entry has all that the host filled in besides: labels and annotations count (EN14).
        for member in ["labels", "annotations"] {
            let Some(fields) = fields.pointer(&format!("/f:metadata/f:{member}")) else { continue };
            let place = format!("/metadata/{member}");
            let want = desired.pointer(&place).unwrap_or(&Value::Null);
            surplus(&format!("metadata.{member}"), fields, want, live.pointer(&place), &mut out);
        }
    }
    out
}

fn walk(path: String, want: &Value, have: Option<&Value>, owners: Vec<Owner<'_>>, out: &mut Vec<Field>) {
    match want {
        Value::Object(map) if !map.is_empty() => {
            for (member, value) in map {
                let below = owners.iter().filter_map(|owner| owner.at(&format!("f:{member}"))).collect();
                walk(join(&path, member), value, have.and_then(|h| h.get(member)), below, out);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => elements(&path, list, have, &owners, out),
        leaf => out.push(Field {
            path,
            desired: Some(leaf.clone()),
            live: have.cloned(),
            differs: !contained(leaf, have.unwrap_or(&Value::Null))
                && (crate::object::filled(leaf) || have.is_some()),
            owners: owners.into_iter().map(|owner| owner.manager.to_owned()).collect(),
        }),
    }
}

fn elements(path: &str, list: &[Value], have: Option<&Value>, owners: &[Owner<'_>], out: &mut Vec<Field>) {
    let found = have.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let key = list_key(list);
    for (i, element) in list.iter().enumerate() {
        let (place, live) = match key {
            Some(key) => {
                let place = format!("{path}[{key}={}]", text(element, key));
                (place, found.iter().find(|f| f.get(key) == element.get(key)))
            }
            None => (format!("{path}[{i}]"), found.get(i)),
        };
        let below = owners.iter().filter_map(|owner| owner.of_element(live.unwrap_or(element))).collect();
        walk(place, element, live, below, out);
    }
    if key.is_none() {
        for (i, live) in found.iter().enumerate().skip(list.len()) {
            let names = owners.iter().map(|owner| owner.manager.to_owned()).collect();
            let path = format!("{path}[{i}]");
            out.push(Field { path, desired: None, live: Some(live.clone()), differs: true, owners: names });
        }
    }
}

impl<'a> Owner<'a> {
    fn below(&self, fields: &'a Value) -> Self {
        let whole = fields.as_object().is_some_and(serde_json::Map::is_empty);
        Self { manager: self.manager, fields, whole }
    }

    fn at(&self, key: &str) -> Option<Self> {
        if self.whole { Some(self.clone()) } else { Some(self.below(self.fields.get(key)?)) }
    }

    /// At an element of a list, by its keys.
    fn of_element(&self, element: &Value) -> Option<Self> {
        if self.whole {
            return Some(self.clone());
        }
        let keyed = |(key, fields): (&String, &'a Value)| {
            let keys: Value = serde_json::from_str(key.strip_prefix("k:")?).ok()?;
            has_keys(element, &keys).then(|| self.below(fields))
        };
        self.fields.as_object()?.iter().find_map(keyed)
    }
}

/// What we own and no longer want.
fn surplus(path: &str, fields: &Value, want: &Value, have: Option<&Value>, out: &mut Vec<Field>) {
    for (key, inner) in fields.as_object().into_iter().flatten() {
        let (place, wanted, live) = if let Some(member) = key.strip_prefix("f:") {
            (join(path, member), want.get(member), have.and_then(|h| h.get(member)))
        } else if let Some(keys) = key.strip_prefix("k:") {
            let Ok(parsed) = serde_json::from_str::<Value>(keys) else { continue };
            let of = |list: Option<&'_ Value>| {
                let list = list.and_then(Value::as_array)?;
                list.iter().position(|element| has_keys(element, &parsed))
            };
            let wanted = of(Some(want)).and_then(|i| want.get(i));
            (format!("{path}{keys}"), wanted, of(have).and_then(|i| have?.get(i)))
        } else {
            continue;
        };
        match wanted {
            Some(wanted) => surplus(&place, inner, wanted, live, out),
            None => out.push(Field {
                path: place,
                desired: None,
                live: live.cloned(),
                differs: true,
                owners: vec![FIELD_MANAGER.to_owned()],
            }),
        }
    }
}

/// A member's place; names with dots in them stand in brackets.
fn join(path: &str, member: &str) -> String {
    match (path, member.contains(['.', '/'])) {
        (_, true) => format!("{path}['{member}']"),
        ("", false) => member.to_owned(),
        (_, false) => format!("{path}.{member}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// OB2: what differs, what agrees, what is ours and no longer wanted, each with its owners; what others set is not
    /// listed.
    #[test]
    fn plan_ob2_fields_have_owners() {
        let live = json!({"metadata": {"labels": {"a": "1", "old": "x", "theirs": "y"}, "managedFields": [
                {"manager": "skerry-syncer", "operation": "Apply", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:a": {}, "f:old": {}}},
                    "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}}},
                {"manager": "kubectl", "operation": "Update", "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:theirs": {}}}, "f:spec": {"f:selector": {}}}}]},
            "spec": {"selector": {"app": "stolen"}, "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}});
        let desired = json!({"metadata": {"labels": {"a": "1"}},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
        let found = compare(Kind::Service, &desired, &live);
        let of = |path: &str| {
            found.iter().find(|f| f.path == path).unwrap_or_else(|| panic!("{path}: {found:#?}"))
        };
        let told = |path: &str| (of(path).differs, of(path).owners.join(","));
        assert_eq!(told("metadata.labels.a"), (false, "skerry-syncer".to_owned()));
        assert_eq!(told("spec.selector.app"), (true, "kubectl".to_owned()));
        assert_eq!(told("spec.ports[0].port"), (false, "skerry-syncer".to_owned()));
        assert_eq!(told("metadata.labels.old"), (true, "skerry-syncer".to_owned()));
        assert_eq!(
            (&of("metadata.labels.old").desired, &of("metadata.labels.old").live),
            (&None, &Some(json!("x")))
        );
        assert_eq!(found.len(), 4, "{found:#?}");
        let pod = compare(Kind::Pod, &json!({"spec": {}}), &live);
        let places: Vec<&str> = pod.iter().map(|f| f.path.as_str()).collect();
        assert_eq!(
            places,
            ["spec", "metadata.labels.a", "metadata.labels.old"],
            "a pod's other fields are filled in"
        );
        let gone = compare(Kind::Service, &desired, &Value::Null);
        assert!(gone.iter().all(|f| f.differs && f.owners.is_empty()), "{gone:#?}");
    }
}
