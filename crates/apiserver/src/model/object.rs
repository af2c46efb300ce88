//! Reading and writing the well-known members of an object tree.

use serde_json::{Map, Value};

/// Access to `metadata` and to members by path, without panics on strange shapes.
pub trait Object {
    /// Text at a path of member names, empty when absent or not text.
    fn text(&self, path: &[&str]) -> &str;
    /// Value at a path of member names.
    fn at(&self, path: &[&str]) -> Option<&Value>;
    /// A member of `metadata` as text.
    fn meta(&self, field: &str) -> &str;
    /// What a generated name is made of, else the name: what a client knows of an object that is not there yet.
    fn base_or_name(&self) -> &str {
        match self.meta("generateName") {
            "" => self.meta("name"),
            base => base,
        }
    }
    /// `metadata.generation`, 0 when absent.
    fn generation(&self) -> i64;
    /// Whether `metadata.deletionTimestamp` is set.
    fn is_deleting(&self) -> bool;
    /// `metadata.finalizers`.
    fn finalizers(&self) -> Vec<&str>;
    /// Items of a list at a path, none when absent.
    fn items(&self, path: &[&str]) -> &[Value];
    /// `metadata` for writing, made when absent.
    fn meta_mut(&mut self) -> &mut Map<String, Value>;
    /// Sets a member of `metadata`.
    fn set_meta(&mut self, field: &str, value: impl Into<Value>);
    /// Removes a member of `metadata`.
    fn unset_meta(&mut self, field: &str);
    /// A map member for writing, made when absent or of another type.
    fn object_mut(&mut self, path: &[&str]) -> &mut Map<String, Value>;
    /// Sets the value at a path, making what is missing on the way.
    fn put(&mut self, path: &[&str], value: impl Into<Value>);
    /// Removes the value at a path.
    fn remove_at(&mut self, path: &[&str]) -> Option<Value>;
}

fn force_map(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("made an object above"),
    }
}

impl Object for Value {
    fn text(&self, path: &[&str]) -> &str {
        self.at(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |v, key| v.get(key))
    }

    fn meta(&self, field: &str) -> &str {
        self.text(&["metadata", field])
    }

    fn generation(&self) -> i64 {
        self.at(&["metadata", "generation"]).and_then(Value::as_i64).unwrap_or_default()
    }

    fn is_deleting(&self) -> bool {
        self.at(&["metadata", "deletionTimestamp"]).is_some_and(|v| !v.is_null())
    }

    fn finalizers(&self) -> Vec<&str> {
        self.items(&["metadata", "finalizers"]).iter().filter_map(Value::as_str).collect()
    }

    fn items(&self, path: &[&str]) -> &[Value] {
        self.at(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    fn meta_mut(&mut self) -> &mut Map<String, Value> {
        self.object_mut(&["metadata"])
    }

    fn set_meta(&mut self, field: &str, value: impl Into<Value>) {
        self.meta_mut().insert(field.to_owned(), value.into());
    }

    fn unset_meta(&mut self, field: &str) {
        self.meta_mut().remove(field);
    }

    fn object_mut(&mut self, path: &[&str]) -> &mut Map<String, Value> {
        let mut map = force_map(self);
        for key in path {
            map = force_map(map.entry((*key).to_owned()).or_insert(Value::Null));
        }
        map
    }

    fn put(&mut self, path: &[&str], value: impl Into<Value>) {
        if let Some((last, parents)) = path.split_last() {
            self.object_mut(parents).insert((*last).to_owned(), value.into());
        }
    }

    fn remove_at(&mut self, path: &[&str]) -> Option<Value> {
        let (last, parents) = path.split_last()?;
        let mut at = self;
        for key in parents {
            at = at.get_mut(key)?;
        }
        at.as_object_mut()?.remove(*last)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_read_and_write_through_odd_shapes() {
        let mut o = json!({"metadata": {"name": "a", "finalizers": ["x"]}, "spec": 3});
        assert_eq!((o.meta("name"), o.meta("none"), o.finalizers()), ("a", "", vec!["x"]));
        o.put(&["spec", "replicas"], 2);
        assert_eq!(o["spec"]["replicas"], 2);
        assert_eq!(o.remove_at(&["metadata", "name"]), Some(json!("a")));
        assert!(o.remove_at(&["no", "such"]).is_none());
    }
}
