//! An object as it is kept: canonical JSON bytes and a small index (K4).

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

/// What selectors, garbage collection and deletion ask about an object without reading its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// Labels, in byte order of their keys.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// UIDs of its owners.
    pub owners: Vec<Box<str>>,
    /// Selectable fields beyond name and namespace.
    pub fields: Vec<(Box<str>, Box<str>)>,
    /// The object's own UID.
    pub uid: Box<str>,
    /// Whether a deletionTimestamp is set.
    pub deleting: bool,
}

impl Index {
    /// The value of a label.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| &**k == key).map(|(_, v)| &**v)
    }

    /// The value of a selectable field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(k, _)| &**k == name).map(|(_, v)| &**v)
    }
}

/// No place for a resourceVersion: the body is no object with metadata.
const NO_SPLICE: u32 = u32::MAX;

pub(super) struct Data {
    /// Members in byte order, no whitespace, without `metadata.resourceVersion`.
    pub body: Box<[u8]>,
    /// Where the resourceVersion goes.
    pub splice: u32,
    pub index: Index,
}

/// One version of an object. Clones share their bytes.
#[derive(Clone)]
pub struct Record {
    rv: u64,
    data: Arc<Data>,
}

impl Record {
    /// The canonical form of a tree: `metadata.resourceVersion` is left out, `metadata` is made when absent.
    /// Its RV is 0 until it is committed.
    pub fn from_tree(tree: &Value, index: Index) -> Self {
        let (body, splice) = canonical(tree);
        Self::from_parts(0, body, splice, index)
    }

    pub(super) fn from_parts(rv: u64, body: Vec<u8>, splice: u32, index: Index) -> Self {
        Self { rv, data: Arc::new(Data { body: body.into(), splice, index }) }
    }

    /// The same at another version: how an object that left a selector goes out.
    pub fn with_rv(&self, rv: u64) -> Self {
        Self { rv, data: self.data.clone() }
    }

    pub(super) fn data(&self) -> &Data {
        &self.data
    }

    /// The resourceVersion of this state.
    pub fn rv(&self) -> u64 {
        self.rv
    }

    /// The object as JSON, with its resourceVersion.
    pub fn json(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.data.body.len() + 40);
        self.write_json(&mut out);
        Bytes::from(out)
    }

    /// Appends what [`Record::json`] gives.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let body = &self.data.body[..];
        let Some((head, tail)) = body.split_at_checked(self.data.splice as usize) else {
            out.extend_from_slice(body);
            return;
        };
        out.extend_from_slice(head);
        let first = head.last() == Some(&b'{');
        if !first {
            out.push(b',');
        }
        // Writing into a Vec does not fail.
        let _ = write!(out, "\"resourceVersion\":\"{}\"", self.rv);
        if first && tail.first() != Some(&b'}') {
            out.push(b',');
        }
        out.extend_from_slice(tail);
    }

    /// The object as a tree, with its resourceVersion.
    pub fn tree(&self) -> Value {
        let mut tree: Value = serde_json::from_slice(&self.data.body).unwrap_or_default();
        if let Some(metadata) = tree.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), Value::String(self.rv.to_string()));
        }
        tree
    }

    /// The index.
    pub fn index(&self) -> &Index {
        &self.data.index
    }

    /// Canonical bytes without the resourceVersion: equal bytes are equal objects.
    pub fn body(&self) -> &[u8] {
        &self.data.body
    }

    /// Length of the canonical bytes, which is what Q8 and Q9 count.
    pub fn size(&self) -> usize {
        self.data.body.len()
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.rv == other.rv
            && (Arc::ptr_eq(&self.data, &other.data)
                || (self.data.body == other.data.body && self.data.index == other.data.index))
    }
}

impl fmt::Debug for Record {
    /// Never the body (Q27).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record(rv {}, {} bytes)", self.rv, self.data.body.len())
    }
}

