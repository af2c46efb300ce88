//! JSON Patch (RFC 6902) with upstream's deviations: indices below zero count from the end, `replace` of a
//! missing member adds it, `test` of a missing member equals `null`.

use serde_json::{Map, Value};

use super::{Category, PatchError, go_kind};

/// More operations than this are refused (Q7).
pub const MAX_OPERATIONS: usize = 10_000;

/// More bytes than this may not be made by `copy` operations of one patch (Q7).
pub const COPY_LIMIT: usize = 3 * 1024 * 1024;

/// Nesting of what a patch makes (Q6 for bodies).
const MAX_DEPTH: usize = 512;

/// How often one patch may come near that limit.
const MAX_RECOUNTS: usize = 64;

/// Applies a JSON Patch to a copy of `target`.
pub fn json_patch(target: &Value, patch: &Value) -> Result<Value, PatchError> {
    let operations = match patch {
        Value::Array(items) => items.as_slice(),
        Value::Null => &[],
        other => return Err(undecodable(other, "[]handlers.jsonPatchOp")),
    };
    let operations = operations.iter().map(Operation::read).collect::<Result<Vec<_>, _>>()?;
    if operations.len() > MAX_OPERATIONS {
        let n = operations.len();
        return Err(PatchError::new(
            Category::TooLarge,
            format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {n}"),
        ));
    }
    let mut doc = target.clone();
    let mut copied = 0;
    let mut nesting = Nesting { bound: depth(&doc), recounts: 0 };
    for operation in &operations {
        operation.run(&mut doc, &mut copied).map_err(PatchError::unfit)?;
        nesting.check(operation, &doc).map_err(PatchError::unfit)?;
    }
    Ok(doc)
}

/// Keeps operations from building what no body could hold: trees so deep that walking them overflows a stack.
/// An upper bound is carried along; only when it passes the limit is the document measured, a few times at most.
struct Nesting {
    bound: usize,
    recounts: usize,
}

impl Nesting {
    fn check(&mut self, operation: &Operation<'_>, doc: &Value) -> Result<(), String> {
        let levels = |path: Option<&str>| path.unwrap_or_default().matches('/').count();
        let added = match operation.kind {
            "add" | "replace" => depth(operation.value),
            "move" | "copy" => self.bound.saturating_sub(levels(operation.from)),
            _ => return Ok(()),
        };
        self.bound = self.bound.max(levels(operation.path) + added);
        if self.bound <= MAX_DEPTH {
            return Ok(());
        }
        self.recounts += 1;
        self.bound = depth(doc);
        if self.bound <= MAX_DEPTH && self.recounts <= MAX_RECOUNTS {
            return Ok(());
        }
        Err(format!("nested deeper than {MAX_DEPTH}"))
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn undecodable(value: &Value, into: &str) -> PatchError {
    let kind = go_kind(value);
    PatchError::bad(format!(
        "error decoding patch: json: cannot unmarshal {kind} into Go value of type {into}"
    ))
}

/// One operation, its members still optional: a missing one is an error only when it is used.
struct Operation<'a> {
    kind: &'a str,
    path: Option<&'a str>,
    from: Option<&'a str>,
    value: &'a Value,
}

impl<'a> Operation<'a> {
    fn read(value: &'a Value) -> Result<Operation<'a>, PatchError> {
        static NULL: Value = Value::Null;
        let members = match value {
            Value::Object(members) => members,
            other => return Err(undecodable(other, "handlers.jsonPatchOp")),
        };
        let text = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(s)) => Ok(Some(s.as_str())),
            Some(other) => Err(PatchError::bad(format!(
                "error decoding patch: json: cannot unmarshal {} into Go struct field jsonPatchOp.{name} of type string",
                go_kind(other)
            ))),
        };
        Ok(Operation {
            kind: text("op")?.unwrap_or("unknown"),
            path: text("path")?,
            from: text("from")?,
            value: members.get("value").unwrap_or(&NULL),
        })
    }

