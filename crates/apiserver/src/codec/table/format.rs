//! Small texts that several columns share.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::object::Object;

pub(super) const NONE: &str = "<none>";

pub(super) fn or_none(text: String) -> String {
    if text.is_empty() { NONE.into() } else { text }
}

/// A scalar as text: strings bare, others as JSON.
pub(super) fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn number(object: &Value, path: &[&str]) -> i64 {
    object.at(path).and_then(Value::as_i64).unwrap_or_default()
}

/// Texts of a list.
pub(super) fn texts<'a>(object: &'a Value, path: &[&str]) -> Vec<&'a str> {
    object.items(path).iter().filter_map(Value::as_str).collect()
}

/// Status of a condition, `None` when it is not there.
pub(super) fn condition<'a>(object: &'a Value, ty: &str) -> Option<&'a str> {
    let found = object.items(&["status", "conditions"]).iter().find(|c| c.text(&["type"]) == ty);
    found.map(|c| c.text(&["status"]))
}

/// The first `max` entries and how many more there are.
pub(super) fn with_more(list: &[String], max: usize) -> String {
    if list.is_empty() {
        return if max == 0 { String::new() } else { "<unset>".into() };
    }
    let shown = list[..list.len().min(max)].join(",");
    if list.len() > max { format!("{shown} + {} more...", list.len() - max) } else { shown }
}

/// A label selector, or a plain map of labels.
pub(super) fn selector(value: Option<&Value>) -> String {
    let Some(Value::Object(members)) = value else { return NONE.into() };
    let plain = !members.is_empty() && members.values().all(Value::is_string);
    if plain {
        let pairs: Vec<String> = members.iter().map(|(k, v)| format!("{k}={}", shown(v))).collect();
        return pairs.join(",");
    }
    let mut out: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (key, label) in members.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
        out.entry(key).or_default().push(format!("{key}={}", shown(label)));
    }
    for requirement in members.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let key = requirement.text(&["key"]);
        let mut values = texts(requirement, &["values"]);
        values.sort_unstable();
        let values = values.join(",");
        let text = match requirement.text(&["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        out.entry(key).or_default().push(text);
    }
    or_none(out.into_values().flatten().collect::<Vec<_>>().join(","))
}

/// `RWO,ROX` of access modes.
pub(super) fn access_modes(modes: &[&str]) -> String {
    let known = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let short = known.iter().filter(|(mode, _)| modes.contains(mode)).map(|(_, short)| *short);
    short.collect::<Vec<_>>().join(",")
}
