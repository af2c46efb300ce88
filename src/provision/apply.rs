//! The fourth step: writes what was built, in order: the tenant record, then what hangs on it.

use std::marker::PhantomData;

use skerry_api::condition::Statement;
use skerry_api::virtual_cluster::reasons::control_plane as reason;

use super::build::{Applied, Prepared, Resources};
use super::failure_of;
use super::validate::ValidatedTenant;
use crate::context::Context;
use crate::control_plane::{Located, ProviderError, TenantRef};

/// Applies. The resources are taken apart whole, so that a new one does not compile until it has its place here.
pub async fn apply(
    context: &Context,
    tenant: &ValidatedTenant,
    prepared: Resources<Prepared>,
) -> Resources<Applied> {
    let Resources { control_plane, located: _, state: PhantomData } = prepared;
    let paused = tenant.is_paused(jiff::Timestamp::now());
    let missing = || ProviderError::NotReady {
        reason: reason::STARTING,
        message: format!("this installation has no provider {}", tenant.plan.kind),
    };
    let answer = match (context.provider(tenant.plan.kind), &control_plane) {
        (Some(provider), Some(part)) if paused => provider.locate(&TenantRef::from(tenant), part).await,
        (Some(provider), Some(part)) => provider.apply(&TenantRef::from(tenant), part).await,
        _ => Err(missing()),
    };
    Resources { control_plane, located: Some(answer), state: PhantomData }
}

impl Resources<Applied> {
    /// What the provider answered, and what that says about provisioning.
    pub fn into_parts(self) -> (Result<Located, ProviderError>, Option<Statement>) {
        let answer = self.located.unwrap_or_else(|| {
            Err(ProviderError::NotReady { reason: reason::STARTING, message: "nothing was asked".to_owned() })
        });
        let failure = failure_of(&answer);
        (answer, failure)
    }
}
