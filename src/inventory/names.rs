//! Names of members (inventory P2): predictable, unique on the hub, at most 46 characters.

use sha2::{Digest, Sha256};

/// Longest name of a ClusterProfile: with its namespace before it, it is still a label value.
const LONGEST: usize = 46;

/// Name of a virtual cluster's profile. `clash` asks for the longer digest.
pub fn virtual_name(manager: &str, namespace: &str, name: &str, clash: bool) -> String {
    let plain = format!("{manager}.{namespace}.{name}");
    if plain.len() <= LONGEST && !clash {
        return plain;
    }
    let digest = data_encoding::BASE32_NOPAD
        .encode(&Sha256::digest(format!("{namespace}/{name}").as_bytes()))
        .to_ascii_lowercase();
    let digest = &digest[..if clash { 16 } else { 8 }];
    let room = LONGEST - manager.len() - 2 - 1 - digest.len();
    let of_name = name.len().min((room / 2).max(room.saturating_sub(namespace.len())));
    let of_namespace = namespace.len().min(room - of_name);
    let cut = |text: &str, n: usize| text[..n].trim_end_matches('-').to_owned();
    format!("{manager}.{}.{}-{digest}", cut(namespace, of_namespace), cut(name, of_name))
}

/// Name of a real member's profile.
pub fn real_name(manager: &str, name: &str) -> String {
    format!("{manager}.{name}")
}

/// Whether a real member may have this name: a DNS label of at most 25 characters.
pub fn is_member_name(name: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.len() <= 25 && edge(name.bytes().next()) && edge(name.bytes().last()) && name.bytes().all(inner)
}

/// Whether an installation may have this name: a DNS label of at most 20 characters (P1).
pub fn is_manager_name(name: &str) -> bool {
    name.len() <= 20 && is_member_name(name)
}
