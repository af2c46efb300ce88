//! Platform rules (H4): pure functions of whoever builds the server, run with the validating plugins.

use std::sync::Arc;

use serde_json::Value;

use super::Operation;
use crate::config::Role;
use crate::identity::Identity;
use crate::model::gvk::ResourceId;
use crate::model::status::ApiStatus;
use crate::registry::Call;

/// What a rule sees.
pub struct RuleInput<'a> {
    /// Who asks.
    pub who: &'a Identity,
    /// What is done.
    pub operation: Operation,
    /// Subresource, empty for the object itself.
    pub subresource: &'a str,
    /// The object as it would be; absent on delete.
    pub new: Option<&'a Value>,
    /// The object as it is; absent on create.
    pub old: Option<&'a Value>,
    /// Asks whether the identity may do a verb on the object (the `authorizer` of an admission policy).
    pub may: &'a dyn Fn(&str) -> bool,
}

type Check = dyn Fn(&RuleInput<'_>) -> Result<(), ApiStatus> + Send + Sync;

/// A rule on one resource of tenants of one role.
#[derive(Clone)]
pub struct Rule {
    role: Role,
    resource: ResourceId,
    check: Arc<Check>,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rule({:?}, {})", self.role, self.resource)
    }
}

impl Rule {
    /// A rule for `group/plural` in tenants of `role`.
    pub fn new(
        role: Role,
        resource: ResourceId,
        check: impl Fn(&RuleInput<'_>) -> Result<(), ApiStatus> + Send + Sync + 'static,
    ) -> Self {
        Self { role, resource, check: Arc::new(check) }
    }
}

/// Runs the rules that concern the call.
pub fn validate(
    call: &Call<'_>,
    op: Operation,
    new: Option<&Value>,
    old: Option<&Value>,
) -> Result<(), ApiStatus> {
    let role = call.tenant.spec().role;
    let may = |verb: &str| {
        let attributes = crate::access::Attributes {
            verb,
            group: &call.gvk().group,
            version: &call.gvk().version,
            resource: &call.resource.plural,
            namespace: &call.target.namespace,
            name: &call.target.name,
            ..Default::default()
        };
        crate::access::authorize(call.tenant, call.who, &attributes).is_ok()
    };
    let input =
        RuleInput { who: call.who, operation: op, subresource: call.subresource(), new, old, may: &may };
    call.server
        .rules()
        .iter()
        .filter(|rule| rule.role == role && rule.resource == call.resource.id)
        .try_for_each(|rule| (rule.check)(&input))
}
