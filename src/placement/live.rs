//! The hub as watches show it: what cycles and delivery passes read instead of listing it each time.
//!
//! **Guarantees**: until every kind has been listed once, [`Live::is_ready`] says no and readers list for themselves.
//! What this process wrote is shown at once, whether its watch has come that far or not ([`Live::saw`]); an older
//! state never takes the place of a newer one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event};
use parking_lot::Mutex;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::watch;

use super::accepted;
use super::raw::text;
use super::sources::Sources;

/// Between tries to watch a kind that is not served or a hub that does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// Most deletions that are remembered per kind: answers are late by moments only.
const REMEMBERED: usize = 4096;

/// Kinds of the hub that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the documentation")]
pub enum Kind {
    Placement,
    ClusterPlacement,
    ClusterBinding,
    ClusterReport,
    ClusterProfile,
    PlacementDecision,
    Namespace,
    AcceptedSpec,
}

const KINDS: [Kind; 8] = [
    Kind::Placement,
    Kind::ClusterPlacement,
    Kind::ClusterBinding,
    Kind::ClusterReport,
    Kind::ClusterProfile,
    Kind::PlacementDecision,
    Kind::Namespace,
    Kind::AcceptedSpec,
];

impl Kind {
    fn resource(self) -> ApiResource {
        let (api_version, kind, plural) = match self {
            Self::Placement => ("skerry.dev/v1alpha1", "Placement", "placements"),
            Self::ClusterPlacement => ("skerry.dev/v1alpha1", "ClusterPlacement", "clusterplacements"),
            Self::ClusterBinding => ("skerry.dev/v1alpha1", "ClusterBinding", "clusterbindings"),
            Self::ClusterReport => ("skerry.dev/v1alpha1", "ClusterReport", "clusterreports"),
            Self::ClusterProfile => ("multicluster.x-k8s.io/v1alpha1", "ClusterProfile", "clusterprofiles"),
            Self::PlacementDecision => {
                ("multicluster.x-k8s.io/v1alpha1", "PlacementDecision", "placementdecisions")
            }
            Self::Namespace => ("v1", "Namespace", "namespaces"),
            Self::AcceptedSpec => ("v1", "Secret", "secrets"),
        };
        resource(api_version, kind, plural)
    }

    fn of(object: &Value) -> Option<Self> {
        let kind = text(object, &["kind"]);
        KINDS.into_iter().find(|k| k.resource().kind == kind)
    }

    fn api(self, hub: &Client, inventory: &str) -> Api<DynamicObject> {
        match self {
            Self::AcceptedSpec | Self::ClusterReport | Self::ClusterProfile => {
                Api::namespaced_with(hub.clone(), inventory, &self.resource())
            }
            _ => Api::all_with(hub.clone(), &self.resource()),
        }
    }
}

