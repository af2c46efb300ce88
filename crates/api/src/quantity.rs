//! Quantities as whole billionths, for comparisons and sums.

use serde_json::Value;

/// Reads a quantity text; `None` if it is none or does not fit.
pub fn parse(text: &str) -> Option<i128> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let (binary, decimal) = scale(suffix)?;
    let digits = format!("{whole}{fraction}");
    let mantissa: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let exponent = decimal + 9 - i32::try_from(fraction.len()).ok()?;
    let scaled = mantissa.checked_mul(binary)?;
    let power = 10i128.checked_pow(exponent.unsigned_abs())?;
    let nano = if exponent >= 0 { scaled.checked_mul(power)? } else { scaled.div_ceil_to(power) };
    Some(if negative { -nano } else { nano })
}

trait DivCeil {
    fn div_ceil_to(self, by: Self) -> Self;
}

impl DivCeil for i128 {
    fn div_ceil_to(self, by: i128) -> i128 {
        (self + by - 1) / by
    }
}

fn scale(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "" => (1, 0),
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        other => (1, other.strip_prefix(['e', 'E'])?.parse().ok()?),
    })
}

/// The quantity of a JSON value: text or whole number.
pub fn of(value: &Value) -> Option<i128> {
    match value {
        Value::String(text) => parse(text),
        Value::Number(number) => parse(&number.to_string()),
        _ => None,
    }
}

/// Whether two values are the same quantity.
pub fn equal(a: &Value, b: &Value) -> bool {
    a == b || of(a).is_some_and(|a| of(b) == Some(a))
}

/// A quantity text: whole numbers plain, or in Gi and Mi where that is exact; thousandths with `m`, the rest in
/// billionths.
pub fn format(nano: i128) -> String {
    const WHOLE: i128 = 1_000_000_000;
    if nano % WHOLE == 0 {
        match nano / WHOLE {
            whole if whole != 0 && whole % (1 << 30) == 0 => format!("{}Gi", whole >> 30),
            whole if whole != 0 && whole % (1 << 20) == 0 => format!("{}Mi", whole >> 20),
            whole => whole.to_string(),
        }
    } else if nano % (WHOLE / 1000) == 0 {
        format!("{}m", nano / (WHOLE / 1000))
    } else {
        format!("{nano}n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        let cases = [
            ("1", 1_000_000_000),
            ("500m", 500_000_000),
            ("1Ki", 1_024_000_000_000),
            ("0.5", 500_000_000),
            ("1e3", 1_000_000_000_000),
            (".5Gi", 536_870_912_000_000_000),
            ("-1", -1_000_000_000),
        ];
        for (text, nano) in cases {
            assert_eq!(parse(text), Some(nano), "{text}");
        }
        for bad in ["", "x", "1x", ".", "1.2.3", "1 Gi"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(format(1_500_000_000), "1500m");
        assert_eq!(format((3 << 29) * 1_000_000_000), "1536Mi");
        assert!(equal(&"2".into(), &2.into()) && equal(&"1000m".into(), &1.into()));
    }
}
