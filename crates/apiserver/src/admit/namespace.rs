//! NamespaceLifecycle, and what template namespaces refuse (C9).

use serde_json::Value;

use super::Operation;
use crate::kinds::namespace::{is_template, is_terminating};
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::model::status::{ApiStatus, Cause, Subject};
use crate::registry::Call;
use crate::store::{Key, NsName};

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

fn namespaces() -> ResourceId {
    ResourceId::new("", "namespaces")
}

fn namespace_of(call: &Call<'_>, name: &str) -> Option<Value> {
    let key = Key { resource: namespaces(), name: NsName::new("", name) };
    call.tenant.store.snapshot().get(&key).map(|record| record.tree())
}

/// A namespaced object needs its namespace, and a living one.
pub fn lifecycle(call: &Call<'_>, object: &Value) -> Result<(), ApiStatus> {
    if !call.resource.namespaced {
        return Ok(());
    }
    let name = call.target.namespace.as_str();
    let Some(namespace) = namespace_of(call, name) else {
        return Err(ApiStatus::not_found(Subject { group: "", plural: "namespaces", name }));
    };
    let refuse = |reason: &'static str, why: String| {
        let cause =
            Cause::new(reason, "metadata.namespace", format!("namespace {name} is {}", reason_text(reason)));
        Err(ApiStatus::forbidden(call.subject(object.base_or_name()), &why).with_cause(cause))
    };
    if is_terminating(&namespace) {
        let why = format!("unable to create new content in namespace {name} because it is being terminated");
        return refuse("NamespaceTerminating", why);
    }
    if is_template(&namespace) && &*call.resource.id == "/pods" {
        let why = format!("namespace {name} is a template namespace: it holds desired state only");
        return refuse("TemplateNamespace", why);
    }
    Ok(())
}

fn reason_text(reason: &str) -> &'static str {
    if reason == "NamespaceTerminating" { "being terminated" } else { "a template namespace" }
}

/// The three first namespaces stay; a namespace with pods does not become a template.
pub fn validate(
    call: &Call<'_>,
    op: Operation,
    new: Option<&Value>,
    old: Option<&Value>,
) -> Result<(), ApiStatus> {
    if call.resource.id != namespaces() {
        return Ok(());
    }
    let name = call.target.name.as_str();
    if op == Operation::Delete && IMMORTAL.contains(&name) {
        return Err(ApiStatus::forbidden(call.subject(name), "this namespace may not be deleted"));
    }
    let (Some(new), Some(old)) = (new, old) else { return Ok(()) };
    if is_template(new) && !is_template(old) {
        let pods = call.tenant.store.snapshot().list(&ResourceId::new("", "pods"), Some(name), None).count();
        if pods > 0 {
            let field = format!("metadata.labels[{}]", skerry_api::labels::TEMPLATE);
            let cause = Cause::new("FieldValueInvalid", field, format!("namespace has {pods} pods"));
            return Err(ApiStatus::invalid(call.gvk(), name, vec![cause]));
        }
    }
    Ok(())
}
