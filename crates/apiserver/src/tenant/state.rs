//! One tenant in memory: its objects, keys, what it serves.

use std::sync::Arc;

use arc_swap::ArcSwap;
use serde_json::Value;

use super::TenantId;
use super::rbac::RbacCache;
use crate::access::index::Index;
use crate::config::{Limits, TenantSpec};
use crate::identity::issuer::Issuer;
use crate::identity::keys::TenantKeys;
use crate::identity::service_account::Lookup;
use crate::model::catalog::Catalog;
use crate::model::gvk::ResourceId;
use crate::store::{Key, NsName, Snapshot, TenantStore};

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
    rbac: RbacCache,
}

impl Tenant {
    /// A tenant whose store is open.
    pub fn new(spec: TenantSpec, keys: TenantKeys, created: String, store: TenantStore) -> Self {
        Self {
            id: spec.id,
            store,
            spec: ArcSwap::from_pointee(spec),
            keys,
            created,
            catalog: ArcSwap::new(Catalog::builtin()),
            rbac: RbacCache::default(),
        }
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

    /// Its objects, for whoever judges credentials.
    pub fn objects(&self) -> impl Lookup {
        let snapshot = self.store.snapshot();
        move |resource: &str, namespace: &str, name: &str| object(&snapshot, resource, namespace, name)
    }

    /// Who may do what in it.
    pub fn access(&self) -> Arc<Index> {
        self.rbac.index(&self.store.snapshot())
    }
}

fn object(snapshot: &Snapshot, resource: &str, namespace: &str, name: &str) -> Option<Value> {
    let key = Key { resource: ResourceId::from(resource), name: NsName::new(namespace, name) };
    snapshot.get(&key).map(|record| record.tree())
}
