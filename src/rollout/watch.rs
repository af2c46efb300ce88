//! Watches on what was delivered (T5): one per member and kind, over our label, metadata alone. What they tell is only
//! which binding has to be looked at again; own writes are known by their versions and tell nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use parking_lot::Mutex;
use skerry_api::labels;
use tokio::sync::Notify;
use tokio_util::task::AbortOnDropHandle;

use super::clients::Member;
use crate::placement::raw::Served;
use crate::placement::resource;

/// Between tries to open a watch.
const AGAIN: Duration = Duration::from_secs(2);

/// An object of a member as a pass left it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Id of the member.
    pub member: String,
    /// Plural and `apiVersion`.
    pub kind: (String, String),
    /// Namespace; empty without.
    pub namespace: String,
    /// Name.
    pub name: String,
}

#[derive(Default)]
struct State {
    /// Version of each delivered object as the last pass found it, and its binding.
    seen: BTreeMap<Place, (String, String)>,
    /// Bindings to look at again, with what was told of them.
    told: BTreeMap<String, BTreeMap<Place, String>>,
}

/// What watches and passes share.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wake: Notify,
}

type Kind = (String, String);

/// The watches.
#[derive(Default)]
pub struct Watches {
    shared: Arc<Shared>,
    open: BTreeMap<(String, Kind), (String, AbortOnDropHandle<()>)>,
}

impl Watches {
    /// Waits until a binding has to be looked at again.
    pub async fn woken(&self) {
        self.shared.wake.notified().await;
    }

    /// Whether a binding has to be looked at again.
    pub fn told(&self, binding: &str) -> bool {
        self.shared.state.lock().told.contains_key(binding)
    }

    /// What was told of a binding is known: its removal is under way.
    pub fn settle(&self, binding: &str) {
        self.shared.state.lock().told.remove(binding);
    }

    /// Notes how a look at a member left the objects of a binding, and watches their kinds from now on.
    pub fn after(&mut self, member: &Member, binding: &str, seen: &[(Served, [String; 3])]) {
        let mut objects = Vec::new();
        for (served, [namespace, name, version]) in seen {
            self.follow(member, served);
            let place = Place {
                member: member.id.clone(),
                kind: (served.plural.clone(), served.api_version.clone()),
                namespace: namespace.clone(),
                name: name.clone(),
            };
            objects.push((place, version.clone()));
        }
        self.saw(binding, objects);
    }

    /// What was told of older versions than these is settled.
    fn saw(&self, binding: &str, objects: Vec<(Place, String)>) {
        let mut state = self.shared.state.lock();
        state.seen.retain(|_, (_, owner)| owner != binding);
        for (place, version) in objects {
            state.seen.insert(place, (version, binding.to_owned()));
        }
        let State { seen, told } = &mut *state;
        if let Some(news) = told.get_mut(binding) {
            news.retain(|place, version| {
                seen.get(place).is_some_and(|(known, _)| !version.is_empty() && is_newer(version, known))
            });
            if news.is_empty() {
                told.remove(binding);
            }
        }
    }

    /// Watches a kind on a member; another client opens the watch anew.
    fn follow(&mut self, member: &Member, served: &Served) {
        let kind = (served.plural.clone(), served.api_version.clone());
        let key = (member.id.clone(), kind.clone());
        if self.open.get(&key).is_some_and(|(known, _)| *known == member.version) {
            return;
        }
        let what = resource(&served.api_version, &served.kind, &served.plural);
        let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(member.client.clone(), &what);
        let task = tokio::spawn(follow(api, member.id.clone(), kind, self.shared.clone()));
        self.open.insert(key, (member.version.clone(), AbortOnDropHandle::new(task)));
    }

    /// Closes the watches on members that hold nothing any more, and forgets bindings that are gone.
    pub fn tidy(&mut self, members: &BTreeSet<&str>, bindings: &BTreeSet<&str>) {
        self.open.retain(|(member, _), _| members.contains(member.as_str()));
        let mut state = self.shared.state.lock();
        state.seen.retain(|_, (_, binding)| bindings.contains(binding.as_str()));
        state.told.retain(|binding, _| bindings.contains(binding.as_str()));
    }
}

/// Versions are numbers that grow; whatever else they may be, another one is news.
fn is_newer(version: &str, known: &str) -> bool {
    match (version.parse::<u64>(), known.parse::<u64>()) {
        (Ok(version), Ok(known)) => version > known,
        _ => version != known,
    }
}

impl Shared {
    fn tell(&self, binding: &str, place: Place, version: String) {
        let mut state = self.state.lock();
        state.told.entry(binding.to_owned()).or_default().insert(place, version);
        drop(state);
        self.wake.notify_one();
    }

