//! `status` of a CustomResourceDefinition (Y2): names, conditions, approval.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::definition::{CLEANUP, Definition, Names, list, string, strings};
use super::path::{Path, quote};
use super::structural;

/// Condition that says whether CEL rules are checked (M3).
pub const RULES_ENFORCED: &str = "skerry.dev/RulesEnforced";

/// A condition of a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// `type`.
    pub ty: &'static str,
    /// `status`: `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// `reason`.
    pub reason: &'static str,
    /// `message`.
    pub message: String,
}

/// What became of the names a definition asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// `status.acceptedNames`.
    pub accepted: Names,
    /// The clash, if there is one.
    pub clash: Option<Clash>,
}

/// A name that another definition of the group holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// Reason of condition `NamesAccepted`.
    pub reason: &'static str,
    /// Its message.
    pub message: String,
}

/// State of the approval annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// Neither a URL nor a reason.
    Invalid,
    /// A URL.
    Approved,
    /// Begins with `unapproved`.
    Bypassed,
    /// Absent.
    Missing,
}

/// Whether the group belongs to upstream.
pub fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|own| group.strip_suffix(own).is_some_and(|head| head.is_empty() || head.ends_with('.')))
}

/// Judges the approval annotation.
pub fn approval(annotation: Option<&str>) -> (Approval, String) {
    let annotation = annotation.unwrap_or_default();
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    let must = "protected groups must have approval annotation \"api-approved.kubernetes.io\"";
    if annotation.is_empty() {
        (Approval::Missing, format!("{must}, {see}"))
    } else if annotation.starts_with("unapproved") {
        (Approval::Bypassed, format!("not approved: {}", quote(annotation)))
    } else if url::Url::parse(annotation).is_ok_and(|url| url.has_host()) {
        (Approval::Approved, format!("approved in {annotation}"))
    } else {
        (
            Approval::Invalid,
            format!("{must} with either a URL or a reason starting with \"unapproved\", {see}"),
        )
    }
}

/// Which names a definition gets, given the names that the other definitions hold.
pub fn naming<'v>(crd: &Value, others: impl IntoIterator<Item = &'v Value>) -> Naming {
    let def = Definition::parse(crd);
    let (mut resources, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for other in others {
        if other["spec"]["group"] != def.group.as_str() || other["metadata"]["name"] == def.name.as_str() {
            continue;
        }
        let held = &other["status"]["acceptedNames"];
        resources.extend([string(&held["plural"]), string(&held["singular"])]);
        resources.extend(strings(&held["shortNames"]));
        kinds.extend([string(&held["kind"]), string(&held["listKind"])]);
    }
    // What this definition holds itself counts too, as upstream counts it.
    resources.extend([def.accepted.plural.clone(), def.accepted.singular.clone()]);
    resources.extend(def.accepted.short.iter().cloned());
    kinds.extend([def.accepted.kind.clone(), def.accepted.list_kind.clone()]);

    let mut accepted = def.accepted.clone();
    let mut clash = None;
    let mut take = |asked: &str, held: &mut String, used: &BTreeSet<String>, reason: &'static str| {
        if asked != held && used.contains(asked) {
            clash = Some(Clash { reason, message: in_use(asked) });
        } else {
            *held = asked.to_owned();
        }
    };
    take(&def.names.plural, &mut accepted.plural, &resources, "PluralConflict");
    take(&def.names.singular, &mut accepted.singular, &resources, "SingularConflict");
    let taken: Vec<String> = def
        .names
        .short
        .iter()
        .filter(|name| !def.accepted.short.contains(name) && resources.contains(*name))
        .map(|name| in_use(name))
        .collect();
    if taken.is_empty() {
        accepted.short = def.names.short.clone();
    } else {
        let message = if taken.len() == 1 { taken[0].clone() } else { format!("[{}]", taken.join(", ")) };
        clash = Some(Clash { reason: "ShortNamesConflict", message });
    }
    let mut take = |asked: &str, held: &mut String, reason: &'static str| {
        if asked != held && kinds.contains(asked) {
            clash = Some(Clash { reason, message: in_use(asked) });
        } else {
            *held = asked.to_owned();
        }
    };
    take(&def.names.kind, &mut accepted.kind, "KindConflict");
    take(&def.names.list_kind, &mut accepted.list_kind, "ListKindConflict");
    accepted.categories = def.names.categories.clone();
    Naming { accepted, clash }
}

fn in_use(name: &str) -> String {
    format!("{} is already in use", quote(name))
}

