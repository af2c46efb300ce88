//! The hash of names and keys (section 3).

use sha2::{Digest, Sha256};

/// First ten characters, lower-case base32, of SHA-256 over the parts, each with its length before it.
pub(crate) fn h(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let mut text = data_encoding::BASE32_NOPAD.encode(&digest.finalize()).to_ascii_lowercase();
    text.truncate(10);
    text
}

/// At most `max` characters of `text`, made a part of a DNS label: characters outside `[a-z0-9-]` become `-`,
/// trailing `-` and `.` go.
pub(crate) fn cut(text: &str, max: usize) -> String {
    let mut out: String = text
        .chars()
        .take(max)
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' { c } else { '-' })
        .collect();
    while out.ends_with('-') {
        out.pop();
    }
    out
}
