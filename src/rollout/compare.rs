//! What differs between an object as it is wanted and as a member has it (A5): in the fields that are applied
//! (`Managed`), and in those that somebody else set (`Full`). Pure.
//!
//! How a list is compared is the server's own word: the managed fields of an object say for each list that we applied
//! whether its items are told apart, and by which keys. A list without that word is compared whole and marked `coarse`.

use serde_json::{Map, Value};

use crate::placement::raw::{items, text};

/// Manager of delivered fields.
pub const MANAGER: &str = "skerry-fleet";

/// One field that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Diff {
    /// JSON pointer into the member's object; of a missing item into the wanted one.
    pub pointer: String,
    /// As wanted; null where nothing is.
    pub hub: Value,
    /// As the member has it; null where nothing is.
    pub member: Value,
    /// A list that could only be compared whole.
    pub coarse: bool,
}

/// Fields of `wanted` that `live` has otherwise.
pub fn managed(live: &Value, wanted: &Value) -> Vec<Diff> {
    let mut out = Vec::new();
    walk(live, wanted, applied_fields(live), "", &mut out);
    out
}

/// Fields of `live` that somebody else set and `wanted` does not name, but for status and what the server and
/// Kubernetes' own controllers keep in the metadata.
pub fn foreign(live: &Value, wanted: &Value) -> Vec<Diff> {
    let mut out: Vec<Diff> = Vec::new();
    for entry in items(live, &["metadata", "managedFields"]) {
        let own = text(entry, &["manager"]) == MANAGER;
        if own || !text(entry, &["subresource"]).is_empty() {
            continue;
        }
        beyond(live, wanted, &entry["fieldsV1"], "", &mut out);
    }
    out.retain(|d| is_a_users(&d.pointer));
    out.sort_by(|a, b| a.pointer.cmp(&b.pointer));
    out.dedup_by(|b, a| a.pointer == b.pointer);
    out
}

/// Whether two versions of an object differ in nothing but what the server keeps by itself.
pub fn same(a: &Value, b: &Value) -> bool {
    let bare = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in ["managedFields", "resourceVersion", "generation"] {
                metadata.remove(field);
            }
        }
        object
    };
    bare(a) == bare(b)
}

fn applied_fields(live: &Value) -> Option<&Value> {
    items(live, &["metadata", "managedFields"])
        .iter()
        .find(|e| text(e, &["manager"]) == MANAGER && text(e, &["operation"]) == "Apply")
        .map(|e| &e["fieldsV1"])
}

fn is_a_users(pointer: &str) -> bool {
    let keyed = |rest: &str| {
        let domain = rest.split_once("~1").map_or("", |(domain, _)| domain);
        !["kubernetes.io", "k8s.io", "skerry.dev"]
            .iter()
            .any(|own| domain == *own || domain.ends_with(&format!(".{own}")))
    };
    match pointer.strip_prefix("/metadata/") {
        Some(rest) => rest.strip_prefix("labels/").or(rest.strip_prefix("annotations/")).is_some_and(keyed),
        None => !pointer.starts_with("/status"),
    }
}

fn below(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// What stands for nothing where the server leaves it out.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn walk(live: &Value, wanted: &Value, fields: Option<&Value>, at: &str, out: &mut Vec<Diff>) {
    let differs = |coarse| Diff { pointer: at.to_owned(), hub: wanted.clone(), member: live.clone(), coarse };
    match (live, wanted) {
        (Value::Object(have), Value::Object(want)) => {
            for (key, value) in want {
                let inner = fields.and_then(|f| f.get(format!("f:{key}")));
                walk(have.get(key).unwrap_or(&Value::Null), value, inner, &below(at, key), out);
            }
        }
        (Value::Array(have), Value::Array(want)) => match told_apart(fields) {
            Told::ByKeys(keys) => {
                for (i, item) in want.iter().enumerate() {
                    let found = have.iter().position(|other| same_keys(&keys, item, other));
                    let inner = found.and_then(|_| entry_of(fields, &keys, item));
                    let path = format!("{at}/{}", found.unwrap_or(i));
                    walk(found.map_or(&Value::Null, |f| &have[f]), item, inner, &path, out);
                }
            }
            Told::ByValue => {
                if want.iter().any(|item| !have.contains(item)) {
                    out.push(differs(false));
                }
            }
            Told::Not => {
                if have.len() != want.len() || !have.iter().zip(want).all(|(h, w)| covers(h, w)) {
                    out.push(differs(true));
                }
            }
        },
        (have, want) if have == want || (is_nothing(have) && is_nothing(want)) => {}
        _ => out.push(differs(false)),
    }
}