    fn run(&self, doc: &mut Value, copied: &mut usize) -> Result<(), String> {
        match self.kind {
            "add" => self.add(doc),
            "remove" => self.remove(doc),
            "replace" => self.replace(doc),
            "move" => self.relocate(doc),
            "test" => self.test(doc),
            "copy" => self.copy(doc, copied),
            other => Err(format!("Unexpected kind: {other}")),
        }
    }

    fn add(&self, doc: &mut Value) -> Result<(), String> {
        let path = self.path.ok_or("add operation failed to decode path: missing value")?;
        let (mut at, key) = find(doc, path).ok_or_else(|| {
            format!("add operation does not apply: doc is missing path: \"{path}\": missing value")
        })?;
        at.add(&key, self.value.clone()).map_err(|e| format!("error in add for path: '{path}': {e}"))
    }

    fn remove(&self, doc: &mut Value) -> Result<(), String> {
        let path = self.path.ok_or("remove operation failed to decode path: missing value")?;
        let (mut at, key) = find(doc, path).ok_or_else(|| {
            format!("remove operation does not apply: doc is missing path: \"{path}\": missing value")
        })?;
        at.remove(&key).map(drop).map_err(|e| format!("error in remove for path: '{path}': {e}"))
    }

    fn replace(&self, doc: &mut Value) -> Result<(), String> {
        let path = self
            .path
            .ok_or("replace operation failed to decode path: operation missing path field: missing value")?;
        if path.is_empty() {
            if !self.value.is_object() && !self.value.is_array() {
                return Err("replace operation value must be object or array: %!w(<nil>)".to_owned());
            }
            *doc = self.value.clone();
            return Ok(());
        }
        let (mut at, key) = find(doc, path).ok_or_else(|| {
            format!("replace operation does not apply: doc is missing path: {path}: missing value")
        })?;
        at.get(&key).map_err(|_| {
            format!("replace operation does not apply: doc is missing key: {path}: missing value")
        })?;
        at.set(&key, self.value.clone()).map_err(|e| format!("error in remove for path: '{path}': {e}"))
    }

    fn relocate(&self, doc: &mut Value) -> Result<(), String> {
        let from = self
            .from
            .ok_or("move operation failed to decode from: operation, missing from field: missing value")?;
        let (mut at, key) = find(doc, from).ok_or_else(|| {
            format!("move operation does not apply: doc is missing from path: {from}: missing value")
        })?;
        at.get(&key).map_err(|e| format!("error in move for path: '{key}': {e}"))?;
        let value = at.remove(&key).map_err(|e| format!("error in move for path: '{key}': {e}"))?;
        let path = self
            .path
            .ok_or("move operation failed to decode path: operation missing path field: missing value")?;
        let (mut at, key) = find(doc, path).ok_or_else(|| {
            format!("move operation does not apply: doc is missing destination path: {path}: missing value")
        })?;
        at.add(&key, value).map_err(|e| format!("error in move for path: '{path}': {e}"))
    }

    fn test(&self, doc: &mut Value) -> Result<(), String> {
        let path = self
            .path
            .ok_or("test operation failed to decode path: operation missing path field: missing value")?;
        let equal = if path.is_empty() {
            same(doc, self.value)
        } else {
            let (at, key) = find(doc, path).ok_or_else(|| {
                format!("test operation does not apply: is missing path: {path}: missing value")
            })?;
            let value = at.get(&key).map_err(|e| format!("error in test for path: '{path}': {e}"))?;
            same(value.unwrap_or(&Value::Null), self.value)
        };
        if equal { Ok(()) } else { Err(format!("testing value {path} failed: test failed")) }
    }

