//! The name that a binding has on its member.

use super::RequestId;
use sha2::{Digest as _, Sha256};

/// Value of the label `skerry.dev/binding`, and end of the ClusterBinding's name: 8 base32 characters of SHA-256
/// over the placement's UID and the member's id.
pub fn binding_label(request: &RequestId, member: &str) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = Sha256::new()
        .chain_update(request.0.as_bytes())
        .chain_update([0])
        .chain_update(member.as_bytes())
        .finalize();
    let bits = hash.iter().take(5).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    (0..8).rev().map(|i| char::from(ALPHABET[(bits >> (5 * i) & 31) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_label_is_stable_and_short() {
        let label = binding_label(&"uid-1".into(), "m1");
        assert_eq!(label.len(), 8);
        assert_eq!(label, binding_label(&"uid-1".into(), "m1"));
        assert_ne!(label, binding_label(&"uid-1".into(), "m2"));
        assert_ne!(binding_label(&"ab".into(), "c"), binding_label(&"a".into(), "bc"));
    }
}
