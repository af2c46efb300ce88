//! `pattern`: regular expressions in upstream's (RE2) syntax on a linear-time engine (Q18).

use std::sync::{Arc, OnceLock};

use regex::{Regex, RegexBuilder};

use super::rewrite;

/// Compiled size above which an expression is refused (Q18).
const SIZE_LIMIT: usize = 1 << 20;
/// Memory an expression may use to go faster, per thread that uses it.
const CACHE_LIMIT: usize = 256 << 10;

/// A regular expression, compiled when it is first used.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: Arc<str>,
    compiled: Arc<OnceLock<Option<Regex>>>,
}

/// Why an expression cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PatternError {
    /// Upstream refuses it too; the text is upstream's.
    #[error("must be a valid regular expression, but isn't: error parsing regexp: {0}")]
    Syntax(String),
    /// Upstream takes it; this engine has no such syntax.
    #[error("must be a supported regular expression, but uses {0}")]
    Unsupported(&'static str),
    /// The engine refuses it.
    #[error("must be a supported regular expression: {0}")]
    Refused(String),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Pattern {
    /// Takes the expression as it is written in a schema.
    pub fn new(source: &str) -> Self {
        Self { source: source.into(), compiled: Arc::default() }
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Says why the expression cannot be used, if so. Compiles it and drops the result.
    pub fn check(&self) -> Result<(), PatternError> {
        compile(&self.source).map(drop)
    }

    /// Whether a part of the text matches. An expression that could not be compiled matches nothing.
    pub fn matches(&self, text: &str) -> bool {
        let compiled = self.compiled.get_or_init(|| compile(&self.source).ok());
        compiled.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

fn compile(source: &str) -> Result<Regex, PatternError> {
    let rewritten = rewrite::rewrite(source)?;
    RegexBuilder::new(&rewritten).size_limit(SIZE_LIMIT).dfa_size_limit(CACHE_LIMIT).build().map_err(
        |error| match error {
            regex::Error::CompiledTooBig(_) => {
                PatternError::Refused("larger than 1 MiB when compiled".into())
            }
            other => PatternError::Refused(other.to_string().lines().last().unwrap_or_default().to_owned()),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q18: what upstream's syntax means is what matches here.
    #[test]
    fn expressions_mean_what_upstream_means() {
        let cases = [
            (r"^\d+$", "12", true),
            (r"^\d+$", "١٢", false),
            (r"^\w+$", "é", false),
            (r"^[\w-]+$", "a-b", true),
            (r"^[^\d]+$", "é", true),
            (r"^[\D]+$", "ab", true),
            (r"^[[]+$", "[[", true),
            (r"^[]a]+$", "]a", true),
            (r"^[a&&b]+$", "a&b", true),
            (r"^[a~~+--.]+$", "~", true),
            (r"^\Qa.b\E+$", "a.bb", true),
            (r"^\Qa.b\E+$", "axb", false),
            (r"^a{,2}$", "a{,2}", true),
            (r"^a{1,2}$", "aa", true),
            (r"^{a}$", "{a}", true),
            (r"^\s$", "\u{b}", false),
            (r"\bfoo\b", "a foo b", true),
            (r"^(?i)K$", "k", true),
            (r"^[[:alpha:]]+$", "ab", true),
            (r"^\p{Greek}$", "α", true),
            (r"^\pL$", "a", true),
            (r"^\<a\>$", "<a>", true),
            (r"^(?P<n>a)$", "a", true),
            (r"^\x41\x{42}\103$", "ABC", true),
            (r"^a # b$", "a # b", true),
            (r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", "a.b-c", true),
        ];
        for (source, text, want) in cases {
            let pattern = Pattern::new(source);
            assert_eq!(pattern.check(), Ok(()), "{source}");
            assert_eq!(pattern.matches(text), want, "{source} on {text:?}");
        }
    }

    /// Q18: refusals, upstream's with its words.
    #[test]
    fn refusals_are_upstreams() {
        let cases = [
            ("[a", "missing closing ]: `[a`"),
            ("(a", "missing closing ): `(a`"),
            ("a)", "unexpected ): `a)`"),
            ("*a", "missing argument to repetition operator: `*`"),
            ("a**", "invalid nested repetition operator: `**`"),
            (r"\Z", r"invalid escape sequence: `\Z`"),
            (r"(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
            (r"(?<!a)", "invalid named capture: `(?<!a)`"),
            ("(?x)a", "invalid or unsupported Perl syntax: `(?x`"),
            ("a{1001}", "invalid repeat count: `{1001}`"),
            ("a{2,1}", "invalid repeat count: `{2,1}`"),
            ("[z-a]", "invalid character class range: `z-a`"),
            (r"a\", r"trailing backslash at end of expression: ``"),
            (r"\1", r"invalid escape sequence: `\1`"),
            (r"\p{Nope}", r"invalid character class range: `\p{Nope}`"),
        ];
        for (source, want) in cases {
            assert_eq!(Pattern::new(source).check(), Err(PatternError::Syntax(want.into())), "{source}");
        }
        assert_eq!(Pattern::new(r"a\B").check(), Err(PatternError::Unsupported(r"\B")));
        assert!(matches!(Pattern::new(r"\pL{999}").check(), Err(PatternError::Refused(_))));
    }
}