    fn copy(&self, doc: &mut Value, copied: &mut usize) -> Result<(), String> {
        let from = self
            .from
            .ok_or("copy operation failed to decode from: operation, missing from field: missing value")?;
        let (at, key) = find(doc, from).ok_or_else(|| {
            format!("copy operation does not apply: doc is missing from path: {from}: missing value")
        })?;
        let value = at.get(&key).map_err(|e| format!("error in copy for from: '{from}': {e}"))?;
        let value = value.cloned().unwrap_or_default();
        let path = self.path.ok_or("copy operation failed to decode path: missing value")?;
        let (mut at, key) = find(doc, path).ok_or_else(|| {
            format!("copy operation does not apply: doc is missing destination path: {path}: missing value")
        })?;
        *copied += json_len(&value);
        if *copied > COPY_LIMIT {
            return Err(format!(
                "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {COPY_LIMIT}"
            ));
        }
        at.add(&key, value).map_err(|e| format!("error while adding value during copy: {e}"))
    }
}

/// Equality as `test` sees it: numbers by value, so that `1` equals `1.0`.
fn same(a: &Value, b: &Value) -> bool {
    crate::apply::same(a, b)
}

/// Bytes of the compact JSON text, without writing it.
fn json_len(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail and a tree has string keys only.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// The object or list that holds the last part of a path.
enum Container<'a> {
    Object(&'a mut Map<String, Value>),
    List(&'a mut Vec<Value>),
}

/// Walks to the container of the last part of `path` and returns that part decoded.
fn find<'a>(doc: &'a mut Value, path: &str) -> Option<(Container<'a>, String)> {
    let mut parts = path.split('/');
    parts.next();
    let mut parts: Vec<&str> = parts.collect();
    let last = decode(parts.pop()?);
    let mut at = doc;
    for part in parts {
        let key = decode(part);
        at = match at {
            Value::Object(members) => members.get_mut(&key)?,
            Value::Array(items) => {
                let i = index(&key, items.len(), items.len()).ok()?;
                items.get_mut(i)?
            }
            _ => return None,
        };
    }
    match at {
        Value::Object(members) => Some((Container::Object(members), last)),
        Value::Array(items) => Some((Container::List(items), last)),
        _ => None,
    }
}

fn decode(part: &str) -> String {
    if part.contains('~') { part.replace("~1", "/").replace("~0", "~") } else { part.to_owned() }
}

/// Reads a list index below `bound`; negative ones count from `len`.
fn index(key: &str, len: usize, bound: usize) -> Result<usize, String> {
    let i: i64 = key.parse().map_err(|_| format!("strconv.Atoi: parsing {key:?}: invalid syntax"))?;
    let out_of_range = || format!("Unable to access invalid index: {i}: invalid index referenced");
    let at = if i < 0 { len as i64 + i } else { i };
    let at = usize::try_from(at).map_err(|_| out_of_range())?;
    if at < bound { Ok(at) } else { Err(out_of_range()) }
}

impl Container<'_> {
    fn get(&self, key: &str) -> Result<Option<&Value>, String> {
        match self {
            Container::Object(members) => Ok(members.get(key)),
            Container::List(items) => index(key, items.len(), items.len()).map(|i| items.get(i)),
        }
    }

    fn add(&mut self, key: &str, value: Value) -> Result<(), String> {
        match self {
            Container::Object(members) => {
                members.insert(key.to_owned(), value);
            }
            Container::List(items) if key == "-" => items.push(value),
            Container::List(items) => {
                if key.parse::<i64>().is_err() {
                    return Err(format!(
                        "value was not a proper array index: '{key}': strconv.Atoi: parsing {key:?}: invalid syntax"
                    ));
                }
                let i = index(key, items.len() + 1, items.len() + 1)?;
                items.insert(i, value);
            }
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        match self {
            Container::Object(members) => {
                members.insert(key.to_owned(), value);
            }
            Container::List(items) => {
                let i = index(key, items.len(), items.len())?;
                items[i] = value;
            }
        }
        Ok(())
    }

    fn remove(&mut self, key: &str) -> Result<Value, String> {
        match self {
            Container::Object(members) => members
                .remove(key)
                .ok_or_else(|| format!("Unable to remove nonexistent key: {key}: missing value")),
            Container::List(items) => {
                let i = index(key, items.len(), items.len())?;
                Ok(items.remove(i))
            }
        }
    }
}
