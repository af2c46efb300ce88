//! Why an apply is refused, in upstream's words.

use serde_json::Value;

use super::check::{self, Fault};
use super::fields::FieldSet;
use super::managers::Manager;

/// A field that another manager owns and that would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Name of the owner.
    pub manager: String,
    /// Version in which the owner wrote it.
    pub api_version: String,
    /// Subresource by which the owner wrote it.
    pub subresource: String,
    /// The field, as `.spec.replicas`: field of the cause.
    pub path_text: String,
    /// `conflict with "owner" using apps/v1`: message of the cause.
    pub message: String,
}

/// Why an apply was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Others own fields that would change: 409, a cause `FieldManagerConflict` each.
    #[error("{}", conflict_summary(.0))]
    Conflicts(Vec<Conflict>),
    /// The configuration names an item of a list twice: 422.
    #[error("failed to create typed patch object ({object}): {}", check::summary(.faults))]
    DuplicateKeys {
        /// `namespace/name; group/version, Kind=kind`.
        object: String,
        /// All findings.
        faults: Vec<Fault>,
    },
    /// The configuration does not fit the schema: upstream answers 500 with this text.
    #[error("failed to create typed patch object ({object}): {}", check::summary(.faults))]
    Invalid {
        /// `namespace/name; group/version, Kind=kind`.
        object: String,
        /// All findings.
        faults: Vec<Fault>,
    },
    /// The configuration carries managedFields: 400.
    #[error("metadata.managedFields must be nil")]
    ManagedFieldsGiven,
}

fn conflict_summary(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: {}: {}", only.message, only.path_text);
    }
    let mut out = format!("Apply failed with {} conflicts: ", conflicts.len());
    let mut lines: Vec<String> = Vec::new();
    let mut last = None;
    for conflict in conflicts {
        if last != Some(&conflict.message) {
            lines.push(format!("{}:", conflict.message.replacen("conflict with", "conflicts with", 1)));
            last = Some(&conflict.message);
        }
        lines.push(format!("- {}", conflict.path_text));
    }
    out.push_str(&lines.join("\n"));
    out
}

/// `namespace/name; group/version, Kind=kind` of messages.
pub(super) fn describe(object: &Value) -> String {
    let text = |at: Option<&Value>| at.and_then(Value::as_str).unwrap_or_default().to_owned();
    let meta = object.get("metadata");
    let version = text(object.get("apiVersion"));
    let version = if version.contains('/') { version } else { format!("/{version}") };
    format!(
        "{}/{}; {version}, Kind={}",
        text(meta.and_then(|m| m.get("namespace"))),
        text(meta.and_then(|m| m.get("name"))),
        text(object.get("kind"))
    )
}

/// One conflict per path that the manager owns.
pub(super) fn conflicts_of(manager: &Manager, paths: &FieldSet) -> Vec<Conflict> {
    let message = format!("conflict with {}", manager.print());
    let conflict = |path_text| Conflict {
        manager: manager.name.clone(),
        api_version: manager.api_version.clone(),
        subresource: manager.subresource.clone(),
        path_text,
        message: message.clone(),
    };
    paths.paths().into_iter().map(conflict).collect()
}
