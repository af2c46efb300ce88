//! What is remembered of a tenant: an entry per object, not the object (EN27).

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use serde_json::Value;
use skerry_api::labels;

use super::{decision::Decision, links::Links};
use crate::{
    facts::NamespaceFact,
    kind::Kind,
    kinds::{
        Ref,
        claim::IMPORTED,
        policy::{Direction, Policies, PolicyFact},
        translator,
    },
    object::{Fields, HostObj, TenantObj},
    refusal::Refusal,
};

/// A tenant object: kind, namespace, name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Kind.
    pub kind: Kind,
    /// Namespace in the tenant; empty for cluster-scoped ones.
    pub namespace: Arc<str>,
    /// Name in the tenant.
    pub name: Arc<str>,
}

impl Key {
    /// A key.
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

/// One side of an entry, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// UID on that side.
    pub uid: Arc<str>,
    /// resourceVersion.
    pub version: u64,
    /// UID of the tenant object that a host object comes from.
    pub origin: Option<Arc<str>>,
    /// A deletion is under way.
    pub deleting: bool,
}

/// What is known of one object on both sides.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The tenant's.
    pub tenant: Option<Seen>,
    /// The host's.
    pub host: Option<Seen>,
    /// UID of a host object that is certainly gone: a late answer about it does not bring it back.
    pub gone: Option<Arc<str>>,
    /// Versions and epoch of the last pass that left nothing to do.
    pub settled: Option<(u64, u64, u64)>,
    /// What a pod refers to.
    pub refs: Box<[Ref]>,
    /// Node of a pod, and whether it keeps a Synthetic node alive.
    pub node: Option<(Arc<str>, bool)>,
    /// Node of the host's pod, by the host's own word.
    pub placed: Option<Arc<str>>,
    /// When a pod's tokens are due.
    pub tokens_due: Option<Instant>,
    /// The ServiceAccount of a pod.
    pub account: Option<Arc<str>>,
    /// Grace of a tenant deletion, as last seen.
    pub grace: Option<i64>,
    /// A DELETED event was seen for the tenant object (EN12).
    pub deleted_seen: bool,
    /// What was decided last (OB2).
    pub decision: Decision,
    /// When, in seconds since the engine began.
    pub decided: u32,
    /// Version of that event: an older list does not bring the object back.
    pub deleted_at: u64,
    /// A host Service reserved and not stored yet (apiserver T5), since when.
    pub pending: Option<Instant>,
    /// What it counts for in the ledger.
    pub figures: Box<[(Arc<str>, i128)]>,
    /// The reason it is refused for.
    pub refusal: Option<Box<Refusal>>,
    /// Recent repairs of the host object (EN16).
    pub repairs: Option<Box<Repairs>>,
    /// The volume of a bound claim.
    pub volume: Option<Arc<str>>,
    /// Address of a pod or Service on the host.
    pub address: Option<Arc<str>>,
    /// The host pod carries a label of KI6.
    pub labelled: bool,
    /// Generation of the policies that a pod was last labelled by.
    pub under: u64,
}

impl Entry {
    /// In the tenant, and neither on the host nor refused.
    pub fn is_uncarried(&self) -> bool {
        self.tenant.is_some() && self.host.is_none() && self.refusal.is_none()
    }
}

/// Repairs of one object: overrides that are left, and a rival.
#[derive(Clone, Debug, Default)]
pub struct Repairs {
    /// Hash of what was last wanted: another one is the tenant's own change, not a repair.
    pub desired: u64,
    /// Since when they are counted.
    pub since: Option<Instant>,
    /// How many since then.
    pub count: u32,
    /// Hashes of the desired object and of what the host made of it.
    pub overridden: Option<(u64, u64)>,
}

