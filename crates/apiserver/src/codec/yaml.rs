//! A YAML reader with upstream's resolution of plain scalars (YAML 1.1 words) and the findings of the
//! JSON reader. Aliases are expanded and counted; tags and several documents are refused.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

use super::{Finding, FindingKind, Limits, Path, ReadError};

/// Reads one YAML document as the JSON value it stands for.
pub fn read_yaml(bytes: &[u8], limits: Limits) -> Result<(Value, Vec<Finding>), ReadError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| ReadError::Syntax("error converting YAML to JSON: yaml: invalid UTF-8".into()))?;
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        limits,
        depth: 0,
        values: 0,
        anchors: HashMap::new(),
        path: Path::default(),
        findings: Vec::new(),
    };
    let value = reader.document()?;
    Ok((value, reader.findings))
}

struct Reader<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    limits: Limits,
    depth: usize,
    values: usize,
    anchors: HashMap<usize, Anchored>,
    path: Path,
    findings: Vec<Finding>,
}

/// A node an alias can name, with its size.
#[derive(Clone)]
struct Anchored {
    value: Value,
    values: usize,
    depth: usize,
}

fn syntax(line: usize, why: &str) -> ReadError {
    ReadError::Syntax(format!("error converting YAML to JSON: yaml: line {line}: {why}"))
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), ReadError> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(syntax(error.marker().line(), error.info())),
            None => Err(ReadError::Syntax("error converting YAML to JSON: yaml: unexpected end".into())),
        }
    }

    fn document(&mut self) -> Result<Value, ReadError> {
        let mut out = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(out.unwrap_or(Value::Null)),
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) => {
                    if out.is_some() {
                        return Err(syntax(span.start.line(), "several documents in one body"));
                    }
                    let event = self.next()?;
                    out = Some(self.node(event)?);
                }
                _ => return Err(syntax(span.start.line(), "a value outside of a document")),
            }
        }
    }

    fn count(&mut self, values: usize) -> Result<(), ReadError> {
        self.values = self.values.saturating_add(values);
        if self.values > self.limits.values {
            return Err(ReadError::TooMany(self.limits.values));
        }
        Ok(())
    }

    fn deeper(&self, by: usize) -> Result<(), ReadError> {
        if self.depth + by > self.limits.depth {
            return Err(ReadError::TooDeep(self.limits.depth));
        }
        Ok(())
    }

    fn node(&mut self, (event, span): (Event<'a>, Span)) -> Result<Value, ReadError> {
        let before = self.values;
        let line = span.start.line();
        let tagged = match &event {
            Event::Scalar(_, _, _, tag) | Event::SequenceStart(_, tag) | Event::MappingStart(_, tag) => {
                tag.is_some()
            }
            _ => false,
        };
        if tagged {
            return Err(syntax(line, "tags are not accepted"));
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => {
                self.count(1)?;
                (anchor, scalar(text, style))
            }
            Event::SequenceStart(anchor, _) => (anchor, self.nested(Self::sequence)?),
            Event::MappingStart(anchor, _) => (anchor, self.nested(|r| r.mapping(line))?),
            Event::Alias(id) => return self.alias(id, line),
            _ => return Err(syntax(line, "did not find expected node content")),
        };
        if anchor > 0 {
            let depth = depth(&value);
            self.anchors
                .insert(anchor, Anchored { value: value.clone(), values: self.values - before, depth });
        }
        Ok(value)
    }

    fn alias(&mut self, id: usize, line: usize) -> Result<Value, ReadError> {
        let found = self.anchors.get(&id).cloned();
        let found = found.ok_or_else(|| syntax(line, "an alias inside of its own anchor"))?;
        self.count(found.values)?;
        self.deeper(found.depth)?;
        Ok(found.value)
    }

    fn nested(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<Value, ReadError>,
    ) -> Result<Value, ReadError> {
        self.count(1)?;
        self.deeper(1)?;
        self.depth += 1;
        let out = inner(self);
        self.depth -= 1;
        out
    }

    /// Reads a node with `path` as its own.
    fn below(&mut self, path: &mut Path, event: (Event<'a>, Span)) -> Result<Value, ReadError> {
        std::mem::swap(&mut self.path, path);
        let out = self.node(event);
        std::mem::swap(&mut self.path, path);
        out
    }

    fn sequence(&mut self) -> Result<Value, ReadError> {
        let mut items = Vec::new();
        loop {
            let event = self.next()?;
            if event.0 == Event::SequenceEnd {
                return Ok(Value::Array(items));
            }
            let mut path = std::mem::take(&mut self.path);
            let item = path.index(items.len(), |path| self.below(path, event));
            self.path = path;
            items.push(item?);
        }
    }

    fn mapping(&mut self, line: usize) -> Result<Value, ReadError> {
        let mut members = Map::new();
        let mut merged = Vec::new();
        loop {
            let event = self.next()?;
            if event.0 == Event::MappingEnd {
                break;
            }
            let merge = matches!(&event.0, Event::Scalar(text, ScalarStyle::Plain, _, _) if text == "<<");
            let name = if merge { "<<".to_owned() } else { key(self.node(event)?, line)? };
            let event = self.next()?;
            let mut path = std::mem::take(&mut self.path);
            let value = path.member(&name, |path| self.below(path, event));
            self.path = path;
            if merge {
                merged.push(value?);
            } else if members.insert(name.clone(), value?).is_some() {
                let path = self.path.member(&name, |path| path.text());
                self.findings.push(Finding { kind: FindingKind::Duplicate, path });
            }
        }
        for value in merged {
            merge_into(&mut members, value, line)?;
        }
        Ok(Value::Object(members))
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// `<<`: what the mapping says itself wins.
fn merge_into(members: &mut Map<String, Value>, value: Value, line: usize) -> Result<(), ReadError> {
    match value {
        Value::Object(more) => {
            for (name, value) in more {
                members.entry(name).or_insert(value);
            }
        }
        Value::Array(maps) if maps.iter().all(Value::is_object) => {
            maps.into_iter().try_for_each(|map| merge_into(members, map, line))?;
        }
        _ => return Err(syntax(line, "map merge requires map or sequence of maps as the value")),
    }
    Ok(())
}

fn key(value: Value, line: usize) -> Result<String, ReadError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => Err(syntax(line, "a key that is no scalar")),
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.into_owned());
    }
    plain(&text).unwrap_or_else(|| Value::String(text.into_owned()))
}

/// What a plain scalar stands for when it is no text.
fn plain(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Some(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some(Value::Bool(false));
        }
        _ => {}
    }
    let first = text.bytes().next()?;
    if !matches!(first, b'0'..=b'9' | b'+' | b'-' | b'.') {
        return None;
    }
    let digits = text.replace('_', "");
    integer(&digits).or_else(|| float(&digits))
}

fn integer(text: &str) -> Option<Value> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = i128::from_str_radix(digits, radix).ok()?;
    let value = if negative { -value } else { value };
    match i64::try_from(value) {
        Ok(value) => Some(Value::Number(value.into())),
        Err(_) => Number::from_f64(value as f64).map(Value::Number),
    }
}

fn float(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(i) => (&unsigned[..i], Some(&unsigned[i + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) || !exponent_fits {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    // Whole floats become integers on the way through JSON, as upstream's encoder writes them.
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return Some(Value::Number((value as i64).into()));
    }
    Number::from_f64(value).map(Value::Number)
}
