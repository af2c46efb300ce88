//! The third step: what is to be made, as plain values. No client, no clock, no randomness; a total function.

use std::marker::PhantomData;

use super::validate::ValidatedTenant;
use crate::context::Context;
use crate::control_plane::{Located, Part, ProviderError};

/// Built, not yet written.
#[derive(Debug)]
pub struct Prepared;
/// Written.
#[derive(Debug)]
pub struct Applied;

/// All that a tenant is made of on the hub's side. What it needs on a host is made by the syncer with the first pod
/// that is carried (I1): an idle shared tenant costs no host object.
#[derive(Debug)]
pub struct Resources<S> {
    /// The provider's part; none where the installation has no such provider.
    pub control_plane: Option<Part>,
    /// What the provider answered; none before it is asked.
    pub(super) located: Option<Result<Located, ProviderError>>,
    pub(super) state: PhantomData<S>,
}

/// Builds.
pub fn build(context: &Context, tenant: &ValidatedTenant) -> Resources<Prepared> {
    let control_plane = context.provider(tenant.plan.kind).map(|provider| provider.build(tenant));
    Resources { control_plane, located: None, state: PhantomData }
}
