//! All tenants of a process: made, opened, changed, ended (2.3).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::names::HostNames;
use super::{Tenant, TenantId, process_id};
use crate::config::{Role, SpecChange, TenantDefaults, TenantSpec};
use crate::identity::{KeysError, PkiError, TenantKeys};
use crate::model::clock;
use crate::store::{Db, Layer, Limits, NewTenant, TenantError};

/// Objects begin with this layer: base image and slot values of a specification.
pub type Layers = dyn Fn(&TenantSpec, &TenantKeys, &str) -> Layer + Send + Sync;

/// How long a request waits for a tenant that is being made or opened.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a tenant stands.
enum Slot {
    /// Stored, not in memory.
    Stored,
    /// Being made or opened; the channel closes when that is over.
    Coming(watch::Receiver<()>),
    /// Served.
    Active(Arc<Tenant>),
    /// Being deleted.
    Deleting,
    /// It cannot be served until restart or repair.
    Failed(String),
}

/// What a request finds.
#[derive(Clone, Debug)]
pub enum Found {
    /// The tenant.
    Active(Arc<Tenant>),
    /// It is being made or opened, for too long to wait.
    Coming,
    /// It cannot be served, with the reason.
    Failed(String),
    /// There is none, or it is being deleted.
    None,
}

/// State of a tenant, for the admin API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Being made or opened.
    Creating,
    /// Served, or ready to be.
    Active,
    /// Being deleted.
    Deleting,
    /// Not served.
    Failed,
}

impl State {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Active => "Active",
            Self::Deleting => "Deleting",
            Self::Failed => "Failed",
        }
    }
}

/// The tenants of a process.
pub struct Tenants {
    db: Arc<Db>,
    url: String,
    layers: Box<Layers>,
    defaults: TenantDefaults,
    slots: RwLock<HashMap<TenantId, Slot>>,
    names: Arc<HostNames>,
}

