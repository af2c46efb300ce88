//! The files: sequences of writes to one object, with answers.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Set {
    pub api_version: String,
    pub kind: String,
    pub plural: String,
    pub cases: Vec<Case>,
}

/// One object's life.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    pub name: String,
    pub steps: Vec<Step>,
}

/// One write.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Step {
    /// `apply`, `create`, `update` (the body is a merge patch on the last state), `json`, `merge`, `strategic`.
    pub verb: String,
    pub manager: String,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    pub body: Value,
    #[serde(default)]
    pub code: u16,
    /// The object; on refusal message and causes.
    #[serde(default)]
    pub answer: Value,
}

impl Step {
    pub fn new(verb: &str, manager: &str, body: Value) -> Step {
        Step { verb: verb.to_owned(), manager: manager.to_owned(), body, ..Step::default() }
    }

    pub fn force(mut self) -> Step {
        self.force = true;
        self
    }

    pub fn status(mut self) -> Step {
        self.subresource = "status".to_owned();
        self
    }
}

pub fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/apply")
}

/// The time that stands for a step.
pub fn time_of(step: usize) -> String {
    format!("2026-01-01T00:00:{:02}Z", step + 1)
}
