//! Rules of names with upstream's sentences, one per broken rule.

use crate::model::names::{LABEL_1035_RULE, LABEL_RULE, SUBDOMAIN_RULE, is_dns_label, is_dns_subdomain};

const EMPTY: &str = "must be non-empty";
const QUALIFIED_FORM: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_FORM: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Upstream speaks of bytes in keys and values of labels, of characters elsewhere.
fn too_long(max: usize, unit: &str) -> String {
    format!("must be no more than {max} {unit}")
}

fn rules(long: Option<usize>, form: Option<&str>) -> Vec<String> {
    long.map(|max| too_long(max, "characters")).into_iter().chain(form.map(str::to_owned)).collect()
}

/// Broken rules of an RFC 1035 label.
pub fn dns_1035_label(text: &str) -> Vec<String> {
    // The form is judged apart from the length.
    let head = text.starts_with(|c: char| c.is_ascii_lowercase());
    let form = head && label_form(text);
    rules((text.len() > 63).then_some(63), (!form).then_some(LABEL_1035_RULE))
}

/// Broken rules of an RFC 1123 label.
pub fn dns_1123_label(text: &str) -> Vec<String> {
    if is_dns_label(text) {
        return Vec::new();
    }
    rules((text.len() > 63).then_some(63), (!label_form(text)).then_some(LABEL_RULE))
}

/// Broken rules of an RFC 1123 subdomain.
pub fn dns_1123_subdomain(text: &str) -> Vec<String> {
    if is_dns_subdomain(text) {
        return Vec::new();
    }
    let form = text.split('.').all(label_form);
    rules((text.len() > 253).then_some(253), (!form).then_some(SUBDOMAIN_RULE))
}

/// Broken rules of a path segment, or of the start of one.
pub fn path_segment(text: &str, prefix: bool) -> Vec<String> {
    if !prefix && (text == "." || text == "..") {
        return vec![format!("may not be '{text}'")];
    }
    ['/', '%'].into_iter().filter(|c| text.contains(*c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// Broken rules of a label key, finalizer or annotation.
pub fn qualified(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let name = match text.split_once('/') {
        None => text,
        Some((prefix, name)) if !name.contains('/') => {
            if prefix.is_empty() {
                found.push(format!("prefix part {EMPTY}"));
            } else {
                found
                    .extend(dns_1123_subdomain(prefix).into_iter().map(|rule| format!("prefix part {rule}")));
            }
            name
        }
        Some(_) => {
            return vec![format!(
                "a valid label key {QUALIFIED_FORM} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        found.push(format!("name part {EMPTY}"));
    } else if name.len() > 63 {
        found.push(format!("name part {}", too_long(63, "bytes")));
    }
    if !value_form(name) {
        found.push(format!("name part {QUALIFIED_FORM}"));
    }
    found
}

/// Broken rules of a label's value.
pub fn label_value(text: &str) -> Vec<String> {
    let long = (text.len() > 63).then(|| too_long(63, "bytes"));
    let form = (!text.is_empty() && !value_form(text)).then(|| VALUE_FORM.to_owned());
    long.into_iter().chain(form).collect()
}

fn label_form(text: &str) -> bool {
    let alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().is_some_and(alnum)
        && bytes.last().is_some_and(alnum)
        && bytes.iter().all(|b| alnum(b) || *b == b'-')
}

fn value_form(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}
