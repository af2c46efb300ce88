//! Label and field selectors (F1), parsed once per request.

use std::borrow::Cow;
use std::collections::BTreeSet;

/// One requirement of a label selector.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Requirement {
    In(String, BTreeSet<String>),
    NotIn(String, BTreeSet<String>),
    Exists(String),
    DoesNotExist(String),
    Greater(String, i64),
    Less(String, i64),
}

/// A parsed label selector. Empty matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(Vec<Requirement>);

/// Why a selector was refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SelectorError {
    /// The text is no selector.
    #[error("unable to parse requirement: {0}")]
    Syntax(String),
    /// Q19.
    #[error("selector has {0} requirements: limit is 64")]
    TooManyRequirements(usize),
    /// Q19.
    #[error("selector has {0} values: limit is 10000")]
    TooManyValues(usize),
    /// A field that this resource cannot select on.
    #[error("field label not supported: {0}")]
    UnknownField(String),
}

fn split_top(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0usize, 0usize, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

fn is_name_part(text: &str, max: usize) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric();
    let bytes = text.as_bytes();
    !text.is_empty()
        && text.len() <= max
        && bytes.first().copied().is_some_and(ok)
        && bytes.last().copied().is_some_and(ok)
        && bytes.iter().all(|b| ok(*b) || matches!(b, b'-' | b'_' | b'.'))
}

/// Whether `key` is a qualified name: an optional DNS prefix and a name of at most 63 characters.
pub fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => super::names::is_dns_subdomain(prefix) && is_name_part(name, 63),
        None => is_name_part(key, 63),
    }
}

/// Whether `value` may be a label value.
pub fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_name_part(value, 63)
}

fn key_of(text: &str) -> Result<String, SelectorError> {
    let key = text.trim();
    if is_qualified_name(key) {
        Ok(key.to_owned())
    } else {
        Err(SelectorError::Syntax(format!(
            "<nil>: Invalid value: {key:?}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
        )))
    }
}

fn value_of(text: &str) -> Result<String, SelectorError> {
    let value = text.trim();
    if is_label_value(value) {
        Ok(value.to_owned())
    } else {
        Err(SelectorError::Syntax(format!(
            "values[0]: Invalid value: {value:?}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"
        )))
    }
}

fn set_requirement(part: &str) -> Result<Option<Requirement>, SelectorError> {
    let Some((head, rest)) = part.split_once('(') else { return Ok(None) };
    let Some(list) = rest.trim_end().strip_suffix(')') else {
        return Err(SelectorError::Syntax(format!("found '{part}', expected: ',' or ')'")));
    };
    let values = list.split(',').map(value_of).collect::<Result<BTreeSet<_>, _>>()?;
    let mut words = head.split_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(key), Some("in"), None) => Ok(Some(Requirement::In(key_of(key)?, values))),
        (Some(key), Some("notin"), None) => Ok(Some(Requirement::NotIn(key_of(key)?, values))),
        _ => Err(SelectorError::Syntax(format!("found '{head}', expected: in, notin, =, ==, !=, gt, lt"))),
    }
}

fn requirement(part: &str) -> Result<Requirement, SelectorError> {
    if let Some(set) = set_requirement(part)? {
        return Ok(set);
    }
    let one = |v: &str| value_of(v).map(|v| BTreeSet::from([v]));
    if let Some((key, value)) = part.split_once("!=") {
        return Ok(Requirement::NotIn(key_of(key)?, one(value)?));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return Ok(Requirement::In(key_of(key)?, one(value)?));
    }
    let number = |v: &str| v.trim().parse::<i64>().map_err(|e| SelectorError::Syntax(e.to_string()));
    if let Some((key, value)) = part.split_once('>') {
        return Ok(Requirement::Greater(key_of(key)?, number(value)?));
    }
    if let Some((key, value)) = part.split_once('<') {
        return Ok(Requirement::Less(key_of(key)?, number(value)?));
    }
    match part.trim().strip_prefix('!') {
        Some(key) => Ok(Requirement::DoesNotExist(key_of(key)?)),
        None => Ok(Requirement::Exists(key_of(part)?)),
    }
}

