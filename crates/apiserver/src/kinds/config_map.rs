//! ConfigMap: keys that are file names; what is set immutable stays as it is.

use serde_json::Value;

use super::{Hooks, NONE};
use crate::model::object::Object;
use crate::model::status::Cause;

/// Hooks of ConfigMaps.
pub const HOOKS: Hooks = Hooks { validate, ..NONE };

fn validate(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = keys(new, &["data", "binaryData"]);
    causes.extend(old.map_or_else(Vec::new, |old| sealed(new, old, &["data", "binaryData"])));
    causes
}

/// Objections to keys: each becomes the name of a file.
pub fn keys(new: &Value, contents: &[&str]) -> Vec<Cause> {
    const LONGEST: usize = 253;
    const FORM: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    let mut causes = Vec::new();
    for content in contents {
        let all = new.at(&[content]).and_then(Value::as_object);
        for key in all.into_iter().flatten().map(|(key, _)| key) {
            let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            let why = match &**key {
                "." => "must not be '.'",
                ".." => "must not be '..'",
                climbing if climbing.starts_with("..") => "must not start with '..'",
                long if long.len() > LONGEST => "must be no more than 253 characters",
                _ if plain && !key.is_empty() => continue,
                _ => FORM,
            };
            causes.push(Cause::invalid(format!("{content}[{key}]"), &key.as_str().into(), why));
        }
    }
    causes
}

/// Objections to a change of what was made immutable: that word itself, and the contents.
pub fn sealed(new: &Value, old: &Value, contents: &[&str]) -> Vec<Cause> {
    const WHY: &str = "field is immutable when `immutable` is set";
    let set = |object: &Value| object.at(&["immutable"]) == Some(&Value::Bool(true));
    if !set(old) {
        return Vec::new();
    }
    let mut causes = Vec::new();
    if !set(new) {
        causes.push(Cause::forbidden("immutable", WHY));
    }
    for content in contents {
        if new.at(&[content]) != old.at(&[content]) {
            causes.push(Cause::forbidden(*content, WHY));
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_file_names() {
        for key in ["", "a/b", ".", "..", "..a", "a b"] {
            let causes = validate(&json!({"data": {key: "1"}}), None);
            assert_eq!(causes.len(), 1, "{key:?}");
            assert_eq!(causes[0].field, format!("data[{key}]"));
        }
        assert_eq!(validate(&json!({"data": {"a.B_c-1": "1", ".a": ""}}), None).len(), 0);
    }

    #[test]
    fn an_immutable_config_map_stays_as_it_is() {
        let fields = |new: Value, old: Value| {
            let causes = validate(&new, Some(&old));
            causes.into_iter().map(|cause| cause.field).collect::<Vec<_>>()
        };
        let sealed = json!({"immutable": true, "data": {"a": "1"}, "binaryData": {"b": "Mg=="}});
        let open = json!({"data": {"a": "1"}});
        assert_eq!(fields(sealed.clone(), open.clone()), Vec::<String>::new());
        assert_eq!(fields(open, sealed.clone()), ["immutable", "binaryData"]);
        let mut labelled = sealed.clone();
        labelled["metadata"] = json!({"labels": {"a": "b"}});
        assert_eq!(fields(labelled, sealed.clone()), Vec::<String>::new());
        let mut other = sealed.clone();
        other["data"]["a"] = json!("2");
        assert_eq!(fields(other, sealed), ["data"]);
    }
}
