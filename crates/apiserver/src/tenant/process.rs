//! Keys of the process itself. They are kept in the store as tenants' keys are: in a head record, under an id that is no
//! tenant's.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::TenantId;
use crate::identity::pki::{Authority, PkiError};
use crate::store::{Db, Layer, Limits, NewTenant, TenantError};

/// The keys of the process cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] TenantError),
    /// A key cannot be made or used.
    #[error("a key cannot be made or used")]
    Pki(#[from] PkiError),
    /// The record does not hold what it should.
    #[error("the serving authority of the process is missing from its record")]
    Missing,
}

/// Id of the record.
pub fn process_id() -> TenantId {
    TenantId::of_uid("skerry:process")
}

/// The authority of serving certificates: made at the first start, read at every other.
pub async fn process_authority(db: &Db) -> Result<Authority, ProcessError> {
    let id = process_id();
    if let Some(head) = db.head(id) {
        let stored: Value = serde_json::from_slice(&head.head).map_err(|_| ProcessError::Missing)?;
        let part = |name: &str| {
            let text = stored["serving"][name].as_str().ok_or(ProcessError::Missing)?;
            BASE64.decode(text).map_err(|_| ProcessError::Missing)
        };
        return Ok(Authority::from_parts(&part("certificate")?, &part("key")?)?);
    }
    let authority = Authority::generate("skerry-serving-ca")?;
    let record = json!({ "serving": {
        "certificate": BASE64.encode(authority.der()), "key": BASE64.encode(authority.key().pkcs8()),
    } });
    let new = NewTenant { id, head: record.to_string().into_bytes(), in_wildcard: false, shard: Some(0) };
    db.create_tenant(new, Layer::default(), Limits::default()).await?;
    Ok(authority)
}
