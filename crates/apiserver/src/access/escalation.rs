//! Nobody grants more than they hold, unless allowed to `escalate` or `bind` (Z1).

use std::collections::BTreeSet;

use serde_json::Value;

use super::Attributes;
use super::decide::{decide, is_above, rules_for};
use super::index::{Index, RoleRef};
use super::rule::{Rule, joined, uncovered};
use crate::identity::Identity;
use crate::model::status::{ApiStatus, Subject};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Checks the write of a role or binding. `old` is the live object of an update.
pub fn check(index: &Index, who: &Identity, new: &Value, old: Option<&Value>) -> Result<(), ApiStatus> {
    if is_above(who) || old.is_some_and(|old| only_for_collection(new, old)) {
        return Ok(());
    }
    match new["kind"].as_str() {
        Some("ClusterRole") => role(index, who, "clusterroles", new, old),
        Some("Role") => role(index, who, "roles", new, old),
        Some("ClusterRoleBinding") => binding(index, who, "clusterrolebindings", new),
        Some("RoleBinding") => binding(index, who, "rolebindings", new),
        _ => Ok(()),
    }
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object["metadata"][key].as_str().unwrap_or_default()
}

/// Whether only what garbage collection needs differs: owners, finalizers, and what every write changes.
fn only_for_collection(new: &Value, old: &Value) -> bool {
    let masked = |object: &Value| {
        let mut out = object.clone();
        if let Some(metadata) = out["metadata"].as_object_mut() {
            for key in ["ownerReferences", "finalizers", "managedFields", "resourceVersion"] {
                metadata.remove(key);
            }
        }
        out
    };
    masked(new) == masked(old)
}

fn may(index: &Index, who: &Identity, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
    let a =
        Attributes { verb, group: GROUP, version: "*", resource, namespace, name, ..Attributes::default() };
    decide(index, who, &a).allowed
}

fn role(
    index: &Index,
    who: &Identity,
    plural: &str,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), ApiStatus> {
    let (namespace, name) = (text(new, "namespace"), text(new, "name"));
    if may(index, who, "escalate", plural, namespace, name) {
        return Ok(());
    }
    let subject = Subject { group: GROUP, plural, name };
    confirm(index, who, namespace, &Rule::list_of(new)).map_err(|why| ApiStatus::forbidden(subject, &why))?;
    let aggregates = |role: &Value| {
        role["aggregationRule"]["clusterRoleSelectors"].as_array().is_some_and(|s| !s.is_empty())
    };
    if aggregates(new) || old.is_some_and(aggregates) {
        let everything = [Rule::resources(&["*"], &["*"], &["*"], &[]), Rule::urls(&["*"], &["*"])];
        confirm(index, who, namespace, &everything).map_err(|_| {
            ApiStatus::forbidden(subject, "must have cluster-admin privileges to use the aggregationRule")
        })?;
    }
    Ok(())
}

fn binding(index: &Index, who: &Identity, plural: &str, new: &Value) -> Result<(), ApiStatus> {
    let namespace = text(new, "namespace");
    let part = |key: &str| new["roleRef"][key].as_str().unwrap_or_default();
    let roles = if part("kind") == "Role" { "roles" } else { "clusterroles" };
    if may(index, who, "bind", roles, namespace, part("name")) {
        return Ok(());
    }
    let role = RoleRef { kind: part("kind").into(), name: part("name").into() };
    let rules = index.rules_of(&role, namespace).map_err(|missing| {
        ApiStatus::not_found(Subject { group: GROUP, plural: roles, name: &missing.name })
    })?;
    let subject = Subject { group: GROUP, plural, name: text(new, "name") };
    confirm(index, who, namespace, rules).map_err(|why| ApiStatus::forbidden(subject, &why))
}

/// Upstream's sentence about what is not held.
fn confirm(index: &Index, who: &Identity, namespace: &str, wanted: &[Rule]) -> Result<(), String> {
    let (held, errors) = rules_for(index, who, namespace);
    let missing = uncovered(&held.iter().collect::<Vec<_>>(), wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let lines: BTreeSet<String> = joined(missing).iter().map(Rule::compact).collect();
    let groups: Vec<String> = who.groups.iter().map(|g| format!("{g:?}")).collect();
    let mut out = format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        who.user,
        groups.join(" "),
        lines.into_iter().collect::<Vec<_>>().join("\n")
    );
    if !errors.is_empty() {
        out.push_str(&format!("; resolution errors: [{}]", errors.join(", ")));
    }
    Err(out)
}