/// The conditions a definition has, given what became of its names. In upstream's order.
pub fn conditions(crd: &Value, clash: Option<&Clash>) -> Vec<Condition> {
    let def = Definition::parse(crd);
    let mut all = Vec::new();
    let mut add = |ty, status, reason, message: &str| {
        all.push(Condition { ty, status, reason, message: message.to_owned() });
    };
    if let Some(message) = non_structural(&def) {
        add("NonStructuralSchema", "True", "Violations", &message);
    }
    match clash {
        None => add("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        Some(clash) => add("NamesAccepted", "False", clash.reason, &clash.message),
    }
    if clash.is_none() || def.established {
        add("Established", "True", "InitialNamesAccepted", "the initial names have been accepted");
    } else {
        add("Established", "False", "NotAccepted", "not all names are accepted");
    }
    if is_protected(&def.group) {
        let (state, message) = approval(def.approval.as_deref());
        let (status, reason) = match state {
            Approval::Invalid => ("False", "InvalidAnnotation"),
            Approval::Missing => ("False", "MissingAnnotation"),
            Approval::Approved => ("True", "ApprovedAnnotation"),
            Approval::Bypassed => ("False", "UnapprovedAnnotation"),
        };
        add("KubernetesAPIApprovalPolicyConformant", status, reason, &message);
    }
    if def.has_rules() {
        add(RULES_ENFORCED, "False", "NotSupported", "x-kubernetes-validations are not enforced");
    }
    all
}

fn non_structural(def: &Definition) -> Option<String> {
    let mut found = Vec::new();
    if def.preserve_unknown {
        found.push(Path::new("spec.preserveUnknownFields").invalid(&true.into(), "must be false"));
    }
    let versions = Path::new("spec.versions");
    for (i, version) in def.versions.iter().enumerate() {
        let Some(schema) = &version.schema else { continue };
        let at = versions.index(i);
        let schema_at = at.child("schema");
        if structural::unsupported(schema).is_none() {
            found.extend(structural::check(&schema_at.child("openAPIV3Schema"), schema));
        }
    }
    let sentences: Vec<String> = found.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
    match sentences.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        many => Some(format!("[{}]", many.join(", "))),
    }
}

/// Writes names, stored versions and conditions into `status`, `now` being RFC 3339. Conditions that no longer hold go,
/// `Terminating` stays.
pub fn write_status(crd: &mut Value, naming: &Naming, now: &str) {
    let wanted = conditions(crd, naming.clash.as_ref());
    let old = list(&crd["status"]["conditions"]).to_vec();
    let find = |ty: &str| old.iter().find(|c| c["type"] == ty);
    let mut all: Vec<Value> = old.iter().filter(|c| c["type"] == "Terminating").cloned().collect();
    let terminating = all.pop();
    for condition in &wanted {
        let since = find(condition.ty)
            .filter(|c| c["status"] == condition.status)
            .and_then(|c| c["lastTransitionTime"].as_str())
            .unwrap_or(now);
        all.push(condition_value(condition, since));
    }
    all.extend(terminating);
    let stored = stored_versions(crd);
    let status = json!({
        "acceptedNames": naming.accepted.to_value(), "conditions": all, "storedVersions": stored,
    });
    set(crd, "status", status);
}

/// `status.storedVersions`, the storage version added.
pub fn stored_versions(crd: &Value) -> Vec<String> {
    let mut stored = strings(&crd["status"]["storedVersions"]);
    let storage = list(&crd["spec"]["versions"]).iter().find(|v| v["storage"] == true);
    let name = storage.map(|v| string(&v["name"])).unwrap_or_default();
    if !name.is_empty() && !stored.contains(&name) {
        stored.push(name);
    }
    stored
}

/// Marks a definition that is being deleted: finalizer and condition `Terminating`.
pub fn write_terminating(crd: &mut Value, condition: &Condition, now: &str) {
    let finalizers = &mut crd["metadata"]["finalizers"];
    if !list(finalizers).iter().any(|f| f == CLEANUP) {
        match finalizers {
            Value::Array(all) => all.push(CLEANUP.into()),
            other => *other = json!([CLEANUP]),
        }
    }
    set_condition(crd, condition, now);
}

/// Sets one condition; its time moves with its status only.
pub fn set_condition(crd: &mut Value, condition: &Condition, now: &str) {
    let all = &mut crd["status"]["conditions"];
    if !all.is_array() {
        *all = json!([]);
    }
    let Some(all) = all.as_array_mut() else { return };
    match all.iter_mut().find(|c| c["type"] == condition.ty) {
        Some(old) => {
            let kept = old["status"] == condition.status;
            let since = old["lastTransitionTime"].as_str().filter(|_| kept).unwrap_or(now).to_owned();
            *old = condition_value(condition, &since);
        }
        None => all.push(condition_value(condition, now)),
    }
}

/// Condition `Terminating` at the steps of a deletion.
pub fn terminating(step: Terminating) -> Condition {
    let (status, reason, message) = match step {
        Terminating::Pending => (
            "True",
            "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
        ),
        Terminating::InProgress => {
            ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
        }
        Terminating::Completed => ("False", "InstanceDeletionCompleted", "removed all instances"),
    };
    Condition { ty: "Terminating", status, reason, message: message.into() }
}

/// Steps of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminating {
    /// The definition has been marked.
    Pending,
    /// Its objects are being deleted.
    InProgress,
    /// They are gone.
    Completed,
}

fn condition_value(condition: &Condition, since: &str) -> Value {
    json!({
        "type": condition.ty, "status": condition.status, "reason": condition.reason,
        "message": condition.message, "lastTransitionTime": since,
    })
}

fn set(object: &mut Value, name: &str, value: Value) {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    object[name] = value;
}
