//! What watches see, taken into the models; everything that may have to act is queued.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use skerry_api::labels;
use tokio_util::sync::CancellationToken;

use super::{
    Engine,
    cache::Side,
    links,
    model::{Gone, Key, Touched},
    queue::{Lane, What},
    sources::{self, Sink, WildcardSink},
    state::{Host, Tenant},
};
use crate::{
    directory::EmbeddedSource,
    kind::Kind,
    mapping::{Claim, Mapping, NamespaceOrigin},
    object::{Fields, HostObj, TenantObj, items, text},
    wire::{FIELD_MANAGER, Wire},
};

/// Namespace and name.
pub(super) fn name_of(object: &Value) -> (String, String) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("/metadata/namespace"), text("/metadata/name"))
}

/// Leaves of `managedFields` what decisions need: on the host our own entries, in a tenant ours and who wrote
/// conditions.
pub(super) fn slim(object: &mut Value, side: Side) {
    let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let Some(Value::Array(list)) = meta.remove("managedFields") else { return };
    let kept: Vec<Value> = list
        .into_iter()
        .filter_map(|owner| {
            if text(&owner, "manager") == FIELD_MANAGER {
                return Some(owner);
            }
            if side == Side::Host {
                return None;
            }
            let conditions = owner.pointer("/fieldsV1/f:status/f:conditions")?.clone();
            Some(serde_json::json!({"manager": text(&owner, "manager"),
                "fieldsV1": {"f:status": {"f:conditions": conditions}}}))
        })
        .collect();
    if !kept.is_empty() {
        meta.insert("managedFields".to_owned(), Value::Array(kept));
    }
}

impl Engine {
    /// Takes in a tenant object.
    pub(crate) fn tenant_seen(&self, tenant: &Arc<Tenant>, kind: Kind, mut object: TenantObj) {
        slim(&mut object.0, Side::Tenant);
        let key = Key::new(kind, object.namespace(), object.name());
        let (touched, keep) = {
            let mut model = tenant.model.lock();
            let touched = model.tenant_seen(kind, &object);
            let data = matches!(kind, Kind::ConfigMap | Kind::Secret);
            (touched, Kind::CARRIED.contains(&kind) && (!data || model.referenced(&key)))
        };
        let Some(touched) = touched else { return };
        if Kind::RESOLVED.contains(&kind) {
            tenant.zone.write().seen(kind, &object);
        }
        if keep {
            self.cache.lock().put(&tenant.id, &key, Side::Tenant, object.version(), &object.0);
        }
        let lane = if object.deleting() { Lane::Urgent } else { Lane::Change };
        self.touch(tenant, touched, lane);
    }

    /// Takes in that a tenant object is gone.
    pub(crate) fn tenant_gone(&self, tenant: &Arc<Tenant>, key: &Key, version: u64, seen: bool) {
        let touched = tenant.model.lock().tenant_gone(key, version, seen);
        if Kind::RESOLVED.contains(&key.kind) {
            tenant.zone.write().gone(key.kind, &(key.namespace.to_string(), key.name.to_string()));
        }
        self.cache.lock().remove(&tenant.id, key, Side::Tenant);
        self.touch(tenant, touched, Lane::Urgent);
    }

    /// A list of a tenant's kind is complete: what it does not have is gone.
    pub(crate) fn tenant_listed(
        &self,
        tenant: &Arc<Tenant>,
        kind: Kind,
        all: &HashSet<(String, String)>,
        version: u64,
    ) {
        let confirmed = tenant.entry().owner.confirm_delete;
        let missing: Vec<Key> = {
            let mut model = tenant.model.lock();
            model.complete.insert(kind);
            let missing = |key: &Key| !all.contains(&(key.namespace.to_string(), key.name.to_string()));
            model
                .of(kind)
                .filter(|(key, e)| e.tenant.as_ref().is_some_and(|s| s.version <= version) && missing(key))
                .map(|(key, _)| key.clone())
                .collect()
        };
        for key in &missing {
            self.tenant_gone(tenant, key, version, false);
        }
        let mut model = tenant.model.lock();
        model.guard(kind, confirmed);
        let empty: Vec<Key> = model
            .of(kind)
            .filter(|(_, e)| e.tenant.is_none() && e.host.is_none())
            .map(|(k, _)| k.clone())
            .collect();
        for key in empty {
            model.prune(&key);
        }
    }