/// A kind as the client takes it.
pub fn resource(api_version: &str, kind: &str, plural: &str) -> ApiResource {
    let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version: api_version.into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

type Key = (String, String);

fn key_of(object: &Value) -> Key {
    (text(object, &["metadata", "namespace"]).to_owned(), text(object, &["metadata", "name"]).to_owned())
}

/// Versions of one server's objects are numbers that only grow.
pub fn version_of(object: &Value) -> u64 {
    text(object, &["metadata", "resourceVersion"]).parse().unwrap_or(u64::MAX)
}

/// The objects of one kind.
#[derive(Default)]
struct Shelf {
    listed: bool,
    objects: BTreeMap<Key, Arc<Value>>,
    /// Versions at which objects went, so that a late answer does not bring one back.
    gone: BTreeMap<Key, u64>,
    /// What a list under way has brought.
    fresh: BTreeMap<Key, Arc<Value>>,
}

impl Shelf {
    /// Puts an object in unless something newer is known. Says whether that changed anything.
    fn put(&mut self, object: Value) -> bool {
        let (key, version) = (key_of(&object), version_of(&object));
        if self.gone.get(&key).is_some_and(|at| version <= *at)
            || self.objects.get(&key).is_some_and(|known| version_of(known) >= version)
        {
            return false;
        }
        self.objects.insert(key, Arc::new(object));
        true
    }

    fn take(&mut self, object: &Value) {
        let key = key_of(object);
        self.objects.remove(&key);
        if self.gone.len() >= REMEMBERED {
            self.gone.clear();
        }
        self.gone.insert(key, version_of(object));
    }

    /// A list is complete: what it did not have is gone, but for what was written while it ran.
    fn listed(&mut self, newest_before: u64) {
        let fresh = std::mem::take(&mut self.fresh);
        self.objects.retain(|key, known| fresh.contains_key(key) || version_of(known) > newest_before);
        for (_, object) in fresh {
            self.put(Arc::unwrap_or_clone(object));
        }
        self.gone.clear();
        self.listed = true;
    }
}

/// The hub as watches show it.
pub struct Live {
    hub: Client,
    inventory: String,
    shelves: Mutex<BTreeMap<Kind, Shelf>>,
    changes: watch::Sender<u64>,
    /// What Placements carry.
    pub sources: Sources,
}

impl Live {
    /// Nothing yet: [`Live::watch`] fills it.
    pub fn new(hub: Client, inventory: &str) -> Self {
        let changes = watch::Sender::new(0);
        let sources = Sources::new(changes.clone());
        Self { hub, inventory: inventory.to_owned(), shelves: Mutex::default(), changes, sources }
    }

    /// Watches for ever.
    pub async fn watch(&self) {
        futures::future::join_all(KINDS.map(|kind| self.follow(kind))).await;
    }

    /// Tells of every change from now on.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether every kind has been listed.
    pub fn is_ready(&self) -> bool {
        let shelves = self.shelves.lock();
        KINDS.iter().all(|kind| shelves.get(kind).is_some_and(|s| s.listed))
    }

    /// Objects of a kind, by namespace and name.
    pub fn all(&self, kind: Kind) -> Vec<Arc<Value>> {
        let shelves = self.shelves.lock();
        shelves.get(&kind).map(|s| s.objects.values().cloned().collect()).unwrap_or_default()
    }

    /// The Reports of the inventory; nothing before the first list.
    pub fn reports(&self) -> Option<Vec<Arc<Value>>> {
        self.is_ready().then(|| self.all(Kind::ClusterReport))
    }

    /// The same as values of their own type; one that does not decode is left out and said.
    pub fn typed<K: DeserializeOwned>(&self, kind: Kind) -> Vec<K> {
        let decode = |object: Arc<Value>| match K::deserialize(&*object) {
            Ok(typed) => Some(typed),
            Err(error) => {
                let name = text(&object, &["metadata", "name"]);
                tracing::warn!(?kind, name, error = %error, "an object does not decode");
                None
            }
        };
        self.all(kind).into_iter().filter_map(decode).collect()
    }

    /// Shows what this process wrote, as the hub answered. It is told like any other change: what one stage writes the
    /// other waits for, and the watch brings no news after it.
    pub fn saw(&self, object: &Value) {
        let Some(kind) = Kind::of(object) else { return };
        let is_news = self.shelves.lock().entry(kind).or_default().put(object.clone());
        if is_news {
            self.tell();
        }
    }

    fn tell(&self) {
        self.changes.send_modify(|n| *n = n.wrapping_add(1));
    }

    async fn follow(&self, kind: Kind) {
        let config = match kind {
            Kind::AcceptedSpec => watcher::Config::default().fields(&format!("type={}", accepted::TYPE)),
            _ => watcher::Config::default(),
        };
        let mut events = watcher::watcher(kind.api(&self.hub, &self.inventory), config).boxed();
        let mut newest = 0;
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.take(kind, event, &mut newest),
                Err(error) => {
                    let is_missing = matches!(&error, watcher::Error::InitialListFailed(why) | watcher::Error::WatchStartFailed(why)
                        if skerry_kit::error::is_not_found(why) || skerry_kit::error::code(why) == Some(403));
                    if is_missing {
                        // Not served, or not ours to read: there is nothing of it.
                        self.shelves.lock().entry(kind).or_default().listed = true;
                    }
                    tracing::debug!(?kind, error = %error, "a watch broke; it is opened again");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    fn take(&self, kind: Kind, event: Event<DynamicObject>, newest: &mut u64) {
        let value = |object: DynamicObject| {
            let mut value = serde_json::to_value(object).unwrap_or_default();
            let resource = kind.resource();
            value["apiVersion"] = resource.api_version.into();
            value["kind"] = resource.kind.into();
            if let Some(metadata) = value["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
            value
        };
        let mut shelves = self.shelves.lock();
        let shelf = shelves.entry(kind).or_default();
        let is_news = match event {
            Event::Init => {
                shelf.fresh.clear();
                *newest = shelf.objects.values().map(|o| version_of(o)).max().unwrap_or(0);
                false
            }
            Event::InitApply(object) => {
                let object = value(object);
                shelf.fresh.insert(key_of(&object), Arc::new(object));
                false
            }
            Event::InitDone => {
                shelf.listed(*newest);
                true
            }
            Event::Apply(object) => shelf.put(value(object)),
            Event::Delete(object) => {
                shelf.take(&value(object));
                true
            }
        };
        drop(shelves);
        if is_news {
            self.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, version: u64) -> Value {
        json!({"kind": "Placement", "metadata": {"name": name, "namespace": "a", "resourceVersion": version.to_string()}})
    }

    /// Placement T2: own writes are shown at once, and nothing older takes their place or brings back what is gone.
    #[test]
    fn the_newest_state_is_shown() {
        let mut shelf = Shelf::default();
        assert!(shelf.put(object("x", 5)), "our own write");
        assert!(!shelf.put(object("x", 5)), "its event is no news");
        assert!(!shelf.put(object("x", 4)), "an older event");
        shelf.take(&object("x", 7));
        assert!(!shelf.put(object("x", 6)), "a late answer");
        assert!(shelf.put(object("x", 8)) && shelf.objects.len() == 1);
    }

    /// What one stage writes is told to the other, whichever comes first: the answer or the event.
    #[tokio::test]
    async fn an_own_write_is_told_once() {
        let nobody = |_: http::Request<kube::client::Body>| {
            std::future::pending::<Result<http::Response<kube::client::Body>, std::convert::Infallible>>()
        };
        let live = Live::new(Client::new(tower::service_fn(nobody), "default"), "inventory");
        let mut changes = live.changes();
        changes.mark_unchanged();
        live.saw(&object("x", 5));
        assert!(changes.has_changed().unwrap(), "the answer came first");
        changes.mark_unchanged();
        live.saw(&object("x", 5));
        assert!(!changes.has_changed().unwrap(), "it is known");
    }

    /// A list takes out what is gone, but not what was written while it ran.
    #[test]
    fn a_list_keeps_what_is_newer() {
        let mut shelf = Shelf::default();
        shelf.put(object("old", 3));
        shelf.put(object("stays", 4));
        let newest = 4;
        shelf.fresh.insert(key_of(&object("stays", 4)), Arc::new(object("stays", 4)));
        shelf.put(object("meanwhile", 9));
        shelf.listed(newest);
        let names: Vec<&str> = shelf.objects.keys().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["meanwhile", "stays"]);
    }
}
