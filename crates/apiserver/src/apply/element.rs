//! One step of a field path, as it is written in `fieldsV1`: `f:name`, `k:{"key":value}`, `v:value`, `i:3`.
//!
//! Sets keep the written form; it is parsed only to print a path or to read what a client wrote.

use std::cmp::Ordering;
use std::fmt::Write;

use serde_json::{Map, Value};

/// The member that says that a node with children belongs to the set itself.
pub const SELF: &str = ".";

/// The step to a member.
pub fn field(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    out.push_str("f:");
    out.push_str(name);
    out
}

/// The step to an item of a set.
pub fn value(value: &Value) -> String {
    let mut out = String::from("v:");
    write_json(&mut out, value);
    out
}

/// The step to an item of a keyed list. `keys` come sorted by name.
pub fn keys<'a>(keys: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let mut out = String::from("k:{");
    for (i, (name, value)) in keys.enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_text(&mut out, name);
        out.push(':');
        write_json(&mut out, value);
    }
    out.push('}');
    out
}

fn write_json(out: &mut String, value: &Value) {
    match value {
        Value::String(s) => write_text(out, s),
        Value::Number(n) => match whole(n) {
            Some(n) => _ = write!(out, "{n}"),
            None => _ = write!(out, "{n}"),
        },
        other => _ = write!(out, "{other}"),
    }
}

/// `2.0` and `2` are one key.
fn whole(n: &serde_json::Number) -> Option<i64> {
    let f = n.as_f64().filter(|_| n.is_f64())?;
    (f.fract() == 0.0 && f.abs() < 9e15).then_some(f as i64)
}

/// JSON text as Go writes it: also `<`, `>`, `&` and the two line separators are escaped.
fn write_text(out: &mut String, s: &str) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                _ = write!(out, "\\u{:04x}", c as u32)
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A step read back.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// A member by name.
    Field(String),
    /// An item by its keys.
    Keys(Map<String, Value>),
    /// An item by itself.
    Value(Value),
    /// An item by position.
    Index(i64),
}

/// What reading a step gave.
pub enum Parsed {
    /// A known step.
    Element(Element),
    /// A kind of step of some later version; it is dropped.
    Unknown,
    /// Not a step.
    Malformed,
}

impl Element {
    /// Reads a member name of `fieldsV1`.
    pub fn parse(text: &str) -> Parsed {
        let Some((kind, rest)) = text.split_once(':').filter(|(kind, _)| kind.len() == 1) else {
            return Parsed::Malformed;
        };
        let element = match kind {
            "f" => Some(Element::Field(rest.to_owned())),
            "v" => serde_json::from_str(rest).ok().map(Element::Value),
            "k" => serde_json::from_str(rest).ok().map(Element::Keys),
            "i" => rest.parse().ok().map(Element::Index),
            _ => return Parsed::Unknown,
        };
        element.map_or(Parsed::Malformed, Parsed::Element)
    }

    /// The written form.
    pub fn write(&self) -> String {
        match self {
            Element::Field(name) => field(name),
            Element::Keys(map) => keys(map.iter().map(|(k, v)| (k.as_str(), v))),
            Element::Value(v) => value(v),
            Element::Index(i) => format!("i:{i}"),
        }
    }

    /// The order in which upstream lists steps: members, keys, values, positions.
    pub fn order(&self, other: &Element) -> Ordering {
        fn rank(e: &Element) -> u8 {
            match e {
                Element::Field(_) => 0,
                Element::Keys(_) => 1,
                Element::Value(_) => 2,
                Element::Index(_) => 3,
            }
        }
        match (self, other) {
            (Element::Field(a), Element::Field(b)) => a.cmp(b),
            (Element::Keys(a), Element::Keys(b)) => {
                for ((an, av), (bn, bv)) in a.iter().zip(b) {
                    let order = an.cmp(bn).then_with(|| value_order(av, bv));
                    if order != Ordering::Equal {
                        return order;
                    }
                }
                a.len().cmp(&b.len())
            }
            (Element::Value(a), Element::Value(b)) => value_order(a, b),
            (Element::Index(a), Element::Index(b)) => a.cmp(b),
            (a, b) => rank(a).cmp(&rank(b)),
        }
    }

    /// Appends the step as it stands in messages: `.name`, `[key=value]`, `[=value]`, `[3]`.
    pub fn print(&self, out: &mut String) {
        match self {
            Element::Field(name) => {
                out.push('.');
                out.push_str(name);
            }
            Element::Keys(map) => {
                out.push('[');
                for (i, (name, value)) in map.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    out.push_str(name);
                    out.push('=');
                    print_value(out, value);
                }
                out.push(']');
            }
            Element::Value(value) => {
                out.push_str("[=");
                print_value(out, value);
                out.push(']');
            }
            Element::Index(i) => _ = write!(out, "[{i}]"),
        }
    }
}

fn print_value(out: &mut String, value: &Value) {
    match value {
        Value::String(s) => _ = write!(out, "{s:?}"),
        other => write_json(out, other),
    }
}

/// Numbers before texts before booleans before the rest.
fn value_order(a: &Value, b: &Value) -> Ordering {
    fn rank(v: &Value) -> u8 {
        match v {
            Value::Number(_) => 0,
            Value::String(_) => 1,
            Value::Bool(_) => 2,
            Value::Array(_) => 3,
            Value::Object(_) => 4,
            Value::Null => 5,
        }
    }
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
        },
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}