    /// The tenant's identity is its `kube-system` (EN6).
    pub(crate) fn check_identity(&self, tenant: &Tenant) {
        let owner = tenant.entry().owner.clone();
        let Some(found) = tenant.model.lock().identity.clone() else { return };
        let fine = owner.identity.is_empty() || *found == *owner.identity || *found == *owner.accept_tenant;
        tenant.replaced.store(!fine, std::sync::atomic::Ordering::Release);
    }

    fn touch(&self, tenant: &Arc<Tenant>, touched: Touched, lane: Lane) {
        let Touched { keys, unreferenced, namespaces, nodes, classes } = touched;
        for key in keys {
            tenant.queue_key(key, lane);
        }
        for key in unreferenced {
            tenant.queue_after(What::Object(key), self.periods.unreferenced);
        }
        for name in namespaces {
            tenant.queue_after(What::Namespace(name), links::EVERY);
        }
        for name in nodes {
            tenant.queue(What::Node(name), lane);
        }
        for name in classes {
            tenant.queue(What::Class(name), lane);
        }
    }

    /// The key of a host object that proves to be the tenant's; one that does not is counted.
    pub(super) fn proven(&self, tenant: &Tenant, kind: Kind, object: &HostObj) -> Option<Key> {
        let name = object.annotation(labels::ORIGIN_NAMESPACE)?.to_owned();
        let uid = tenant.model.lock().namespaces.get(name.as_str())?.uid.to_string();
        match tenant.entry().mapping().prove(kind, object, &NamespaceOrigin { name, uid }) {
            Claim::Ours(origin) => Some(Key::new(kind, &origin.namespace, &origin.name)),
            Claim::Foreign => {
                self.mismatch(tenant, "foreign");
                None
            }
        }
    }

    /// Takes in a host object that proves to be this tenant's. Returns its key.
    pub(crate) fn host_seen(&self, tenant: &Arc<Tenant>, kind: Kind, mut object: HostObj) -> Option<Key> {
        slim(&mut object.0, Side::Host);
        let key = self.proven(tenant, kind, &object)?;
        let new = tenant.model.lock().host_seen(&key, &object);
        if new {
            self.keep_host(tenant, &key, &object);
        }
        new.then_some(key)
    }

    /// What follows from a host object that the model has taken in.
    pub(super) fn keep_host(&self, tenant: &Tenant, key: &Key, object: &HostObj) {
        mirror(tenant, key, Some(object));
        self.cache.lock().put(&tenant.id, key, Side::Host, object.version(), &object.0);
        tenant.relabel();
    }

    /// Takes in that a host object is gone.
    pub(crate) fn host_gone(&self, tenant: &Arc<Tenant>, key: &Key, uid: &str, how: Gone) -> bool {
        let gone = tenant.model.lock().host_gone(key, uid, how);
        if gone {
            mirror(tenant, key, None);
            self.cache.lock().remove(&tenant.id, key, Side::Host);
            tenant.relabel();
        }
        gone
    }

