//! gzip for large answers (N5).

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Answers below this size go out as they are.
pub const THRESHOLD: usize = 128 * 1024;

/// Whether an `Accept-Encoding` takes gzip.
pub fn accepted(accept_encoding: &str) -> bool {
    accept_encoding.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        let named = words.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        named && !words.any(|w| w.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0_f32)))
    })
}

/// The bytes compressed, at the fast level upstream uses.
pub fn compress(bytes: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(1));
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.into())
}
