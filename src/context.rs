//! What every stage of the manager is given.

use std::collections::HashMap;
use std::sync::Arc;

use kube::Client;
use kube::api::DynamicObject;
use kube::runtime::events::Recorder;
use kube::runtime::reflector::Store;
use parking_lot::Mutex;
use skerry_api::virtual_cluster::{HostStatus, ProviderType};
use skerry_kit::backoff::Backoff;

use crate::control_plane::embedded::Embedded;
use crate::control_plane::external::External;
use crate::control_plane::probe::Prober;
use crate::control_plane::{Provider, TenantRef};
use crate::inventory::{InventorySettings, InventoryState};
use crate::metrics::ManagerMetrics;
use crate::provision::Policy;

/// What the installation says; parsed once at start.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What tenants may choose, and what providers have.
    pub policy: Policy,
    /// Inventory.
    pub inventory: InventorySettings,
}

/// Shared by all passes.
pub struct Context {
    /// Client of the hub.
    pub hub: Client,
    /// Settings.
    pub settings: Settings,
    /// The embedded server, if there is one.
    pub embedded: Option<Embedded>,
    /// Adopted clusters.
    pub external: External,
    /// Probes.
    pub prober: Prober,
    /// Failures.
    pub backoff: Backoff,
    /// Events.
    pub recorder: Recorder,
    /// All virtual clusters as the watch sees them.
    pub tenants: Store<DynamicObject>,
    /// What the inventory remembers.
    pub inventory: InventoryState,
    /// Figures.
    pub metrics: ManagerMetrics,
    /// One lock per namespace: sums of a namespace are decided one at a time (C5).
    pub namespaces: NamespaceLocks,
}

impl Context {
    /// The provider of a kind.
    pub fn provider(&self, kind: ProviderType) -> Option<&dyn Provider> {
        match kind {
            ProviderType::Embedded => self.embedded.as_ref().map(|p| p as &dyn Provider),
            ProviderType::External => Some(&self.external),
        }
    }

    /// All providers: deletion asks each, so that a broken spec cannot hide which one made something (D9).
    pub fn providers(&self) -> impl Iterator<Item = &dyn Provider> {
        [ProviderType::External, ProviderType::Embedded].into_iter().filter_map(|kind| self.provider(kind))
    }

    /// Whether any of these hosts is simulated.
    pub fn is_simulated(&self, hosts: &[HostStatus]) -> bool {
        hosts.iter().any(|h| self.inventory.is_simulated(&h.name))
    }

    /// Forgets a tenant that is gone.
    pub fn forget(&self, tenant: &TenantRef) {
        self.prober.forget(&tenant.id);
        self.inventory.forget(&tenant.id);
        self.backoff.succeeded(&tenant.uid);
    }
}

/// Locks by namespace.
#[derive(Default)]
pub struct NamespaceLocks(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl NamespaceLocks {
    /// The lock of a namespace. Locks that nobody holds are dropped on the way.
    pub fn of(&self, namespace: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock();
        if locks.len() > 1024 {
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        }
        locks.entry(namespace.to_owned()).or_default().clone()
    }
}
