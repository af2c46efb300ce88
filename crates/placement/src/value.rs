//! How property values compare (M2): as quantity, else as version, else as text; ordered operators never match
//! values of unlike kinds.

use std::cmp::Ordering;

/// A quantity text in billionths. `None` if it is none, or beyond what fits.
pub fn parse_quantity(text: &str) -> Option<i128> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 20 {
        return None;
    }
    let (multiplier, shift) = suffix_scale(suffix)?;
    let mut mantissa: i128 = 0;
    for digit in whole.bytes() {
        mantissa = mantissa * 10 + i128::from(digit - b'0');
    }
    let kept = fraction.trim_end_matches('0');
    if kept.len() > 9 {
        return None;
    }
    for digit in kept.bytes() {
        mantissa = mantissa * 10 + i128::from(digit - b'0');
    }
    let power = shift + 9 - i32::try_from(kept.len()).ok()?;
    let mut value = mantissa.checked_mul(multiplier)?;
    if power >= 0 {
        value = value.checked_mul(10_i128.checked_pow(u32::try_from(power).ok()?)?)?;
    } else {
        let divisor = 10_i128.checked_pow(u32::try_from(-power).ok()?)?;
        // Finer than a billionth rounds up, as upstream does.
        value = (value + divisor - 1) / divisor;
    }
    Some(if negative { -value } else { value })
}

/// Binary multiplier and decimal exponent of a quantity suffix.
fn suffix_scale(suffix: &str) -> Option<(i128, i32)> {
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
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            if digits.is_empty() || digits.len() > 2 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            (1, exponent.parse().ok().filter(|e: &i32| (-18..=18).contains(e))?)
        }
    })
}

/// A version: `v1.36.2-rc.1`. Build metadata does not order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 3],
    pre: Vec<Part>,
}

/// One dotted part of a pre-release; numbers come before text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u64),
    Text(String),
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => self.pre.cmp(&other.pre),
        })
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Version {
    /// Reads `[v]MAJOR.MINOR[.PATCH][-PRE][+BUILD]`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let text = text.split_once('+').map_or(text, |(head, _)| head);
        let (core, pre) = text.split_once('-').unwrap_or((text, ""));
        let mut numbers = [0; 3];
        let mut count = 0;
        for part in core.split('.') {
            if count == 3 || part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            numbers[count] = part.parse().ok()?;
            count += 1;
        }
        if count < 2 || (pre.is_empty() && text.contains('-')) {
            return None;
        }
        let part = |p: &str| p.parse().map_or_else(|_| Part::Text(p.to_owned()), Part::Number);
        let pre = if pre.is_empty() { Vec::new() } else { pre.split('.').map(part).collect() };
        Some(Self { numbers, pre })
    }

    /// The version on a number line, for sorts: pre-releases are not told apart.
    fn as_number(&self) -> i128 {
        self.numbers.iter().fold(0, |sum, n| sum * 1_000_000 + i128::from((*n).min(999_999)))
    }
}

/// A value that has been looked at once.
#[derive(Clone, Debug)]
pub struct Value<'a> {
    text: &'a str,
    quantity: Option<i128>,
    version: Option<Version>,
}

impl<'a> Value<'a> {
    /// Looks at a text.
    pub fn new(text: &'a str) -> Self {
        let quantity = parse_quantity(text);
        Self { text, quantity, version: Version::parse(text) }
    }

    /// Order of two values, or `None` when they are of unlike kinds.
    pub fn compare(&self, other: &Value<'_>) -> Option<Ordering> {
        if let (Some(a), Some(b)) = (self.quantity, other.quantity) {
            return Some(a.cmp(&b));
        }
        if let (Some(a), Some(b)) = (&self.version, &other.version) {
            return Some(a.cmp(b));
        }
        (self.is_text() && other.is_text()).then(|| self.text.cmp(other.text))
    }

    fn is_text(&self) -> bool {
        self.quantity.is_none() && self.version.is_none()
    }

    /// The value on a number line, for sorts; the kind keeps quantities and versions apart.
    pub fn number(&self) -> Option<(NumberKind, i128)> {
        self.quantity
            .map(|q| (NumberKind::Quantity, q))
            .or_else(|| self.version.as_ref().map(|v| (NumberKind::Version, v.as_number())))
    }
}

/// What a number on the line means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberKind {
    /// A quantity, in billionths.
    Quantity,
    /// A version.
    Version,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_in_every_notation() {
        let nano = 1_000_000_000;
        for (text, want) in [
            ("0", Some(0)),
            ("1", Some(nano)),
            ("1.5", Some(nano * 3 / 2)),
            (".5", Some(nano / 2)),
            ("100m", Some(nano / 10)),
            ("1Ki", Some(1024 * nano)),
            ("1.5Gi", Some(3 * (1 << 29) * nano)),
            ("2e3", Some(2000 * nano)),
            ("2E", Some(2 * nano * 1_000_000_000_000_000_000)),
            ("2E3", Some(2000 * nano)),
            ("5e-1", Some(nano / 2)),
            ("-3k", Some(-3000 * nano)),
            ("1n", Some(1)),
            ("0.1n", Some(1)),
            ("", None),
            (".", None),
            ("1.2.3", None),
            ("v1", None),
            ("4 cores", None),
            ("eu-north-1", None),
            ("1e99", None),
        ] {
            assert_eq!(parse_quantity(text), want, "{text}");
        }
    }

    #[test]
    fn versions_order_like_releases() {
        let sorted =
            ["v1.9.0", "v1.31.0-alpha.2", "v1.31.0-alpha.10", "v1.31.0-rc.1", "1.31", "v1.31.7+k3s1"];
        for pair in sorted.windows(2) {
            assert!(Version::parse(pair[0]).unwrap() < Version::parse(pair[1]).unwrap(), "{pair:?}");
        }
        for bad in ["1", "v1", "1.x", "1.2.3.4", "one.two", "1.2-"] {
            assert!(Version::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn unlike_kinds_do_not_compare() {
        assert_eq!(Value::new("8").compare(&Value::new("gold")), None);
        assert_eq!(Value::new("v1.31.0").compare(&Value::new("gold")), None);
        assert_eq!(
            Value::new("1.31").compare(&Value::new("v1.30.0")),
            Some(Ordering::Greater),
            "both are versions"
        );
        assert_eq!(Value::new("8").compare(&Value::new("8000m")), Some(Ordering::Equal));
        assert_eq!(Value::new("a").compare(&Value::new("b")), Some(Ordering::Less));
    }
}
