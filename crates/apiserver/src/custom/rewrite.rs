//! Rewrites an RE2 expression into the dialect of the `regex` crate, with upstream's meaning and refusals.
//!
//! The two agree on almost everything. What differs: `\d`, `\w`, `\s`, `\b` are ASCII in RE2; inside a class
//! `[`, `&&`, `--`, `~~` are plain characters; `{` that opens no count is plain; `\Q…\E`, octal escapes and
//! `\<` exist or mean something else; counts end at 1,000.

use super::pattern::PatternError;

const MAX_REPEAT: u32 = 1000;
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "word", "xdigit",
];

/// The rewritten expression.
pub fn rewrite(source: &str) -> Result<String, PatternError> {
    Rewriter {
        source,
        rest: source,
        out: String::with_capacity(source.len() + 16),
        groups: vec![1],
        last: 1,
        atom: Atom::None,
    }
    .run()
}

/// What stands before the read position: may it be repeated?
#[derive(Clone, Copy, PartialEq)]
enum Atom {
    /// Nothing: a repetition has no argument.
    None,
    /// Something.
    Some,
    /// A repetition, which began at this byte of the source.
    Repeated(usize),
}

struct Rewriter<'s> {
    source: &'s str,
    rest: &'s str,
    out: String,
    /// The largest product of nested counts in each open group, the whole expression first.
    groups: Vec<u32>,
    /// That product in the atom before the read position.
    last: u32,
    atom: Atom,
}

impl<'s> Rewriter<'s> {
    fn run(mut self) -> Result<String, PatternError> {
        while let Some(c) = self.rest.chars().next() {
            match c {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.open()?,
                ')' => {
                    if self.groups.len() == 1 {
                        return Err(syntax("unexpected )", self.source));
                    }
                    self.take(1);
                    self.close();
                    self.atom = Atom::Some;
                }
                '|' => {
                    self.take(1);
                    self.atom = Atom::None;
                }
                '*' | '+' | '?' => self.repeat(1)?,
                '{' => match count(self.rest) {
                    Some((length, low, high)) => {
                        if low > MAX_REPEAT || high.is_some_and(|h| h > MAX_REPEAT || h < low) {
                            return Err(syntax("invalid repeat count", &self.rest[..length]));
                        }
                        let text = &self.rest[..length];
                        self.repeat(length)?;
                        let most = high.unwrap_or(low).max(1);
                        self.last = self.last.saturating_mul(most);
                        if self.last > MAX_REPEAT && most > 1 {
                            return Err(syntax("invalid repeat count", text));
                        }
                        self.note();
                    }
                    None => self.literal('{'),
                },
                c => self.literal(c),
            }
        }
        if self.groups.len() > 1 {
            return Err(syntax("missing closing )", self.source));
        }
        Ok(self.out)
    }

    /// Ends a group: what it holds is the atom now.
    fn close(&mut self) {
        self.last = self.groups.pop().unwrap_or(1);
        self.note();
    }

    fn note(&mut self) {
        if let Some(group) = self.groups.last_mut() {
            *group = (*group).max(self.last);
        }
    }

    fn at(&self) -> usize {
        self.source.len() - self.rest.len()
    }

