//! `format`: the set upstream checks on texts, and what passes for each.

use std::sync::LazyLock;

use regex::Regex;

use super::node::Node;

/// Formats of texts, hyphens left out.
const KNOWN: [&str; 26] = [
    "bsonobjectid",
    "byte",
    "cidr",
    "creditcard",
    "date",
    "datetime",
    "duration",
    "email",
    "hexcolor",
    "hostname",
    "ipv4",
    "ipv6",
    "isbn",
    "isbn10",
    "isbn13",
    "k8slongname",
    "k8sshortname",
    "mac",
    "password",
    "rgbcolor",
    "ssn",
    "uri",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
];

/// The format of a node as far as it means something for its type, else empty.
pub fn effective(node: &Node) -> &str {
    let format = &*node.checks().format;
    if format.is_empty() || !recognized(node) { "" } else { format }
}

/// Whether the node's format, if any, is one upstream knows for its type.
pub fn recognized(node: &Node) -> bool {
    let format = &*node.checks().format;
    let ty = if node.int_or_string { "" } else { &*node.ty };
    match ty {
        _ if format.is_empty() => true,
        "" | "string" => KNOWN.contains(&format.replace('-', "").as_str()),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    }
}

/// Whether the text fits the format. Unknown formats fit.
pub fn matches(format: &str, text: &str) -> bool {
    let plain = format.replace('-', "");
    match plain.as_str() {
        "bsonobjectid" => text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit()),
        "byte" => BASE64.is_match(text),
        "cidr" => is_cidr(text),
        "creditcard" => is_credit_card(text),
        "date" => is_date(text),
        "datetime" => is_date_time(text),
        "duration" => is_duration(text),
        "email" => is_email(text),
        "hexcolor" => HEX_COLOR.is_match(text),
        "hostname" => is_hostname(text),
        "ipv4" => is_ipv4(text),
        "ipv6" => text.contains(':') && text.parse::<std::net::Ipv6Addr>().is_ok(),
        "isbn" => is_isbn(text, 10) || is_isbn(text, 13),
        "isbn10" => is_isbn(text, 10),
        "isbn13" => is_isbn(text, 13),
        "k8slongname" => crate::model::names::is_dns_subdomain(text),
        "k8sshortname" => crate::model::names::is_dns_label(text),
        "mac" => is_mac(text),
        "rgbcolor" => RGB_COLOR.is_match(text),
        "ssn" => text.len() == 11 && SSN.is_match(text),
        "uri" => is_request_uri(text),
        "uuid" => is_uuid(text, None),
        "uuid3" => is_uuid(text, Some(b'3')),
        "uuid4" => is_uuid(text, Some(b'4')),
        "uuid5" => is_uuid(text, Some(b'5')),
        _ => true,
    }
}

macro_rules! expression {
    ($name:ident, $text:expr) => {
        // The texts are constants of this file, and a test compiles each.
        #[allow(clippy::expect_used)]
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($text).expect("a constant expression"));
    };
}

expression!(BASE64, r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$");
expression!(HEX_COLOR, r"^#?(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})$");
expression!(SSN, r"^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$");
expression!(
    RGB_COLOR,
    r"^rgb\(\s*(?:0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])\s*,\s*(?:0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])\s*,\s*(?:0|[1-9][0-9]?|1[0-9][0-9]?|2[0-4][0-9]|25[0-5])\s*\)$"
);
expression!(
    CREDIT_CARD,
    r"^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11})$"
);
expression!(CLOCK, r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:.[0-9]+)?(?:z|[+-][0-9]{2}:[0-9]{2})$");
expression!(DURATION_PART, r"([0-9]+)\s*([A-Za-zµ]+)");
expression!(GO_DURATION, r"^[-+]?(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)$");

fn is_ipv4(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    // Leading zeros are tolerated, as before Go 1.17.
    let part = |p: &&str| {
        !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u64>().is_ok_and(|n| n <= 255)
    };
    if parts.len() == 4 && parts.iter().all(part) {
        return true;
    }
    text.contains(':') && text.contains('.') && text.parse::<std::net::Ipv6Addr>().is_ok()
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    let Some(length) = length.parse::<u32>().ok().filter(|_| digits) else { return false };
    if address.contains(':') {
        length <= 128 && address.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        length <= 32 && is_ipv4(address)
    }
}

fn is_mac(text: &str) -> bool {
    let groups = |separator: char, width: usize, counts: &[usize]| {
        let parts: Vec<&str> = text.split(separator).collect();
        counts.contains(&parts.len())
            && parts.iter().all(|p| p.len() == width && p.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let plain = matches!(text.len(), 12 | 16 | 40) && text.bytes().all(|b| b.is_ascii_hexdigit());
    plain || groups(':', 2, &[6, 8, 20]) || groups('-', 2, &[6, 8, 20]) || groups('.', 4, &[3, 4, 10])
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(i, b)| if i == 4 || i == 7 { *b == b'-' } else { b.is_ascii_digit() });
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|t| t.parse::<i16>().ok());
    let parts = shape.then(|| (number(0..4), number(5..7), number(8..10)));
    let Some((Some(year), Some(month), Some(day))) = parts else { return false };
    match (i8::try_from(month), i8::try_from(day)) {
        (Ok(month), Ok(day)) => jiff::civil::Date::new(year, month, day).is_ok(),
        _ => false,
    }
}

fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    match (parts.next(), parts.next()) {
        (Some(date), Some(clock)) => is_date(date) && CLOCK.is_match(clock),
        _ => false,
    }
}

