//! What holds for the metadata of every object: names, labels, owners, finalizers, limits.

use serde_json::Value;

use super::call::Call;
use crate::model::names;
use crate::model::object::Object;
use crate::model::resource::{NameRule, Resource};
use crate::model::selector::{is_label_value, is_qualified_name};
use crate::model::status::Cause;

const ANNOTATIONS_MAX: usize = 256 * 1024;
const FINALIZERS_MAX: usize = 64;
const OWNERS_MAX: usize = 256;
const MANAGED_FIELDS_MAX: usize = 256;

fn name_rule(rule: NameRule, name: &str) -> Option<&'static str> {
    let (ok, text) = match rule {
        NameRule::DnsSubdomain => (names::is_dns_subdomain(name), names::SUBDOMAIN_RULE),
        NameRule::DnsLabel => (names::is_dns_label(name), names::LABEL_RULE),
        NameRule::Dns1035 => (names::is_dns_1035_label(name), names::LABEL_1035_RULE),
        NameRule::PathSegment => (names::is_path_segment(name), "may not be '.', '..' or contain '/' or '%'"),
        NameRule::IpAddress => {
            (name.parse::<std::net::IpAddr>().is_ok(), "must be a valid IP address in canonical form")
        }
    };
    (!ok).then_some(text)
}

fn check_name(resource: &Resource, object: &Value, causes: &mut Vec<Cause>) {
    let name = object.meta("name");
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if let Some(rule) = name_rule(resource.name_rule, name) {
        causes.push(Cause::invalid("metadata.name", &name.into(), rule));
    }
}

fn check_labels(object: &Value, causes: &mut Vec<Cause>) {
    for (field, is_labels) in [("labels", true), ("annotations", false)] {
        let path = format!("metadata.{field}");
        let Some(map) = object.at(&["metadata", field]).and_then(Value::as_object) else { continue };
        for (key, value) in map {
            let lower = key.to_ascii_lowercase();
            if !is_qualified_name(if is_labels { key } else { &lower }) {
                let rule = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
                causes.push(Cause::invalid(&path, &key.as_str().into(), rule));
            }
            if is_labels && !value.as_str().is_some_and(is_label_value) {
                let rule = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
                causes.push(Cause::invalid(&path, value, rule));
            }
        }
        let size: usize = map.iter().map(|(k, v)| k.len() + v.as_str().map_or(0, str::len)).sum();
        if !is_labels && size > ANNOTATIONS_MAX {
            causes.push(Cause::new(
                "FieldValueTooLong",
                path,
                format!("Too long: may not be more than {ANNOTATIONS_MAX} bytes"),
            ));
        }
    }
}

fn check_owners(object: &Value, causes: &mut Vec<Cause>) {
    let owners = object.items(&["metadata", "ownerReferences"]);
    let mut controller: Option<&str> = None;
    for (i, owner) in owners.iter().enumerate() {
        let path = |field: &str| format!("metadata.ownerReferences[{i}].{field}");
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner.text(&[field]).is_empty() {
                causes.push(Cause::invalid(path(field), &"".into(), &format!("{field} must not be empty")));
            }
        }
        if owner.at(&["controller"]).and_then(Value::as_bool) == Some(true) {
            if let Some(first) = controller {
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {}",
                    owner.text(&["name"])
                );
                causes.push(Cause::invalid(
                    "metadata.ownerReferences",
                    &Value::from(owners.to_vec()),
                    &detail,
                ));
            }
            controller = Some(owner.text(&["name"]));
        }
    }
}

fn check_counts(object: &Value, causes: &mut Vec<Cause>) {
    for (field, max) in [
        ("finalizers", FINALIZERS_MAX),
        ("ownerReferences", OWNERS_MAX),
        ("managedFields", MANAGED_FIELDS_MAX),
    ] {
        let count = object.items(&["metadata", field]).len();
        if count > max {
            causes.push(Cause::too_many(format!("metadata.{field}"), count, max));
        }
    }
    for (i, finalizer) in object.finalizers().iter().enumerate() {
        if !is_qualified_name(finalizer) {
            causes.push(Cause::invalid(
                format!("metadata.finalizers[{i}]"),
                &(*finalizer).into(),
                "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            ));
        }
    }
}

/// Everything that is wrong with the metadata of a new or changed object.
pub fn metadata(call: &Call<'_>, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_name(&call.resource, object, &mut causes);
    check_labels(object, &mut causes);
    check_owners(object, &mut causes);
    check_counts(object, &mut causes);
    causes
}

/// What a change of metadata may not do (U6 and the immutable members).
pub fn metadata_change(new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        if new.meta(field) != old.meta(field) {
            causes.push(Cause::invalid(
                format!("metadata.{field}"),
                &new.meta(field).into(),
                "field is immutable",
            ));
        }
    }
    if old.is_deleting() {
        let known = old.finalizers();
        let added: Vec<&str> = new.finalizers().into_iter().filter(|f| !known.contains(f)).collect();
        if !added.is_empty() {
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{added:?}"
            );
            causes.push(Cause::forbidden("metadata.finalizers", &detail));
        }
    }
    causes
}
