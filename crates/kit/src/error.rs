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
    chain(error)
}

/// An error with its causes, each once; what an API server said ends the chain in its own words.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let said = match cause.downcast_ref::<Error>() {
            Some(Error::Api(status)) => Some(status.message.clone()),
            _ => None,
        };
        next = if said.is_some() { None } else { cause.source() };
        let more = said.unwrap_or_else(|| cause.to_string());
        if text.is_empty() {
            text = more;
        } else if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the decision could not be written")]
    struct Written(#[source] Error);

    #[test]
    fn a_chain_says_each_thing_once() {
        let status = kube::core::Status { message: "configmaps is forbidden".into(), ..Default::default() };
        let failed = Written(Error::Api(Box::new(status)));
        assert_eq!(chain(&failed), "the decision could not be written: configmaps is forbidden");
    }
}