/// A call about a tenant did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum TenantsError {
    /// The store refused.
    #[error("the store refused")]
    Store(#[from] TenantError),
    /// Keys could not be made.
    #[error("keys could not be made")]
    Pki(#[from] PkiError),
    /// Stored keys cannot be used.
    #[error("stored keys cannot be used: {0}")]
    Keys(#[from] KeysError),
    /// The head record is not one of ours.
    #[error("the head record of {0} cannot be read")]
    Head(TenantId),
    /// The new specification does not fit the stored one.
    #[error(transparent)]
    Change(#[from] SpecChange),
    /// A host name belongs to another tenant.
    #[error("host name {0} is taken")]
    HostTaken(String),
    /// There is a hub already.
    #[error("there is a hub already")]
    SecondHub,
    /// It is being made, opened or deleted by another call.
    #[error("the tenant is {}", .0.as_str())]
    Busy(State),
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
    /// Of a store; its tenants are known at once and opened when asked for. `url` is the address under which path
    /// addresses begin, as `https://127.0.0.1:8443`.
    pub fn new(db: Arc<Db>, url: String, layers: Box<Layers>, defaults: TenantDefaults) -> Self {
        let mut slots = HashMap::new();
        let names = Arc::new(HostNames::default());
        for head in db.tenants().into_iter().filter(|head| head.id != process_id()) {
            let slot = if head.dropping { Slot::Deleting } else { Slot::Stored };
            slots.insert(head.id, slot);
            let stored: Value = serde_json::from_slice(&head.head).unwrap_or_default();
            names.set_stored(head.id, &stored["spec"]);
        }
        Self { db, url, layers, defaults, slots: RwLock::new(slots), names }
    }

    /// The path address of a tenant, which is the issuer of its tokens.
    pub fn url(&self, id: TenantId) -> String {
        format!("{}/clusters/{id}", self.url)
    }

    fn audiences(&self, domain: &str) -> Vec<String> {
        vec!["https://kubernetes.default.svc".into(), format!("https://kubernetes.default.svc.{domain}")]
    }

    /// What a tenant gets that says nothing.
    pub fn defaults(&self) -> &TenantDefaults {
        &self.defaults
    }

    /// A tenant in memory.
    pub fn get(&self, id: TenantId) -> Option<Arc<Tenant>> {
        match self.slots.read().get(&id) {
            Some(Slot::Active(tenant)) => Some(tenant.clone()),
            _ => None,
        }
    }

    /// All tenants in memory.
    pub fn loaded(&self) -> Vec<Arc<Tenant>> {
        let active = |slot: &Slot| match slot {
            Slot::Active(tenant) => Some(tenant.clone()),
            _ => None,
        };
        self.slots.read().values().filter_map(active).collect()
    }

    /// Every known tenant with its state, in order of ids.
    pub fn states(&self) -> Vec<(TenantId, State)> {
        let mut all: Vec<_> = self.slots.read().iter().map(|(id, slot)| (*id, slot.state())).collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    /// State of a tenant.
    pub fn state(&self, id: TenantId) -> Option<State> {
        self.slots.read().get(&id).map(Slot::state)
    }

    /// The tenant of a role that exists once, as the hub.
    pub fn of_role(&self, role: Role) -> Option<Arc<Tenant>> {
        self.loaded().into_iter().find(|t| t.spec().role == role)
    }

    /// The tenant a host name belongs to.
    pub fn of_host(&self, name: &str) -> Option<TenantId> {
        self.names.of_host(name)
    }

    /// Names of tenants, for whoever chooses certificates.
    pub fn names(&self) -> Arc<HostNames> {
        self.names.clone()
    }

    /// The tenant for a request; opens a stored one, waits for one that is coming.
    pub async fn find(&self, id: TenantId) -> Found {
        for _ in 0..2 {
            let coming = match self.slots.read().get(&id) {
                None | Some(Slot::Deleting) => return Found::None,
                Some(Slot::Active(tenant)) => return Found::Active(tenant.clone()),
                Some(Slot::Failed(reason)) => return Found::Failed(reason.clone()),
                Some(Slot::Coming(done)) => Some(done.clone()),
                Some(Slot::Stored) => None,
            };
            match coming {
                Some(mut done) => {
                    // The channel closes when the tenant is there, or not.
                    let waited =
                        tokio::time::timeout(PATIENCE, async { while done.changed().await.is_ok() {} });
                    if waited.await.is_err() {
                        return Found::Coming;
                    }
                }
                None => {
                    let _opened_or_failed = self.open(id).await;
                }
            }
        }
        match self.slots.read().get(&id) {
            Some(Slot::Active(tenant)) => Found::Active(tenant.clone()),
            Some(Slot::Failed(reason)) => Found::Failed(reason.clone()),
            Some(Slot::Coming(_) | Slot::Stored) => Found::Coming,
            None | Some(Slot::Deleting) => Found::None,
        }
    }

    /// Takes a slot for making or opening; `None` when its state does not allow it.
    fn claim(&self, id: TenantId, allowed: impl Fn(Option<&Slot>) -> bool) -> Option<Claim<'_>> {
        let (done, waiting) = watch::channel(());
        let mut slots = self.slots.write();
        allowed(slots.get(&id)).then(|| {
            slots.insert(id, Slot::Coming(waiting));
            Claim { tenants: self, id, _done: done }
        })
    }

    fn settle(&self, id: TenantId, slot: Option<Slot>) {
        let mut slots = self.slots.write();
        match slot {
            Some(slot) => slots.insert(id, slot),
            None => slots.remove(&id),
        };
    }

    /// Opens a stored tenant. One that cannot be opened fails, and others are served.
    pub async fn open(&self, id: TenantId) -> Result<Arc<Tenant>, TenantsError> {
        let Some(_done) = self.claim(id, |slot| matches!(slot, Some(Slot::Stored | Slot::Failed(_)))) else {
            return self.get(id).ok_or(TenantsError::Busy(self.state(id).unwrap_or(State::Deleting)));
        };
        let opened = self.load(id).await;
        match &opened {
            Ok(tenant) => self.settle(id, Some(Slot::Active(tenant.clone()))),
            Err(error) => {
                tracing::error!(tenant = %id, %error, "a tenant cannot be opened");
                self.settle(id, Some(Slot::Failed(error.to_string())));
            }
        }
        opened
    }

    async fn load(&self, id: TenantId) -> Result<Arc<Tenant>, TenantsError> {
        let head = self.db.head(id).ok_or(TenantError::Unknown(id))?;
        let head: Value = serde_json::from_slice(&head.head).map_err(|_| TenantsError::Head(id))?;
        let spec =
            TenantSpec::from_value(id, &head["spec"], &self.defaults).map_err(|_| TenantsError::Head(id))?;
        let keys = TenantKeys::from_value(&head["keys"], self.url(id), self.audiences(&spec.cluster_domain))?;
        let created = head["created"].as_str().unwrap_or_default().to_owned();
        let layer = (self.layers)(&spec, &keys, &created);
        let store = self.db.open(id, layer, limits_of(&spec)).await?;
        Ok(Arc::new(Tenant::new(spec, keys, created, store)))
    }

    /// Opens every stored tenant, the hub first. Failures are noted with their tenants.
    pub async fn open_all(&self) {
        let mut heads = self.db.tenants();
        heads.sort_by_key(|head| {
            let stored: Value = serde_json::from_slice(&head.head).unwrap_or_default();
            stored["spec"]["role"] != Role::Hub.as_str()
        });
        for head in heads.into_iter().filter(|head| !head.dropping && head.id != process_id()) {
            let _noted = self.open(head.id).await;
        }
    }

    /// Makes a tenant; durable on return.
    pub async fn create(&self, spec: TenantSpec) -> Result<Arc<Tenant>, TenantsError> {
        let id = spec.id;
        if spec.role == Role::Hub && self.of_role(Role::Hub).is_some() {
            return Err(TenantsError::SecondHub);
        }
        self.check_hosts(&spec)?;
        let Some(_done) = self.claim(id, |slot| slot.is_none()) else {
            return Err(TenantsError::Busy(self.state(id).unwrap_or(State::Creating)));
        };
        let made = self.make(spec).await;
        self.settle(id, made.as_ref().ok().cloned().map(Slot::Active));
        made
    }

    async fn make(&self, spec: TenantSpec) -> Result<Arc<Tenant>, TenantsError> {
        let id = spec.id;
        let keys = TenantKeys::generate(id, self.url(id), self.audiences(&spec.cluster_domain))?;
        let created = clock::now();
        let new = NewTenant {
            id,
            head: head_of(&spec, &keys, &created),
            in_wildcard: spec.role == Role::Tenant,
            shard: None,
        };
        let layer = (self.layers)(&spec, &keys, &created);
        let store = self.db.create_tenant(new, layer, limits_of(&spec)).await?;
        self.names.set(&spec);
        Ok(Arc::new(Tenant::new(spec, keys, created, store)))
    }

    fn check_hosts(&self, spec: &TenantSpec) -> Result<(), TenantsError> {
        self.names.taken(spec).map_or(Ok(()), |name| Err(TenantsError::HostTaken(name)))
    }

    /// Makes a tenant, or takes its changed specification. Gives whether it is new.
    pub async fn put(&self, spec: TenantSpec) -> Result<(Arc<Tenant>, bool), TenantsError> {
        let tenant = match self.find(spec.id).await {
            Found::Active(tenant) => tenant,
            Found::Coming => return Err(TenantsError::Busy(State::Creating)),
            Found::Failed(_) => return Err(TenantsError::Busy(State::Failed)),
            Found::None if self.state(spec.id).is_some() => return Err(TenantsError::Busy(State::Deleting)),
            Found::None => return self.create(spec).await.map(|tenant| (tenant, true)),
        };
        let old = tenant.spec();
        old.check_change(&spec)?;
        if *old != spec {
            self.check_hosts(&spec)?;
            self.db.update_head(spec.id, head_of(&spec, tenant.keys(), tenant.created())).await?;
            tenant.store.set_limits(limits_of(&spec));
            self.names.set(&spec);
            tenant.set_spec(spec);
        }
        Ok((tenant, false))
    }

    /// Ends a tenant step by step; gives how many objects are left. Zero: it is gone.
    pub async fn remove(&self, id: TenantId) -> Result<usize, TenantsError> {
        if !self.slots.read().contains_key(&id) {
            return Err(TenantError::Unknown(id).into());
        }
        self.settle(id, Some(Slot::Deleting));
        self.names.remove(id);
        let remaining = self.db.drop_tenant(id).await?.0;
        if remaining == 0 {
            self.settle(id, None);
        }
        Ok(remaining)
    }

    /// Tenants whose deletion has begun and is to be continued.
    pub fn deleting(&self) -> Vec<TenantId> {
        self.states().into_iter().filter(|(_, state)| *state == State::Deleting).map(|(id, _)| id).collect()
    }
}

/// A slot taken for making or opening. Whoever waits is woken when it is dropped, settled or not.
struct Claim<'a> {
    tenants: &'a Tenants,
    id: TenantId,
    _done: watch::Sender<()>,
}

impl Drop for Claim<'_> {
    /// A caller that went away leaves the tenant as the store has it.
    fn drop(&mut self) {
        let mut slots = self.tenants.slots.write();
        if matches!(slots.get(&self.id), Some(Slot::Coming(_))) {
            match self.tenants.db.head(self.id) {
                Some(_) => slots.insert(self.id, Slot::Stored),
                None => slots.remove(&self.id),
            };
        }
    }
}

impl Slot {
    fn state(&self) -> State {
        match self {
            Self::Stored | Self::Active(_) => State::Active,
            Self::Coming(_) => State::Creating,
            Self::Deleting => State::Deleting,
            Self::Failed(_) => State::Failed,
        }
    }
}