/// What is known of a tenant.
#[derive(Default)]
pub struct Model {
    /// Entries.
    pub entries: BTreeMap<Key, Entry>,
    /// Objects that carried ones refer to, by count.
    pub refs: HashMap<(Arc<str>, Ref), u32>,
    /// Namespaces of the tenant.
    pub namespaces: Arc<BTreeMap<Arc<str>, NamespaceFact>>,
    /// Tenant namespaces whose host namespace holds its isolation set.
    pub prepared: BTreeSet<Arc<str>>,
    /// Tenant namespaces by the names of their host namespaces.
    pub spaces: HashMap<Arc<str>, Arc<str>>,
    /// A namespace went or was replaced: host namespaces are compared.
    pub stale: bool,
    /// The env maps, by tenant namespace.
    pub links: HashMap<Arc<str>, Links>,
    /// Nodes in the tenant: uid, version, unschedulable.
    pub nodes: BTreeMap<Arc<str>, NodeSeen>,
    /// Nodes on which the host has put pods of the tenant: no other is in its view, whatever it writes itself.
    pub in_view: BTreeSet<Arc<str>>,
    /// Since when a node in the tenant carries no pod that keeps it.
    pub idle_nodes: HashMap<Arc<str>, Instant>,
    /// Kinds whose list in the tenant is complete.
    pub complete: BTreeSet<Kind>,
    /// Newest version that a complete list or a watch has told, by kind.
    pub newest: BTreeMap<Kind, u64>,
    /// Kinds whose deletions are held, with how many (EN12).
    pub held: BTreeMap<Kind, usize>,
    /// Since when the host says that a Service's address is taken.
    pub taken: HashMap<Key, Instant>,
    /// Policies that lie on the host (KI6).
    pub policies: Arc<Policies>,
    /// How pods of the tenant looked when they went from the host: their end may be told with that alone.
    pub last_seen: HashMap<Key, HostObj>,
    /// Policies that go from the host, since when.
    pub leaving: HashMap<Key, Instant>,
    /// Namespaces whose pods may need other labels.
    pub relabel: BTreeSet<Arc<str>>,
    /// UID of the tenant's `kube-system`.
    pub identity: Option<Arc<str>>,
    /// Figures in use, by resource.
    pub used: BTreeMap<Arc<str>, i128>,
    /// Rises when rules of translation change.
    pub epoch: u64,
}

/// The ServiceAccount of a pod.
pub fn account_of(pod: &TenantObj) -> &str {
    match pod.text("/spec/serviceAccountName") {
        "" => "default",
        name => name,
    }
}

/// How it is known that a host object is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// A DELETED event, or 404 by its name.
    Certain,
    /// A list without it, which may be older than the object, or a deletion that has begun.
    Absent,
}

/// A node in the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSeen {
    /// Its UID.
    pub uid: Arc<str>,
    /// Whether the syncer made it.
    pub imported: bool,
    /// `spec.unschedulable`.
    pub cordoned: bool,
}

/// What an observation asks to be looked at.
#[derive(Debug, Default, PartialEq)]
pub struct Touched {
    /// Objects.
    pub keys: Vec<Key>,
    /// Objects whose last reference went.
    pub unreferenced: Vec<Key>,
    /// Namespaces.
    pub namespaces: Vec<Arc<str>>,
    /// Nodes.
    pub nodes: Vec<Arc<str>>,
    /// Classes.
    pub classes: Vec<Arc<str>>,
}