fn is_duration(text: &str) -> bool {
    const UNITS: [&[&str]; 8] = [
        &["ns", "nano"],
        &["us", "µs", "micro"],
        &["ms", "milli"],
        &["s", "sec"],
        &["m", "min"],
        &["h", "hr", "hour"],
        &["d", "day"],
        &["w", "wk", "week"],
    ];
    if GO_DURATION.is_match(text) {
        return true;
    }
    let mut known = false;
    for part in DURATION_PART.captures_iter(text) {
        if part[1].parse::<i64>().is_err() {
            return false;
        }
        let unit = part[2].to_lowercase();
        known |= UNITS.iter().any(|names| {
            names.contains(&unit.as_str()) || names.last().is_some_and(|long| unit.starts_with(long))
        });
    }
    known
}

fn is_email(text: &str) -> bool {
    // An address, or a name with an address in angle brackets.
    let address = match (text.rfind('<'), text.trim_end().strip_suffix('>')) {
        (Some(open), Some(inner)) => inner.get(open + 1..).unwrap_or_default(),
        _ => text.trim(),
    };
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let atom = |c: char| {
        c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
    };
    let dotted = |t: &str| !t.is_empty() && t.split('.').all(|p| !p.is_empty() && p.chars().all(atom));
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    let literal = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']')).is_some_and(|d| !d.is_empty());
    (dotted(local) || quoted) && (dotted(domain) || literal)
}

fn is_hostname(text: &str) -> bool {
    expression!(
        HOSTNAME,
        r"^(?:[a-zA-Z0-9\p{S}\p{L}](?:(?:-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?)|(?:[a-zA-Z0-9\p{S}\p{L}](?:(?:[a-zA-Z0-9\-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?)(?:\.)){1,}(?:[a-zA-Z\p{L}]){2,63})$"
    );
    text.len() <= 255 && text.split('.').all(|p| p.len() <= 63) && HOSTNAME.is_match(text)
}

