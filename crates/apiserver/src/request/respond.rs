//! From an outcome to bytes: projections, encodings, headers.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use super::accept::{Accept, Encoding, Form};
use crate::codec;
use crate::listen::{Body, body};
use crate::model::resource::Resource;
use crate::model::status::ApiStatus;

/// Answers above this size are compressed for clients that take gzip (N5).
const GZIP_FROM: usize = 128 * 1024;

fn content_type(accept: &Accept) -> String {
    let media = match accept.encoding {
        Encoding::Yaml => "application/yaml",
        _ => "application/json",
    };
    match accept.form {
        Form::Object => media.to_owned(),
        Form::Table(v) => format!("{media};as=Table;v={v};g=meta.k8s.io"),
        Form::Partial(v) => format!("{media};as=PartialObjectMetadata;v={v};g=meta.k8s.io"),
    }
}

/// Bytes of a tree in the negotiated encoding.
pub fn encode(encoding: Encoding, value: &Value) -> Bytes {
    let bytes = match encoding {
        Encoding::Json => serde_json::to_vec(value).unwrap_or_default(),
        Encoding::Pretty => {
            let mut out = serde_json::to_vec_pretty(value).unwrap_or_default();
            out.push(b'\n');
            out
        }
        Encoding::Yaml => serde_yaml_ng::to_string(value).unwrap_or_default().into_bytes(),
    };
    bytes.into()
}

/// An answer of whole bytes.
pub fn bytes(code: u16, accept: &Accept, bytes: Bytes) -> Response<Body> {
    let compress = accept.gzip && bytes.len() > GZIP_FROM;
    let mut response = Response::new(body::full(if compress {
        codec::gzip::compress(&bytes).unwrap_or(bytes)
    } else {
        bytes
    }));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&content_type(accept)) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    if compress {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    }
    response
}

/// An answer that holds one object or `Status`.
pub fn object(
    code: u16,
    accept: &Accept,
    resource: Option<&Resource>,
    value: Value,
    include: &str,
) -> Response<Body> {
    let is_status = value.get("kind").and_then(Value::as_str) == Some("Status")
        && value.get("apiVersion").and_then(Value::as_str) == Some("v1");
    let projected = match (accept.form, resource) {
        (Form::Table(version), Some(resource)) if !is_status => {
            codec::table::of_object(resource, &value, version, include)
        }
        (Form::Partial(version), Some(_)) if !is_status => codec::table::partial(&value, version),
        _ => value,
    };
    let accept = if is_status { Accept { form: Form::Object, ..*accept } } else { *accept };
    bytes(code, &accept, encode(accept.encoding, &projected))
}

/// A refusal, in the negotiated encoding.
pub fn refusal(accept: &Accept, status: &ApiStatus) -> Response<Body> {
    let accept = Accept { form: Form::Object, ..*accept };
    let mut response = bytes(status.code, &accept, encode(accept.encoding, &status.to_value()));
    if let Some(seconds) = status.details.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Adds `Warning: 299` headers.
pub fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for text in warnings {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
}
