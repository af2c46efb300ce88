//! From a validated tenant to a [`ControlPlaneEndpoint`] that answers: providers, published credentials, the probe.
//!
//! | provider | what it makes | credential |
//! |---|---|---|
//! | [`embedded`] | a tenant record of the embedded API server, by its admin API | client certificate of the tenant's CA |
//! | [`external`] | nothing: an existing cluster is adopted by the kubeconfig in a Secret | token of a ServiceAccount there |
//!
//! `ControlPlaneReady` is made True by the probe alone, with the published kubeconfig (tenancy P2).

pub mod admin;
pub mod embedded;
pub mod external;
mod plan;
pub mod probe;
pub mod secret;
pub mod shared;
mod stage;

use async_trait::async_trait;
use skerry_kit::ControlPlaneEndpoint;
use skerry_kit::kubeconfig::User;

pub use plan::{ProviderFacts, ProviderPlan, plan_provider};
pub use stage::{Published, reconcile};

use crate::provision::ValidatedTenant;

/// Who asks, when only id and origin count: also with a broken spec (D9).
#[derive(Clone, Debug)]
pub struct TenantRef {
    /// Id.
    pub id: String,
    /// UID of the VirtualCluster.
    pub uid: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl From<&ValidatedTenant> for TenantRef {
    fn from(tenant: &ValidatedTenant) -> Self {
        Self {
            id: tenant.id.clone(),
            uid: tenant.uid.clone(),
            namespace: tenant.namespace.clone(),
            name: tenant.name.clone(),
        }
    }
}

/// What is to be made for one tenant.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A tenant record.
    Embedded {
        /// TenantSpec as the admin API takes it.
        record: serde_json::Value,
    },
    /// A kubeconfig to read.
    External {
        /// Secret in the tenant's hub namespace.
        secret: String,
        /// Key; empty for the first of value, kubeconfig, config.
        key: String,
    },
}

/// Where the control plane is, as far as the provider knows.
#[derive(Clone)]
pub struct Located {
    /// Endpoint; its epoch is decided by the stage.
    pub endpoint: ControlPlaneEndpoint,
    /// Digest of what holders of a client depend on beyond URL and CA.
    pub source: String,
    /// A client with Skerry's own rights in the tenant.
    pub client: Option<kube::Client>,
}

impl std::fmt::Debug for Located {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Located")
            .field("endpoint", &self.endpoint)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// A credential that was made.
#[derive(Clone, Debug)]
pub struct Minted {
    /// How a kubeconfig's user authenticates.
    pub user: User,
    /// When it ends.
    pub expires: jiff::Timestamp,
}

/// Why a provider could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The control plane is not there yet, or not usable; a reason of ControlPlaneReady.
    #[error("{message}")]
    NotReady {
        /// Reason.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// What is there under that name belongs to somebody else.
    #[error("{0}")]
    NameConflict(String),
    /// The record is refused as it stands.
    #[error("{0}")]
    Refused(String),
    /// A request failed.
    #[error("request to the control plane failed")]
    Api(#[from] kube::Error),
}

/// One way to have a control plane.
#[async_trait]
pub trait Provider: Send + Sync {
    /// What is to be made: no client, no clock, no randomness.
    fn build(&self, tenant: &ValidatedTenant) -> Part;
    /// Says where it is and writes nothing: all that happens while a tenant is paused (O1).
    async fn locate(&self, tenant: &TenantRef, part: &Part) -> Result<Located, ProviderError>;
    /// Makes it, idempotently, and says where it is.
    async fn apply(&self, tenant: &TenantRef, part: &Part) -> Result<Located, ProviderError>;
    /// Makes a credential of the tenant's owner.
    async fn mint(
        &self,
        tenant: &TenantRef,
        located: &Located,
        ttl: std::time::Duration,
    ) -> Result<Minted, ProviderError>;
    /// Takes away what it made; answers how much is left.
    async fn teardown(&self, tenant: &TenantRef) -> Result<u64, ProviderError>;
}