    /// An object that is there.
    fn there(&self, place: Place, object: &PartialObjectMeta<DynamicObject>) {
        let version = object.resource_version().unwrap_or_default();
        let known = self.state.lock().seen.get(&place).cloned();
        if known.as_ref().is_some_and(|(seen, _)| !is_newer(&version, seen)) {
            return;
        }
        let mark = object.annotations().get(labels::APPLIED_BY).and_then(|m| m.rsplit_once('/'));
        // Whose mark it has now may look, and who delivered it.
        for binding in mark.map(|(_, uid)| uid.to_owned()).into_iter().chain(known.map(|(_, b)| b)) {
            self.tell(&binding, place.clone(), version.clone());
        }
    }

    /// An object that went, or has our label no more, at this version; empty where that is not known.
    fn gone(&self, place: Place, version: String) {
        let owner = self.state.lock().seen.remove(&place).map(|(_, binding)| binding);
        if let Some(owner) = owner {
            self.tell(&owner, place, version);
        }
    }

    /// A watch on a member broke: whether it can be reached is found out by a look.
    fn broke(&self, member: &str) {
        let state = self.state.lock();
        let of_this = |(place, _): &(&Place, &(String, String))| place.member == member;
        let all = state.seen.iter().filter(of_this);
        let bindings: BTreeMap<String, Place> =
            all.map(|(place, (_, binding))| (binding.clone(), place.clone())).collect();
        drop(state);
        for (binding, place) in bindings {
            self.tell(&binding, place, String::new());
        }
    }
}

async fn follow(api: Api<PartialObjectMeta<DynamicObject>>, member: String, kind: Kind, shared: Arc<Shared>) {
    let place = |object: &PartialObjectMeta<DynamicObject>| Place {
        member: member.clone(),
        kind: kind.clone(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    };
    let config = watcher::Config::default().labels(&format!("{}=true", labels::PLACED));
    let mut events = watcher::watcher(api, config).boxed();
    let mut listed = BTreeSet::new();
    let mut is_broken = false;
    while let Some(event) = events.next().await {
        let was_broken = std::mem::replace(&mut is_broken, event.is_err());
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(object)) => {
                listed.insert(place(&object));
                shared.there(place(&object), &object);
            }
            Ok(Event::InitDone) => {
                let of_this = |p: &&Place| p.member == member && p.kind == kind && !listed.contains(p);
                let missing: Vec<Place> = shared.state.lock().seen.keys().filter(of_this).cloned().collect();
                missing.into_iter().for_each(|place| shared.gone(place, String::new()));
            }
            Ok(Event::Apply(object)) => shared.there(place(&object), &object),
            Ok(Event::Delete(object)) => {
                shared.gone(place(&object), object.resource_version().unwrap_or_default());
            }
            Err(error) => {
                if !was_broken {
                    shared.broke(&member);
                }
                tracing::debug!(member, error = %error, "a watch on a member broke; it is opened again");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str) -> Place {
        let text = str::to_owned;
        Place {
            member: text("m"),
            kind: (text("configmaps"), text("v1")),
            namespace: text("a"),
            name: text(name),
        }
    }

    fn object(name: &str, version: &str, owner: &str) -> PartialObjectMeta<DynamicObject> {
        serde_json::from_value(serde_json::json!({"metadata": {"name": name, "namespace": "a",
            "resourceVersion": version, "annotations": {labels::APPLIED_BY: format!("hub/{owner}")}}}))
        .expect("object")
    }

    /// Placement T5: own writes are known by their versions; what is newer, or went, is told.
    #[test]
    fn own_writes_tell_nothing() {
        let watches = Watches::default();
        let told = || watches.shared.state.lock().told.keys().cloned().collect::<Vec<_>>();
        let shared = watches.shared.clone();
        watches.saw("b", vec![(place("x"), "10".into())]);
        shared.there(place("x"), &object("x", "10", "b"));
        assert!(told().is_empty(), "its own write");
        shared.there(place("x"), &object("x", "11", "b"));
        assert_eq!(told(), ["b"]);
        watches.saw("b", vec![(place("x"), "12".into())]);
        assert!(told().is_empty(), "a pass that saw more settles it");
        shared.gone(place("x"), "13".into());
        assert_eq!(told(), ["b"]);
        watches.saw("b", vec![(place("x"), "12".into())]);
        assert_eq!(told(), ["b"], "a pass that had read it before it went settles nothing");
        watches.saw("b", vec![(place("x"), "15".into())]);
        assert!(told().is_empty());
        shared.broke("another");
        assert!(told().is_empty());
        shared.broke("m");
        assert_eq!(told(), ["b"], "a member that may be out of reach is looked at");
        watches.saw("b", vec![(place("x"), "15".into())]);
        assert!(told().is_empty());
        shared.there(place("x"), &object("x", "16", "thief"));
        assert_eq!(told(), ["b", "thief"], "whose mark it had, and whose it has");
    }
}