    /// Host namespaces of a tenant: UIDs of those in use, and which are left over.
    pub(crate) fn host_namespaces(&self, tenant: &Arc<Tenant>, mapping: &Mapping, list: &[HostObj]) {
        for space in list {
            let Some(origin) = mapping.prove_namespace(space) else { continue };
            let current = {
                let mut model = tenant.model.lock();
                let namespaces = Arc::make_mut(&mut model.namespaces);
                match namespaces.get_mut(origin.name.as_str()).filter(|fact| *fact.uid == *origin.uid) {
                    Some(fact) => {
                        let gone = space.deleting();
                        fact.host_uid = (!gone).then(|| space.uid().into());
                        model.spaces.insert(space.name().into(), origin.name.as_str().into());
                        if gone {
                            model.prepared.remove(origin.name.as_str());
                        }
                        true
                    }
                    None => false,
                }
            };
            if !current {
                tenant.queue(What::Leftover(space.name().into()), Lane::Change);
            }
        }
    }

    /// Waits until the wildcard watches hold everything up to now, or long enough.
    pub(crate) async fn wait_live(&self, stop: &CancellationToken) {
        let mut live = self.live.subscribe();
        let wanted = self.wanted.subscribe();
        let wait = async {
            loop {
                let (have, want) = (*live.borrow_and_update(), *wanted.borrow());
                if want > 0 && have >= want {
                    return;
                }
                if live.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            _ = tokio::time::timeout(Duration::from_secs(30), wait) => {}
        }
    }
}

/// Without an agreement on addresses names lead to the host's (SV1).
pub(super) fn mirror(tenant: &Tenant, key: &Key, host: Option<&HostObj>) {
    if key.kind != Kind::Service || tenant.entry().services_agreed {
        return;
    }
    let ips = host.map(|h| items(&h.0, "/spec/clusterIPs")).unwrap_or_default();
    let ips = ips.iter().filter_map(|ip| ip.as_str()?.parse().ok()).collect();
    if tenant.zone.write().mirror((key.namespace.to_string(), key.name.to_string()), ips) {
        tenant.model.lock().links.entry(key.namespace.clone()).or_default().change();
        tenant.queue_after(What::Namespace(key.namespace.clone()), links::EVERY);
    }
}

/// A tenant's own watch.
pub(super) struct TenantSink {
    pub(super) engine: Arc<Engine>,
    pub(super) tenant: Arc<Tenant>,
    pub(super) kind: Kind,
}

impl Sink for TenantSink {
    fn seen(&self, object: Value, gone: bool) {
        let object = TenantObj(object);
        if gone {
            let key = Key::new(self.kind, object.namespace(), object.name());
            self.engine.tenant_gone(&self.tenant, &key, object.version(), true);
        } else {
            self.engine.tenant_seen(&self.tenant, self.kind, object);
        }
    }

    fn rewound(&self) {
        self.tenant.model.lock().rewind_tenant(self.kind);
    }

    fn listed(&self, all: &HashSet<(String, String)>, version: u64) {
        self.engine.tenant_listed(&self.tenant, self.kind, all, version);
        if self.kind == Kind::Namespace {
            self.engine.check_identity(&self.tenant);
        }
    }

    fn heard(&self, answered: bool) {
        self.tenant.heard(answered);
    }
}

/// A host's watch of one kind.
pub(super) struct HostSink {
    pub(super) engine: Arc<Engine>,
    pub(super) host: Arc<Host>,
    pub(super) kind: Kind,
}

impl HostSink {
    fn tenants(&self) -> Vec<Arc<Tenant>> {
        self.engine.tenants.read().values().filter(|t| Arc::ptr_eq(&t.host, &self.host)).cloned().collect()
    }

    fn tenant_of(&self, object: &HostObj) -> Option<Arc<Tenant>> {
        let id = object.label(labels::TENANT)?;
        let tenant = self.engine.tenants.read().get(id).cloned()?;
        Arc::ptr_eq(&tenant.host, &self.host).then_some(tenant)
    }

