//! The JSONPath subset that printer columns use: members, indices, `[*]` and one comparison filter.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Member(String),
    Index(i64),
    Each,
    Filter { path: Vec<Step>, equals: bool, value: Value },
}

/// A parsed path.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonPath(Vec<Step>);

impl JsonPath {
    /// Parses `.spec.x`, `.a['b.c']`, `.list[0].x`, `.list[?(@.type=="Ready")].status`; braces may stand around.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(text);
        Some(Self(steps(text.strip_prefix('$').unwrap_or(text))?))
    }

    /// The first value the path leads to.
    pub fn first<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        first(&self.0, value)
    }
}

fn first<'a>(steps: &[Step], value: &'a Value) -> Option<&'a Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match step {
        Step::Member(name) => first(rest, value.get(name)?),
        Step::Index(i) => {
            let items = value.as_array()?;
            let i = if *i < 0 { items.len() as i64 + i } else { *i };
            first(rest, items.get(usize::try_from(i).ok()?)?)
        }
        Step::Each => children(value).find_map(|child| first(rest, child)),
        Step::Filter { path, equals, value: wanted } => children(value)
            .filter(|child| {
                let found = first(path, child);
                found.is_some_and(|f| (f == wanted) == *equals)
            })
            .find_map(|child| first(rest, child)),
    }
}

fn children(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(members) => Box::new(members.values()),
        _ => Box::new(std::iter::empty()),
    }
}

fn steps(mut text: &str) -> Option<Vec<Step>> {
    let mut out = Vec::new();
    while !text.is_empty() {
        if let Some(rest) = text.strip_prefix('[') {
            let end = bracket_end(rest)?;
            out.push(bracket(&rest[..end])?);
            text = &rest[end + 1..];
        } else {
            let (name, rest) = member(text.strip_prefix('.').unwrap_or(text));
            match name.as_str() {
                "" if rest.starts_with('[') || rest.is_empty() => {}
                "" => return None,
                "*" => out.push(Step::Each),
                _ => out.push(Step::Member(name)),
            }
            text = rest;
        }
    }
    Some(out)
}

/// A member's name up to the next step; a backslash takes the next character as it is.
fn member(text: &str) -> (String, &str) {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '.' | '[' => return (out, &text[i..]),
            '\\' => out.extend(chars.next().map(|(_, c)| c)),
            c => out.push(c),
        }
    }
    (out, "")
}

fn bracket_end(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 0 => return Some(i),
            (None, ']') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn bracket(text: &str) -> Option<Step> {
    let text = text.trim();
    if text == "*" {
        return Some(Step::Each);
    }
    if let Some(name) = quoted(text) {
        return Some(Step::Member(name));
    }
    if let Some(inner) = text.strip_prefix("?(").and_then(|t| t.strip_suffix(')')) {
        return filter(inner);
    }
    text.parse().ok().map(Step::Index)
}

fn quoted(text: &str) -> Option<String> {
    let inner = ["'", "\""].iter().find_map(|q| text.strip_prefix(q)?.strip_suffix(q))?;
    Some(inner.to_owned())
}

fn filter(text: &str) -> Option<Step> {
    let (left, right, equals) = match text.split_once("==") {
        Some((left, right)) => (left, right, true),
        None => text.split_once("!=").map(|(left, right)| (left, right, false))?,
    };
    let path = steps(left.trim().strip_prefix('@')?)?;
    let right = right.trim();
    let value = match quoted(right) {
        Some(text) => Value::String(text),
        None => serde_json::from_str(right).ok()?,
    };
    Some(Step::Filter { path, equals, value })
}
