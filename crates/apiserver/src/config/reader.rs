//! Reads an object field by field. Every field asked for has a default and says what it takes; whatever is left
//! over at the end is an unknown field. All findings are kept, so that one pass names everything that is wrong.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::model::status::Cause;

/// Reader of one object.
pub struct Reader<'a> {
    path: String,
    object: Option<&'a Map<String, Value>>,
    asked: BTreeSet<&'static str>,
    causes: &'a RefCell<Vec<Cause>>,
}

impl<'a> Reader<'a> {
    /// Of a whole document. `null` reads as an object without fields.
    pub fn new(root: &'a Value, causes: &'a RefCell<Vec<Cause>>) -> Self {
        Self::at(String::new(), Some(root), causes)
    }

    fn at(path: String, value: Option<&'a Value>, causes: &'a RefCell<Vec<Cause>>) -> Self {
        let object = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(map)) => Some(map),
            Some(other) => {
                causes.borrow_mut().push(Cause::invalid(path.clone(), other, "must be an object"));
                None
            }
        };
        Self { path, object, asked: BTreeSet::new(), causes }
    }

    fn field(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Value> {
        self.asked.insert(name);
        self.object?.get(name).filter(|v| !v.is_null())
    }

    /// Records that a field is wrong.
    pub fn wrong(&self, name: &str, value: &Value, takes: &str) {
        self.causes.borrow_mut().push(Cause::invalid(self.field(name), value, takes));
    }

    /// Whether the field is there.
    pub fn has(&self, name: &str) -> bool {
        self.object.is_some_and(|o| o.get(name).is_some_and(|v| !v.is_null()))
    }

    /// The object below a field.
    pub fn child(&mut self, name: &'static str) -> Reader<'a> {
        Reader::at(self.field(name), self.take(name), self.causes)
    }

    /// A value that `read` understands; what it takes is told otherwise.
    pub fn value<T>(
        &mut self,
        name: &'static str,
        default: T,
        takes: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> T {
        let Some(value) = self.take(name) else { return default };
        match read(value) {
            Some(read) => read,
            None => {
                self.wrong(name, value, takes);
                default
            }
        }
    }

    /// Text.
    pub fn text(&mut self, name: &'static str, default: &str) -> String {
        self.value(name, default.to_owned(), "must be text", |v| v.as_str().map(str::to_owned))
    }

    /// Text that must have a form.
    pub fn parsed<T>(
        &mut self,
        name: &'static str,
        default: T,
        takes: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> T {
        self.value(name, default, takes, |v| v.as_str().and_then(read))
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &'static str, default: bool) -> bool {
        self.value(name, default, "must be true or false", Value::as_bool)
    }

    /// A whole number within a range.
    pub fn number(&mut self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let takes = format!("must be a whole number from {} to {}", range.start(), range.end());
        self.value(name, default, &takes, |v| v.as_u64().filter(|n| range.contains(n)))
    }

    /// A number of bytes within a range: a whole number, or one with `Ki`, `Mi`, `Gi`.
    pub fn bytes(&mut self, name: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let takes = format!("must be a size as 8Mi, from {} to {} bytes", range.start(), range.end());
        self.value(name, default, &takes, |v| parse_bytes(v).filter(|n| range.contains(n)))
    }

    /// A duration as `90s`, `10m`, `1h30m`, within a range.
    pub fn duration(
        &mut self,
        name: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let takes =
            format!("must be a duration as 90s or 10m, from {:?} to {:?}", range.start(), range.end());
        self.value(name, default, &takes, |v| {
            v.as_str().and_then(parse_duration).filter(|d| range.contains(d))
        })
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, name: &'static str, default: T, words: &[(&str, T)]) -> T {
        let Some(value) = self.take(name) else { return default };
        if let Some((_, word)) = words.iter().find(|(word, _)| value.as_str() == Some(word)) {
            return *word;
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.causes.borrow_mut().push(Cause::not_supported(self.field(name), value, &names));
        default
    }

    /// A list of at most `max` items, each text that `read` understands.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        default: Vec<T>,
        max: usize,
        takes: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let Some(value) = self.take(name) else { return default };
        let Some(items) = value.as_array() else {
            self.wrong(name, value, &format!("must be a list, each item {takes}"));
            return default;
        };
        if items.len() > max {
            self.causes.borrow_mut().push(Cause::too_many(self.field(name), items.len(), max));
            return default;
        }
        let mut out = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            match item.as_str().and_then(&read) {
                Some(read) => out.push(read),
                None => self.wrong(&format!("{name}[{i}]"), item, &format!("must be {takes}")),
            }
        }
        out
    }

    /// Ends the object: every field nobody asked for is unknown.
    pub fn finish(self) {
        let Some(object) = self.object else { return };
        for name in object.keys().filter(|name| !self.asked.contains(name.as_str())) {
            let takes: Vec<&str> = self.asked.iter().copied().collect();
            let detail = format!("unknown field; known here: {}", takes.join(", "));
            self.causes.borrow_mut().push(Cause::forbidden(self.field(name), &detail));
        }
    }
}

fn parse_bytes(value: &Value) -> Option<u64> {
    if let Some(n) = value.as_u64() {
        return Some(n);
    }
    let text = value.as_str()?;
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "" => 1,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// Go's form of a duration, without signs and fractions.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let step = match rest.get(..unit)? {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            _ => return None,
        };
        total = total.checked_add(step)?;
        rest = rest.get(unit..)?;
    }
    (!text.is_empty()).then_some(total)
}