/// Canonical bytes of a tree and the offset at which `"resourceVersion"` belongs in `metadata`.
pub(super) fn canonical(tree: &Value) -> (Vec<u8>, u32) {
    let Value::Object(members) = tree else {
        return (json_bytes(tree), NO_SPLICE);
    };
    let mut out = Vec::with_capacity(512);
    let mut splice = None;
    out.push(b'{');
    for (name, value) in members.iter().take_while(|(name, _)| name.as_str() < "metadata") {
        member(&mut out, name, value);
    }
    separate(&mut out);
    out.extend_from_slice(b"\"metadata\":{");
    if let Some(Value::Object(metadata)) = members.get("metadata") {
        for (name, value) in metadata {
            if name.as_str() == "resourceVersion" {
                continue;
            }
            if splice.is_none() && name.as_str() > "resourceVersion" {
                splice = Some(out.len());
            }
            member(&mut out, name, value);
        }
    }
    let splice = splice.unwrap_or(out.len());
    out.push(b'}');
    for (name, value) in members.iter().filter(|(name, _)| name.as_str() > "metadata") {
        member(&mut out, name, value);
    }
    out.push(b'}');
    (out, u32::try_from(splice).unwrap_or(NO_SPLICE))
}

fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'{') {
        out.push(b',');
    }
}

fn member(out: &mut Vec<u8>, name: &str, value: &Value) {
    separate(out);
    // Neither a string nor a tree fails to become JSON, nor does a Vec fail to grow.
    let _ = serde_json::to_writer(&mut *out, name);
    out.push(b':');
    let _ = serde_json::to_writer(&mut *out, value);
}

fn json_bytes(tree: &Value) -> Vec<u8> {
    serde_json::to_vec(tree).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn text(tree: Value, rv: u64) -> String {
        String::from_utf8(Record::from_tree(&tree, Index::default()).with_rv(rv).json().to_vec()).unwrap()
    }

    #[test]
    fn the_version_is_spliced_at_its_canonical_place() {
        let cases = [
            (json!({"kind": "A"}), r#"{"kind":"A","metadata":{"resourceVersion":"7"}}"#),
            (json!({"metadata": {"uid": "u"}}), r#"{"metadata":{"resourceVersion":"7","uid":"u"}}"#),
            (
                json!({"data": {}, "metadata": {"name": "n", "resourceVersion": "3", "uid": "u"}, "spec": 1}),
                r#"{"data":{},"metadata":{"name":"n","resourceVersion":"7","uid":"u"},"spec":1}"#,
            ),
            (json!({"metadata": {"name": "n"}}), r#"{"metadata":{"name":"n","resourceVersion":"7"}}"#),
        ];
        for (tree, expected) in cases {
            assert_eq!(text(tree, 7), expected);
        }
    }

    #[test]
    fn a_record_does_not_print_its_body() {
        let record = Record::from_tree(&json!({"data": {"password": "hunter2"}}), Index::default());
        assert!(!format!("{record:?}").contains("hunter2"));
    }

    fn any_tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        let tree = leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\]{0,12}", inner, 0..5)
                    .prop_map(|m| Value::Object(m.into_iter().collect()))
            ]
        });
        let member = "[a-z]{1,12}|metadata|resourceVersion|uid|name";
        (
            prop::collection::btree_map(member, tree.clone(), 0..5),
            prop::collection::btree_map(member, tree, 0..6),
        )
            .prop_map(|(root, metadata)| {
                let mut root: serde_json::Map<_, _> = root.into_iter().collect();
                root.insert("metadata".to_owned(), Value::Object(metadata.into_iter().collect()));
                Value::Object(root)
            })
    }

    proptest! {
        #[test]
        fn json_and_tree_say_the_same(mut tree in any_tree(), rv: u64) {
            let record = Record::from_tree(&tree, Index::default()).with_rv(rv);
            tree["metadata"]["resourceVersion"] = rv.to_string().into();
            prop_assert_eq!(&record.tree(), &tree);
            // Byte order of members and no whitespace are what serde_json writes for a sorted map.
            prop_assert_eq!(record.json().to_vec(), serde_json::to_vec(&tree).unwrap());
        }
    }
}
