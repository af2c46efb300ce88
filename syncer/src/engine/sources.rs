//! Watches (EN2–EN4, EN7): lists and streams in, observations out. A stream that breaks is resumed; one that cannot
//! be is listed anew and compared.

use std::{collections::HashSet, time::Duration};

use bytes::BytesMut;
use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tokio_util::sync::CancellationToken;

use crate::{
    kind::Kind,
    object::items,
    raw,
    wire::{Wire, WireError},
};

/// Longest line of a stream.
const MAX_LINE: usize = 16 * 1024 * 1024;
/// A stream without a word for so long is opened anew.
const IDLE: Duration = Duration::from_secs(330);

/// One event of a stream.
#[derive(Debug)]
pub struct Frame {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    pub kind: String,
    /// The object.
    pub object: Value,
    /// The tenant, in wildcard streams.
    pub tenant: Option<String>,
    /// Place in a wildcard stream.
    pub seq: Option<String>,
}

#[derive(Deserialize)]
struct RawFrame<'a> {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default, borrow)]
    object: Option<&'a RawValue>,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    seq: Option<Value>,
}

impl Frame {
    fn read(line: &[u8]) -> Option<Frame> {
        let line = String::from_utf8_lossy(line);
        let RawFrame { kind, object, tenant, seq } = serde_json::from_str(&line).ok()?;
        let object = object.map_or(Some(Value::Null), raw::member)?;
        let seq = seq.map(|seq| seq.as_str().map_or_else(|| seq.to_string(), str::to_owned));
        Some(Frame { kind: kind.unwrap_or_default(), object, tenant, seq })
    }

    /// Whether the stream has to be started over.
    fn expired(&self) -> bool {
        self.kind == "ERROR" && self.object.get("code").and_then(Value::as_u64) == Some(410)
    }

    /// Whether it ends the initial events.
    fn initial_end(&self) -> bool {
        self.kind == "BOOKMARK"
            && self.object.pointer("/metadata/annotations/k8s.io~1initial-events-end").is_some()
    }
}

/// Reads frames line by line.
struct Lines {
    body: Body,
    buffer: BytesMut,
}

impl Lines {
    fn new(body: Body) -> Self {
        Self { body, buffer: BytesMut::new() }
    }

