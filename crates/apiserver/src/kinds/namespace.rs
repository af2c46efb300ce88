//! Namespace: phase, `spec.finalizers`, `/finalize`.

use serde_json::{Value, json};

use super::{Hooks, NONE};
use crate::model::object::Object;

/// Annotation-free label every namespace carries.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Hooks of Namespaces.
pub const HOOKS: Hooks = Hooks {
    default: |object| {
        let name = object.meta("name").to_owned();
        if !name.is_empty() {
            object.put(&["metadata", "labels", NAME_LABEL], name);
        }
    },
    prepare_create: |object| {
        object.put(&["spec", "finalizers"], json!(["kubernetes"]));
        object.put(&["status", "phase"], "Active");
    },
    prepare_update: |new, old| {
        if let Some(spec) = old.at(&["spec"]) {
            new.put(&["spec"], spec.clone());
        }
    },
    begin_delete: |object| object.put(&["status", "phase"], "Terminating"),
    held: |object| !object.items(&["spec", "finalizers"]).is_empty(),
    restore: |subresource, new, live| {
        let spec = new.at(&["spec"]).cloned();
        *new = live.clone();
        if let ("finalize", Some(spec)) = (subresource, spec) {
            new.put(&["spec"], spec);
        }
    },
    ..NONE
};

/// Whether a namespace takes nothing new.
pub fn is_terminating(namespace: &Value) -> bool {
    namespace.is_deleting() || namespace.text(&["status", "phase"]) == "Terminating"
}

/// Whether it holds desired state only (C9).
pub fn is_template(namespace: &Value) -> bool {
    namespace.text(&["metadata", "labels", skerry_api::labels::TEMPLATE]) == "true"
}