impl Model {
    /// Takes in a tenant object. `None`: nothing new.
    pub fn tenant_seen(&mut self, kind: Kind, object: &TenantObj) -> Option<Touched> {
        let key = Key::new(kind, object.namespace(), object.name());
        let entry = self.entries.entry(key.clone()).or_default();
        let version = object.version();
        let older = entry.tenant.as_ref().is_some_and(|seen| seen.version >= version);
        if older || entry.deleted_at >= version.max(1) {
            return None;
        }
        let another = entry.tenant.as_ref().is_none_or(|known| *known.uid != *object.uid());
        entry.tenant =
            Some(Seen { uid: object.uid().into(), version, origin: None, deleting: object.deleting() });
        entry.grace = object.deletion_grace();
        entry.deleted_seen = false;
        let mut touched = Touched::default();
        match kind {
            Kind::Namespace => {
                self.namespace_seen(object);
                touched.namespaces.push(key.name.clone());
            }
            Kind::Node => {
                let seen = NodeSeen {
                    uid: object.uid().into(),
                    imported: object.annotation(IMPORTED).is_some(),
                    cordoned: object.value().pointer("/spec/unschedulable").and_then(Value::as_bool)
                        == Some(true),
                };
                self.nodes.insert(key.name.clone(), seen);
                touched.nodes.push(key.name.clone());
            }
            Kind::StorageClass => touched.classes.push(key.name.clone()),
            Kind::Pod => {
                let refs = translator(Kind::Pod).map(|t| t.refs(object)).unwrap_or_default();
                let old = std::mem::replace(&mut entry.refs, refs.clone().into());
                let node = object.text("/spec/nodeName");
                let keeps = object.controller().is_none_or(|c| c.get("kind") != Some(&"DaemonSet".into()));
                let node = (!node.is_empty()).then(|| (Arc::<str>::from(node), keeps));
                let before = std::mem::replace(&mut entry.node, node.clone());
                entry.account = Some(account_of(object).into());
                if before != node {
                    touched.nodes.extend(before.into_iter().chain(node).map(|(name, _)| name));
                }
                self.reference(&key.namespace, refs.iter(), &mut touched);
                self.unreference(&key.namespace, old.iter(), &mut touched);
                touched.keys.push(key);
            }
            Kind::Service => {
                self.links.entry(key.namespace.clone()).or_default().change();
                touched.namespaces.push(key.namespace.clone());
                touched.keys.push(key);
            }
            Kind::ServiceAccount if another => touched.keys.extend(self.tokens_of(&key)),
            Kind::ServiceAccount | Kind::PersistentVolume => {}
            _ => touched.keys.push(key),
        }
        Some(touched)
    }

    /// Pods whose tokens are void, because their ServiceAccount was made anew; they are due now (PO22).
    fn tokens_of(&mut self, account: &Key) -> Vec<Key> {
        let now = Instant::now();
        let pods = self.entries.range_mut(Key::new(Kind::Pod, &account.namespace, "")..);
        pods.take_while(|(key, _)| key.kind == Kind::Pod && key.namespace == account.namespace)
            .filter(|(_, entry)| entry.tokens_due.is_some() && entry.account.as_ref() == Some(&account.name))
            .map(|(key, entry)| {
                entry.tokens_due = Some(now);
                key.clone()
            })
            .collect()
    }

    fn namespace_seen(&mut self, object: &TenantObj) {
        let name: Arc<str> = object.name().into();
        if object.name() == "kube-system" {
            self.identity = Some(object.uid().into());
        }
        let same = self.namespaces.get(&name).filter(|known| *known.uid == *object.uid());
        let fact = NamespaceFact {
            uid: object.uid().into(),
            labels: Arc::new(object.value().pointer("/metadata/labels").cloned().unwrap_or(Value::Null)),
            host_uid: same.and_then(|known| known.host_uid.clone()),
            template: object.label(labels::TEMPLATE) == Some("true"),
            deleting: object.deleting(),
        };
        let changed = same.is_none_or(|known| known.labels != fact.labels);
        if changed {
            self.prepared.remove(&name);
        }
        if same.is_none() {
            self.stale |= self.namespaces.contains_key(&name);
            self.links.remove(&name);
        }
        if same.is_some_and(|known| known.template != fact.template) {
            for entry in self.entries.iter_mut().filter(|(key, _)| key.namespace == name).map(|(_, e)| e) {
                entry.settled = None;
            }
        }
        Arc::make_mut(&mut self.namespaces).insert(name, fact);
    }

