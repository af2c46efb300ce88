//! Bytes to object trees and back: strict JSON and YAML readers, typed check, protobuf, tables, gzip.

pub mod check;
pub mod gzip;
pub mod json;
pub mod proto;
pub mod table;
pub mod yaml;

use std::fmt;

use crate::model::status::ApiStatus;

pub use self::check::{TypeMismatch, check_known};
pub use self::json::read_json;
pub use self::yaml::read_yaml;

/// A form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

impl Format {
    /// The form a `Content-Type` names; parameters are not looked at.
    pub fn of_content_type(text: &str) -> Option<Self> {
        match text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | "*/*" | "application/json" => Some(Self::Json),
            "application/yaml" => Some(Self::Yaml),
            "application/vnd.kubernetes.protobuf" => Some(Self::Protobuf),
            _ => None,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => "application/vnd.kubernetes.protobuf",
        }
    }
}

/// Bounds of one body (Q6).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Deepest nesting.
    pub depth: usize,
    /// Most values, aliases expanded.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 512, values: 500_000 }
    }
}

/// What field validation reports (V2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong with the member.
    pub kind: FindingKind,
    /// Path, as `spec.containers[0].foo`.
    pub path: String,
}

/// Kinds of [`Finding`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// The type has no such member.
    Unknown,
    /// The member is there twice.
    Duplicate,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.kind {
            FindingKind::Unknown => "unknown",
            FindingKind::Duplicate => "duplicate",
        };
        write!(f, "{word} field {:?}", self.path)
    }
}

/// The 400 message of `fieldValidation=Strict`.
pub fn strict_message(findings: &[Finding]) -> String {
    let texts: Vec<String> = findings.iter().map(Finding::to_string).collect();
    format!("strict decoding error: {}", texts.join(", "))
}

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Not JSON, YAML or protobuf; upstream's sentence.
    #[error("{0}")]
    Syntax(String),
    /// Q6: nesting.
    #[error("nested deeper than {0}")]
    TooDeep(usize),
    /// Q6: number of values.
    #[error("more than {0} values")]
    TooMany(usize),
}

impl ReadError {
    /// As an answer.
    pub fn to_status(&self) -> ApiStatus {
        match self {
            Self::TooMany(_) => ApiStatus::too_large(self.to_string()),
            _ => ApiStatus::bad_request(self.to_string()),
        }
    }
}

/// A path while a tree is walked: members and indices.
#[derive(Debug, Default)]
pub(crate) struct Path(String);

impl Path {
    /// Runs `inner` with a member appended.
    pub(crate) fn member<T>(&mut self, name: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        let len = self.push_member(name);
        let out = inner(self);
        self.truncate(len);
        out
    }

    /// Runs `inner` with an index appended.
    pub(crate) fn index<T>(&mut self, i: usize, inner: impl FnOnce(&mut Self) -> T) -> T {
        let len = self.push_index(i);
        let out = inner(self);
        self.truncate(len);
        out
    }

    /// Appends a member; answers the length to go back to.
    pub(crate) fn push_member(&mut self, name: &str) -> usize {
        let len = self.0.len();
        if len > 0 {
            self.0.push('.');
        }
        self.0.push_str(name);
        len
    }

    /// Appends an index; answers the length to go back to.
    pub(crate) fn push_index(&mut self, i: usize) -> usize {
        let len = self.0.len();
        self.0.push_str(&format!("[{i}]"));
        len
    }

    /// Goes back to what stood before a push.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    pub(crate) fn text(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests;
