//! `TenantId`: the key of a virtual cluster everywhere (G3).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use skerry_api::ids;

/// Twelve bytes: `t` and eleven of `a-z2-7`. A value of this type always has that form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId([u8; 12]);

/// The text is no tenant id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant id is `t` and eleven of a-z and 2-7")]
pub struct NoTenantId;

impl TenantId {
    /// The id derived from the UID of a VirtualCluster (tenancy V1).
    pub fn of_uid(uid: &str) -> Self {
        // The first candidate always exists and always has the form.
        ids::tenant_id(uid).parse().unwrap_or(Self(*b"taaaaaaaaaaa"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever stored.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The id as bytes, the prefix of every key of the store.
    pub fn as_bytes(&self) -> &[u8; 12] {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = NoTenantId;

    fn from_str(text: &str) -> Result<Self, NoTenantId> {
        if !ids::is_tenant_id(text) {
            return Err(NoTenantId);
        }
        text.as_bytes().try_into().map(Self).map_err(|_| NoTenantId)
    }
}

impl TryFrom<&[u8]> for TenantId {
    type Error = NoTenantId;

    fn try_from(bytes: &[u8]) -> Result<Self, NoTenantId> {
        std::str::from_utf8(bytes).map_err(|_| NoTenantId)?.parse()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for TenantId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TenantId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_form_is_an_id() {
        let id = TenantId::of_uid("0c9f3a52-6f1e-4a5e-9a55-3d1c3b8a1f00");
        assert_eq!(id.as_str().parse(), Ok(id));
        assert_eq!(TenantId::try_from(&id.as_bytes()[..]), Ok(id));
        for wrong in ["", "t", "TK3V2Q5X2M7A", "tk3v2q5x2m7", "tk3v2q5x2m7aa", "tk3v2q5x2m71", "tk3v2q5x2m.."]
        {
            assert_eq!(wrong.parse::<TenantId>(), Err(NoTenantId), "{wrong}");
        }
    }
}