    fn reference<'a>(
        &mut self,
        namespace: &Arc<str>,
        refs: impl Iterator<Item = &'a Ref>,
        touched: &mut Touched,
    ) {
        for r in refs {
            let count = self.refs.entry((namespace.clone(), r.clone())).or_default();
            *count += 1;
            if *count == 1 {
                let key = Key { kind: r.kind, namespace: namespace.clone(), name: r.name.as_str().into() };
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.settled = None;
                }
                touched.keys.push(Key {
                    kind: r.kind,
                    namespace: namespace.clone(),
                    name: r.name.as_str().into(),
                });
            }
        }
    }

    fn unreference<'a>(
        &mut self,
        namespace: &Arc<str>,
        refs: impl Iterator<Item = &'a Ref>,
        touched: &mut Touched,
    ) {
        for r in refs {
            let slot = (namespace.clone(), r.clone());
            if let Some(count) = self.refs.get_mut(&slot) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.refs.remove(&slot);
                    let key =
                        Key { kind: r.kind, namespace: namespace.clone(), name: r.name.as_str().into() };
                    if let Some(entry) = self.entries.get_mut(&key) {
                        entry.settled = None;
                    }
                    touched.unreferenced.push(Key {
                        kind: r.kind,
                        namespace: namespace.clone(),
                        name: r.name.as_str().into(),
                    });
                }
            }
        }
    }

    /// Whether a carried object refers to it.
    pub fn referenced(&self, key: &Key) -> bool {
        let r = Ref { kind: key.kind, name: key.name.to_string() };
        self.refs.contains_key(&(key.namespace.clone(), r))
    }

    /// A tenant object is gone, at `version`; `seen`: a DELETED event said so.
    pub fn tenant_gone(&mut self, key: &Key, version: u64, seen: bool) -> Touched {
        let mut touched = Touched::default();
        let Some(entry) = self.entries.get_mut(key) else {
            // Only a list under way could bring it back.
            if seen && !self.complete.contains(&key.kind) {
                self.entries.insert(key.clone(), Entry { deleted_at: version, ..Entry::default() });
            }
            return touched;
        };
        if entry.tenant.as_ref().is_some_and(|known| known.version > version) {
            return touched;
        }
        entry.tenant = None;
        self.last_seen.remove(key);
        entry.deleted_seen = seen;
        entry.deleted_at = entry.deleted_at.max(version);
        entry.refusal = None;
        entry.settled = None;
        let refs = std::mem::take(&mut entry.refs);
        if let Some((node, _)) = entry.node.take() {
            touched.nodes.push(node);
        }
        match key.kind {
            Kind::Namespace => {
                Arc::make_mut(&mut self.namespaces).remove(&key.name);
                self.prepared.remove(&key.name);
                self.links.remove(&key.name);
                Arc::make_mut(&mut self.policies).0.remove(&key.name);
                self.stale = true;
                touched.namespaces.push(key.name.clone());
            }
            Kind::Node => {
                self.nodes.remove(&key.name);
                self.in_view.remove(&key.name);
                touched.nodes.push(key.name.clone());
            }
            Kind::StorageClass => touched.classes.push(key.name.clone()),
            Kind::Service => {
                self.links.entry(key.namespace.clone()).or_default().change();
                touched.namespaces.push(key.namespace.clone());
                touched.keys.push(key.clone());
            }
            _ => touched.keys.push(key.clone()),
        }
        self.unreference(&key.namespace, refs.iter(), &mut touched);
        self.prune(key);
        touched
    }

    /// Takes in a host object that claims to come from `key`. False: nothing new.
    pub fn host_seen(&mut self, key: &Key, object: &HostObj) -> bool {
        let entry = self.entries.entry(key.clone()).or_default();
        let version = object.version();
        let known =
            entry.host.as_ref().is_some_and(|seen| *seen.uid == *object.uid() && seen.version >= version);
        if known || entry.gone.as_deref() == Some(object.uid()) {
            return false;
        }
        entry.host = Some(Seen {
            uid: object.uid().into(),
            version,
            origin: object.annotation(labels::ORIGIN_UID).map(Into::into),
            deleting: object.deleting(),
        });
        if object.annotation(labels::PENDING).is_some() {
            entry.pending.get_or_insert_with(Instant::now);
        } else {
            entry.pending = None;
        }
        let address = match key.kind {
            Kind::Pod => object.text("/status/podIP"),
            Kind::Service => object.text("/spec/clusterIP"),
            _ => "",
        };
        entry.address = (!address.is_empty()).then(|| address.into());
        let node = object.text("/spec/nodeName");
        if key.kind == Kind::Pod && !node.is_empty() {
            entry.placed = Some(node.into());
            self.in_view.insert(node.into());
        }
        entry.labelled =
            key.kind == Kind::Pod && Direction::ALL.iter().any(|d| object.label(d.label()).is_some());
        let figures = super::ledger::figures(key.kind, object);
        let old = std::mem::replace(&mut entry.figures, figures.clone());
        super::ledger::add(&mut self.used, &figures, 1);
        super::ledger::add(&mut self.used, &old, -1);
        if key.kind == Kind::NetworkPolicy && !self.leaving.contains_key(key) {
            self.policy_lies(key, PolicyFact::of(object));
        }
        true
    }

    /// A host object is gone. `uid`: only if it is this one.
    pub fn host_gone(&mut self, key: &Key, uid: &str, gone: Gone) -> bool {
        let Some(entry) = self.entries.get_mut(key) else { return false };
        if gone == Gone::Certain {
            entry.gone = Some(uid.into());
        }
        if entry.host.as_ref().is_none_or(|seen| *seen.uid != *uid) {
            return false;
        }
        entry.host = None;
        entry.settled = None;
        entry.tokens_due = None;
        entry.pending = None;
        let figures = std::mem::take(&mut entry.figures);
        super::ledger::add(&mut self.used, &figures, -1);
        let wanted = entry.tenant.is_some();
        if key.kind == Kind::NetworkPolicy {
            self.leaving.remove(key);
            if !wanted {
                self.policy_goes(key);
            }
        }
        self.prune(key);
        true
    }

    /// Forgets an entry that is on neither side.
    pub fn prune(&mut self, key: &Key) {
        let empty = |e: &Entry| e.tenant.is_none() && e.host.is_none() && e.refs.is_empty();
        if self.entries.get(key).is_some_and(|e| empty(e) && self.complete.contains(&key.kind)) {
            self.entries.remove(key);
            self.taken.remove(key);
        }
    }

    /// Whether a pod that the host runs there keeps a node in the tenant.
    pub fn keeps_node(&self, node: &str) -> bool {
        let first = Key::new(Kind::Pod, "", "");
        self.entries.range(first..).take_while(|(key, _)| key.kind == Kind::Pod).any(|(_, entry)| {
            entry.placed.as_deref() == Some(node)
                && entry.node.as_ref().is_some_and(|(name, keeps)| &**name == node && *keeps)
        })
    }

    /// What a namespace's pods may need on the host and what is not there yet.
    pub fn uncarried(&self, kind: Kind, namespace: &str) -> Vec<Key> {
        let here = self.within(kind, namespace).filter(|(_, entry)| entry.is_uncarried());
        here.map(|(key, _)| key.clone()).collect()
    }

    /// Entries of a kind in one namespace.
    pub fn within<'a>(
        &'a self,
        kind: Kind,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Key, &'a Entry)> {
        let all = self.entries.range(Key::new(kind, namespace, "")..);
        all.take_while(move |(key, _)| key.kind == kind && *key.namespace == *namespace)
    }

    /// Entries of a kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.range(Key::new(kind, "", "")..).take_while(move |(key, _)| key.kind == kind)
    }

    /// Holds deletions of a kind when a complete list lost more than 20 and more than half of what is on the host,
    /// without a DELETED event for each (EN12).
    pub fn guard(&mut self, kind: Kind, confirmed: Option<usize>) {
        let (mut total, mut lost) = (0, 0);
        for (_, entry) in self.of(kind) {
            if entry.host.is_some() {
                total += 1;
                if entry.tenant.is_none() && !entry.deleted_seen {
                    lost += 1;
                }
            }
        }
        if lost > 20 && lost * 2 > total && confirmed != Some(lost) {
            self.held.insert(kind, lost);
        } else {
            self.held.remove(&kind);
        }
    }
}

mod anew;
#[cfg(test)]
mod tests;
