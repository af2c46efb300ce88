//! A strict JSON reader: one pass, bounded, duplicate members reported by path.

use serde_json::{Map, Number, Value};

use super::{Finding, FindingKind, Limits, Path, ReadError};

/// Reads one JSON value. A member that comes twice is reported and its last value holds.
/// Numbers without fraction or exponent that fit are int64, all others float64.
pub fn read_json(bytes: &[u8], limits: Limits) -> Result<(Value, Vec<Finding>), ReadError> {
    let mut reader =
        Reader { bytes, at: 0, limits, depth: 0, values: 0, path: Path::default(), findings: Vec::new() };
    let value = reader.value()?;
    reader.space();
    match reader.peek() {
        None => Ok((value, reader.findings)),
        Some(byte) => Err(unexpected(byte, "after top-level value")),
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: Limits,
    depth: usize,
    values: usize,
    path: Path,
    findings: Vec<Finding>,
}

fn unexpected(byte: u8, place: &str) -> ReadError {
    let shown = match byte {
        b'\'' => r"'\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        b'\n' => r"'\n'".to_owned(),
        b'\t' => r"'\t'".to_owned(),
        b'\r' => r"'\r'".to_owned(),
        0x20..=0x7e => format!("'{}'", byte as char),
        0x80.. => format!("'{}'", char::from(byte)),
        _ => format!(r"'\x{byte:02x}'"),
    };
    ReadError::Syntax(format!("invalid character {shown} {place}"))
}

fn at_end() -> ReadError {
    ReadError::Syntax("unexpected end of JSON input".into())
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn next_token(&mut self) -> Result<u8, ReadError> {
        self.space();
        self.peek().ok_or_else(at_end)
    }

    fn value(&mut self) -> Result<Value, ReadError> {
        self.values += 1;
        if self.values > self.limits.values {
            return Err(ReadError::TooMany(self.limits.values));
        }
        match self.next_token()? {
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'"' => Ok(Value::String(self.string()?)),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            b'-' | b'0'..=b'9' => self.number(),
            other => Err(unexpected(other, "looking for beginning of value")),
        }
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Result<Value, ReadError>) -> Result<Value, ReadError> {
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(ReadError::TooDeep(self.limits.depth));
        }
        self.at += 1;
        let out = inner(self);
        self.depth -= 1;
        out
    }

    fn object(&mut self) -> Result<Value, ReadError> {
        let mut members = Map::new();
        if self.next_token()? == b'}' {
            self.at += 1;
            return Ok(Value::Object(members));
        }
        loop {
            match self.next_token()? {
                b'"' => {}
                other => return Err(unexpected(other, "looking for beginning of object key string")),
            }
            let name = self.string()?;
            match self.next_token()? {
                b':' => self.at += 1,
                other => return Err(unexpected(other, "after object key")),
            }
            let value = self.member(&name)?;
            if members.insert(name.clone(), value).is_some() {
                let path = self.path.member(&name, |path| path.text());
                self.findings.push(Finding { kind: FindingKind::Duplicate, path });
            }
            match self.next_token()? {
                b',' => self.at += 1,
                b'}' => break,
                other => return Err(unexpected(other, "after object key:value pair")),
            }
        }
        self.at += 1;
        Ok(Value::Object(members))
    }

    fn member(&mut self, name: &str) -> Result<Value, ReadError> {
        let mut path = std::mem::take(&mut self.path);
        let out = path.member(name, |path| self.below(path));
        self.path = path;
        out
    }

    /// Reads a value with `path` as its own.
    fn below(&mut self, path: &mut Path) -> Result<Value, ReadError> {
        std::mem::swap(&mut self.path, path);
        let out = self.value();
        std::mem::swap(&mut self.path, path);
        out
    }

    fn array(&mut self) -> Result<Value, ReadError> {
        let mut items = Vec::new();
        if self.next_token()? == b']' {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            let mut path = std::mem::take(&mut self.path);
            let item = path.index(items.len(), |path| self.below(path));
            self.path = path;
            items.push(item?);
            match self.next_token()? {
                b',' => self.at += 1,
                b']' => break,
                other => return Err(unexpected(other, "after array element")),
            }
        }
        self.at += 1;
        Ok(Value::Array(items))
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, ReadError> {
        for (i, want) in word.bytes().enumerate() {
            match self.peek() {
                Some(got) if got == want => self.at += 1,
                Some(got) => {
                    let want = want as char;
                    return Err(unexpected(got, &format!("in literal {word} (expecting '{want}')")));
                }
                None => {
                    debug_assert!(i > 0);
                    return Err(at_end());
                }
            }
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, ReadError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            Some(other) => return Err(unexpected(other, "in numeric literal")),
            None => return Err(at_end()),
        }
        let mut float = false;
        if self.peek() == Some(b'.') {
            float = true;
            self.at += 1;
            self.some_digits("after decimal point in numeric literal")?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            float = true;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits("in exponent of numeric literal")?;
        }
        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        if !float && let Ok(integer) = text.parse::<i64>() {
            return Ok(Value::Number(integer.into()));
        }
        let number = text.parse::<f64>().ok().and_then(Number::from_f64);
        number.map(Value::Number).ok_or_else(|| {
            ReadError::Syntax(format!("json: cannot unmarshal number {text} into Go value of type float64"))
        })
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self, place: &str) -> Result<(), ReadError> {
        match self.peek() {
            Some(b'0'..=b'9') => self.digits(),
            Some(other) => return Err(unexpected(other, place)),
            None => return Err(at_end()),
        }
        Ok(())
    }

    fn string(&mut self) -> Result<String, ReadError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.bytes[self.at..];
            let plain = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)).ok_or_else(at_end)?;
            out.push_str(&String::from_utf8_lossy(&rest[..plain]));
            self.at += plain + 1;
            match rest[plain] {
                b'"' => return Ok(out),
                b'\\' => out.push(self.escape()?),
                other => return Err(unexpected(other, "in string literal")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ReadError> {
        let byte = self.peek().ok_or_else(at_end)?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => byte as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            other => return Err(unexpected(other, "in string escape code")),
        })
    }

    fn unicode(&mut self) -> Result<char, ReadError> {
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or('\u{fffd}'));
        }
        if self.bytes.get(self.at..self.at + 2) != Some(br"\u") {
            return Ok('\u{fffd}');
        }
        let back = self.at;
        self.at += 2;
        let second = self.hex4()?;
        if (0xdc00..0xe000).contains(&second) {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return Ok(char::from_u32(code).unwrap_or('\u{fffd}'));
        }
        self.at = back;
        Ok('\u{fffd}')
    }

    fn hex4(&mut self) -> Result<u32, ReadError> {
        let mut out = 0;
        for _ in 0..4 {
            let byte = self.peek().ok_or_else(at_end)?;
            let digit = (byte as char).to_digit(16);
            out = out * 16 + digit.ok_or_else(|| unexpected(byte, "in \\u hexadecimal character escape"))?;
            self.at += 1;
        }
        Ok(out)
    }
}
