//! `metadata.managedFields`: reading, writing, order, time and the limit on updaters.

use serde_json::{Map, Value};

use super::fields::FieldSet;

/// More updaters than this are folded into one (U7).
const MAX_UPDATERS: usize = 10;

/// Name of the manager that old updaters are folded into.
const ANCIENT: &str = "ancient-changes";

/// How a manager came to its fields. The order is that of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

impl Operation {
    fn text(self) -> &'static str {
        match self {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        }
    }
}

/// Who an entry belongs to. An applier keeps its entry when it changes the version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Manager {
    pub(super) name: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    pub(super) subresource: String,
}

impl Manager {
    pub(super) fn is(&self, other: &Manager) -> bool {
        self.operation == other.operation
            && self.name == other.name
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// The text by which upstream orders managers that were written in the same second.
    pub(super) fn identifier(&self) -> String {
        let mut members = Vec::new();
        let mut add = |name: &str, value: &str| {
            if !value.is_empty() {
                members.push(format!("\"{name}\":{}", Value::from(value)));
            }
        };
        add("manager", &self.name);
        add("operation", self.operation.text());
        if self.operation == Operation::Update {
            add("apiVersion", &self.api_version);
        }
        add("subresource", &self.subresource);
        format!("{{{}}}", members.join(","))
    }

    /// The manager as it stands in messages.
    pub(super) fn print(&self) -> String {
        let mut out = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            out.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation == Operation::Update {
            out.push_str(&format!(" using {}", self.api_version));
        }
        out
    }
}

/// One entry of `managedFields`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) manager: Manager,
    pub(super) time: Option<String>,
    pub(super) fields: FieldSet,
}

/// Reads entries that this server wrote itself. What is none is dropped.
pub(super) fn trusted(list: Value) -> Vec<Entry> {
    let Value::Array(items) = list else { return Vec::new() };
    items.into_iter().filter_map(|item| read(item, fields_as_they_are)).collect()
}

/// Reads entries that a client wrote; `None` when any of them is malformed.
pub(super) fn foreign(list: Value) -> Option<Vec<Entry>> {
    let Value::Array(items) = list else { return None };
    let mut out: Vec<Entry> = Vec::with_capacity(items.len());
    for item in items {
        let mut entry = read(item, |fields| FieldSet::parse(&fields))?;
        entry.time = entry.time.map(seconds_utc);
        match out.iter_mut().find(|known| known.manager.is(&entry.manager)) {
            Some(known) => *known = entry,
            None => out.push(entry),
        }
    }
    Some(out)
}

fn fields_as_they_are(fields: Value) -> Option<FieldSet> {
    match fields {
        Value::Object(node) => Some(FieldSet(node)),
        _ => Some(FieldSet::default()),
    }
}

fn read(item: Value, fields: impl Fn(Value) -> Option<FieldSet>) -> Option<Entry> {
    let Value::Object(mut item) = item else { return None };
    let mut text = |name: &str| match item.remove(name) {
        Some(Value::String(s)) => s,
        _ => String::new(),
    };
    let operation = match text("operation").as_str() {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        _ => return None,
    };
    let api_version = text("apiVersion");
    if api_version.is_empty() || text("fieldsType") != "FieldsV1" {
        return None;
    }
    let manager = Manager { name: text("manager"), operation, api_version, subresource: text("subresource") };
    let time = Some(text("time")).filter(|t| !t.is_empty());
    let fields = fields(item.remove("fieldsV1").unwrap_or_default())?;
    Some(Entry { manager, time, fields })
}

/// Brings a time into the form in which this server writes it.
fn seconds_utc(time: String) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(at) => at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) => time,
    }
}

/// A client asks for an empty list: by `[]` or by one empty entry.
pub(super) fn is_reset(list: &Value) -> bool {
    match list {
        Value::Array(items) => match items.as_slice() {
            [] => true,
            [Value::Object(only)] => only.is_empty(),
            _ => false,
        },
        _ => false,
    }
}

/// Folds the oldest updaters, a version at a time, until no more than the limit are left.
pub(super) fn fold_updaters(entries: &mut Vec<Entry>) {
    let mut updaters: Vec<(Option<String>, String, Manager)> = entries
        .iter()
        .filter(|e| e.manager.operation == Operation::Update)
        .map(|e| (e.time.clone(), e.manager.identifier(), e.manager.clone()))
        .collect();
    let mut left = updaters.len();
    if left <= MAX_UPDATERS {
        return;
    }
    updaters.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    let mut first_of: Vec<Manager> = Vec::new();
    for (time, _, manager) in updaters {
        if left <= MAX_UPDATERS {
            break;
        }
        let Some(first) = first_of.iter().find(|first| first.api_version == manager.api_version).cloned()
        else {
            first_of.push(manager);
            continue;
        };
        let bucket = Manager { name: ANCIENT.to_owned(), subresource: String::new(), ..first.clone() };
        // The first of a version becomes the bucket when a second one follows.
        let at = match position(entries, &bucket) {
            Some(at) => at,
            None => {
                let Some(at) = position(entries, &first) else { continue };
                entries[at].manager = bucket;
                at
            }
        };
        let Some(from) = position(entries, &manager).filter(|from| *from != at) else { continue };
        let fields = std::mem::take(&mut entries[from].fields);
        entries[at].fields.unite(fields);
        entries[at].time = time;
        entries.remove(from);
        left -= 1;
    }
}

/// The entry of a manager.
pub(super) fn position(entries: &[Entry], manager: &Manager) -> Option<usize> {
    entries.iter().position(|e| e.manager.is(manager))
}

/// Writes the entries into the object, sorted; an empty entry is dropped, an empty list is no member.
pub(super) fn write(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|e| !e.fields.is_empty());
    let Some(members) = object.as_object_mut() else { return };
    if entries.is_empty() {
        if let Some(Value::Object(metadata)) = members.get_mut("metadata") {
            metadata.remove("managedFields");
        }
        return;
    }
    entries.sort_by(|a, b| {
        let (x, y) = (&a.manager, &b.manager);
        (x.operation, &a.time, &x.name, &x.api_version, &x.subresource).cmp(&(
            y.operation,
            &b.time,
            &y.name,
            &y.api_version,
            &y.subresource,
        ))
    });
    let list = entries.into_iter().map(entry_json).collect();
    let metadata = members.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(metadata) = metadata {
        metadata.insert("managedFields".to_owned(), Value::Array(list));
    }
}

fn entry_json(entry: Entry) -> Value {
    let Entry { manager, time, fields } = entry;
    let mut out = Map::new();
    if !manager.name.is_empty() {
        out.insert("manager".to_owned(), Value::String(manager.name));
    }
    out.insert("operation".to_owned(), Value::from(manager.operation.text()));
    out.insert("apiVersion".to_owned(), Value::String(manager.api_version));
    if let Some(time) = time {
        out.insert("time".to_owned(), Value::String(time));
    }
    out.insert("fieldsType".to_owned(), Value::from("FieldsV1"));
    out.insert("fieldsV1".to_owned(), fields.into_json());
    if !manager.subresource.is_empty() {
        out.insert("subresource".to_owned(), Value::String(manager.subresource));
    }
    Value::Object(out)
}

/// Takes the list out of an object.
pub(super) fn take(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove("managedFields")
}

/// The list of an object.
pub(super) fn peek(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}