    /// Takes in one object.
    pub(super) fn object(&self, value: Value, gone: bool) {
        let object = HostObj(value);
        match self.kind {
            Kind::Node => self.node(object, gone),
            Kind::StorageClass => self.class(object, gone),
            Kind::Event => self.engine.host_event(&self.host, &object, gone),
            Kind::Namespace => {
                if let Some(tenant) = self.tenant_of(&object) {
                    self.namespace(&tenant, object, gone);
                }
            }
            kind => {
                let Some(tenant) = self.tenant_of(&object) else { return };
                if gone {
                    let origin =
                        (object.annotation(labels::ORIGIN_NAMESPACE), object.annotation(labels::ORIGIN_NAME));
                    let (Some(namespace), Some(name)) = origin else { return };
                    let key = Key::new(kind, namespace, name);
                    if kind == Kind::Pod {
                        let mut model = tenant.model.lock();
                        if model.entries.get(&key).is_some_and(|e| e.tenant.is_some()) {
                            model.last_seen.insert(key.clone(), object.clone());
                        }
                    }
                    if self.engine.host_gone(&tenant, &key, object.uid(), Gone::Certain) {
                        tenant.queue_key(key, Lane::Urgent);
                    }
                } else if let Some(key) = self.engine.host_seen(&tenant, kind, object) {
                    tenant.queue_key(key, Lane::Change);
                }
            }
        }
    }

    fn namespace(&self, tenant: &Arc<Tenant>, object: HostObj, gone: bool) {
        let mapping = tenant.entry().mapping();
        if !gone {
            self.engine.host_namespaces(tenant, &mapping, &[object]);
            return;
        }
        let Some(origin) = mapping.prove_namespace(&object) else { return };
        let mut model = tenant.model.lock();
        let namespaces = Arc::make_mut(&mut model.namespaces);
        if let Some(fact) = namespaces.get_mut(origin.name.as_str()).filter(|f| *f.uid == *origin.uid) {
            fact.host_uid = None;
            model.prepared.remove(origin.name.as_str());
            model.links.remove(origin.name.as_str());
            drop(model);
            tenant.queue(What::Namespace(origin.name.as_str().into()), Lane::Change);
        }
    }

    fn node(&self, mut object: HostObj, gone: bool) {
        slim(&mut object.0, Side::Host);
        let name: Arc<str> = object.name().into();
        if gone {
            self.host.nodes.write().remove(&name);
        } else {
            self.host.nodes.write().insert(name.clone(), Arc::new(object.0));
        }
        self.node_addresses();
        for tenant in self.tenants() {
            if tenant.model.lock().nodes.contains_key(&name) {
                tenant.queue(What::Node(name.clone()), Lane::Change);
            }
        }
    }

    fn node_addresses(&self) {
        let nodes = self.host.nodes.read();
        let addresses = nodes
            .values()
            .flat_map(|node| items(node, "/status/addresses"))
            .map(|a| text(a, "address").to_owned())
            .filter(|a| a.parse::<std::net::IpAddr>().is_ok())
            .collect();
        drop(nodes);
        let mut facts = self.host.facts.write();
        if facts.node_addresses != addresses {
            let mut new = (**facts).clone();
            new.node_addresses = addresses;
            *facts = Arc::new(new);
        }
    }

    fn class(&self, object: HostObj, gone: bool) {
        let name: Arc<str> = object.name().into();
        {
            let mut classes = self.host.classes.write();
            if gone {
                classes.remove(&name);
            } else {
                classes.insert(name.clone(), Arc::new(object.0));
            }
            let all = classes.iter().map(|(name, class)| (name.to_string(), (**class).clone())).collect();
            let mut facts = self.host.facts.write();
            let mut new = (**facts).clone();
            new.storage_classes = all;
            *facts = Arc::new(new);
        }
        for tenant in self.tenants() {
            tenant.queue(What::Class(name.clone()), Lane::Change);
        }
    }
}

impl Sink for HostSink {
    fn seen(&self, object: Value, gone: bool) {
        self.object(object, gone);
    }

    fn rewound(&self) {
        for tenant in self.tenants() {
            tenant.model.lock().rewind_host(self.kind);
        }
    }

