//! Forms of names: DNS labels, subdomains, path segments, and generated names.

use rand::seq::IndexedRandom;

/// Letters of generated suffixes: no vowels, no digits that look like letters.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const BASE_MAX: usize = 58;

/// What a refused subdomain is told.
pub const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
/// What a refused label is told.
pub const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
/// What a refused RFC 1035 label is told.
pub const LABEL_1035_RULE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/// RFC 1123 label of at most 63 characters.
pub fn is_dns_label(name: &str) -> bool {
    let bytes = name.as_bytes();
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !name.is_empty()
        && name.len() <= 63
        && bytes.first().is_some_and(alnum)
        && bytes.last().is_some_and(alnum)
        && bytes.iter().all(|b| alnum(b) || *b == b'-')
}

/// RFC 1035 label: a label that begins with a letter.
pub fn is_dns_1035_label(name: &str) -> bool {
    is_dns_label(name) && name.as_bytes()[0].is_ascii_lowercase()
}

/// RFC 1123 subdomain of at most 253 characters.
pub fn is_dns_subdomain(name: &str) -> bool {
    let part = |p: &str| {
        let bytes = p.as_bytes();
        let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        bytes.first().is_some_and(alnum)
            && bytes.last().is_some_and(alnum)
            && bytes.iter().all(|b| alnum(b) || *b == b'-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

/// Anything that can be one segment of a path.
pub fn is_path_segment(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '%'])
}

/// A generated name: the base, cut to 58 characters, and five letters.
pub fn generated(base: &str) -> String {
    let mut end = base.len().min(BASE_MAX);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    let mut name = base[..end].to_owned();
    let mut rng = rand::rng();
    name.extend((0..5).filter_map(|_| LETTERS.choose(&mut rng)).map(|b| char::from(*b)));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_forms() {
        assert!(
            is_dns_label("a-1")
                && !is_dns_label("a.b")
                && !is_dns_label("-a")
                && !is_dns_label(&"a".repeat(64))
        );
        assert!(is_dns_subdomain("a.b-c") && !is_dns_subdomain("a..b") && !is_dns_subdomain("A"));
        assert!(is_dns_1035_label("a1") && !is_dns_1035_label("1a"));
        assert!(is_path_segment("system:node") && !is_path_segment("..") && !is_path_segment("a/b"));
        let long = generated(&"x".repeat(80));
        assert_eq!(long.len(), 63);
        assert_ne!(generated("a-"), generated("a-"));
    }
}