fn covers(live: &Value, wanted: &Value) -> bool {
    let mut out = Vec::new();
    walk(live, wanted, None, "", &mut out);
    out.is_empty()
}

/// How the server tells the items of a list apart.
enum Told {
    ByKeys(Vec<String>),
    ByValue,
    Not,
}

fn told_apart(fields: Option<&Value>) -> Told {
    let Some(map) = fields.and_then(Value::as_object) else { return Told::Not };
    for key in map.keys() {
        if key.starts_with("v:") {
            return Told::ByValue;
        }
        if let Some(keys) = keys_of(key) {
            return Told::ByKeys(keys.keys().cloned().collect());
        }
    }
    Told::Not
}

/// The keys and values of an item's entry, as `k:{"name":"web"}`.
fn keys_of(entry: &str) -> Option<Map<String, Value>> {
    serde_json::from_str(entry.strip_prefix("k:")?).ok()
}

fn same_keys(keys: &[String], a: &Value, b: &Value) -> bool {
    keys.iter().all(|key| a.get(key) == b.get(key) || a.get(key).is_none())
}

fn entry_of<'f>(fields: Option<&'f Value>, keys: &[String], item: &Value) -> Option<&'f Value> {
    let map = fields.and_then(Value::as_object)?;
    map.iter()
        .find(|(entry, _)| {
            keys_of(entry).is_some_and(|known| {
                keys.iter().all(|key| item.get(key).is_none() || known.get(key) == item.get(key))
            })
        })
        .map(|(_, inner)| inner)
}

/// Walks what one manager set and notes what `wanted` has nothing of.
fn beyond(live: &Value, wanted: &Value, fields: &Value, at: &str, out: &mut Vec<Diff>) {
    let Some(map) = fields.as_object() else { return };
    for (entry, inner) in map {
        let Some((key, have, want)) = step(live, wanted, entry) else { continue };
        let path = below(at, &key);
        match want {
            Some(want) if !want.is_null() => beyond(have, want, inner, &path, out),
            // Only what is in it was set, not the thing itself: the rest may be the server's.
            _ if inner.as_object().is_some_and(|m| !m.is_empty() && !m.contains_key(".")) => {
                beyond(have, &Value::Null, inner, &path, out);
            }
            _ => out.push(Diff { pointer: path, hub: Value::Null, member: have.clone(), coarse: false }),
        }
    }
}

