//! What an identity may do: the RBAC index, reviews, escalation checks and the bootstrap policy.

pub mod decide;
pub mod escalation;
pub mod index;
pub mod policy;
pub mod review;
pub mod rule;
mod tenant;

pub use tenant::TenantAccess;

use serde_json::Value;

use crate::identity::Identity;
use crate::model::status::ApiStatus;
use crate::tenant::Tenant;

#[cfg(test)]
mod tests;

/// Members may do anything.
pub const MASTERS: &str = "system:masters";

/// What is asked for, in the words of RBAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `get`, `list`, `create`, `use`, …
    pub verb: &'a str,
    /// API group, empty for the core group.
    pub group: &'a str,
    /// API version.
    pub version: &'a str,
    /// Plural resource name.
    pub resource: &'a str,
    /// Subresource, or empty.
    pub subresource: &'a str,
    /// Namespace, or empty for cluster scope and all namespaces.
    pub namespace: &'a str,
    /// Object name, or empty.
    pub name: &'a str,
    /// Path of a request that is about no resource; then only `verb` counts besides.
    pub path: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    /// Of a request that is about no resource.
    pub fn path(verb: &'a str, path: &'a str) -> Self {
        Self { verb, path: Some(path), ..Self::default() }
    }
}

/// A denial with upstream's sentence: `User "x" cannot list resource "pods" in API group "" in the
/// namespace "y"`. It is the `why` of [`ApiStatus::forbidden`](crate::model::status::ApiStatus::forbidden).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denied(pub String);

/// Whether `who` may do it in a tenant (stage 8).
pub fn authorize(tenant: &Tenant, who: &Identity, a: &Attributes<'_>) -> Result<(), Denied> {
    if decide::is_above(who) {
        return Ok(());
    }
    let decision = decide::decide(&tenant.access().index(&tenant.store), who, a);
    if decision.allowed { Ok(()) } else { Err(decide::denied(who, a, &decision.reason)) }
}

/// Whether the write of an RBAC object grants no more than its writer holds. `old` is the live object of an update.
pub fn check_escalation(
    tenant: &Tenant,
    who: &Identity,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), ApiStatus> {
    escalation::check(&tenant.access().index(&tenant.store), who, new, old)
}

/// Answers SelfSubjectAccessReview, SubjectAccessReview and LocalSubjectAccessReview: the object with its status.
pub fn access_review(
    tenant: &Tenant,
    caller: &Identity,
    about: review::About,
    namespace: &str,
    object: Value,
) -> Result<Value, ApiStatus> {
    review::access_review(&tenant.access().index(&tenant.store), caller, about, namespace, object)
}

/// Answers SelfSubjectRulesReview: the object with its status.
pub fn rules_review(tenant: &Tenant, caller: &Identity, object: Value) -> Result<Value, ApiStatus> {
    review::rules_review(&tenant.access().index(&tenant.store), caller, object)
}
