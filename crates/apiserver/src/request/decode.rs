//! From body bytes to an object: size, content type, form, findings of the readers.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use crate::codec::{self, Finding, Format};
use crate::listen::Body;
use crate::listen::body::{self, ReadError};
use crate::model::status::ApiStatus;

/// Q4.
pub const BODY_MAX: usize = 3 * 1024 * 1024;
/// Media types a body can have.
pub const BODY_TYPES: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// Reads a whole body within the limit.
pub async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiStatus> {
    if headers.get(http::header::CONTENT_ENCODING).is_some_and(|e| e != "identity") {
        return Err(ApiStatus::unsupported_media_type(BODY_TYPES));
    }
    let too_large = || ApiStatus::too_large(format!("Request entity too large: limit is {BODY_MAX}"));
    body::read(body, BODY_MAX).await.map_err(|error| match error {
        ReadError::TooLarge => too_large(),
        ReadError::Broken(_) => {
            ApiStatus::bad_request(format!("the request body could not be read: {error}"))
        }
    })
}

/// Media type of the body, without parameters.
pub fn media_type(headers: &HeaderMap) -> &str {
    let text = headers.get(http::header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim()
}

/// Form of a body by its media type; an absent type is JSON.
pub fn format_of(media: &str) -> Result<Format, ApiStatus> {
    match media {
        "" | "application/json" => Ok(Format::Json),
        "application/yaml" => Ok(Format::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Format::Protobuf),
        _ => Err(ApiStatus::unsupported_media_type(BODY_TYPES)),
    }
}

/// A decoded body: the object and what the reader found.
#[derive(Debug)]
pub struct Decoded {
    /// The object; `apiVersion` and `kind` as the body says.
    pub object: Value,
    /// Duplicate members.
    pub findings: Vec<Finding>,
}

/// Reads an object of any form.
pub fn object(format: Format, bytes: &[u8]) -> Result<Decoded, ApiStatus> {
    let limits = codec::Limits::default();
    let (object, findings) = match format {
        Format::Json => codec::read_json(bytes, limits).map_err(|e| e.to_status())?,
        Format::Yaml => codec::read_yaml(bytes, limits).map_err(|e| e.to_status())?,
        Format::Protobuf => (codec::proto::read_object(bytes).map_err(|e| e.to_status())?, Vec::new()),
    };
    if !object.is_object() {
        return Err(ApiStatus::bad_request(
            "couldn't get version/kind; json parse error: json: cannot unmarshal the body into an object",
        ));
    }
    Ok(Decoded { object, findings })
}