    /// The next line; `None` at the end of the stream.
    async fn next(&mut self) -> Result<Option<BytesMut>, WireError> {
        loop {
            if let Some(at) = self.buffer.iter().position(|b| *b == b'\n') {
                let mut line = self.buffer.split_to(at + 1);
                line.truncate(at);
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(line));
            }
            if self.buffer.len() > MAX_LINE {
                return Ok(None);
            }
            let frame = match tokio::time::timeout(IDLE, self.body.frame()).await {
                Err(_) | Ok(None) => return Ok(None),
                Ok(Some(frame)) => frame.map_err(WireError::Read)?,
            };
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}

/// What a watch reports to.
pub trait Sink: Send + Sync {
    /// The server holds an older state than it did: it was restored, and versions seen before mean nothing (FM8, FM9).
    fn rewound(&self);
    /// An object was seen (`gone`: for the last time).
    fn seen(&self, object: Value, gone: bool);
    /// A list is complete: these are all, at this version.
    fn listed(&self, all: &HashSet<(String, String)>, version: u64);
    /// Whether the server answered.
    fn heard(&self, answered: bool);
}

/// Lists a collection in pages; the kind not being served counts as an empty list.
pub async fn list(
    wire: &Wire,
    kind: Kind,
    selector: &str,
    each: impl FnMut(Value),
) -> Result<u64, WireError> {
    list_from(wire, kind, selector, |_| {}, each).await
}

/// The same; `begins` is told the list's version before its first object.
pub async fn list_from(
    wire: &Wire,
    kind: Kind,
    selector: &str,
    mut begins: impl FnMut(u64),
    mut each: impl FnMut(Value),
) -> Result<u64, WireError> {
    let mut token = String::new();
    loop {
        let mut path = format!("{}?limit=500", kind.collection(""));
        if !selector.is_empty() {
            path.push_str(&format!("&labelSelector={selector}"));
        }
        if !token.is_empty() {
            path.push_str(&format!("&continue={}", escaped(&token)));
        }
        let page = wire.page(&path).await?;
        if token.is_empty() {
            begins(version_of(&page.metadata));
        }
        for mut item in page.items {
            if let Some(map) = item.as_object_mut() {
                map.insert("kind".to_owned(), Value::from(kind.name()));
                map.insert("apiVersion".to_owned(), Value::from(kind.api_version()));
            }
            each(item);
        }
        let meta = |key: &str| page.metadata.get(key).and_then(Value::as_str);
        match meta("continue").filter(|t| !t.is_empty()) {
            Some(next) => token = next.to_owned(),
            None => return Ok(version_of(&page.metadata)),
        }
    }
}

fn version_of(metadata: &Value) -> u64 {
    let text = metadata.get("resourceVersion").and_then(Value::as_str);
    text.and_then(|v| v.parse().ok()).unwrap_or_default()
}

/// A token as it may stand in a query, or in one part of a path.
pub(super) fn escaped(token: &str) -> String {
    use std::fmt::Write;
    token.bytes().fold(String::with_capacity(token.len()), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
            out.push(char::from(b));
        } else {
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

/// Lists and watches one kind of one server until stopped. `from_now`: what exists already is of no interest.
pub async fn follow(
    wire: Wire,
    kind: Kind,
    selector: String,
    from_now: bool,
    sink: &dyn Sink,
    stop: CancellationToken,
) {
    let mut failures = 0_u32;
    let mut newest = 0;
    while !stop.is_cancelled() {
        let run = once(&wire, kind, &selector, from_now, sink, &mut newest);
        let result = tokio::select! {
            () = stop.cancelled() => return,
            result = run => result,
        };
        let delay = match result {
            Ok(()) => {
                failures = 0;
                Duration::from_millis(50)
            }
            Err(error) if error.unserved(kind) => {
                sink.listed(&HashSet::new(), u64::MAX);
                Duration::from_secs(60)
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                if error.unreachable() {
                    sink.heard(false);
                }
                tracing::debug!(kind = kind.name(), category = error.category(), "watch broke");
                Duration::from_secs((1_u64 << failures.min(6)).min(60))
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

/// One list and the streams that follow it; returns when a new list is needed.
async fn once(
    wire: &Wire,
    kind: Kind,
    selector: &str,
    from_now: bool,
    sink: &dyn Sink,
    newest: &mut u64,
) -> Result<(), WireError> {
    let mut all = HashSet::new();
    let mut version = if from_now {
        let page = wire.get(&format!("{}?limit=1", kind.collection(""))).await?;
        page.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or("0").to_owned()
    } else {
        let begins = |version: u64| {
            if version < *newest {
                sink.rewound();
            }
            *newest = version;
        };
        let each = |item: Value| {
            let text =
                |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            all.insert((text("/metadata/namespace"), text("/metadata/name")));
            sink.seen(item, false);
        };
        list_from(wire, kind, selector, begins, each).await?.to_string()
    };
    sink.heard(true);
    sink.listed(&all, version.parse().unwrap_or_default());
    drop(all);
    loop {
        let mut path = format!(
            "{}?watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds=290",
            kind.collection("")
        );
        if !selector.is_empty() {
            path.push_str(&format!("&labelSelector={selector}"));
        }
        let mut lines = Lines::new(match wire.stream(&path).await {
            Ok(body) => body,
            Err(error) if error.code() == 410 => return Ok(()),
            Err(error) => return Err(error),
        });
        sink.heard(true);
        while let Some(line) = lines.next().await? {
            let Some(frame) = Frame::read(&line) else { continue };
            if frame.expired() {
                return Ok(());
            }
            if frame.kind == "ERROR" {
                break;
            }
            if let Some(seen) = frame.object.pointer("/metadata/resourceVersion").and_then(Value::as_str) {
                version = seen.to_owned();
                *newest = (*newest).max(version.parse().unwrap_or_default());
            }
            if frame.kind != "BOOKMARK" {
                sink.seen(frame.object, frame.kind == "DELETED");
            }
        }
    }
}

/// What a wildcard watch reports to.
pub trait WildcardSink: Send + Sync {
    /// An object of a tenant was seen (`gone`: for the last time).
    fn seen(&self, tenant: &str, object: Value, gone: bool);
    /// The stream holds everything up to now; `anew`: what was missed must be listed again.
    fn live(&self, anew: bool);
}

/// Follows one kind of all tenants of one shard until stopped.
pub async fn follow_wildcard(
    wire: Wire,
    shard: u64,
    kind: Kind,
    sink: &dyn WildcardSink,
    stop: CancellationToken,
) {
    let mut place: Option<String> = None;
    let mut live = false;
    let mut failures = 0_u32;
    while !stop.is_cancelled() {
        let before = place.clone();
        let run = wildcard_once(&wire, shard, kind, sink, &mut place, &mut live);
        let result = tokio::select! {
            () = stop.cancelled() => return,
            result = run => result,
        };
        match result {
            Ok(()) => failures = 0,
            Err(error) => {
                if error.code() == 410 {
                    place = None;
                } else if before == place {
                    failures = failures.saturating_add(1);
                }
                tracing::debug!(
                    kind = kind.name(),
                    shard,
                    category = error.category(),
                    "wildcard watch broke"
                );
            }
        }
        let delay = if failures == 0 { Duration::from_millis(50) } else { backoff(failures) };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(delay) => {}
        }
    }
}

fn backoff(failures: u32) -> Duration {
    Duration::from_millis((250_u64 << failures.min(8)).min(60_000))
}

async fn wildcard_once(
    wire: &Wire,
    shard: u64,
    kind: Kind,
    sink: &dyn WildcardSink,
    place: &mut Option<String>,
    live: &mut bool,
) -> Result<(), WireError> {
    let base =
        format!("/shards/{shard}/clusters/*{}?watch=true&allowWatchBookmarks=true", kind.collection(""));
    let path = match place {
        Some(place) => format!("{base}&resourceVersion={place}"),
        None => format!("{base}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"),
    };
    let resumed = place.is_some();
    let mut listing = !resumed;
    let mut lines = Lines::new(wire.stream(&path).await?);
    if resumed {
        sink.live(false);
    }
    let epoch = epoch(wire, shard).await;
    while let Some(line) = lines.next().await? {
        let Some(frame) = Frame::read(&line) else { continue };
        if frame.expired() {
            *place = None;
            return Ok(());
        }
        if frame.kind == "ERROR" {
            return Ok(());
        }
        if frame.initial_end() {
            sink.live(*live);
            *live = true;
            listing = false;
        }
        // While a listing goes on there is no place to resume from.
        if !listing {
            *place = resume_at(&frame, epoch.as_deref()).or(place.take());
        }
        if let (Some(tenant), false) = (&frame.tenant, frame.kind == "BOOKMARK") {
            sink.seen(tenant, frame.object, frame.kind == "DELETED");
        }
    }
    Ok(())
}

/// `<epoch>-<seq>` after a frame.
fn resume_at(frame: &Frame, epoch: Option<&str>) -> Option<String> {
    let version = frame.object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    if let (true, Some(version)) = (frame.kind == "BOOKMARK", version.filter(|v| v.contains('-'))) {
        return Some(version.to_owned());
    }
    let seq = frame.seq.as_deref()?;
    if seq.contains('-') {
        return Some(seq.to_owned());
    }
    epoch.map(|epoch| format!("{epoch}-{seq}"))
}

/// Shards of an embedded server.
pub async fn shards(wire: &Wire) -> Result<Vec<u64>, WireError> {
    let answer = wire.get("/shards").await?;
    Ok(shard_list(&answer).iter().enumerate().map(|(n, shard)| number(shard).unwrap_or(n as u64)).collect())
}

async fn epoch(wire: &Wire, shard: u64) -> Option<String> {
    let answer = wire.get("/shards").await.ok()?;
    let found = shard_list(&answer).iter().find(|s| number(s) == Some(shard))?.get("epoch")?.clone();
    Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

fn shard_list(answer: &Value) -> &[Value] {
    answer
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_else(|| answer.get("shards").or_else(|| answer.get("items")).map_or(&[], |v| items(v, "")))
}

fn number(shard: &Value) -> Option<u64> {
    ["number", "shard", "id"].iter().find_map(|key| shard.get(key)?.as_u64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn plan_frames() {
        let frame =
            Frame::read(br#"{"type":"ADDED","object":{"kind":"Pod"},"tenant":"t1","seq":7}"#).expect("frame");
        assert_eq!((frame.tenant.as_deref(), frame.seq.as_deref()), (Some("t1"), Some("7")));
        assert_eq!(resume_at(&frame, Some("3")), Some("3-7".to_owned()));
        let end = json!({"type": "BOOKMARK", "object": {"metadata": {"annotations": {"k8s.io/initial-events-end": "true"}}}});
        assert!(Frame::read(end.to_string().as_bytes()).is_some_and(|f| f.initial_end()));
        let gone = json!({"type": "ERROR", "object": {"code": 410}});
        assert!(Frame::read(gone.to_string().as_bytes()).is_some_and(|f| f.expired()));
        assert!(Frame::read(b"nonsense").is_none(), "one bad line fails alone");
        assert_eq!(shard_list(&json!({"shards": [{"number": 1}]})).len(), 1);
        assert_eq!(shard_list(&json!([{"number": 1}])).len(), 1);
        assert_eq!(escaped("aZ0-_=+/"), "aZ0-_%3D%2B%2F");
    }
}