impl LabelSelector {
    /// Parses the query form, as `app in (a, b),!canary`.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let parts = split_top(text);
        if parts.len() > 64 {
            return Err(SelectorError::TooManyRequirements(parts.len()));
        }
        let values = text.matches(',').count() + 1;
        if values > 10_000 {
            return Err(SelectorError::TooManyValues(values));
        }
        parts.into_iter().map(requirement).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether labels, looked up by key, satisfy every requirement.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let number = |key: &str| label(key).and_then(|v| v.parse::<i64>().ok());
        self.0.iter().all(|r| match r {
            Requirement::In(key, values) => label(key).is_some_and(|v| values.contains(v)),
            Requirement::NotIn(key, values) => label(key).is_none_or(|v| !values.contains(v)),
            Requirement::Exists(key) => label(key).is_some(),
            Requirement::DoesNotExist(key) => label(key).is_none(),
            Requirement::Greater(key, n) => number(key).is_some_and(|v| v > *n),
            Requirement::Less(key, n) => number(key).is_some_and(|v| v < *n),
        })
    }
}

/// A parsed field selector: (field, equal, value).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(Vec<(String, bool, String)>);

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            other => out.push(other),
        }
    }
    out
}

impl FieldSelector {
    /// Parses the query form, as `spec.nodeName=n1,status.phase!=Failed`.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        let mut terms = Vec::new();
        for part in text.split(',').filter(|p| !p.is_empty()) {
            let (field, equal, value) = if let Some((f, v)) = part.split_once("!=") {
                (f, false, v)
            } else if let Some((f, v)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (f, true, v)
            } else {
                return Err(SelectorError::Syntax(format!(
                    "invalid selector: '{part}'; can't understand '{part}'"
                )));
            };
            terms.push((field.to_owned(), equal, unescape(value)));
        }
        match terms.len() {
            n if n > 64 => Err(SelectorError::TooManyRequirements(n)),
            _ => Ok(Self(terms)),
        }
    }

    /// Refuses fields that `known` does not list.
    pub fn check(&self, known: impl Fn(&str) -> bool) -> Result<(), SelectorError> {
        match self.0.iter().find(|(field, ..)| !known(field)) {
            Some((field, ..)) => Err(SelectorError::UnknownField(field.clone())),
            None => Ok(()),
        }
    }

    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value that a field must equal, if the selector demands one.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(f, equal, _)| f == field && *equal).map(|(.., v)| v.as_str())
    }

    /// Whether fields, looked up by label, satisfy every term.
    pub fn matches<'a>(&self, mut field: impl FnMut(&str) -> Cow<'a, str>) -> bool {
        self.0.iter().all(|(name, equal, value)| (field(name) == value.as_str()) == *equal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: &str, labels: &[(&str, &str)], want: bool) {
        let parsed = LabelSelector::parse(selector).unwrap();
        let found = parsed.matches(|k| labels.iter().find(|(n, _)| *n == k).map(|(_, v)| *v));
        assert_eq!(found, want, "{selector} on {labels:?}");
    }

    #[test]
    fn label_selectors_match_as_written() {
        let web = [("app", "web"), ("n", "5")];
        for (selector, want) in [
            ("app=web", true),
            ("app==web,n", true),
            ("app!=web", false),
            ("app in (a, web)", true),
            ("app notin (web)", false),
            ("!x", true),
            ("x", false),
            ("x notin (a)", true),
            ("n>4", true),
            ("n<5", false),
            ("", true),
        ] {
            check(selector, &web, want);
        }
        for bad in ["app in web)", "a b", "-x=y", "app=-", "x in (a"] {
            assert!(LabelSelector::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn field_selectors_name_what_they_do_not_know() {
        let s = FieldSelector::parse("metadata.name=a,spec.x!=b").unwrap();
        assert_eq!(s.exact("metadata.name"), Some("a"));
        assert!(s.matches(|f| if f == "metadata.name" { "a".into() } else { "".into() }));
        assert_eq!(s.check(|f| f == "metadata.name"), Err(SelectorError::UnknownField("spec.x".into())));
    }
}