    fn listed(&self, all: &HashSet<(String, String)>, version: u64) {
        self.host.complete.lock().insert(self.kind);
        if self.kind == Kind::Node {
            self.host.nodes.write().retain(|name, _| all.contains(&(String::new(), name.to_string())));
        }
        if !Kind::CARRIED.contains(&self.kind) {
            return;
        }
        for tenant in self.tenants() {
            let mapping = tenant.entry().mapping();
            let missing: Vec<(Key, Arc<str>)> = {
                let model = tenant.model.lock();
                let mut names: HashMap<Arc<str>, String> = HashMap::new();
                for (name, fact) in model.namespaces.iter() {
                    names.insert(name.clone(), mapping.namespace(name, &fact.uid).to_string());
                }
                model
                    .of(self.kind)
                    .filter_map(|(key, entry)| {
                        let seen = entry.host.as_ref().filter(|seen| seen.version <= version)?;
                        let host_namespace = names.get(&key.namespace)?;
                        let uid = &model.namespaces.get(&key.namespace)?.uid;
                        let name = mapping.name(self.kind, &key.namespace, uid, &key.name).to_string();
                        (!all.contains(&(host_namespace.clone(), name)))
                            .then(|| (key.clone(), seen.uid.clone()))
                    })
                    .collect()
            };
            for (key, uid) in missing {
                if self.engine.host_gone(&tenant, &key, &uid, Gone::Absent) {
                    tenant.queue_key(key, Lane::Urgent);
                }
            }
        }
    }

    fn heard(&self, answered: bool) {
        self.host.heard(answered);
    }
}

/// The wildcard watch of one kind and shard.
struct AllTenants {
    engine: Arc<Engine>,
    kind: Kind,
}

impl WildcardSink for AllTenants {
    fn seen(&self, tenant: &str, object: Value, gone: bool) {
        let Some(tenant) = self.engine.tenants.read().get(tenant).cloned() else { return };
        let object = TenantObj(object);
        let version = object.version();
        {
            let mut model = tenant.model.lock();
            let newest = model.newest.entry(self.kind).or_default();
            *newest = version.max(*newest);
        }
        let sink = TenantSink { engine: self.engine.clone(), tenant, kind: self.kind };
        sink.seen(object.0, gone);
    }

    fn live(&self, anew: bool) {
        self.engine.live.send_modify(|n| *n += 1);
        if !anew {
            return;
        }
        // Something was missed: every tenant's list of this kind is compared.
        let tenants: Vec<Arc<Tenant>> = self.engine.tenants.read().values().cloned().collect();
        let (engine, kind) = (self.engine.clone(), self.kind);
        self.engine.tasks.spawn(async move {
            for tenant in tenants.iter().filter(|t| t.entry().reach == crate::directory::Reach::Embedded) {
                if let Err(error) = super::tenants::list_tenant(&engine, tenant, kind).await {
                    tracing::warn!(tenant = &*tenant.id, category = error.category(), "relist failed");
                }
            }
        });
    }
}

/// Wildcard watches of an embedded server: kinds times shards, however many tenants (EN2).
pub(super) async fn wildcards(engine: Arc<Engine>, source: EmbeddedSource, stop: CancellationToken) {
    let wire = Wire::new(source.client);
    let shards = loop {
        match sources::shards(&wire).await {
            Ok(shards) if !shards.is_empty() => break shards,
            Ok(_) => {}
            Err(error) => tracing::debug!(category = error.category(), "shards not known yet"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(250)) => {}
        }
    };
    engine.wanted.send_replace(shards.len() * Kind::TENANT.len());
    for shard in shards {
        for kind in Kind::TENANT {
            let (engine, wire, stop) = (engine.clone(), wire.clone(), stop.clone());
            engine.clone().tasks.spawn(async move {
                let sink = AllTenants { engine, kind };
                sources::follow_wildcard(wire, shard, kind, &sink, stop).await;
            });
        }
    }
}
