//! Secret: stringData, keys by type, immutability.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Hooks, NONE, config_map};
use crate::model::object::Object;
use crate::model::status::Cause;

/// Hooks of Secrets.
pub const HOOKS: Hooks = Hooks { default: fold_string_data, validate, ..NONE };

/// `stringData` is written into `data`.
fn fold_string_data(object: &mut Value) {
    let Some(Value::Object(texts)) = object.remove_at(&["stringData"]) else { return };
    for (key, value) in texts {
        let text = value.as_str().unwrap_or_default();
        object.put(&["data", &key], STANDARD.encode(text));
    }
}

/// Keys that a type of Secret must hold.
fn required_keys(kind: &str) -> &'static [&'static str] {
    match kind {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    }
}

fn validate(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = config_map::keys(new, &["data"]);
    for key in required_keys(new.text(&["type"])) {
        if new.at(&["data", key]).is_none() {
            causes.push(Cause::required(format!("data[{key}]"), ""));
        }
    }
    if let Some(old) = old {
        if new.text(&["type"]) != old.text(&["type"]) {
            causes.push(Cause::invalid("type", &new.text(&["type"]).into(), "field is immutable"));
        }
        causes.extend(config_map::sealed(new, old, &["data"]));
    }
    causes
}
