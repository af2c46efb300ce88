//! Pods (section 4): the whole of a pod down, its status up, and what to do when one side is gone.

mod affinity;
mod container;
mod down;
mod downward;
mod env;
mod hidden;
mod life;
mod names;
mod owned;
mod security;
mod table;
#[cfg(test)]
mod tests;
mod up;
mod volumes;

pub use down::{GATED, token_sources};
pub use env::{API_MAP, LINKS_MAP, ServiceEnv, env_maps};
pub use life::{HostPod, Life, TenantPod, life};
pub use security::{Level, violations};
pub use table::REQUIRED_FIELDS;
pub(crate) use up::gates_down;
pub use up::{ended_status, lost_status, mapped_back, scrub};

use serde_json::Value;

use super::{Change, Note, Ref, Translator};
use crate::{
    facts::Facts,
    kind::Kind,
    object::{HostObj, TenantObj},
    refusal::Refusal,
};

/// The translator of pods.
pub struct PodTranslator;

/// A projected token that the tenant's API server is asked for (PO20).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenSource {
    /// Key in the token Secret.
    pub key: String,
    /// Audience; empty = the tenant API server's own.
    pub audience: String,
    /// Seconds asked for, after the tenant's limit.
    pub seconds: i64,
}

impl Translator for PodTranslator {
    fn kind(&self) -> Kind {
        Kind::Pod
    }

    fn refs(&self, tenant: &TenantObj) -> Vec<Ref> {
        volumes::refs(tenant)
    }

    fn down(&self, tenant: &TenantObj, facts: &Facts) -> Result<HostObj, Refusal> {
        down::down(tenant, facts)
    }

    fn notes(&self, tenant: &TenantObj, facts: &Facts) -> Vec<Note> {
        down::notes(tenant, facts)
    }

    fn up(&self, tenant: &TenantObj, host: &HostObj, facts: &Facts) -> Option<Value> {
        Some(up::status(tenant, host, facts))
    }

    fn change(&self, desired: &HostObj, live: &HostObj) -> Option<Change> {
        owned::patch(desired, live).map(Change::Patch)
    }
}
