//! All tenants of a process: made, opened, changed, ended (2.3).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use serde_json::{Value, json};

use super::{Tenant, TenantId};
use crate::config::{Role, SpecChange, TenantDefaults, TenantSpec};
use crate::identity::keys::{KeysError, TenantKeys};
use crate::identity::pki::PkiError;
use crate::model::clock;
use crate::store::{Db, Layer, Limits, NewTenant, TenantError};

/// Objects begin with this layer: base image and slot values of a specification.
pub type Layers = dyn Fn(&TenantSpec, &TenantKeys, &str) -> Layer + Send + Sync;

/// The tenants of a process.
pub struct Tenants {
    db: Arc<Db>,
    url: String,
    layers: Box<Layers>,
    loaded: RwLock<HashMap<TenantId, Arc<Tenant>>>,
}

/// A call about a tenant did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum TenantsError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] TenantError),
    /// Keys could not be made.
    #[error("keys could not be made")]
    Pki(#[from] PkiError),
    /// Stored keys cannot be used.
    #[error("stored keys cannot be used")]
    Keys(#[from] KeysError),
    /// The head record is not one of ours.
    #[error("the head record of {0} cannot be read")]
    Head(TenantId),
    /// The new specification does not fit the stored one.
    #[error(transparent)]
    Change(#[from] SpecChange),
}

fn limits_of(spec: &TenantSpec) -> Limits {
    Limits {
        objects: spec.limits.objects,
        bytes: spec.limits.bytes,
        history_bytes: usize::try_from(spec.limits.history_bytes).unwrap_or(usize::MAX),
        weight: usize::from(spec.weight),
    }
}

fn head_of(spec: &TenantSpec, keys: &TenantKeys, created: &str) -> Vec<u8> {
    json!({"spec": spec.to_value(), "keys": keys.to_value(), "created": created}).to_string().into_bytes()
}

impl Tenants {
    /// Of a store. `url` is the address under which path addresses begin, as `https://127.0.0.1:8443`.
    pub fn new(db: Arc<Db>, url: String, layers: Box<Layers>) -> Self {
        Self { db, url, layers, loaded: RwLock::default() }
    }

    /// The path address of a tenant, which is the issuer of its tokens.
    pub fn url(&self, id: TenantId) -> String {
        format!("{}/clusters/{id}", self.url)
    }

    fn audiences(&self, id: TenantId) -> Vec<String> {
        vec![self.url(id), "https://kubernetes.default.svc".into(), format!("skerry:{id}")]
    }

    /// A tenant in memory.
    pub fn get(&self, id: TenantId) -> Option<Arc<Tenant>> {
        self.loaded.read().get(&id).cloned()
    }

    /// All tenants in memory.
    pub fn loaded(&self) -> Vec<Arc<Tenant>> {
        self.loaded.read().values().cloned().collect()
    }

    /// The tenant of a role that exists once, as the hub.
    pub fn of_role(&self, role: Role) -> Option<Arc<Tenant>> {
        self.loaded.read().values().find(|t| t.spec().role == role).cloned()
    }

    /// Makes a tenant; durable on return.
    pub async fn create(&self, spec: TenantSpec) -> Result<Arc<Tenant>, TenantsError> {
        let id = spec.id;
        let keys = TenantKeys::generate(id, self.url(id), self.audiences(id))?;
        let created = clock::now();
        let new = NewTenant {
            id,
            head: head_of(&spec, &keys, &created),
            in_wildcard: spec.role == Role::Tenant,
            shard: None,
        };
        let layer = (self.layers)(&spec, &keys, &created);
        let store = self.db.create_tenant(new, layer, limits_of(&spec)).await?;
        Ok(self.admit(Tenant::new(spec, keys, created, store)))
    }

    fn admit(&self, tenant: Tenant) -> Arc<Tenant> {
        let tenant = Arc::new(tenant);
        self.loaded.write().insert(tenant.id, tenant.clone());
        tenant
    }

    /// Opens every stored tenant. One that cannot be opened is left out and named.
    pub async fn open_all(&self, defaults: &TenantDefaults) -> Vec<(TenantId, TenantsError)> {
        let mut failed = Vec::new();
        for head in self.db.tenants() {
            if head.dropping {
                continue;
            }
            if let Err(error) = self.open(head.id, &head.head, defaults).await {
                failed.push((head.id, error));
            }
        }
        failed
    }

    async fn open(
        &self,
        id: TenantId,
        head: &[u8],
        defaults: &TenantDefaults,
    ) -> Result<Arc<Tenant>, TenantsError> {
        let head: Value = serde_json::from_slice(head).map_err(|_| TenantsError::Head(id))?;
        let spec = TenantSpec::from_value(id, &head["spec"], defaults).map_err(|_| TenantsError::Head(id))?;
        let keys = TenantKeys::from_value(&head["keys"], self.url(id), self.audiences(id))?;
        let created = head["created"].as_str().unwrap_or_default().to_owned();
        let layer = (self.layers)(&spec, &keys, &created);
        let store = self.db.open(id, layer, limits_of(&spec)).await?;
        Ok(self.admit(Tenant::new(spec, keys, created, store)))
    }

    /// Makes a tenant, or takes its changed specification. Gives whether it is new.
    pub async fn put(&self, spec: TenantSpec) -> Result<(Arc<Tenant>, bool), TenantsError> {
        let Some(tenant) = self.get(spec.id) else {
            return self.create(spec).await.map(|tenant| (tenant, true));
        };
        let old = tenant.spec();
        old.check_change(&spec)?;
        if *old != spec {
            self.db.update_head(spec.id, head_of(&spec, tenant.keys(), tenant.created())).await?;
            tenant.store.set_limits(limits_of(&spec));
            tenant.set_spec(spec);
        }
        Ok((tenant, false))
    }

    /// Ends a tenant step by step; gives how many keys are left. Zero: it is gone.
    pub async fn remove(&self, id: TenantId) -> Result<u64, TenantsError> {
        self.loaded.write().remove(&id);
        let remaining = self.db.drop_tenant(id).await?;
        Ok(remaining.0 as u64)
    }

    /// How long a request waits for a tenant that is being made.
    pub const CREATION_WAIT: Duration = Duration::from_secs(5);
}
