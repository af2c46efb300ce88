//! `resource.Quantity`: parsing, and the canonical text every quantity is stored as.

/// A decimal number with the suffix family it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity {
    mantissa: i128,
    /// Power of ten.
    exponent: i32,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    DecimalSi,
    DecimalExponent,
    BinarySi,
}

/// Upstream's sentence for what is no quantity.
pub const REGEXP_MESSAGE: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

const CAP: i128 = i64::MAX as i128;
const SMALLEST: i32 = -9;
const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

impl Quantity {
    /// Reads a quantity; `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (digits, suffix) = unsigned.split_at(end);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let (format, scale) = suffix_of(suffix)?;
        let mantissa = digits_value(whole, fraction);
        let mut out = match scale {
            Scale::Ten(power) => {
                let fraction = i32::try_from(fraction.len()).ok()?;
                Self { mantissa, exponent: power.checked_sub(fraction)?, format }
            }
            Scale::Two(power) => binary(mantissa, fraction.len(), power),
        };
        out.normalise();
        if negative {
            out.mantissa = -out.mantissa;
        }
        Some(out)
    }

    /// Rounds away below a billionth and caps at the greatest int64, as upstream does.
    fn normalise(&mut self) {
        while self.mantissa != 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.exponent += 1;
        }
        if self.mantissa == 0 {
            self.exponent = 0;
            return;
        }
        while self.exponent < SMALLEST {
            let up = i128::from(self.mantissa % 10 != 0);
            self.mantissa = self.mantissa / 10 + up;
            self.exponent += 1;
        }
        let whole = (0..self.exponent.max(0)).try_fold(self.mantissa, |m, _| m.checked_mul(10));
        if self.exponent >= 0 && whole.is_none_or(|w| w > CAP) {
            (self.mantissa, self.exponent) = (CAP, 0);
        }
    }

    /// The sum of two, in the form of the first.
    pub fn plus(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        let at = |q: &Self| {
            let factor = 10i128.checked_pow((q.exponent - exponent).unsigned_abs()).unwrap_or(i128::MAX);
            q.mantissa.saturating_mul(factor)
        };
        let mut out = Self { mantissa: at(self).saturating_add(at(other)), exponent, format: self.format };
        out.normalise();
        out
    }

    /// The value when it is a whole number.
    pub fn whole(&self) -> Option<i128> {
        if self.exponent >= 0 {
            return self.mantissa.checked_mul(10i128.checked_pow(self.exponent.unsigned_abs())?);
        }
        let divisor = 10i128.checked_pow(self.exponent.unsigned_abs())?;
        (self.mantissa % divisor == 0).then(|| self.mantissa / divisor)
    }

    /// The value in thousandths, rounded up.
    pub fn millis(&self) -> i128 {
        self.scaled_up(-3)
    }

    /// The value as a whole number, rounded up.
    pub fn value(&self) -> i128 {
        self.scaled_up(0)
    }

    fn scaled_up(&self, exponent: i32) -> i128 {
        let shift = self.exponent - exponent;
        let factor = 10i128.checked_pow(shift.unsigned_abs()).unwrap_or(i128::MAX);
        if shift >= 0 {
            return self.mantissa.saturating_mul(factor);
        }
        let up = i128::from(self.mantissa > 0 && self.mantissa % factor != 0);
        self.mantissa / factor + up
    }

    /// The text upstream stores.
    pub fn canonical(&self) -> String {
        if self.mantissa == 0 {
            return "0".into();
        }
        let mut format = self.format;
        if format == Format::BinarySi {
            match self.whole() {
                Some(whole) if whole.abs() >= 1024 => return base1024(whole),
                _ => format = Format::DecimalSi,
            }
        }
        let (mut mantissa, mut exponent) = (self.mantissa, self.exponent);
        while exponent.rem_euclid(3) != 0 {
            mantissa *= 10;
            exponent -= 1;
        }
        match DECIMAL.iter().find(|(_, e)| *e == exponent) {
            Some((suffix, _)) if format == Format::DecimalSi => format!("{mantissa}{suffix}"),
            _ if exponent == 0 => mantissa.to_string(),
            _ => format!("{mantissa}e{exponent}"),
        }
    }
}

enum Scale {
    Ten(i32),
    Two(u32),
}

fn suffix_of(suffix: &str) -> Option<(Format, Scale)> {
    if let Some((_, power)) = DECIMAL.iter().find(|(s, _)| *s == suffix) {
        return Some((Format::DecimalSi, Scale::Ten(*power)));
    }
    if let Some(i) = BINARY.iter().position(|s| *s == suffix) {
        return Some((Format::BinarySi, Scale::Two(10 * u32::try_from(i).ok()?)));
    }
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    (power.abs() < 1000).then_some((Format::DecimalExponent, Scale::Ten(power)))
}

fn digits_value(whole: &str, fraction: &str) -> i128 {
    let digits = whole.bytes().chain(fraction.bytes());
    digits.fold(0i128, |v, d| v.saturating_mul(10).saturating_add(i128::from(d - b'0')))
}

fn binary(mantissa: i128, fraction: usize, power: u32) -> Quantity {
    let factor = 1i128.checked_shl(power).unwrap_or(i128::MAX);
    let exponent = -i32::try_from(fraction).unwrap_or(i32::MAX);
    Quantity { mantissa: mantissa.saturating_mul(factor), exponent, format: Format::BinarySi }
}

fn base1024(mut value: i128) -> String {
    let mut steps = 0;
    while value % 1024 == 0 && steps + 1 < BINARY.len() {
        value /= 1024;
        steps += 1;
    }
    format!("{value}{}", BINARY[steps])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_texts_are_upstreams() {
        let cases = [
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1000", "1k"),
            ("100m", "100m"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0", "0"),
            ("0Mi", "0"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("12e6", "12e6"),
            ("1023", "1023"),
            ("512Ki", "512Ki"),
            ("0.5Ki", "512"),
            ("1.1Mi", "1153433600m"),
            ("-5", "-5"),
            (".5", "500m"),
            ("5.", "5"),
            ("0.0000000001", "1n"),
            ("200u", "200u"),
            ("10Gi", "10Gi"),
            ("100000000000000000000", "9223372036854775807"),
            ("64", "64"),
            ("1536Mi", "1536Mi"),
        ];
        for (text, want) in cases {
            assert_eq!(Quantity::parse(text).unwrap().canonical(), want, "{text}");
        }
        let sum =
            |a: &str, b: &str| Quantity::parse(a).unwrap().plus(&Quantity::parse(b).unwrap()).canonical();
        assert_eq!((sum("500m", "1"), sum("1Gi", "512Mi")), ("1500m".into(), "1536Mi".into()));
        for bad in ["", "a", "1x", "1.2.3", "--1", "1 Gi", "Gi", "."] {
            assert_eq!(Quantity::parse(bad), None, "{bad}");
        }
    }
}
