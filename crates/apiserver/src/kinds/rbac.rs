//! Roles and bindings: an immutable roleRef. Escalation is admission's, since it depends on who asks.

use serde_json::Value;

use super::{Hooks, NONE};
use crate::model::object::Object;
use crate::model::status::Cause;

/// Hooks of the RBAC kinds.
pub const HOOKS: Hooks = Hooks { validate, ..NONE };

fn validate(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let is_binding = new.text(&["kind"]).ends_with("Binding");
    if is_binding {
        if new.text(&["roleRef", "name"]).is_empty() {
            causes.push(Cause::required("roleRef.name", ""));
        }
        for (i, subject) in new.items(&["subjects"]).iter().enumerate() {
            if subject.text(&["name"]).is_empty() {
                causes.push(Cause::required(format!("subjects[{i}].name"), ""));
            }
            if subject.text(&["kind"]) == "ServiceAccount" && subject.text(&["namespace"]).is_empty() {
                causes.push(Cause::required(format!("subjects[{i}].namespace"), ""));
            }
        }
        if let Some(old) = old
            && old.at(&["roleRef"]) != new.at(&["roleRef"])
        {
            let value = new.at(&["roleRef"]).unwrap_or(&Value::Null);
            causes.push(Cause::invalid("roleRef", value, "cannot change roleRef"));
        }
    } else {
        for (i, rule) in new.items(&["rules"]).iter().enumerate() {
            if rule.items(&["verbs"]).is_empty() {
                causes.push(Cause::required(
                    format!("rules[{i}].verbs"),
                    "verbs must contain at least one value",
                ));
            }
        }
    }
    causes
}
