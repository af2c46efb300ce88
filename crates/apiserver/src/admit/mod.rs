//! The admission chain: what the server adds to a request's object, and what it refuses whoever may write it.

mod defaults;
mod escalation;
mod namespace;
mod reserved;
mod rules;

use serde_json::Value;

use crate::model::status::ApiStatus;
use crate::registry::Call;

pub use reserved::is_reserved_key;
pub use rules::{Rule, RuleInput};

/// What is about to happen to the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed one.
    Update,
    /// The end of one.
    Delete,
}

/// Mutating plugins, in order.
pub async fn mutate(
    call: &Call<'_>,
    op: Operation,
    new: &mut Value,
    old: Option<&Value>,
) -> Result<(), ApiStatus> {
    if op == Operation::Create {
        namespace::lifecycle(call, new)?;
    }
    if call.subresource().is_empty() && old.is_none() {
        defaults::create(call, new)?;
    }
    Ok(())
}

/// Validating plugins, then the platform's rules.
pub async fn validate(
    call: &Call<'_>,
    op: Operation,
    new: Option<&Value>,
    old: Option<&Value>,
) -> Result<(), ApiStatus> {
    namespace::validate(call, op, new, old)?;
    reserved::validate(call, op, new, old)?;
    escalation::validate(call, op, new, old)?;
    rules::validate(call, op, new, old)
}