fn is_request_uri(text: &str) -> bool {
    if text.is_empty() || text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return false;
    }
    let escapes_fit = |part: &str| {
        part.split('%').skip(1).all(|p| p.len() >= 2 && p.bytes().take(2).all(|b| b.is_ascii_hexdigit()))
    };
    if text == "*" {
        return true;
    }
    if text.starts_with('/') {
        return escapes_fit(text.split('?').next().unwrap_or_default());
    }
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let head = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let tail = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !head || !tail {
        return false;
    }
    let Some(authority) = rest.strip_prefix("//") else { return !rest.is_empty() };
    let (authority, path) = authority.split_at(authority.find(['/', '?']).unwrap_or(authority.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port_fits = match host.rsplit_once(':') {
        Some((_, port)) if !host.ends_with(']') => port.bytes().all(|b| b.is_ascii_digit()),
        _ => true,
    };
    port_fits && !host.contains(' ') && escapes_fit(path.split('?').next().unwrap_or_default())
}

fn is_uuid(text: &str, version: Option<u8>) -> bool {
    // Hyphens may be left out, each on its own.
    let mut digits = Vec::with_capacity(32);
    for (i, b) in text.bytes().enumerate() {
        match b {
            b'-' if matches!(digits.len(), 8 | 12 | 16 | 20) && i > 0 && text.as_bytes()[i - 1] != b'-' => {}
            b if b.is_ascii_hexdigit() => digits.push(b.to_ascii_lowercase()),
            _ => return false,
        }
    }
    let variant = |b: u8| b"89ab".contains(&b);
    digits.len() == 32
        && !text.ends_with('-')
        && version.is_none_or(|v| digits[12] == v && (v == b'3' || variant(digits[16])))
}

fn is_isbn(text: &str, length: usize) -> bool {
    let plain: Vec<u8> = text.bytes().filter(|b| !matches!(b, b' ' | b'-')).collect();
    if plain.len() != length {
        return false;
    }
    let digit = |b: u8| b.is_ascii_digit().then(|| u32::from(b - b'0'));
    let (body, last) = (&plain[..length - 1], plain[length - 1]);
    let Some(body) = body.iter().map(|b| digit(*b)).collect::<Option<Vec<u32>>>() else { return false };
    if length == 10 {
        let sum: u32 = (1u32..).zip(&body).map(|(i, d)| i * d).sum();
        let check = if last == b'X' { Some(10) } else { digit(last) };
        check.is_some_and(|check| (sum + 10 * check).is_multiple_of(11))
    } else {
        let sum: u32 = body.iter().enumerate().map(|(i, d)| if i % 2 == 0 { *d } else { 3 * d }).sum();
        digit(last).is_some_and(|check| (10 - sum % 10) % 10 == check)
    }
}

fn is_credit_card(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if !CREDIT_CARD.is_match(&digits) {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(i, b)| {
            let digit = u32::from(b - b'0');
            let doubled = digit * 2;
            if i % 2 == 0 { digit } else { doubled / 10 + doubled % 10 }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_take_what_upstream_takes() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("bsonobjectid", &["507f1f77bcf86cd799439011"], &["507f"]),
            ("byte", &["aGk=", "aGkh"], &["a", "aGk"]),
            ("cidr", &["10.0.0.0/8", "fd00::/8", "010.0.0.0/8"], &["10.0.0.0", "10.0.0.0/33", "x/8"]),
            ("creditcard", &["4111-1111-1111-1111"], &["4111-1111-1111-1112"]),
            ("date", &["2024-02-29"], &["2023-02-29", "2024-2-9", "x"]),
            ("date-time", &["2014-12-15T19:30:20.000Z", "2014-12-15t19:30:20+01:00"], &["2014-12-15", "x"]),
            ("duration", &["1h30m", "22 ns", "3 days", "0", "-1.5h"], &["1", "x", ""]),
            ("email", &["a@b.c", "A <a@b>"], &["a", "@b", "a@"]),
            ("hexcolor", &["#FFFFFF", "abc"], &["#ffff"]),
            ("hostname", &["a", "a.example.com", "1a.de"], &["-a", "a_b", "a."]),
            ("ipv4", &["10.0.0.1", "010.0.0.1"], &["10.0.0", "256.0.0.1", "::1"]),
            ("ipv6", &["::1", "fd00::1"], &["10.0.0.1", "x"]),
            ("isbn", &["0321751043", "978-0321751041"], &["0321751044"]),
            ("k8s-short-name", &["a-b"], &["a.b", "-a"]),
            ("k8s-long-name", &["a-b.c"], &["a..b", "A"]),
            ("mac", &["01:02:03:04:05:ab", "0102.0304.05ab"], &["01:02"]),
            ("password", &["x"], &[]),
            ("rgbcolor", &["rgb(0, 100,255)"], &["rgb(0,100,256)"]),
            ("ssn", &["123-45-6789"], &["12-345-6789"]),
            ("uri", &["http://a/b", "/x", "mailto:a"], &["a b", "x", ""]),
            ("uuid", &["7D444840-9DC0-11D1-B245-5FFDCE74FAD2"], &["7D444840"]),
            ("uuid4", &["57b73598-8764-4ad0-a76a-679bb6640eb1"], &["7D444840-9DC0-11D1-B245-5FFDCE74FAD2"]),
            ("made-up", &["anything"], &[]),
        ];
        for (format, good, bad) in cases {
            for text in *good {
                assert!(matches(format, text), "{format} takes {text:?}");
            }
            for text in *bad {
                assert!(!matches(format, text), "{format} refuses {text:?}");
            }
        }
    }
}
