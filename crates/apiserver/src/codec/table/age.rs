//! Durations as people read them.

use jiff::Timestamp;
use serde_json::Value;

/// Upstream's text of a duration in seconds: two units at most, coarser the longer it is.
pub fn human_duration(seconds: i64) -> String {
    let pair = |a: i64, unit: &str, b: i64, rest: &str| {
        if b == 0 { format!("{a}{unit}") } else { format!("{a}{unit}{b}{rest}") }
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    match seconds {
        ..=-2 => "<invalid>".into(),
        -1 => "0s".into(),
        0..=119 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if days < 8 => pair(days, "d", hours % 24, "h"),
        _ if days < 365 * 2 => format!("{days}d"),
        _ if days < 365 * 8 => pair(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

/// A time in an object.
pub(super) fn time(value: Option<&Value>) -> Option<Timestamp> {
    value?.as_str()?.parse().ok()
}

/// Time since then, `<unknown>` without one.
pub(super) fn since(value: Option<&Value>, now: Timestamp) -> String {
    time(value).map_or_else(|| "<unknown>".into(), |then| human_duration(between(then, now)))
}

pub(super) fn between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_second() - from.as_second()
}
