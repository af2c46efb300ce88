//! Why a request is not carried out as it stands: reason and message of `Provisioned=False` (tenancy L6, L7).

use skerry_api::virtual_cluster::reasons::provisioned;

/// A refusal. Nothing that runs is touched by one (C6).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Reason of the condition.
    pub reason: &'static str,
    /// What is wrong, with its path, and what to do.
    pub message: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// The spec itself is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(provisioned::SPEC_INVALID, message)
    }
}
