//! What an API error means to a controller.

use kube::Error;

/// The HTTP status of an answer that was an error.
pub fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// The object, or its kind, is not there.
pub fn is_not_found(error: &Error) -> bool {
    code(error) == Some(404)
}

/// It is there already, or has changed meanwhile.
pub fn is_conflict(error: &Error) -> bool {
    code(error) == Some(409)
}

/// The credential does not count (401) or does not suffice (403).
pub fn is_denied(error: &Error) -> bool {
    matches!(code(error), Some(401 | 403))
}

/// The object itself is refused; trying again without a change is useless.
pub fn is_invalid(error: &Error) -> bool {
    matches!(code(error), Some(400 | 422))
}

/// `Ok(None)` instead of an error where the object is not there.
pub fn optional<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A stable word for metrics and events, from the kind of the error and never from its text.
pub fn category(error: &Error) -> &'static str {
    match code(error) {
        Some(401 | 403) => "denied",
        Some(404) => "not_found",
        Some(409) => "conflict",
        Some(400 | 422) => "invalid",
        Some(429) => "throttled",
        Some(_) => "refused",
        None => "unreachable",
    }
}

/// The error in one line: the server's own sentence where there is one, else the chain of causes.
pub fn sentence(error: &Error) -> String {
    if let Error::Api(status) = error {
        return status.message.clone();
    }
    chain(error)
}

/// An error with its causes, each once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        source = cause.source();
    }
    text
}
