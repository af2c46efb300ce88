//! Times as the API writes them.

use jiff::Timestamp;

/// Now, in RFC 3339 with seconds.
pub fn now() -> String {
    format_seconds(Timestamp::now())
}

/// RFC 3339 with seconds, UTC.
pub fn format_seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// RFC 3339 with microseconds, UTC.
pub fn format_micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Now, plus a number of seconds.
pub fn now_plus(seconds: i64) -> String {
    let now = Timestamp::now();
    format_seconds(Timestamp::from_second(now.as_second().saturating_add(seconds)).unwrap_or(now))
}
