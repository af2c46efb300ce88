//! Handlers of create, update and patch: from the body to the registry.

use http::Response;
use serde_json::Value;

use super::decode::{self, Decoded};
use super::{Exchange, WriteOptions, respond};
use crate::codec::{Finding, FindingKind, Format};
use crate::kinds::subresource;
use crate::listen::Body;
use crate::model::status::ApiStatus;
use crate::registry::{self, Call, Change, Outcome, PatchKind};

const JSON_PATCH: &str = "application/json-patch+json";
const MERGE_PATCH: &str = "application/merge-patch+json";
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_YAML: &str = "application/apply-patch+yaml";
const APPLY_JSON: &str = "application/apply-patch+json";
/// Members of an operation of a JSON patch.
const OPERATION: [&str; 4] = ["op", "path", "from", "value"];

fn patch_types(call: &Call<'_>) -> String {
    let mut all = vec![JSON_PATCH, MERGE_PATCH, APPLY_YAML];
    if call.resource.custom.is_none() {
        all.push(STRATEGIC_PATCH);
    }
    all.join(", ")
}

async fn decoded(x: &Exchange<'_>, body: Body) -> Result<Decoded, ApiStatus> {
    let format = decode::format_of(decode::media_type(x.headers))?;
    let bytes = x.turn.away(decode::read(x.headers, body)).await??;
    decode::object(format, &bytes)
}

/// The object of a create or update, checked against its kind.
async fn object(
    x: &Exchange<'_>,
    call: &Call<'_>,
    body: Body,
    options: &WriteOptions,
) -> Result<Value, ApiStatus> {
    if call.resource.custom.is_some()
        && decode::media_type(x.headers) == "application/vnd.kubernetes.protobuf"
    {
        return Err(ApiStatus::unsupported_media_type("application/json, application/yaml"));
    }
    let mut found = decoded(x, body).await?;
    registry::check_kind(call, &mut found.object)?;
    registry::known(call, &mut found.object, found.findings, options.validation)?;
    Ok(found.object)
}

fn answer(x: &Exchange<'_>, call: &Call<'_>, outcome: Outcome) -> Response<Body> {
    let include = x.info.query.get("includeObject");
    respond::object(outcome.code, &x.accept, Some(&call.resource), outcome.object, include)
}

/// POST.
pub async fn create(x: &Exchange<'_>, call: &Call<'_>, body: Body) -> Result<Response<Body>, ApiStatus> {
    let options = WriteOptions::parse(&x.info.query, "CreateOptions")?;
    if !call.subresource().is_empty() || subresource::is_virtual(&call.resource) {
        let mut found = decoded(x, body).await?;
        if call.subresource().is_empty() {
            let duplicates = std::mem::take(&mut found.findings);
            registry::known(call, &mut found.object, duplicates, options.validation)?;
        }
        let outcome = subresource::create(call, found.object, &options).await?;
        return Ok(respond::object(outcome.code, &x.accept, None, outcome.object, ""));
    }
    if !call.target.name.is_empty() {
        return Err(ApiStatus::method_not_allowed(call.subject(""), "create"));
    }
    let object = object(x, call, body, &options).await?;
    let outcome = registry::create(call, object, &options, false).await?;
    Ok(answer(x, call, outcome))
}

/// PUT.
pub async fn update(x: &Exchange<'_>, call: &Call<'_>, body: Body) -> Result<Response<Body>, ApiStatus> {
    let options = WriteOptions::parse(&x.info.query, "UpdateOptions")?;
    if call.subresource() == "scale" {
        let found = decoded(x, body).await?;
        let outcome = subresource::update_scale(call, &found.object, &options).await?;
        return Ok(respond::object(outcome.code, &x.accept, None, outcome.object, ""));
    }
    let object = object(x, call, body, &options).await?;
    let outcome = registry::modify(call, Change::Replace(object), &options).await?;
    Ok(answer(x, call, outcome))
}

