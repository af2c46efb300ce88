//! What a client sent, held against the types of its kind: unknown and duplicate members, wrong types (V2, N6).

use serde_json::Value;

use super::call::Call;
use crate::codec::{self, Finding};
use crate::model::object::Object;
use crate::model::status::ApiStatus;
use crate::request::FieldValidation;

/// Drops what the kind does not know; refuses or warns as the request wants. `duplicates` are the reader's findings.
pub fn known(
    call: &Call<'_>,
    object: &mut Value,
    duplicates: Vec<Finding>,
    validation: FieldValidation,
) -> Result<(), ApiStatus> {
    let kind = &call.gvk().kind;
    let cannot = |why: &str| {
        let version = &call.gvk().version;
        ApiStatus::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
    };
    let mut findings: Vec<String> = duplicates.iter().map(Finding::to_string).collect();
    match &call.resource.custom {
        Some(custom) => {
            let unknown = crate::custom::prune(custom, object).map_err(|e| cannot(&e.to_string()))?;
            findings.extend(unknown.iter().map(|path| format!("unknown field {path:?}")));
        }
        None => {
            let unknown = codec::check_known(&call.resource.schema, call.resource.root, object)
                .map_err(|mismatch| cannot(&mismatch.to_string()))?;
            findings.extend(unknown.iter().map(Finding::to_string));
        }
    }
    match validation {
        _ if findings.is_empty() => Ok(()),
        FieldValidation::Strict => Err(cannot(&format!("strict decoding error: {}", findings.join(", ")))),
        FieldValidation::Warn => {
            findings.into_iter().for_each(|text| call.warnings.add(text));
            Ok(())
        }
        FieldValidation::Ignore => Ok(()),
    }
}

/// Whether the body is of the kind that the endpoint takes; absent parts are filled in.
pub fn check_kind(call: &Call<'_>, object: &mut Value) -> Result<(), ApiStatus> {
    let want = call.gvk();
    let (version, kind) = (object.text(&["apiVersion"]).to_owned(), object.text(&["kind"]).to_owned());
    if version.is_empty() || kind.is_empty() {
        if call.resource.custom.is_some() {
            let missing = if kind.is_empty() { "Kind" } else { "apiVersion" };
            return Err(ApiStatus::bad_request(format!("Object '{missing}' is missing in the request body")));
        }
        object.put(&["apiVersion"], want.api_version());
        object.put(&["kind"], &*want.kind);
        return Ok(());
    }
    if kind != *want.kind {
        let why = format!(
            "{kind} in version {version:?} cannot be handled as a {}: the kind of the body is not the endpoint's",
            want.kind
        );
        return Err(ApiStatus::bad_request(why));
    }
    if version != want.api_version() {
        let why = format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            want.api_version()
        );
        return Err(ApiStatus::bad_request(why));
    }
    Ok(())
}
