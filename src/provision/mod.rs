//! VirtualCluster → what it is made of (tenancy section 4): five steps, each in its own file.
//!
//! | step | takes → gives | client |
//! |---|---|---|
//! | [`dereference`] | VirtualCluster → [`Dereferenced`] | reads |
//! | [`validate`] | → [`ValidatedTenant`] or a [`Refusal`] | none |
//! | [`build`] | → [`Resources<Prepared>`](build::Resources) | none |
//! | [`apply`] | → [`Resources<Applied>`](build::Resources) | writes |
//! | [`status`] | → one patch, only if different | writes |
//!
//! A refusal never touches what runs: the last valid request stays in force (C6).

pub mod apply;
pub mod build;
mod builtin;
mod class;
pub mod deletion;
mod dereference;
mod dns;
mod identity;
mod limits;
mod merge;
mod pause;
mod refusal;
pub mod status;
mod validate;

#[cfg(test)]
mod tests;

pub use class::selects;
pub use dereference::NAME_LABEL;
pub use limits::{InventoryKeys, is_reserved_property};
pub use merge::set as set_path;
pub use pause::is_paused;
pub use refusal::Refusal;
pub use validate::{Dereferenced, HostFact, Policy, Previous, ValidatedTenant};

use skerry_api::condition::Statement;
use skerry_api::virtual_cluster::reasons::{PROVISIONED, provisioned as reason};

use crate::context::Context;
use crate::control_plane::{Located, ProviderError};
use crate::subject::Subject;

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading failed.
    #[error("reading what the request refers to failed")]
    Dereference(#[source] kube::Error),
    /// No free id.
    #[error("taking an id failed")]
    Identity(#[source] kube::Error),
    /// Writing failed.
    #[error("writing status failed")]
    Status(#[source] kube::Error),
}

impl Error {
    /// A stable word for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Dereference(_) => "dereference",
            Self::Identity(_) => "identity",
            Self::Status(_) => "status",
        }
    }
}

/// What the stage leaves for the next one.
pub struct Provisioned {
    /// The tenant in force.
    pub tenant: ValidatedTenant,
    /// What its provider answered.
    pub located: Result<Located, ProviderError>,
}

/// One pass over one VirtualCluster that is not being deleted. `None`: refused, and nothing is in force.
pub async fn reconcile(context: &Context, subject: &mut Subject) -> Result<Option<Provisioned>, Error> {
    let born = subject.typed.effective.is_some();
    let lock = context.namespaces.of(&subject.namespace);
    let _alone = if born { None } else { Some(lock.lock().await) };

    identity::ensure(context, subject).await?;
    let input = dereference::dereference(context, subject).await.map_err(Error::Dereference)?;
    let (tenant, statement) = match validate::validate(&input, &context.settings.policy) {
        Ok(tenant) => {
            let statement = status::accepted(&tenant);
            (Some(tenant), statement)
        }
        Err(refusal) => {
            let statement = Statement::no(PROVISIONED, refusal.reason, refusal.message);
            (validate::last_valid(&input, &context.settings.policy), statement)
        }
    };
    let Some(tenant) = tenant else {
        status::refused(context, subject, &statement).await.map_err(Error::Status)?;
        return Ok(None);
    };
    if !born {
        // What is in force is on record before anything is made of it (L5), and others count it (C5).
        status::write(context, subject, &tenant, &Statement::unknown(PROVISIONED, "Pending", "being made"))
            .await
            .map_err(Error::Status)?;
    }
    let prepared = build::build(context, &tenant);
    let applied = apply::apply(context, &tenant, prepared).await;
    let (located, failure) = applied.into_parts();
    let statement = failure.unwrap_or(statement);
    status::write(context, subject, &tenant, &statement).await.map_err(Error::Status)?;
    Ok(Some(Provisioned { tenant, located }))
}

/// Leaves of a spec-shaped value with their paths as people write them.
pub fn leaf_texts(value: &serde_json::Value) -> Vec<(String, serde_json::Value)> {
    merge::leaves(value).into_iter().map(|(path, leaf)| (merge::text(&path), leaf.clone())).collect()
}

/// The statement about a provider's answer, where it says something about provisioning.
fn failure_of(answer: &Result<Located, ProviderError>) -> Option<Statement> {
    match answer {
        Err(ProviderError::NameConflict(message)) => {
            Some(Statement::no(PROVISIONED, reason::NAME_CONFLICT, message))
        }
        Err(ProviderError::Refused(message)) => {
            Some(Statement::no(PROVISIONED, reason::APPLY_FAILED, message))
        }
        Err(ProviderError::Api(failed)) => {
            Some(Statement::no(PROVISIONED, reason::APPLY_FAILED, skerry_kit::error::sentence(failed)))
        }
        Err(ProviderError::NotReady { .. }) | Ok(_) => None,
    }
}