/// PATCH.
pub async fn patch(x: &Exchange<'_>, call: &Call<'_>, body: Body) -> Result<Response<Body>, ApiStatus> {
    let options = WriteOptions::parse(&x.info.query, "PatchOptions")?;
    let media = decode::media_type(x.headers).to_owned();
    let kind = match media.as_str() {
        JSON_PATCH => Some(PatchKind::Json),
        MERGE_PATCH => Some(PatchKind::Merge),
        STRATEGIC_PATCH if call.resource.custom.is_none() => Some(PatchKind::Strategic),
        APPLY_YAML | APPLY_JSON => None,
        _ => return Err(ApiStatus::unsupported_media_type(&patch_types(call))),
    };
    let bytes = x.turn.away(decode::read(x.headers, body)).await??;
    if call.subresource() == "scale" {
        let kind = kind.ok_or_else(|| ApiStatus::unsupported_media_type(&patch_types(call)))?;
        let (body, _) = patch_body(kind, &bytes)?;
        let outcome = subresource::patch_scale(call, kind, &body, &options).await?;
        return Ok(respond::object(outcome.code, &x.accept, None, outcome.object, ""));
    }
    let change = match kind {
        Some(kind) => {
            if options.force {
                return Err(force_forbidden());
            }
            let (body, found) = patch_body(kind, &bytes)?;
            Change::Patch(kind, body, found)
        }
        None => apply_change(call, &media, &bytes, &options)?,
    };
    let outcome = registry::modify(call, change, &options).await?;
    Ok(answer(x, call, outcome))
}

/// A patch, and what field validation has against it: members named twice, and those that no operation has.
fn patch_body(kind: PatchKind, bytes: &[u8]) -> Result<(Value, Vec<String>), ApiStatus> {
    let limits = crate::codec::Limits::default();
    let (body, duplicates) = crate::codec::read_json(bytes, limits).map_err(|e| e.to_status())?;
    let mut found: Vec<String> = duplicates.iter().map(Finding::to_string).collect();
    if kind == PatchKind::Json {
        found.extend(unknown_in_operations(&body));
        found.iter_mut().for_each(|text| text.insert_str(0, "json patch "));
    }
    Ok((body, found))
}

fn unknown_in_operations(operations: &Value) -> Vec<String> {
    let members = |operation: &Value| -> Vec<String> {
        let names = operation.as_object().into_iter().flat_map(serde_json::Map::keys);
        names.filter(|name| !OPERATION.contains(&name.as_str())).cloned().collect()
    };
    let operations = operations.as_array().into_iter().flatten().enumerate();
    let unknown = operations.flat_map(|(i, operation)| {
        let path = move |name: String| format!("[{i}].{name}");
        members(operation).into_iter().map(path)
    });
    unknown.map(|path| Finding { kind: FindingKind::Unknown, path }.to_string()).collect()
}

fn apply_change<'a>(
    call: &Call<'_>,
    media: &str,
    bytes: &[u8],
    options: &WriteOptions,
) -> Result<Change<'a>, ApiStatus> {
    if options.field_manager.is_empty() {
        let gvk = crate::model::gvk::Gvk::new("meta.k8s.io", "v1", "PatchOptions");
        let cause = crate::model::status::Cause::required("fieldManager", "is required for apply patch");
        return Err(ApiStatus {
            code: 400,
            reason: "BadRequest",
            ..ApiStatus::invalid(&gvk, "", vec![cause])
        });
    }
    let format = if media == APPLY_JSON { Format::Json } else { Format::Yaml };
    let found = decode::object(format, bytes)?;
    registry::check_configuration(call, &found.object, &found.findings, options.validation)?;
    Ok(Change::Apply(found.object))
}

fn force_forbidden() -> ApiStatus {
    let gvk = crate::model::gvk::Gvk::new("meta.k8s.io", "v1", "PatchOptions");
    let cause = crate::model::status::Cause::forbidden("force", "may not be specified for non-apply patch");
    ApiStatus::invalid(&gvk, "", vec![cause])
}
