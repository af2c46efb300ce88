//! AS-31: one order for all watchers, objects that enter and leave a selection, and bookmarks that promise no more than
//! was sent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use skerry_apiserver::bus::Patch;

use crate::support::{World, brief};

const ALL: &str = "/api/v1/configmaps";
const NAMESPACES: [&str; 2] = ["default", "kube-public"];
const COLORS: [Option<&str>; 3] = [None, Some("red"), Some("blue")];

/// Whether a name and a colour are selected.
type Takes = fn(&str, Option<&str>) -> bool;

/// Namespace and name with a colour: what the selectors of these tests look at.
type Name = (&'static str, String);

#[derive(Clone)]
struct Wanted {
    query: String,
    namespace: Option<&'static str>,
    takes: Takes,
}

impl Wanted {
    fn path(&self) -> String {
        let root = match self.namespace {
            None => ALL.to_owned(),
            Some(namespace) => format!("/api/v1/namespaces/{namespace}/configmaps"),
        };
        format!("{root}?watch=true&{}", self.query)
    }

    fn takes(&self, name: &Name, color: Option<&str>) -> bool {
        self.namespace.is_none_or(|namespace| namespace == name.0) && (self.takes)(&name.1, color)
    }
}

/// Selections of every kind of requirement, over all namespaces and in one.
fn selections() -> Vec<Wanted> {
    let kinds: [(&str, Takes); 9] = [
        ("labelSelector=mine", |_, _| true),
        ("labelSelector=mine,color%3Dred", |_, c| c == Some("red")),
        ("labelSelector=mine,color!%3Dred", |_, c| c != Some("red")),
        ("labelSelector=mine,color+in+(red,blue)", |_, c| c.is_some()),
        ("labelSelector=mine,color+notin+(blue)", |_, c| c != Some("blue")),
        ("labelSelector=mine,color", |_, c| c.is_some()),
        ("labelSelector=mine,!color", |_, c| c.is_none()),
        ("labelSelector=mine&fieldSelector=metadata.name%3Dm1", |n, _| n == "m1"),
        ("labelSelector=mine,color%3D%3Dblue&fieldSelector=metadata.name!%3Dm1", |n, c| {
            n != "m1" && c == Some("blue")
        }),
    ];
    let of = |namespace: Option<&'static str>| {
        kinds.map(|(query, takes)| Wanted { query: query.to_owned(), namespace, takes })
    };
    [of(None), of(Some(NAMESPACES[0])), of(Some(NAMESPACES[1]))].concat()
}

/// One write: its version, its object, and the colours before and after (`None` where there was no object).
struct Step {
    rv: u64,
    name: Name,
    before: Option<Option<&'static str>>,
    after: Option<Option<&'static str>>,
}

/// Makes, recolours and deletes objects at random, one write after the other.
struct Writer {
    random: StdRng,
    live: BTreeMap<Name, Option<&'static str>>,
    steps: Vec<Step>,
}

