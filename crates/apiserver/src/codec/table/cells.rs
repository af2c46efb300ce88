//! Cells by the name of their hook, and cells of custom kinds by their type.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::format::{NONE, access_modes, condition, number, or_none, selector, shown, texts};
use super::{JsonPath, age, network, pod, workload};
use crate::model::object::Object;

/// Hooks that show nothing for an object without the field they read.
#[cfg(test)]
pub(super) const KNOWN_EMPTY: &[&str] = &[
    "claimAccessModes",
    "claimCapacity",
    "volumePhase",
    "volumeClaim",
    "storageClass",
    "storageClassName",
    "accessModes",
    "subjectUsers",
    "subjectGroups",
    "subjectAccounts",
    "containers",
    "images",
    "cronContainers",
    "cronImages",
    "jobDuration",
    "ingressAddress",
    "eventObject",
    "eventMessage",
    "eventSource",
    "podStatus",
    "joined:.spec.cidrs",
    "joined:.spec.volumeLifecycleModes",
];

/// What a built-in column without a value shows.
pub(super) fn zero(ty: &str) -> Value {
    match ty {
        "integer" | "number" => 0.into(),
        "boolean" => false.into(),
        _ => "".into(),
    }
}

/// A cell of a custom kind: nothing where the value is not of the column's type.
pub(super) fn custom(ty: &str, value: Option<Value>, now: Timestamp) -> Value {
    let Some(value) = value.filter(|v| !v.is_null()) else { return Value::Null };
    match ty {
        "integer" => {
            value.as_i64().or_else(|| value.as_f64().map(|f| f as i64)).map_or(Value::Null, Value::from)
        }
        "number" if value.is_number() => value,
        "boolean" if value.is_boolean() => value,
        "string" => shown(&value).into(),
        "date" => match value.as_str() {
            Some(text) if text.parse::<Timestamp>().is_ok() => age::since(Some(&value), now).into(),
            Some(_) => "<invalid>".into(),
            None => Value::Null,
        },
        _ => Value::Null,
    }
}

/// The cell of a named hook. `word:.path` shows the value at a path, or the word's own text.
pub(super) fn hook(name: &str, object: &Value, now: Timestamp) -> Value {
    if let Some((word, path)) = name.split_once(':') {
        let found = JsonPath::parse(path).and_then(|p| p.first(object)).filter(|v| !v.is_null());
        return at_path(word, found, now);
    }
    if let Some(cell) = pod::cell(name, object, now)
        .or_else(|| workload::cell(name, object, now))
        .or_else(|| network::cell(name, object))
        .or_else(|| event(name, object, now))
    {
        return cell;
    }
    Value::String(match name {
        "age" => age::since(object.at(&["metadata", "creationTimestamp"]), now),
        "selector" => selector(object.at(&["spec", "selector"])),
        "accessModes" => access_modes(&texts(object, &["spec", "accessModes"])),
        "claimAccessModes" if bound(object) => access_modes(&texts(object, &["status", "accessModes"])),
        "claimCapacity" if bound(object) => object.text(&["status", "capacity", "storage"]).into(),
        "volumePhase" if object.is_deleting() => "Terminating".into(),
        "volumePhase" => object.text(&["status", "phase"]).into(),
        "volumeClaim" => match object.at(&["spec", "claimRef"]) {
            Some(claim) => format!("{}/{}", claim.text(&["namespace"]), claim.text(&["name"])),
            None => String::new(),
        },
        "storageClass" => storage_class(object).into(),
        "storageClassName" => with_default(object, "storageclass.kubernetes.io/is-default-class"),
        "configMapData" => {
            return members(object, "data").saturating_add(members(object, "binaryData")).into();
        }
        "roleRef" => {
            let role = object.at(&["roleRef"]).cloned().unwrap_or_default();
            format!("{}/{}", role.text(&["kind"]), role.text(&["name"]))
        }
        "subjectUsers" => subjects(object, |kind| kind == "User"),
        "subjectGroups" => subjects(object, |kind| kind == "Group"),
        "subjectAccounts" => subjects(object, |kind| kind != "User" && kind != "Group"),
        "csrCondition" => csr_condition(object),
        "requestedDuration" => match object.at(&["spec", "expirationSeconds"]).and_then(Value::as_i64) {
            Some(seconds) => age::human_duration(seconds),
            None => NONE.into(),
        },
        "apiServiceTarget" => match object.at(&["spec", "service"]).filter(|s| s.is_object()) {
            Some(service) => format!("{}/{}", service.text(&["namespace"]), service.text(&["name"])),
            None => "Local".into(),
        },
        "apiServiceAvailable" => condition(object, "Available").unwrap_or("Unknown").into(),
        "missingPriorityLevel" => condition(object, "Dangling").unwrap_or("?").into(),
        "claimState" => claim_state(object),
        _ => String::new(),
    })
}

