//! What a client sent, held against the types of its kind: unknown and duplicate members, wrong types (V2, N6).

use serde_json::Value;

use super::call::Call;
use crate::codec::{self, Finding};
use crate::model::gvk::Gvk;
use crate::model::object::Object;
use crate::model::status::{ApiStatus, Cause};
use crate::request::FieldValidation;

/// Drops what the kind does not know; refuses or warns as the request wants. `duplicates` are the reader's findings.
pub fn known(
    call: &Call<'_>,
    object: &mut Value,
    duplicates: Vec<Finding>,
    validation: FieldValidation,
) -> Result<(), ApiStatus> {
    let found = duplicates.iter().map(Finding::to_string).collect();
    fit(call, object, found, validation).map_err(|why| {
        let (kind, version) = (&call.gvk().kind, &call.gvk().version);
        ApiStatus::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
    })
}

/// The same for what a patch made: not the body is at fault then, but what came of it. `found` is what was wrong with
/// the patch itself.
pub fn known_patched(
    call: &Call<'_>,
    object: &mut Value,
    found: &[String],
    validation: FieldValidation,
) -> Result<(), ApiStatus> {
    fit(call, object, found.to_vec(), validation).map_err(|why| {
        let cause = Cause::invalid("patch", &object.to_string().into(), &why);
        ApiStatus::invalid(&Gvk::new("", "", ""), "", vec![cause])
    })
}

/// The same for what an apply made. Its configuration was held against the types already.
pub fn known_applied(call: &Call<'_>, object: &mut Value) -> Result<(), ApiStatus> {
    fit(call, object, Vec::new(), FieldValidation::Ignore).map_err(|why| ApiStatus::plain(500, "", why))
}

fn fit(
    call: &Call<'_>,
    object: &mut Value,
    mut findings: Vec<String>,
    validation: FieldValidation,
) -> Result<(), String> {
    // An empty list of managers asks for something (U7) and must not get lost as a zero value.
    let reset =
        object.at(&["metadata", "managedFields"]).and_then(Value::as_array).is_some_and(Vec::is_empty);
    match &call.resource.custom {
        Some(custom) => {
            let unknown = crate::custom::prune(custom, object).map_err(|e| e.to_string())?;
            findings.extend(unknown.iter().map(|path| format!("unknown field {path:?}")));
        }
        None => {
            let unknown = codec::check_known(&call.resource.schema, call.resource.root, object)
                .map_err(|mismatch| mismatch.to_string())?;
            findings.extend(unknown.iter().map(Finding::to_string));
        }
    }
    if reset {
        object.put(&["metadata", "managedFields"], Value::Array(Vec::new()));
    }
    match validation {
        _ if findings.is_empty() => Ok(()),
        FieldValidation::Strict => Err(format!("strict decoding error: {}", findings.join(", "))),
        FieldValidation::Warn => {
            findings.into_iter().for_each(|text| call.warnings.add(text));
            Ok(())
        }
        FieldValidation::Ignore => Ok(()),
    }
}

/// Whether a configuration to be applied is of the kind that the endpoint takes, and names each member once. Its
/// members are judged by the apply itself, which needs them as they were sent.
pub fn check_configuration(
    call: &Call<'_>,
    object: &Value,
    duplicates: &[Finding],
    validation: FieldValidation,
) -> Result<(), ApiStatus> {
    let want = call.gvk();
    let (version, kind) = (object.text(&["apiVersion"]), object.text(&["kind"]));
    if version != want.api_version() || kind != &*want.kind {
        let slash = if version.contains('/') { "" } else { "/" };
        return Err(ApiStatus::bad_request(format!("invalid object type: {slash}{version}, Kind={kind}")));
    }
    let findings: Vec<String> = duplicates.iter().map(Finding::to_string).collect();
    match validation {
        FieldValidation::Strict if !findings.is_empty() => {
            let findings = findings.join(", ");
            return Err(ApiStatus::bad_request(format!("error strict decoding YAML: {findings}")));
        }
        FieldValidation::Warn => findings.into_iter().for_each(|text| call.warnings.add(text)),
        _ => {}
    }
    Ok(())
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
