//! Continue tokens (L1, L2): where a limited list goes on, and at which version.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::model::status::ApiStatus;
use crate::store::NsName;

const FORM: &str = "meta.k8s.io/v1";

/// What a token holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Token {
    v: String,
    /// Version of the first page; -1 goes on at the newest.
    pub rv: i64,
    start: String,
}

impl Token {
    /// A token that goes on after `last`.
    pub fn new(rv: i64, last: &NsName) -> Self {
        Self { v: FORM.into(), rv, start: format!("{}/{}", last.namespace(), last.name()) }
    }

    /// Text form.
    pub fn encode(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        URL_SAFE_NO_PAD.encode(json)
    }

    /// Reads a token; garbage is a 400.
    pub fn decode(text: &str) -> Result<Self, ApiStatus> {
        URL_SAFE_NO_PAD
            .decode(text.trim_end_matches('='))
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            .filter(|token| token.v == FORM)
            .ok_or_else(|| ApiStatus::bad_request("continue key is not valid: unrecognized continue token"))
    }

    /// The last name already sent.
    pub fn after(&self) -> NsName {
        let (namespace, name) = self.start.split_once('/').unwrap_or(("", &self.start));
        NsName::new(namespace, name)
    }
}