fn at_path(word: &str, found: Option<&Value>, now: Timestamp) -> Value {
    let or = |text: &str| found.map_or_else(|| text.to_owned(), shown).into();
    match word {
        "zero" => found.cloned().unwrap_or_else(|| 0.into()),
        "none" => or(NONE),
        "unset" => or("<unset>"),
        "na" => or("N/A"),
        "unknown" => or("<unknown>"),
        "printed" => found.cloned().unwrap_or_else(|| false.into()),
        "printedText" => match found.and_then(Value::as_bool) {
            Some(true) => "True".into(),
            Some(false) => "False".into(),
            None => "<unset>".into(),
        },
        "count" => match found {
            Some(Value::Array(items)) => items.len().into(),
            Some(Value::Object(members)) => members.len().into(),
            _ => 0.into(),
        },
        "since" => found.map_or_else(|| NONE.to_owned(), |v| age::since(Some(v), now)).into(),
        "joined" => {
            let items = found.and_then(Value::as_array).into_iter().flatten();
            items.map(shown).collect::<Vec<_>>().join(",").into()
        }
        _ => Value::Null,
    }
}

fn bound(object: &Value) -> bool {
    !object.text(&["spec", "volumeName"]).is_empty()
}

fn members(object: &Value, name: &str) -> usize {
    object.at(&[name]).and_then(Value::as_object).map_or(0, |m| m.len())
}

fn storage_class(object: &Value) -> &str {
    let annotated = object.text(&["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"]);
    if annotated.is_empty() { object.text(&["spec", "storageClassName"]) } else { annotated }
}

fn with_default(object: &Value, annotation: &str) -> String {
    let default = object.text(&["metadata", "annotations", annotation]) == "true";
    format!("{}{}", object.meta("name"), if default { " (default)" } else { "" })
}

fn subjects(object: &Value, wanted: impl Fn(&str) -> bool) -> String {
    let all = object.items(&["subjects"]).iter().filter(|s| wanted(s.text(&["kind"])));
    let names = all.map(|s| match s.text(&["namespace"]) {
        "" => s.text(&["name"]).to_owned(),
        namespace => format!("{namespace}/{}", s.text(&["name"])),
    });
    names.collect::<Vec<_>>().join(", ")
}

fn csr_condition(object: &Value) -> String {
    let has = |ty: &str| object.items(&["status", "conditions"]).iter().any(|c| c.text(&["type"]) == ty);
    let mut out = String::from(match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (_, true) => "Approved",
        _ => "Pending",
    });
    if has("Failed") {
        out.push_str(",Failed");
    }
    if !object.text(&["status", "certificate"]).is_empty() {
        out.push_str(",Issued");
    }
    out
}

fn claim_state(object: &Value) -> String {
    let mut states = Vec::new();
    if object.is_deleting() {
        states.push("deleted");
    }
    if object.at(&["status", "allocation"]).is_none() {
        if states.is_empty() {
            states.push("pending");
        }
    } else {
        states.push("allocated");
        states.push(if object.items(&["status", "reservedFor"]).is_empty() { "" } else { "reserved" });
    }
    states.retain(|s| !s.is_empty());
    states.join(",")
}

/// Cells of events, whose fields have two names in two groups.
fn event(name: &str, object: &Value, now: Timestamp) -> Option<Value> {
    let either = |a: &[&str], b: &[&str]| object.at(a).or_else(|| object.at(b)).filter(|v| !v.is_null());
    let text = |a: &[&str], b: &[&str]| either(a, b).map(shown).unwrap_or_default();
    let first = || {
        let known = either(&["firstTimestamp"], &["deprecatedFirstTimestamp"]);
        age::since(known.or_else(|| object.at(&["eventTime"])), now)
    };
    let series = object.at(&["series"]).filter(|s| s.is_object());
    Some(match name {
        "eventLastSeen" => match (series, either(&["lastTimestamp"], &["deprecatedLastTimestamp"])) {
            (Some(series), _) => age::since(series.at(&["lastObservedTime"]), now).into(),
            (None, Some(last)) => age::since(Some(last), now).into(),
            (None, None) => first().into(),
        },
        "eventFirstSeen" => first().into(),
        "eventCount" => match series {
            Some(series) => number(series, &["count"]),
            None => either(&["count"], &["deprecatedCount"]).and_then(Value::as_i64).unwrap_or(1).max(1),
        }
        .into(),
        "eventObject" => {
            let target = either(&["involvedObject"], &["regarding"]).cloned().unwrap_or_else(|| json!({}));
            let kind = target.text(&["kind"]).to_lowercase();
            match target.text(&["name"]) {
                "" => kind.into(),
                name => format!("{kind}/{name}").into(),
            }
        }
        "eventMessage" => text(&["message"], &["note"]).trim().into(),
        "eventSource" => {
            let source = either(&["source"], &["deprecatedSource"]).cloned().unwrap_or_else(|| json!({}));
            let or = |a: &str, b: String| if a.is_empty() { b } else { a.to_owned() };
            let component =
                or(source.text(&["component"]), text(&["reportingComponent"], &["reportingController"]));
            match or(source.text(&["host"]), text(&["reportingInstance"], &["reportingInstance"])) {
                host if host.is_empty() => component.into(),
                host => format!("{component}, {host}").into(),
            }
        }
        "podSelector" => or_none(selector(object.at(&["spec", "podSelector"]))).into(),
        _ => return None,
    })
}
