//! Conditions: built, compared and merged in one place. The words themselves stand beside their kinds.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// A condition without its transition time, which [`merge`] decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Condition type.
    pub kind: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// Reason, never empty.
    pub reason: &'static str,
    /// Message, never empty.
    pub message: String,
}

impl Statement {
    /// A condition that holds.
    pub fn yes(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, status: "True", reason, message: message.into() }
    }

    /// A condition that does not hold.
    pub fn no(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, status: "False", reason, message: message.into() }
    }

    /// A condition about which nothing is known yet.
    pub fn unknown(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, status: "Unknown", reason, message: message.into() }
    }

    /// The condition as it is stored: its transition time is that of `before` unless the status changed (L7).
    pub fn since(&self, before: &[Condition], generation: Option<i64>, now: &Time) -> Condition {
        let known = before.iter().find(|c| c.type_ == self.kind && c.status == self.status);
        Condition {
            type_: self.kind.to_owned(),
            status: self.status.to_owned(),
            reason: self.reason.to_owned(),
            message: self.message.chars().take(32_768).collect(),
            observed_generation: generation,
            last_transition_time: known.map_or_else(|| now.clone(), |c| c.last_transition_time.clone()),
        }
    }
}

/// Puts `statement` into `conditions`; tells whether anything changed.
pub fn merge(
    conditions: &mut Vec<Condition>,
    statement: &Statement,
    generation: Option<i64>,
    now: &Time,
) -> bool {
    let wanted = statement.since(conditions, generation, now);
    match conditions.iter_mut().find(|c| c.type_ == statement.kind) {
        Some(known) if *known == wanted => false,
        Some(known) => {
            *known = wanted;
            true
        }
        None => {
            conditions.push(wanted);
            true
        }
    }
}

/// The condition of type `kind`.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == kind)
}

/// Whether the condition of type `kind` is True.
pub fn holds(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|c| c.status == "True")
}
