//! Where a finding is, and how values look inside messages: both exactly as clients of upstream know them.

use std::fmt;

use serde_json::{Number, Value};

use crate::model::status::Cause;

/// A path under construction: borrowed links, so that a walk without findings allocates nothing.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    /// Nothing: the root.
    Root,
    /// `.name`; may hold dots itself.
    Child(&'a str),
    /// `[key]`.
    Key(&'a str),
    /// `[0]`.
    Index(usize),
}

impl<'a> Path<'a> {
    /// The path of the whole object. Alone it is written `<nil>`, as upstream does.
    pub const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    /// A path of one name, which may hold dots.
    pub fn new(name: &'a str) -> Self {
        if name.is_empty() { Self::ROOT } else { Self { parent: None, step: Step::Child(name) } }
    }

    /// `self.name`.
    pub fn child<'b>(&'b self, name: &'b str) -> Path<'b> {
        Path { parent: Some(self), step: Step::Child(name) }
    }

    /// `self[key]`.
    pub fn key<'b>(&'b self, key: &'b str) -> Path<'b> {
        Path { parent: Some(self), step: Step::Key(key) }
    }

    /// `self[index]`.
    pub fn index<'b>(&'b self, index: usize) -> Path<'b> {
        Path { parent: Some(self), step: Step::Index(index) }
    }

    /// Whether nothing has been appended to the root.
    pub fn is_root(&self) -> bool {
        matches!(self.step, Step::Root) && self.parent.is_none_or(Path::is_root)
    }

    /// The text without the special form of the root.
    pub fn text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        if let Some(parent) = self.parent {
            parent.write(out);
        }
        match self.step {
            Step::Root => {}
            Step::Child(name) => {
                if !out.is_empty() {
                    out.push('.');
                }
                out.push_str(name);
            }
            Step::Key(key) => {
                out.push('[');
                out.push_str(key);
                out.push(']');
            }
            Step::Index(index) => {
                out.push('[');
                out.push_str(&index.to_string());
                out.push(']');
            }
        }
    }

    /// `Required value`.
    pub fn required(&self, detail: &str) -> Cause {
        Cause::new("FieldValueRequired", self.to_string(), with_detail("Required value", detail))
    }

    /// `Forbidden`.
    pub fn forbidden(&self, detail: &str) -> Cause {
        Cause::new("FieldValueForbidden", self.to_string(), with_detail("Forbidden", detail))
    }

    /// `Invalid value: <value>: <detail>`.
    pub fn invalid(&self, value: &Value, detail: &str) -> Cause {
        self.about("FieldValueInvalid", "Invalid value", value, detail)
    }

    /// As [`Path::invalid`], for a text.
    pub fn invalid_text(&self, value: &str, detail: &str) -> Cause {
        let message = format!("Invalid value: {}: {detail}", quote(value));
        Cause::new("FieldValueInvalid", self.to_string(), message)
    }

    /// The value has another type than the schema says.
    pub fn type_invalid(&self, value: &str, detail: &str) -> Cause {
        let message = format!("Invalid value: {}: {detail}", quote(value));
        Cause::new("FieldValueTypeInvalid", self.to_string(), message)
    }

    /// `Unsupported value`, with what is supported.
    pub fn not_supported<S: AsRef<str>>(&self, value: &Value, supported: &[S]) -> Cause {
        let list: Vec<String> = supported.iter().map(|s| quote(s.as_ref())).collect();
        let detail =
            if list.is_empty() { String::new() } else { format!("supported values: {}", list.join(", ")) };
        self.about("FieldValueNotSupported", "Unsupported value", value, &detail)
    }

    /// `Duplicate value`.
    pub fn duplicate(&self, value: &Value) -> Cause {
        self.about("FieldValueDuplicate", "Duplicate value", value, "")
    }

    /// `Too long`; upstream counts characters and says bytes.
    pub fn too_long(&self, max: i64) -> Cause {
        let unit = if max == 1 { "byte" } else { "bytes" };
        let message = format!("Too long: may not be more than {max} {unit}");
        Cause::new("FieldValueTooLong", self.to_string(), message)
    }

    /// `Too many`.
    pub fn too_many(&self, actual: usize, max: i64) -> Cause {
        let unit = if max == 1 { "item" } else { "items" };
        let message = format!("Too many: {actual}: must have at most {max} {unit}");
        Cause::new("FieldValueTooMany", self.to_string(), message)
    }

    fn about(&self, reason: &'static str, title: &str, value: &Value, detail: &str) -> Cause {
        Cause::new(reason, self.to_string(), with_detail(&format!("{title}: {}", shown(value)), detail))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() { f.write_str("<nil>") } else { f.write_str(&self.text()) }
    }
}

fn with_detail(title: &str, detail: &str) -> String {
    if detail.is_empty() { title.into() } else { format!("{title}: {detail}") }
}

/// A value as messages show it: texts quoted, simple numbers plain, the rest as JSON.
pub fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quote(text),
        Value::Number(number) => number_plain(number),
        other => json(other),
    }
}

/// A text in double quotes, with the escapes of the Go language.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// JSON as Go writes it: no needless fraction, `<`, `>` and `&` escaped.
pub fn json(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    out
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => out.push_str(&number_json(n)),
        Value::String(s) => write_json_text(s, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (i, (key, member)) in members.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json_text(key, out);
                out.push(':');
                write_json(member, out);
            }
            out.push('}');
        }
    }
}

fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn number_json(number: &Number) -> String {
    match number.as_f64() {
        Some(f) if number.is_f64() => {
            let size = f.abs();
            if f != 0.0 && !(1e-6..1e21).contains(&size) { exponent(f, 1) } else { format!("{f}") }
        }
        _ => number.to_string(),
    }
}

/// A number as `%v` prints it.
pub fn number_plain(number: &Number) -> String {
    match number.as_f64() {
        Some(f) if number.is_f64() => float_plain(f),
        _ => number.to_string(),
    }
}

/// A float as `%v` prints it: an exponent from a million on, or below a ten-thousandth.
pub fn float_plain(f: f64) -> String {
    let size = f.abs();
    if f != 0.0 && !(1e-4..1e6).contains(&size) { exponent(f, 2) } else { format!("{f}") }
}

fn exponent(f: f64, digits: usize) -> String {
    let text = format!("{f:e}");
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, power) = match power.strip_prefix('-') {
        Some(power) => ('-', power),
        None => ('+', power),
    };
    format!("{mantissa}e{sign}{power:0>digits$}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_read_as_upstreams() {
        assert_eq!(Path::ROOT.to_string(), "<nil>");
        let spec = Path::new("spec");
        let versions = spec.child("versions");
        let first = versions.index(0);
        let name = first.child("schema");
        assert_eq!(name.to_string(), "spec.versions[0].schema");
        assert_eq!(name.key("a.b").to_string(), "spec.versions[0].schema[a.b]");
        assert_eq!(Path::ROOT.child("x").to_string(), "x");
    }

    #[test]
    fn values_read_as_upstreams() {
        let cases = [
            (json!("a\"b\n"), r#""a\"b\n""#),
            (json!(1.0), "1"),
            (json!(0.5), "0.5"),
            (json!(5), "5"),
            (json!(true), "true"),
            (json!({"a": [1.0, "<"]}), r#"{"a":[1,"\u003c"]}"#),
            (json!(null), "null"),
        ];
        for (value, want) in cases {
            assert_eq!(shown(&value), want);
        }
    }
}
