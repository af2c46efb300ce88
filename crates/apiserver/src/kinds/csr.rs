//! CertificateSigningRequest: a request that names whom nobody may be is refused at the door (Z2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::{Hooks, NONE};
use crate::identity::csr::{CsrError, Request};
use crate::model::status::Cause;

/// Hooks of the kind.
pub const HOOKS: Hooks = Hooks { validate, restore, ..NONE };

/// `/approval` may change conditions, nothing else.
fn restore(subresource: &str, new: &mut Value, live: &Value) {
    let conditions = new["status"]["conditions"].take();
    let managed = new["metadata"]["managedFields"].take();
    *new = live.clone();
    if subresource == "approval" && conditions.is_array() {
        new["status"]["conditions"] = conditions;
    }
    if !managed.is_null() {
        new["metadata"]["managedFields"] = managed;
    }
}

/// The request inside an object.
pub fn request_of(object: &Value) -> Result<Request, CsrError> {
    let text = object["spec"]["request"].as_str().unwrap_or_default();
    let pem = BASE64.decode(text).map_err(|_| CsrError::Malformed)?;
    Request::from_pem(&pem)
}

fn validate(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    // What is stored was judged when it was made.
    if old.is_some() {
        return Vec::new();
    }
    match request_of(new) {
        Ok(_) => Vec::new(),
        Err(error) => vec![Cause::invalid("spec.request", &Value::from("<request>"), &error.to_string())],
    }
}