    fn skip(&mut self, bytes: usize) -> &'s str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn take(&mut self, bytes: usize) {
        let taken = self.skip(bytes);
        self.out.push_str(taken);
    }

    fn literal(&mut self, c: char) {
        self.skip(c.len_utf8());
        if matches!(c, '{' | '}' | ']') {
            self.out.push('\\');
        }
        self.out.push(c);
        self.atom = Atom::Some;
        self.last = 1;
    }

    fn repeat(&mut self, length: usize) -> Result<(), PatternError> {
        let start = self.at();
        match self.atom {
            Atom::None => {
                return Err(syntax("missing argument to repetition operator", &self.rest[..length]));
            }
            Atom::Repeated(from) => {
                let text = &self.source[from..start + length];
                return Err(syntax("invalid nested repetition operator", text));
            }
            Atom::Some => {}
        }
        self.take(length);
        if self.rest.starts_with('?') {
            self.take(1);
        }
        self.atom = Atom::Repeated(start);
        Ok(())
    }

    fn open(&mut self) -> Result<(), PatternError> {
        self.groups.push(1);
        self.atom = Atom::None;
        if !self.rest.starts_with("(?") {
            self.take(1);
            return Ok(());
        }
        let bad = |length: usize, rest: &str| {
            let end = rest.char_indices().nth(length).map_or(rest.len(), |(i, _)| i);
            Err(syntax("invalid or unsupported Perl syntax", &rest[..end]))
        };
        let name_at = if self.rest.starts_with("(?P<") {
            Some(4)
        } else if self.rest.starts_with("(?<") {
            Some(3)
        } else {
            None
        };
        if let Some(from) = name_at {
            let body = &self.rest[from..];
            let Some(end) = body.find('>') else { return Err(syntax("invalid named capture", self.rest)) };
            let name = &body[..end];
            if name.is_empty() || !name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric()) {
                return Err(syntax("invalid named capture", &self.rest[..from + end + 1]));
            }
            // Names are not used, and the other engine is stricter about them.
            self.skip(from + end + 1);
            self.out.push('(');
            return Ok(());
        }
        for (i, c) in self.rest.char_indices().skip(2) {
            match c {
                'i' | 'm' | 's' | 'U' | '-' => {}
                ':' => {
                    self.take(i + 1);
                    return Ok(());
                }
                ')' if i > 2 => {
                    self.take(i + 1);
                    self.groups.pop();
                    return Ok(());
                }
                _ => return bad(self.rest[..i].chars().count() + 1, self.rest),
            }
        }
        Err(syntax("invalid or unsupported Perl syntax", self.rest))
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        let Some(c) = self.rest[1..].chars().next() else {
            return Err(syntax("trailing backslash at end of expression", ""));
        };
        self.atom = Atom::Some;
        self.last = 1;
        match c {
            'd' | 'w' | 's' | 'D' | 'W' | 'S' => {
                self.skip(2);
                self.out.push_str(perl_class(c));
            }
            'b' => {
                self.skip(2);
                self.out.push_str("(?-u:\\b)");
            }
            'B' => return Err(PatternError::Unsupported("\\B")),
            'A' | 'z' => self.take(2),
            'Q' => {
                self.skip(2);
                let (quoted, end) = match self.rest.find("\\E") {
                    Some(i) => (&self.rest[..i], i + 2),
                    None => (self.rest, self.rest.len()),
                };
                self.out.push_str(&regex::escape(quoted));
                self.skip(end);
            }
            'p' | 'P' => {
                let class = self.unicode_class()?;
                self.out.push_str(&class);
            }
            _ => {
                let c = self.character()?;
                push_escaped(&mut self.out, c);
            }
        }
        Ok(())
    }

    /// `\p{…}` or `\pL`, checked by the engine's own tables.
    fn unicode_class(&mut self) -> Result<String, PatternError> {
        let braced = self.rest[2..].starts_with('{');
        let length = if braced {
            self.rest.find('}').map(|i| i + 1)
        } else {
            self.rest[2..].chars().next().map(|c| 2 + c.len_utf8())
        };
        let Some(length) = length else { return Err(syntax("invalid character class range", self.rest)) };
        let text = self.skip(length);
        let mut negative = text.starts_with("\\P");
        let mut name = text[2..].trim_matches(['{', '}']);
        if let Some(rest) = name.strip_prefix('^') {
            negative = !negative;
            name = rest;
        }
        let class = format!("\\{}{{{name}}}", if negative { 'P' } else { 'p' });
        let known = name == "Any" || regex::Regex::new(&class).is_ok();
        if known { Ok(class) } else { Err(syntax("invalid character class range", text)) }
    }

    /// An escape that stands for one character, read.
    fn character(&mut self) -> Result<char, PatternError> {
        let text = self.rest;
        let body = &text[1..];
        let c = body.chars().next().unwrap_or('\0');
        let simple = match c {
            'a' => Some('\u{7}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            c if c.is_ascii_punctuation() => Some(c),
            _ => None,
        };
        if let Some(found) = simple {
            self.skip(2);
            return Ok(found);
        }
        let octal = body.bytes().take_while(|b| (b'0'..=b'7').contains(b)).count().min(3);
        if c == '0' || (octal > 1 && c != '8') {
            let found = u32::from_str_radix(&body[..octal], 8).ok().and_then(char::from_u32);
            self.skip(1 + octal);
            return Ok(found.unwrap_or('\0'));
        }
        if c == 'x' {
            return self.hexadecimal();
        }
        Err(syntax("invalid escape sequence", &text[..1 + c.len_utf8().min(body.len())]))
    }

    /// `\x41` or `\x{41}`. A refusal shows what had been read.
    fn hexadecimal(&mut self) -> Result<char, PatternError> {
        let text = self.rest;
        let braced = text[2..].starts_with('{');
        let from = if braced { 3 } else { 2 };
        let mut value = 0_u32;
        for (i, c) in text[from..].char_indices() {
            let end = from + i + c.len_utf8();
            if braced && c == '}' && i > 0 {
                self.skip(end);
                return char::from_u32(value).ok_or_else(|| syntax("invalid escape sequence", &text[..end]));
            }
            let digit = c.to_digit(16);
            value = value * 16 + digit.unwrap_or_default();
            if braced && (digit.is_none() || value > 0x10_ffff) {
                return Err(syntax("invalid escape sequence", &text[..end]));
            }
            if !braced && i > 0 {
                let both = text[from..].chars().take(2).all(|c| c.is_ascii_hexdigit());
                if !both {
                    return Err(syntax("invalid escape sequence", &text[..end]));
                }
                self.skip(end);
                return Ok(char::from_u32(value).unwrap_or('\0'));
            }
        }
        Err(syntax("invalid escape sequence", text))
    }

    fn class(&mut self) -> Result<(), PatternError> {
        let whole = self.rest;
        self.take(1);
        if self.rest.starts_with('^') {
            self.take(1);
        }
        let mut first = true;
        loop {
            let Some(c) = self.rest.chars().next() else { return Err(syntax("missing closing ]", whole)) };
            if c == ']' && !first {
                self.take(1);
                self.atom = Atom::Some;
                self.last = 1;
                return Ok(());
            }
            first = false;
            self.class_item(whole)?;
        }
    }

    fn class_item(&mut self, whole: &str) -> Result<(), PatternError> {
        if self.rest.starts_with("[:")
            && let Some(end) = self.rest[2..].find(":]")
        {
            let text = &self.rest[..end + 4];
            let name = self.rest[2..2 + end].trim_start_matches('^');
            if !POSIX.contains(&name) {
                return Err(syntax("invalid character class range", text));
            }
            self.take(end + 4);
            return Ok(());
        }
        match self.rest.as_bytes() {
            [b'\\', c @ (b'd' | b'w' | b's' | b'D' | b'W' | b'S'), ..] => {
                self.out.push_str(perl_class(char::from(*c)));
                self.skip(2);
                return Ok(());
            }
            [b'\\', b'p' | b'P', ..] => {
                let class = self.unicode_class()?;
                self.out.push_str(&class);
                return Ok(());
            }
            _ => {}
        }
        let from = self.rest;
        let low = self.class_char(whole)?;
        push_escaped(&mut self.out, low);
        let mut ahead = self.rest.chars();
        if ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']') {
            self.skip(1);
            let high = self.class_char(whole)?;
            if high < low {
                let text = &from[..from.len() - self.rest.len()];
                return Err(syntax("invalid character class range", text));
            }
            self.out.push('-');
            push_escaped(&mut self.out, high);
        }
        Ok(())
    }

    fn class_char(&mut self, whole: &str) -> Result<char, PatternError> {
        match self.rest.chars().next() {
            None => Err(syntax("missing closing ]", whole)),
            Some('\\') if self.rest.len() == 1 => Err(syntax("trailing backslash at end of expression", "")),
            Some('\\') => self.character(),
            Some(c) => {
                self.skip(c.len_utf8());
                Ok(c)
            }
        }
    }
}

fn perl_class(c: char) -> &'static str {
    match c {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        's' => "[\\t\\n\\f\\r ]",
        _ => "[^\\t\\n\\f\\r ]",
    }
}

fn push_escaped(out: &mut String, c: char) {
    if c.is_ascii_punctuation() {
        out.push('\\');
        if matches!(c, '<' | '>') {
            // An escaped angle bracket is a word boundary in the other dialect.
            out.pop();
        }
    }
    out.push(c);
}

/// `{n}`, `{n,}` or `{n,m}` at the start of `text`: its length and bounds.
fn count(text: &str) -> Option<(usize, u32, Option<u32>)> {
    let end = text.find('}')?;
    let body = &text[1..end];
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().unwrap_or(u32::MAX))
    };
    let (low, high) = match body.split_once(',') {
        None => (number(body)?, None),
        Some((low, "")) => (number(low)?, None),
        Some((low, high)) => (number(low)?, Some(number(high)?)),
    };
    Some((end + 1, low, high))
}

fn syntax(what: &str, text: &str) -> PatternError {
    PatternError::Syntax(format!("{what}: `{text}`"))
}
