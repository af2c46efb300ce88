//! How a command ends (U3): 0 done, 1 failed, 2 usage, 3 not found, 4 timed out, 5 refused, 130 interrupted.

use std::process::ExitCode;

use skerry_kit::error;

/// Why a command did not do what was asked; the text says what, why, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It failed.
    #[error("{0}")]
    Failed(String),
    /// It was asked wrongly.
    #[error("{0}")]
    Usage(String),
    /// What was named is not there.
    #[error("{0}")]
    NotFound(String),
    /// It took too long; the work goes on.
    #[error("{0}")]
    TimedOut(String),
    /// It is refused: validation, policy, protection.
    #[error("{0}")]
    Refused(String),
    /// The user ended it; the work goes on.
    #[error("{0}")]
    Interrupted(String),
}

impl Failure {
    /// The exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::NotFound(_) => 3,
            Self::TimedOut(_) => 4,
            Self::Refused(_) => 5,
            Self::Interrupted(_) => 130,
        })
    }

    /// A failure with what was being done.
    pub fn during(what: &str) -> impl Fn(kube::Error) -> Self {
        move |failed| {
            let text = format!("{what}: {}", error::sentence(&failed));
            match error::code(&failed) {
                Some(404) => Self::NotFound(text),
                Some(400 | 403 | 409 | 422) => Self::Refused(text),
                _ => Self::Failed(text),
            }
        }
    }
}

impl From<kube::Error> for Failure {
    fn from(failed: kube::Error) -> Self {
        let text = error::sentence(&failed);
        match error::code(&failed) {
            Some(404) => Self::NotFound(text),
            Some(400 | 403 | 409 | 422) => Self::Refused(text),
            None => Self::Failed(format!(
                "the hub does not answer: {text}; is `skerry up` running, and is --context right?"
            )),
            _ => Self::Failed(text),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(failed: std::io::Error) -> Self {
        Self::Failed(failed.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TN-72, U3.
    #[test]
    fn tn72_each_failure_has_its_code() {
        let codes = [
            (Failure::Failed(String::new()), 1),
            (Failure::Usage(String::new()), 2),
            (Failure::NotFound(String::new()), 3),
            (Failure::TimedOut(String::new()), 4),
            (Failure::Refused(String::new()), 5),
            (Failure::Interrupted(String::new()), 130),
        ];
        for (failure, code) in codes {
            assert_eq!(format!("{:?}", failure.code()), format!("{:?}", ExitCode::from(code)));
        }
    }
}
