//! The keys of one tenant: made with it, kept in its head record, nowhere else (Q28).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::CLIENT_AUTHORITY_PREFIX;
use super::issuer::Issuer;
use super::pki::{Authority, Key, PkiError};
use crate::tenant::TenantId;

/// Client authority and token issuer of a tenant.
#[derive(Clone, Debug)]
pub struct TenantKeys {
    /// Signs client certificates.
    pub client: Authority,
    /// Signs tokens.
    pub issuer: Issuer,
}

/// The stored keys cannot be used: the tenant fails, naming which (7.1).
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A key is missing from the head record.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A key is there and unusable.
    #[error("{0} cannot be used")]
    Unusable(&'static str, #[source] PkiError),
}

impl TenantKeys {
    /// New keys.
    pub fn generate(id: TenantId, url: String, audiences: Vec<String>) -> Result<Self, PkiError> {
        Ok(Self {
            client: Authority::generate(&format!("{CLIENT_AUTHORITY_PREFIX}{id}"))?,
            issuer: Issuer::new(url, Key::generate()?, audiences)?,
        })
    }

    /// The form in the head record.
    pub fn to_value(&self) -> Value {
        json!({
            "clientCertificate": BASE64.encode(self.client.der()),
            "clientKey": BASE64.encode(self.client.key().pkcs8()),
            "issuerKey": BASE64.encode(self.issuer.key().pkcs8()),
        })
    }

    /// Reads them back.
    pub fn from_value(stored: &Value, url: String, audiences: Vec<String>) -> Result<Self, KeysError> {
        let part = |name: &'static str| {
            let text = stored[name].as_str().ok_or(KeysError::Missing(name))?;
            BASE64.decode(text).map_err(|_| KeysError::Unusable(name, PkiError::Key))
        };
        let client = Authority::from_parts(&part("clientCertificate")?, &part("clientKey")?)
            .map_err(|e| KeysError::Unusable("clientKey", e))?;
        let issuer = Key::from_pkcs8(&part("issuerKey")?)
            .and_then(|key| Issuer::new(url, key, audiences))
            .map_err(|e| KeysError::Unusable("issuerKey", e))?;
        Ok(Self { client, issuer })
    }
}