impl Writer {
    fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), live: BTreeMap::new(), steps: Vec::new() }
    }

    async fn step(&mut self, w: &World) {
        let namespace = NAMESPACES[self.random.random_range(0..2)];
        let name: Name = (namespace, format!("m{}", self.random.random_range(0..8)));
        let root = format!("/api/v1/namespaces/{namespace}/configmaps");
        let path = format!("{root}/{}", name.1);
        let before = self.live.get(&name).copied();
        let color = COLORS[self.random.random_range(0..3)];
        let labels = json!({ "mine": "", "color": color });
        let after = match before {
            None => {
                let mut labels = labels;
                labels.as_object_mut().unwrap().retain(|_, value| !value.is_null());
                w.post(&root, json!({ "metadata": { "name": name.1, "labels": labels } })).await.unwrap();
                Some(color)
            }
            Some(_) if self.random.random_ratio(1, 4) => {
                w.api.delete(&path, &json!({})).await.unwrap();
                None
            }
            Some(_) => {
                let number = self.random.random::<u32>().to_string();
                let patch = json!({ "metadata": { "labels": labels }, "data": { "n": number } });
                w.api.patch(&path, Patch::Merge, &patch).await.unwrap();
                Some(color)
            }
        };
        match after {
            Some(color) => self.live.insert(name.clone(), color),
            None => self.live.remove(&name),
        };
        let rv = w.tenant.store.current_rv();
        self.steps.push(Step { rv, name, before, after });
    }

    /// What a watcher from the beginning on has to be told.
    fn told(&self, wanted: &Wanted) -> Vec<(String, String, u64)> {
        let takes = |name: &Name, color: Option<Option<&str>>| color.is_some_and(|c| wanted.takes(name, c));
        let event = |step: &Step| {
            let kind = match (takes(&step.name, step.before), takes(&step.name, step.after)) {
                (false, true) => "ADDED",
                (true, true) => "MODIFIED",
                (true, false) => "DELETED",
                (false, false) => return None,
            };
            Some((kind.to_owned(), step.name.1.clone(), step.rv))
        };
        self.steps.iter().filter_map(event).collect()
    }

    /// The selected objects with their versions, as they were at `rv`.
    fn state(&self, wanted: &Wanted, rv: u64) -> BTreeMap<(String, String), u64> {
        let mut state = BTreeMap::new();
        for step in self.steps.iter().filter(|step| step.rv <= rv) {
            let key = (step.name.0.to_owned(), step.name.1.clone());
            match step.after {
                Some(color) if wanted.takes(&step.name, color) => state.insert(key, step.rv),
                _ => state.remove(&key),
            };
        }
        state
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as31_fifty_watchers_see_one_order() {
    let w = World::new().await;
    let from = w.tenant.store.current_rv();
    let wanted: Vec<Wanted> = selections().into_iter().cycle().take(50).collect();
    let mut writer = Writer::new(31);
    let mut running = Vec::new();
    for (i, wanted) in wanted.iter().enumerate() {
        // Some are there before the first write, the others come while writes go on.
        if i >= 20 {
            for _ in 0..15 {
                writer.step(&w).await;
            }
        }
        let mut events = w.watch(&format!("{}&resourceVersion={from}", wanted.path())).await;
        let (enough, mut known) = tokio::sync::watch::channel(usize::MAX);
        let task = tokio::spawn(async move {
            let mut seen = Vec::new();
            while seen.len() < *known.borrow_and_update() {
                tokio::select! {
                    event = events.next() => seen.push(brief(&event.unwrap())),
                    changed = known.changed() => changed.unwrap(),
                }
            }
            let more = tokio::time::timeout(Duration::from_millis(100), events.next()).await;
            assert!(more.is_err(), "{more:?}");
            seen
        });
        running.push((enough, task));
    }
    for (wanted, (enough, seen)) in wanted.iter().zip(running) {
        let told = writer.told(wanted);
        assert!(told.len() > 10, "{}", wanted.query);
        enough.send_replace(told.len());
        assert_eq!(seen.await.unwrap(), told, "{}", wanted.path());
    }
}

/// Of an event that leaves: the state before with the version of the change (W3).
#[tokio::test]
async fn as31_what_leaves_is_shown_as_it_was() {
    let w = World::new().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let object = json!({ "metadata": { "name": "m", "labels": { "color": "red" } }, "data": { "k": "old" } });
    w.post(maps, object).await.unwrap();
    let mut events = w.watch(&format!("{maps}?watch=true&labelSelector=color%3Dred")).await;
    assert_eq!(brief(&events.next().await.unwrap()).0, "ADDED");
    let patch = json!({ "metadata": { "labels": { "color": "blue" } }, "data": { "k": "new" } });
    let now = w.api.patch(&format!("{maps}/m"), Patch::Merge, &patch).await.unwrap();
    let left = events.next().await.unwrap();
    assert_eq!((&left["type"], &left["object"]["data"]["k"]), (&json!("DELETED"), &json!("old")));
    assert_eq!(left["object"]["metadata"]["labels"]["color"], "red");
    assert_eq!(left["object"]["metadata"]["resourceVersion"], now["metadata"]["resourceVersion"]);
}

/// A bookmark of a watcher: its version, and what the watcher held when it came.
struct Mark {
    rv: u64,
    is_end: bool,
    held: BTreeMap<(String, String), u64>,
}

/// Reads a watch to its end, pausing at random.
async fn follow(w: Arc<World>, path: String, seed: u64) -> Vec<Mark> {
    let mut random = StdRng::seed_from_u64(seed);
    tokio::time::sleep(Duration::from_millis(random.random_range(0..1500))).await;
    let mut events = w.watch(&path).await;
    let (mut held, mut marks) = (BTreeMap::new(), Vec::new());
    while let Some(event) = events.next().await {
        let metadata = &event["object"]["metadata"];
        let rv: u64 = metadata["resourceVersion"].as_str().unwrap().parse().unwrap();
        let text = |key: &str| metadata[key].as_str().unwrap_or_default().to_owned();
        match event["type"].as_str().unwrap() {
            "BOOKMARK" => {
                let is_end = metadata["annotations"]["k8s.io/initial-events-end"] == "true";
                marks.push(Mark { rv, is_end, held: held.clone() });
            }
            "DELETED" => assert!(held.remove(&(text("namespace"), text("name"))).is_some()),
            kind => {
                let before = held.insert((text("namespace"), text("name")), rv);
                assert_eq!(before.is_some(), kind == "MODIFIED", "{event}");
                assert!(before.is_none_or(|before| before < rv));
            }
        }
        if random.random_ratio(1, 10) {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..20))).await;
        }
    }
    marks
}