/// One entry of managed fields as a step down: the pointer's part, the member's value there, the wanted one.
fn step<'v>(
    live: &'v Value,
    wanted: &'v Value,
    entry: &str,
) -> Option<(String, &'v Value, Option<&'v Value>)> {
    if let Some(key) = entry.strip_prefix("f:") {
        return Some((key.to_owned(), live.get(key)?, wanted.get(key)));
    }
    let have = live.as_array()?;
    let want = wanted.as_array();
    let fits: Box<dyn Fn(&Value) -> bool> = match (keys_of(entry), entry.strip_prefix("v:")) {
        (Some(keys), _) => Box::new(move |item| keys.iter().all(|(key, value)| item.get(key) == Some(value))),
        (None, Some(text)) => {
            let value: Value = serde_json::from_str(text).ok()?;
            Box::new(move |item| *item == value)
        }
        (None, None) => return None,
    };
    let at = have.iter().position(&fits)?;
    Some((at.to_string(), &have[at], want.and_then(|w| w.iter().find(|item| fits(item)))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pointers(diffs: &[Diff]) -> Vec<&str> {
        diffs.iter().map(|d| d.pointer.as_str()).collect()
    }

    fn by(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "fieldsV1": fields})
    }

    /// Placement 70: items of a list that has keys are compared by them, whatever their order.
    #[test]
    fn placement_70_items_are_told_apart_as_the_server_does() {
        let fields = json!({"f:spec": {"f:containers": {
            "k:{\"name\":\"web\"}": {".": {}, "f:name": {}, "f:image": {}},
            "k:{\"name\":\"side\"}": {".": {}, "f:name": {}, "f:image": {}}}}});
        let live = json!({"metadata": {"managedFields": [by(MANAGER, "Apply", fields)]}, "spec": {"containers": [
            {"name": "injected", "image": "x"}, {"name": "side", "image": "s"}, {"name": "web", "image": "edited"}]}});
        let wanted =
            json!({"spec": {"containers": [{"name": "web", "image": "w"}, {"name": "side", "image": "s"}]}});
        let found = managed(&live, &wanted);
        assert_eq!(pointers(&found), ["/spec/containers/2/image"]);
        assert!(!found[0].coarse);
    }

    /// Placement 70: without a schema lists compare whole, and say so.
    #[test]
    fn placement_70_without_a_schema_lists_compare_whole() {
        let fields = json!({"f:spec": {"f:rows": {}}});
        let live = json!({"metadata": {"managedFields": [by(MANAGER, "Apply", fields)]},
                          "spec": {"rows": [{"a": 1, "set": "by the server"}, {"a": 3}]}});
        let wanted = |last: i64| json!({"spec": {"rows": [{"a": 1}, {"a": last}]}});
        let found = managed(&live, &wanted(2));
        assert_eq!(pointers(&found), ["/spec/rows"]);
        assert!(found[0].coarse && found[0].hub == json!([{"a": 1}, {"a": 2}]));
        assert_eq!(managed(&live, &wanted(3)), []);
    }

    /// Placement 70, `Full`: what others set counts; defaults, status and the server's own metadata do not.
    #[test]
    fn placement_70_full_sees_what_others_set() {
        let others = json!({
            "f:metadata": {"f:labels": {"f:team": {}, "f:pod.kubernetes.io/x": {}}, "f:finalizers": {"v:\"a/b\"": {}}},
            "f:data": {"f:k": {}, "f:extra": {}},
            "f:list": {"k:{\"name\":\"new\"}": {".": {}, "f:name": {}}, "k:{\"name\":\"old\"}": {"f:more": {}}},
        });
        let ours =
            json!({"f:data": {"f:k": {}}, "f:list": {"k:{\"name\":\"old\"}": {".": {}, "f:name": {}}}});
        let mut status = by("controller", "Update", json!({"f:metadata": {"f:annotations": {"f:seen": {}}}}));
        status["subresource"] = "status".into();
        let live = json!({
            "metadata": {"labels": {"team": "a", "pod.kubernetes.io/x": "1"}, "finalizers": ["a/b"],
                         "annotations": {"seen": "1"},
                         "managedFields": [by("kubectl-edit", "Update", others), by(MANAGER, "Apply", ours), status]},
            "data": {"k": "v", "extra": "e", "defaulted": "d"},
            "list": [{"name": "old", "more": 1}, {"name": "new"}],
        });
        let wanted = json!({"data": {"k": "v"}, "list": [{"name": "old"}]});
        let found = foreign(&live, &wanted);
        assert_eq!(pointers(&found), ["/data/extra", "/list/0/more", "/list/1", "/metadata/labels/team"]);
        assert_eq!(managed(&live, &wanted), []);
    }
}
