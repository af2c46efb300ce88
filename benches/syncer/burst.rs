//! Many pods at once, from POST until whoever sent them sees them Running.

use std::collections::HashMap;
use std::time::Instant;

use serde::Deserialize;
use serde_json::json;
use skerry_testkit::upstream::client::{Connection, Target};

/// Connections that send.
const SENDERS: usize = 10;

/// One namespace that is written to, and who writes.
#[derive(Clone)]
pub struct Place {
    /// The cluster.
    pub target: Target,
    /// The namespace.
    pub namespace: String,
}

impl Place {
    /// Where its pods are.
    pub fn pods(&self) -> String {
        format!("/api/v1/namespaces/{}/pods", self.namespace)
    }
}

/// What came of it, in seconds.
pub struct Burst {
    /// Until the last was created.
    pub created: f64,
    /// Until the last was seen Running.
    pub running: f64,
    /// From each pod's POST until it was seen Running, in ascending order.
    pub each: Vec<f64>,
}

impl Burst {
    /// The value below which so much of all lie, 0..1.
    pub fn quantile(&self, share: f64) -> f64 {
        let at = (self.each.len() as f64 * share).ceil() as usize;
        self.each.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    object: Pod,
}

#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    resource_version: String,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    phase: String,
}

#[derive(Deserialize)]
struct List {
    metadata: Metadata,
}

/// A pod as a tenant writes one.
fn pod(name: &str, token: bool) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "burst"}},
        "spec": {
            "automountServiceAccountToken": token,
            // Nothing here resolves names, and a pod that asked for it would be told so.
            "dnsPolicy": "Default",
            "containers": [{
                "name": "web", "image": "nginx:1.27", "ports": [{"containerPort": 80}],
                "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
            }],
        },
    })
    .to_string()
}

/// Begins to watch; the answer is a connection at its first event.
fn watch(place: &Place) -> Connection {
    let mut connection = place.target.connect();
    let (_, body) = connection.request("GET", &format!("{}?limit=1", place.pods()), "");
    let list: List = serde_json::from_slice(&body).expect("a list");
    let at = list.metadata.resource_version;
    connection.watch(&format!("{}?watch=true&resourceVersion={at}", place.pods()));
    connection
}

/// Follows a watch until so many pods of this burst are Running; answers when each was.
fn follow(mut connection: Connection, prefix: &str, wanted: usize) -> HashMap<String, Instant> {
    let mut seen = HashMap::new();
    let mut rest: Vec<u8> = Vec::new();
    while seen.len() < wanted {
        let part = connection.watched();
        assert!(!part.is_empty(), "a watch ended");
        rest.extend(part);
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let Event { kind, object } = serde_json::from_slice(&line).expect("an event");
            assert!(kind == "ADDED" || kind == "MODIFIED" || kind == "DELETED", "{kind}");
            if object.status.phase == "Running" && object.metadata.name.starts_with(prefix) {
                seen.entry(object.metadata.name).or_insert_with(Instant::now);
            }
        }
    }
    seen
}

/// Sends so many pods to every place, in turns, and waits until all run.
pub fn run(places: &[Place], prefix: &str, each: usize, token: bool) -> Burst {
    let watches: Vec<Connection> = places.iter().map(watch).collect();
    std::thread::scope(|scope| {
        let watchers: Vec<_> =
            watches.into_iter().map(|w| scope.spawn(move || follow(w, prefix, each))).collect();
        let started = Instant::now();
        let senders: Vec<_> = (0..SENDERS.min(places.len()))
            .map(|s| {
                scope.spawn(move || {
                    let mine: Vec<usize> = (s..places.len()).step_by(SENDERS).collect();
                    let mut to: Vec<Connection> = mine.iter().map(|p| places[*p].target.connect()).collect();
                    let mut sent = Vec::with_capacity(mine.len() * each);
                    for n in 0..each {
                        for (connection, place) in to.iter_mut().zip(&mine) {
                            let name = format!("{prefix}{n}");
                            let at = Instant::now();
                            send(connection, &places[*place], &pod(&name, token));
                            sent.push(((*place, name), at));
                        }
                    }
                    (sent, Instant::now())
                })
            })
            .collect();
        let mut sent: HashMap<(usize, String), Instant> = HashMap::new();
        let mut created = started;
        for sender in senders {
            let (all, end) = sender.join().expect("a sender");
            sent.extend(all);
            created = created.max(end);
        }
        let mut times = Vec::with_capacity(sent.len());
        let mut last = started;
        for (place, watcher) in watchers.into_iter().enumerate() {
            for (name, at) in watcher.join().expect("a watcher") {
                last = last.max(at);
                times.push(at.duration_since(sent[&(place, name)]).as_secs_f64());
            }
        }
        times.sort_by(f64::total_cmp);
        let since = |at: Instant| at.duration_since(started).as_secs_f64();
        Burst { created: since(created), running: since(last), each: times }
    })
}

fn send(connection: &mut Connection, place: &Place, body: &str) {
    for _ in 0..100 {
        let (code, answer) = connection.request("POST", &place.pods(), body);
        // A namespace has no ServiceAccount in its first moment; a server that is busy says so.
        match code {
            201 => return,
            403 | 429 => std::thread::sleep(std::time::Duration::from_millis(100)),
            _ => panic!("POST {}: {code} {}", place.pods(), String::from_utf8_lossy(&answer)),
        }
    }
    panic!("{}: refused for ten seconds", place.pods());
}

/// Takes all pods away again and waits until none is left.
pub fn clear(places: &[Place]) {
    std::thread::scope(|scope| {
        for chunk in places.chunks(places.len().div_ceil(SENDERS).max(1)) {
            scope.spawn(move || {
                for place in chunk {
                    let mut connection = place.target.connect();
                    let (code, _) =
                        connection.request("DELETE", &format!("{}?gracePeriodSeconds=0", place.pods()), "");
                    assert!(code < 300, "DELETE {}: {code}", place.pods());
                }
            });
        }
    });
    for place in places {
        let mut connection = place.target.connect();
        let started = Instant::now();
        loop {
            let (_, body) = connection.request("GET", &format!("{}?limit=1", place.pods()), "");
            let list: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            if list["items"].as_array().is_some_and(Vec::is_empty) {
                break;
            }
            assert!(started.elapsed().as_secs() < 300, "pods stay in {}", place.namespace);
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    }
}
