//! JSON Patch, merge patch and strategic merge patch. Pure: a document and a patch give a document.
//!
//! All three work on the JSON of the version that the client speaks; what comes out is decoded and
//! defaulted like a body by the caller. Texts and categories of errors are those of upstream, because
//! clients assert on them.

mod json;
mod lists;
mod merge;
mod strategic;

#[cfg(test)]
mod tests;

pub use json::{COPY_LIMIT, MAX_OPERATIONS, json_patch};
pub use merge::merge_patch;
pub use strategic::strategic_merge;

/// How a refused patch is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// The patch itself is malformed: 400.
    BadRequest,
    /// The patch is well formed and does not fit this object: 422.
    Unprocessable,
    /// The patch asks for too much (Q7): 413.
    TooLarge,
    /// The patch does not fit the declared merge keys: 500, as upstream answers it.
    Internal,
}

/// Why a patch was not applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PatchError {
    /// Which status code it becomes.
    pub category: Category,
    /// Upstream's sentence.
    pub message: String,
    /// What the sentence keeps to itself; for logs, and empty when it says all.
    pub detail: String,
}

impl PatchError {
    fn new(category: Category, message: impl Into<String>) -> PatchError {
        PatchError { category, message: message.into(), detail: String::new() }
    }

    fn bad(message: impl Into<String>) -> PatchError {
        PatchError::new(Category::BadRequest, message)
    }

    /// Upstream drops the reason of this refusal.
    fn unfit(detail: impl Into<String>) -> PatchError {
        let message = "the server rejected our request due to an error in our request".to_owned();
        PatchError { category: Category::Unprocessable, message, detail: detail.into() }
    }

    fn internal(message: impl Into<String>) -> PatchError {
        PatchError::new(Category::Internal, message)
    }

    /// The HTTP status code of the answer.
    pub fn code(&self) -> u16 {
        match self.category {
            Category::BadRequest => 400,
            Category::Unprocessable => 422,
            Category::TooLarge => 413,
            Category::Internal => 500,
        }
    }
}

/// The word a Go decoder uses for a JSON value of the wrong kind.
fn go_kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "bool",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "array",
        serde_json::Value::Object(_) => "object",
    }
}
