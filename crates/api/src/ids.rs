//! Tenant and member ids (tenancy V1).

use sha2::{Digest, Sha256};

const WINDOW: usize = 11;

/// The `n`-th candidate id of an object UID: `t` and eleven characters of lower-case base32 of
/// SHA-256(uid), beginning at character `11 * n`. `None` beyond the four windows that the digest holds.
pub fn tenant_id_candidate(uid: &str, n: usize) -> Option<String> {
    let text = data_encoding::BASE32_NOPAD.encode(&Sha256::digest(uid.as_bytes())).to_ascii_lowercase();
    let start = n.checked_mul(WINDOW)?;
    text.get(start..start + WINDOW).map(|window| format!("t{window}"))
}

/// The first candidate, which is the id unless it is taken.
pub fn tenant_id(uid: &str) -> String {
    tenant_id_candidate(uid, 0).unwrap_or_default()
}

/// Whether `id` has the form of a tenant id.
pub fn is_tenant_id(id: &str) -> bool {
    id.len() == WINDOW + 1
        && id.starts_with('t')
        && id.bytes().skip(1).all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b))
}

/// Slot of a tenant, 0..63 (syncer EN25).
pub fn slot(id: &str) -> u8 {
    Sha256::digest(id.as_bytes())[31] & 63
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_form_and_four_windows() {
        let uid = "0c9f3a52-6f1e-4a5e-9a55-3d1c3b8a1f00";
        let ids: Vec<_> = (0..6).filter_map(|n| tenant_id_candidate(uid, n)).collect();
        assert_eq!(ids.len(), 4);
        assert!(ids.iter().all(|id| is_tenant_id(id)));
        assert_eq!(ids[0], tenant_id(uid));
        assert!(slot(&ids[0]) < 64);
        assert!(!is_tenant_id("tABC") && !is_tenant_id("k2345672345a"));
    }
}
