//! Why an object is not carried (AP4): a stable reason and a sentence in the tenant's own words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Reasons of section 1; each names what would have to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the variants are the reasons of AP4, word for word")]
pub enum Reason {
    HostNameTaken,
    NameCollision,
    PodSecurityViolation,
    PolicyDenied,
    QuotaExceeded,
    HostQuotaExceeded,
    HostAdmissionDenied,
    HostFeatureMissing,
    UnsupportedField,
    UnsupportedVolume,
    SyncDisabled,
    SchedulerUnknown,
    NodeNotVisible,
    ClassNotShared,
    HostOverride,
    HostConflict,
    HostPodDeleted,
    HostClaimLost,
    HostRejected,
    LeftOnHost,
}

impl Reason {
    /// The reason as written in conditions, events and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::HostNameTaken => "HostNameTaken",
            Reason::NameCollision => "NameCollision",
            Reason::PodSecurityViolation => "PodSecurityViolation",
            Reason::PolicyDenied => "PolicyDenied",
            Reason::QuotaExceeded => "QuotaExceeded",
            Reason::HostQuotaExceeded => "HostQuotaExceeded",
            Reason::HostAdmissionDenied => "HostAdmissionDenied",
            Reason::HostFeatureMissing => "HostFeatureMissing",
            Reason::UnsupportedField => "UnsupportedField",
            Reason::UnsupportedVolume => "UnsupportedVolume",
            Reason::SyncDisabled => "SyncDisabled",
            Reason::SchedulerUnknown => "SchedulerUnknown",
            Reason::NodeNotVisible => "NodeNotVisible",
            Reason::ClassNotShared => "ClassNotShared",
            Reason::HostOverride => "HostOverride",
            Reason::HostConflict => "HostConflict",
            Reason::HostPodDeleted => "HostPodDeleted",
            Reason::HostClaimLost => "HostClaimLost",
            Reason::HostRejected => "HostRejected",
            Reason::LeftOnHost => "LeftOnHost",
        }
    }

    /// Seconds after which it is tried again although nothing changed; `None`: a change of object or facts decides.
    pub const fn retry_seconds(self) -> Option<u64> {
        match self {
            Reason::HostNameTaken | Reason::NameCollision | Reason::HostConflict => Some(60),
            Reason::HostQuotaExceeded => Some(5),
            Reason::HostAdmissionDenied => Some(30),
            _ => None,
        }
    }
}

/// A refusal: the reason and a message that names the tenant's field, never a host object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Which field and rule.
    pub message: String,
}

impl Refusal {
    /// A refusal with a message.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    /// `UnsupportedField` naming the path.
    pub fn unsupported(path: impl fmt::Display) -> Self {
        Self::new(Reason::UnsupportedField, format!("{path} cannot be carried"))
    }

    /// `PolicyDenied` naming field and rule.
    pub fn policy(path: impl fmt::Display, rule: impl fmt::Display) -> Self {
        Self::new(Reason::PolicyDenied, format!("{path} is not allowed by hostPolicy.{rule}"))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.message)
    }
}
