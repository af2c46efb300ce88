//! One tenant in memory: its objects, its keys, what it serves, what it is busy with.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::OwnedMutexGuard;

use super::TenantId;
use super::panics::Panics;
use crate::access::TenantAccess;
use crate::config::{Limits, TenantSpec};
use crate::custom::{self, CompiledCrd};
use crate::fair::InFlight;
use crate::identity::issuer::Issuer;
use crate::identity::service_account::Lookup;
use crate::identity::{Authenticator, TenantKeys};
use crate::model::catalog::Catalog;
use crate::model::gvk::ResourceId;
use crate::store::{Key, NsName, Snapshot, TenantStore};

/// Definitions by name: the version compiled, and what it serves once it is established.
type Definitions = HashMap<NsName, (u64, Option<Arc<CompiledCrd>>)>;

/// A virtual cluster that is served.
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its objects.
    pub store: TenantStore,
    spec: ArcSwap<TenantSpec>,
    keys: TenantKeys,
    created: String,
    catalog: ArcSwap<Catalog>,
    access: TenantAccess,
    in_flight: InFlight,
    panics: Panics,
    /// Seconds of the epoch of the last client request.
    active: AtomicI64,
    /// By name: as of which resourceVersion, and what is served of it.
    definitions: Mutex<Definitions>,
    allocating: Arc<tokio::sync::Mutex<()>>,
}

/// Reads a tenant's objects as one snapshot shows them.
pub struct Objects(Snapshot);

impl Lookup for Objects {
    fn object(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = Key { resource: ResourceId::from(resource), name: NsName::new(namespace, name) };
        self.0.get(&key).map(|record| record.tree())
    }
}

impl Tenant {
    /// A tenant whose store is open. What it serves is read from its CustomResourceDefinitions.
    pub fn new(spec: TenantSpec, keys: TenantKeys, created: String, store: TenantStore) -> Self {
        let tenant = Self {
            id: spec.id,
            store,
            spec: ArcSwap::from_pointee(spec),
            keys,
            created,
            catalog: ArcSwap::new(Catalog::builtin()),
            access: TenantAccess::default(),
            in_flight: InFlight::default(),
            panics: Panics::default(),
            active: AtomicI64::new(0),
            definitions: Mutex::default(),
            allocating: Arc::default(),
        };
        tenant.rebuild_catalog();
        tenant
    }

    /// Its specification as it stands.
    pub fn spec(&self) -> Arc<TenantSpec> {
        self.spec.load_full()
    }

    /// Takes a changed specification.
    pub fn set_spec(&self, spec: TenantSpec) {
        self.spec.store(Arc::new(spec));
    }

    /// Its limits as they stand.
    pub fn limits(&self) -> Limits {
        self.spec.load().limits
    }

    /// Its keys.
    pub fn keys(&self) -> &TenantKeys {
        &self.keys
    }

    /// Issuer of its tokens.
    pub fn issuer(&self) -> &Issuer {
        &self.keys.issuer
    }

    /// When it was made, RFC 3339.
    pub fn created(&self) -> &str {
        &self.created
    }

    /// What it serves.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// Reads its CustomResourceDefinitions anew and serves the established ones: called when one was written (D3).
    pub fn rebuild_catalog(&self) {
        let mut definitions = self.definitions.lock();
        let crds = ResourceId::new("apiextensions.k8s.io", "customresourcedefinitions");
        // Compiled definitions are shared between tenants for as long as one of them holds them (Y4). One that has
        // not changed since it was last looked at is not looked at again.
        let mut rows = Vec::new();
        let mut current = HashMap::new();
        for (name, record) in self.store.snapshot().list(&crds, None, None) {
            let known = definitions.remove(&name).filter(|(rv, _)| *rv == record.rv());
            let compiled = known.map(|(_, compiled)| compiled).unwrap_or_else(|| {
                let crd = record.tree();
                (custom::condition(&crd, "Established") == Some("True")).then(|| custom::compile(&crd))
            });
            rows.extend(compiled.iter().flat_map(|crd| crd.resources()).map(Arc::new));
            current.insert(name, (record.rv(), compiled));
        }
        *definitions = current;
        self.catalog.store(Arc::new(Catalog::builtin().with_custom(rows)));
    }

    /// Its RBAC.
    pub fn access(&self) -> &TenantAccess {
        &self.access
    }

    /// Requests being served.
    pub fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// Held from looking for something free until the write that takes it is through: one at a time.
    pub async fn allocating(&self) -> OwnedMutexGuard<()> {
        self.allocating.clone().lock_owned().await
    }

    /// Panics of late.
    pub fn panics(&self) -> &Panics {
        &self.panics
    }

    /// Its objects, for whoever judges credentials.
    pub fn objects(&self) -> Objects {
        Objects(self.store.snapshot())
    }

    /// What judges credentials of its requests. `system_authorities` are DER.
    pub fn authenticator<'a>(&'a self, system_authorities: &'a [Vec<u8>]) -> Authenticator<'a, Objects> {
        Authenticator {
            client_authority: self.keys.client.der(),
            system_authorities,
            issuer: &self.keys.issuer,
            min_issued_at: self.spec.load().min_issued_at,
            objects: self.objects(),
        }
    }

    /// Notes a request of a client (G8 says which count).
    pub fn touch(&self) {
        self.active.store(Timestamp::now().as_second(), Ordering::Relaxed);
    }

    /// When a client was last heard, if ever.
    pub fn last_activity(&self) -> Option<Timestamp> {
        let at = self.active.load(Ordering::Relaxed);
        (at > 0).then(|| Timestamp::from_second(at).ok()).flatten()
    }
}

impl std::fmt::Debug for Tenant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tenant({})", self.id)
    }
}