#[tokio::test(flavor = "multi_thread")]
async fn as31_no_bookmark_is_above_an_unsent_event() {
    let w = Arc::new(World::new().await);
    let wanted: Vec<Wanted> = selections().into_iter().cycle().take(54).collect();
    let mut running = Vec::new();
    for (i, wanted) in wanted.iter().enumerate() {
        let from = ["", "&resourceVersion=0", "&resourceVersion=3"][i % 3];
        let path = format!(
            "{}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=3{from}",
            wanted.path()
        );
        running.push(tokio::spawn(follow(w.clone(), path, i as u64)));
    }
    let mut writer = Writer::new(7);
    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    while tokio::time::Instant::now() < until {
        for _ in 0..writer.random.random_range(1..8) {
            writer.step(&w).await;
        }
        let pause = Duration::from_micros(writer.random.random_range(0..4000));
        tokio::time::sleep(pause).await;
    }
    let mut later = 0;
    for (wanted, marks) in wanted.iter().zip(running) {
        let marks = marks.await.unwrap();
        assert!(marks.first().is_some_and(|mark| mark.is_end), "initial events end with a bookmark");
        assert_eq!(marks.iter().filter(|mark| mark.is_end).count(), 1);
        later += marks.len() - 1;
        for mark in &marks {
            let state = writer.state(wanted, mark.rv);
            assert_eq!(mark.held, state, "{} at {}", wanted.query, mark.rv);
        }
    }
    assert!(later >= wanted.len(), "each watch had a bookmark before its end: {later}");
}

#[tokio::test]
async fn as31_bookmarks_come_on_request_only() {
    let w = World::new().await;
    for (query, wanted) in [("", 0), ("&allowWatchBookmarks=true", 1)] {
        let mut events =
            w.watch(&format!("{ALL}?watch=true&resourceVersion=1&timeoutSeconds=3{query}")).await;
        let mut marks: Vec<Value> = Vec::new();
        while let Some(event) = events.next().await {
            marks.push(event);
        }
        assert_eq!(marks.len(), wanted, "{query}: {marks:?}");
        assert!(marks.iter().all(|mark| mark["type"] == "BOOKMARK"));
    }
}
