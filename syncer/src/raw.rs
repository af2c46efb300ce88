//! Answers decoded object by object: one that cannot be decoded is known by its metadata, and fails alone (FM11).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

/// Root member of an object that could not be decoded, with why. No kind has such a member of its own.
pub(crate) const UNREADABLE: &str = "skerry.dev/unreadable";

/// A page of a list.
pub(crate) struct Page {
    /// `metadata` of the list.
    pub(crate) metadata: Value,
    /// Its objects, each readable or not.
    pub(crate) items: Vec<Value>,
}

#[derive(Deserialize)]
struct RawPage<'a> {
    #[serde(default)]
    metadata: Value,
    #[serde(default, borrow)]
    items: Option<Vec<&'a RawValue>>,
}

/// The part of an object that a key is made of. What is not named here is skipped, however deep it is.
#[derive(Deserialize)]
struct Shallow<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: String,
    #[serde(default)]
    namespace: Option<String>,
    #[serde(default)]
    uid: Option<String>,
    #[serde(default)]
    resource_version: Option<String>,
    #[serde(default)]
    deletion_timestamp: Option<String>,
    #[serde(default)]
    deletion_grace_period_seconds: Option<i64>,
    #[serde(default, borrow)]
    labels: Option<&'a RawValue>,
    #[serde(default, borrow)]
    annotations: Option<&'a RawValue>,
}

/// Bytes as text; what is none becomes replacement characters.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// An answer that is one object, or a document of another form.
pub(crate) fn object(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) => shallow(&text(bytes), &error).ok_or(error),
    }
}

/// An answer that is a list.
pub(crate) fn page(bytes: &[u8]) -> Result<Page, serde_json::Error> {
    let text = text(bytes);
    let RawPage { metadata, items } = serde_json::from_str(&text)?;
    let items = items.unwrap_or_default().into_iter().filter_map(member).collect();
    Ok(Page { metadata, items })
}

/// An object within a document; `None`: not even its name is known.
pub(crate) fn member(raw: &RawValue) -> Option<Value> {
    match serde_json::from_str(raw.get()) {
        Ok(value) => Some(value),
        Err(error) => shallow(raw.get(), &error),
    }
}

fn shallow(text: &str, error: &serde_json::Error) -> Option<Value> {
    let Metadata {
        name,
        namespace,
        uid,
        resource_version,
        deletion_timestamp,
        deletion_grace_period_seconds,
        labels,
        annotations,
    } = serde_json::from_str::<Shallow<'_>>(text).ok()?.metadata;
    let readable = |raw: Option<&RawValue>| serde_json::from_str::<Value>(raw?.get()).ok();
    let members = [
        ("name", Some(Value::from(name))),
        ("namespace", namespace.map(Value::from)),
        ("uid", uid.map(Value::from)),
        ("resourceVersion", resource_version.map(Value::from)),
        ("deletionTimestamp", deletion_timestamp.map(Value::from)),
        ("deletionGracePeriodSeconds", deletion_grace_period_seconds.map(Value::from)),
        ("labels", readable(labels)),
        ("annotations", readable(annotations)),
    ];
    let metadata: Map<String, Value> =
        members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    let mut out = Map::new();
    out.insert("metadata".to_owned(), Value::Object(metadata));
    out.insert(UNREADABLE.to_owned(), Value::from(error.to_string()));
    Some(Value::Object(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deep(levels: usize) -> String {
        format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
    }

    /// FM11: whatever is wrong with one object, the others of its list are there, and its own key is known.
    #[test]
    fn plan_fm11_one_object_fails_alone() {
        let bad = [deep(400), "\"\\ud800\"".to_owned(), "1e999".to_owned()];
        for spec in bad {
            let object =
                format!(r#"{{"metadata":{{"name":"b","uid":"u","resourceVersion":"7"}},"spec":{spec}}}"#);
            let list = format!(
                r#"{{"metadata":{{"resourceVersion":"9"}},"items":[{{"metadata":{{"name":"a"}}}},{object}]}}"#
            );
            let page = page(list.as_bytes()).expect("a list");
            assert_eq!(page.metadata["resourceVersion"], "9");
            assert_eq!(page.items[0], serde_json::json!({"metadata": {"name": "a"}}));
            let found = &page.items[1];
            assert_eq!(found["metadata"]["uid"], "u");
            assert!(found[UNREADABLE].is_string(), "{found}");
            assert_eq!(super::object(object.as_bytes()).expect("an object"), *found);
        }
        assert!(object(b"nonsense").is_err());
        assert!(object(&[b'{', 0xff, b'}']).is_err());
        let labels = br#"{"metadata":{"name":"b","labels":{"k":"\ud800"},"annotations":{"k":"v"}}}"#;
        let found = object(labels).expect("an object");
        assert!(found["metadata"].get("labels").is_none() && found["metadata"]["annotations"]["k"] == "v");
    }
}
