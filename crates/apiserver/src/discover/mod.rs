//! Discovery, OpenAPI and `/version`: pure functions from a catalog and the request's headers to an
//! answer. What belongs to built-in kinds is encoded once per process and shared by all tenants.

pub mod aggregated;
pub mod legacy;
pub mod openapi;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha512};

pub use self::aggregated::{api, apis};
pub use self::legacy::{group, group_version};

/// The version tenants see (M10).
pub const GIT_VERSION: &str = "v1.36.3+skerry";

/// Parts of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status code.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Body.
    pub body: Bytes,
}

impl Answer {
    /// 200 with a body.
    pub fn ok(content_type: &str, body: impl Into<Bytes>) -> Self {
        Self { status: 200, headers: vec![("content-type", content_type.to_owned())], body: body.into() }
    }

    fn json(value: &Value) -> Self {
        Self::ok("application/json", value.to_string())
    }

    /// Adds a header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds an `ETag`; the same one in `If-None-Match` makes this a 304 without a body.
    fn tagged(self, if_none_match: Option<&str>) -> Self {
        let etag = etag(&self.body);
        let known = if_none_match.is_some_and(|known| known.split(',').any(|k| k.trim() == etag));
        let mut out = self.with("etag", etag);
        if known {
            out.status = 304;
            out.body = Bytes::new();
        }
        out
    }
}

/// Quoted upper-case SHA-512.
fn etag(body: &[u8]) -> String {
    let digest = data_encoding::HEXUPPER.encode(&Sha512::digest(body));
    format!("\"{digest}\"")
}

/// `GET /version`.
pub fn version() -> Answer {
    Answer::json(&json!({
        "major": "1", "minor": "36", "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, platform()),
        "emulationMajor": "1", "emulationMinor": "36",
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
    }))
}

fn platform() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests;
