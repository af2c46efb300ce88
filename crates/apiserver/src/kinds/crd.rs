//! CustomResourceDefinition: defaults, rules and status. What the definitions mean is `crate::custom`'s.

use serde_json::{Value, json};

use super::{Hooks, NONE, SideEffects};
use crate::custom::{self, CLEANUP, Definition, Naming};
use crate::model::clock;
use crate::model::object::Object;
use crate::model::status::Cause;
use crate::registry::Call;

/// Storage identity of definitions.
pub const ID: &str = "apiextensions.k8s.io/customresourcedefinitions";

/// Hooks of CustomResourceDefinitions.
pub const HOOKS: Hooks = Hooks {
    default,
    prepare_create: |crd| prepare_status(crd, None),
    prepare_update: |new, old| prepare_status(new, Some(old)),
    validate,
    begin_delete,
    ..NONE
};

/// Its objects go first: the cleanup holds it, and its condition says so.
fn begin_delete(crd: &mut Value) {
    let mut finalizers: Vec<String> = crd.finalizers().into_iter().map(str::to_owned).collect();
    if !finalizers.iter().any(|f| f == CLEANUP) {
        finalizers.push(CLEANUP.into());
        crd.set_meta("finalizers", finalizers);
    }
    let condition = custom::terminating(custom::Terminating::Pending);
    custom::write_terminating(crd, &condition, &clock::now());
}

/// Decides on names against the tenant's other definitions, and warns about what is not enforced (M3).
pub fn establish_in(call: &Call<'_>, crd: &mut Value, old: Option<&Value>) -> SideEffects {
    custom::warnings(crd, old).into_iter().for_each(|text| call.warnings.add(text));
    if !crd.is_deleting() && call.subresource().is_empty() {
        let name = crd.meta("name").to_owned();
        let snapshot = call.tenant.store.snapshot();
        let others: Vec<Value> = snapshot
            .list(&call.resource.id, None, None)
            .filter(|(other, _)| other.name() != name)
            .map(|(_, record)| record.tree())
            .collect();
        establish(crd, &others, &clock::now());
    }
    SideEffects::default()
}

/// Fills in names, conversion and the stored version.
pub fn default(crd: &mut Value) {
    let stored = |status: &Value| status["storedVersions"].as_array().is_some_and(|s| !s.is_empty());
    if crd.get("status").is_some_and(|status| status.is_object() && !stored(status)) {
        crd["status"]["storedVersions"] = custom::stored_versions(crd).into();
    }
    let Some(spec) = crd.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) else { return };
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    let missing = |names: &serde_json::Map<String, Value>, name: &str| {
        names.get(name).and_then(Value::as_str).is_none_or(str::is_empty)
    };
    if kind.is_empty() {
        return;
    }
    if missing(names, "singular") {
        names.insert("singular".into(), kind.to_lowercase().into());
    }
    if missing(names, "listKind") {
        names.insert("listKind".into(), format!("{kind}List").into());
    }
}

/// Sets what clients do not: on create the status is empty but for the stored version, on update it is the old one.
pub fn prepare_status(crd: &mut Value, old: Option<&Value>) {
    if !crd.is_object() {
        return;
    }
    crd["status"] =
        old.map(|old| old["status"].clone()).filter(Value::is_object).unwrap_or_else(|| json!({}));
    let stored = custom::stored_versions(crd);
    crd["status"]["storedVersions"] = stored.into();
}

/// Everything wrong with a definition, the rules of `metadata` that all kinds share aside.
pub fn validate(new: &Value, old: Option<&Value>) -> Vec<Cause> {
    let old = old.map(Definition::parse);
    custom::check_definition(&Definition::parse(new), old.as_ref())
}

/// Decides on names and writes the status that follows (Y2), in the same commit as the definition itself.
pub fn establish<'v>(crd: &mut Value, others: impl IntoIterator<Item = &'v Value>, now: &str) -> Naming {
    let naming = custom::naming(crd, others);
    custom::write_status(crd, &naming, now);
    naming
}
