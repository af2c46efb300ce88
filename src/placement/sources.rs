//! What Placements carry, remembered for as long as nothing of it changed: watches on the kinds they select count the
//! changes per namespace, and what was resolved holds while the counts stand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{Api, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt as _};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::live::resource;
use super::raw::Served;
use super::resolve::Resolved;
use super::world::Placed;

/// Between tries to open a watch.
const AGAIN: Duration = Duration::from_secs(1);

/// Changes of one kind at one source.
#[derive(Default)]
struct Watched(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    /// The watch stands: a count that is the same means that nothing changed.
    stands: bool,
    all: u64,
    /// By namespace; by name for kinds without namespaces.
    by_place: BTreeMap<String, u64>,
}

impl Watched {
    fn count(&self, place: Option<&str>) -> Option<u64> {
        let counts = self.0.lock();
        let count = place.map_or(counts.all, |p| counts.by_place.get(p).copied().unwrap_or(0));
        counts.stands.then_some(count)
    }

    fn take(&self, event: &Result<Event<PartialObjectMeta<DynamicObject>>, watcher::Error>) -> bool {
        let mut counts = self.0.lock();
        match event {
            Ok(Event::Init) => false,
            Ok(Event::InitDone) => {
                // What went meanwhile is not told: everything may have changed.
                counts.all += 1;
                counts.by_place.values_mut().for_each(|n| *n += 1);
                counts.stands = true;
                true
            }
            Ok(Event::Apply(object) | Event::Delete(object) | Event::InitApply(object)) => {
                let place = object.namespace().unwrap_or_else(|| object.name_any());
                *counts.by_place.entry(place).or_default() += 1;
                counts.all += 1;
                !matches!(event, Ok(Event::InitApply(_)))
            }
            Err(_) => std::mem::replace(&mut counts.stands, false),
        }
    }
}

/// How often something had changed when it was read.
pub struct Stamp {
    watched: Arc<Watched>,
    place: Option<String>,
    count: Option<u64>,
}

impl Stamp {
    fn holds(&self) -> bool {
        self.count.is_some() && self.watched.count(self.place.as_deref()) == self.count
    }
}

struct Memo {
    resolved: Option<Arc<Resolved>>,
    stamps: Vec<Stamp>,
    used: bool,
}

/// A watch and what it counts.
type Open = (Arc<Watched>, AbortOnDropHandle<()>);

/// The sources of all Placements.
pub struct Sources {
    open: Mutex<BTreeMap<(String, String, String), Open>>,
    memos: Mutex<BTreeMap<(String, String), Memo>>,
    changes: watch::Sender<u64>,
}

fn key_of(placement: &Placed) -> (String, String) {
    let workload = placement.spec()["workload"].to_string();
    (placement.uid.clone(), data_encoding::HEXLOWER.encode(&Sha256::digest(workload)))
}

impl Sources {
    /// None yet.
    pub fn new(changes: watch::Sender<u64>) -> Self {
        Self { open: Mutex::default(), memos: Mutex::default(), changes }
    }

    /// What a Placement carries, if that was found out and still holds.
    pub fn known(&self, placement: &Placed) -> Option<Arc<Resolved>> {
        let mut memos = self.memos.lock();
        let memo = memos.get_mut(&key_of(placement))?;
        memo.used = true;
        memo.resolved.clone().filter(|_| memo.stamps.iter().all(Stamp::holds))
    }

    /// Remembers what was found, or that nothing could be, with the stamps from before each reading.
    pub fn keep(&self, placement: &Placed, resolved: Option<Arc<Resolved>>, stamps: Vec<Stamp>) {
        self.memos.lock().insert(key_of(placement), Memo { resolved, stamps, used: true });
    }

    /// A stamp of a kind at a source, in a namespace (a name, for kinds without); opens the watch if there is none.
    pub fn stamp(&self, client: &Client, source: &str, served: &Served, place: Option<&str>) -> Stamp {
        let key = (source.to_owned(), served.api_version.clone(), served.plural.clone());
        let mut open = self.open.lock();
        let (watched, _) = open.entry(key).or_insert_with(|| {
            let watched = Arc::new(Watched::default());
            let what = resource(&served.api_version, &served.kind, &served.plural);
            let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client.clone(), &what);
            let task = tokio::spawn(follow(api, watched.clone(), self.changes.clone()));
            (watched, AbortOnDropHandle::new(task))
        });
        let watched = watched.clone();
        drop(open);
        Stamp { count: watched.count(place), watched, place: place.map(str::to_owned) }
    }

    /// Forgets what nobody asked for since the last call, and closes watches that nothing rests on.
    pub fn tidy(&self) {
        let mut memos = self.memos.lock();
        memos.retain(|_, memo| std::mem::take(&mut memo.used));
        let rests = |watched: &Arc<Watched>| {
            memos.values().flat_map(|m| &m.stamps).any(|s| Arc::ptr_eq(&s.watched, watched))
        };
        self.open.lock().retain(|_, (watched, _)| rests(watched));
    }
}

async fn follow(
    api: Api<PartialObjectMeta<DynamicObject>>,
    watched: Arc<Watched>,
    changes: watch::Sender<u64>,
) {
    let mut events = watcher::watcher(api, watcher::Config::default()).boxed();
    while let Some(event) = events.next().await {
        if watched.take(&event) {
            changes.send_modify(|n| *n = n.wrapping_add(1));
        }
        if let Err(error) = event {
            tracing::debug!(error = %error, "a watch on a source broke; it is opened again");
            tokio::time::sleep(AGAIN).await;
        }
    }
}
