//! Following a virtual cluster until it is ready, or gone (U1): one line per change on stderr, none with -q.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use futures::StreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event};
use serde_json::Value;
use skerry_api::VirtualCluster;
use tokio::time::Instant;

use super::exit::Failure;
use super::hub::Hub;
use super::output::{condition, text};

/// Lines on stderr.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    quiet: bool,
    marks: bool,
}

impl Lines {
    /// Lines, or none.
    pub fn new(quiet: bool) -> Self {
        Self { quiet, marks: std::io::stderr().is_terminal() }
    }

    /// Something is done.
    pub fn done(&self, text: &str) {
        self.say(if self.marks { "✓" } else { "ok" }, text);
    }

    /// Something is under way.
    pub fn busy(&self, text: &str) {
        self.say(if self.marks { "…" } else { ".." }, text);
    }

    /// A plain line.
    pub fn plain(&self, text: &str) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    fn say(&self, mark: &str, text: &str) {
        if !self.quiet {
            eprintln!("{mark} {text}");
        }
    }
}

/// All VirtualClusters of a namespace, untyped.
pub fn api(hub: &Hub) -> Api<DynamicObject> {
    Api::namespaced_with(hub.client.clone(), &hub.namespace, &ApiResource::erase::<VirtualCluster>(&()))
}

/// Waits for Ready, showing each condition as it turns True; a refusal ends it at once.
pub async fn until_ready(hub: &Hub, name: &str, limit: Duration, lines: Lines) -> Result<Value, Failure> {
    let started = Instant::now();
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    let mut last = Value::Null;
    let one = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut events = Box::pin(watcher::watcher(api(hub), one));
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = tokio::time::sleep_until(started + limit) => {
                return Err(Failure::TimedOut(format!("{name} is not ready after {limit:.0?}: {}; follow it with `skerry describe {name}`", reason(&last))));
            }
            _ = tokio::signal::ctrl_c() => return Err(interrupted(name)),
        };
        let object = match event {
            Some(Ok(Event::Apply(object) | Event::InitApply(object))) => {
                serde_json::to_value(object).unwrap_or_default()
            }
            Some(Ok(Event::Delete(_))) => {
                return Err(Failure::NotFound(format!("{name} was deleted meanwhile")));
            }
            Some(Ok(Event::Init | Event::InitDone)) => continue,
            Some(Err(failed)) => {
                lines.busy(&format!("the hub does not answer: {failed}"));
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            }
            None => return Err(Failure::Failed("the watch ended".to_owned())),
        };
        last = object;
        show(&last, &mut shown, lines, started);
        if condition(&last, "Ready") == "True" {
            return Ok(last);
        }
        if let Some(refusal) = refusal(&last) {
            return Err(Failure::Refused(refusal));
        }
    }
}

fn interrupted(name: &str) -> Failure {
    Failure::Interrupted(format!("interrupted; the work goes on: `skerry describe {name}` shows it"))
}

/// Conditions in the order of the pipeline.
const STAGES: [&str; 4] = ["Provisioned", "ControlPlaneReady", "Synced", "Registered"];

fn show(object: &Value, shown: &mut BTreeMap<String, String>, lines: Lines, started: Instant) {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    for stage in STAGES {
        let Some(found) = conditions.iter().find(|c| c["type"] == stage) else { continue };
        let key = format!("{}{}", text(&found["status"]), text(&found["reason"]));
        if shown.insert(stage.to_owned(), key.clone()) == Some(key) {
            continue;
        }
        let after = started.elapsed().as_secs_f64();
        match found["status"].as_str() {
            Some("True") => lines.done(&format!("{stage:<18} {:<44} {after:.2}s", text(&found["message"]))),
            Some("False") => {
                lines.busy(&format!("{stage:<18} {}: {}", text(&found["reason"]), text(&found["message"])))
            }
            _ => {}
        }
    }
}

/// A refusal of the request itself: waiting would be in vain.
fn refusal(object: &Value) -> Option<String> {
    const FINAL: [&str; 8] = [
        "SpecInvalid",
        "ClassNotFound",
        "ClassAmbiguous",
        "ClassNotAllowed",
        "NotOverridable",
        "CeilingExceeded",
        "NamespaceLimitReached",
        "HostnameTaken",
    ];
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|c| c["type"] == "Provisioned" && c["status"] == "False")?;
    let why = found["reason"].as_str()?;
    let current = found["observedGeneration"] == object["metadata"]["generation"];
    (FINAL.contains(&why) && current).then(|| format!("{why}: {}", text(&found["message"])))
}

fn reason(object: &Value) -> String {
    let conditions = object["status"]["conditions"].as_array();
    let found = conditions.into_iter().flatten().find(|c| c["type"] == "Ready");
    found.map_or_else(
        || "the manager has not looked at it; is it running?".to_owned(),
        |c| format!("{}: {}", text(&c["reason"]), text(&c["message"])),
    )
}

/// Waits until the object is gone, showing the steps of its deletion.
pub async fn until_gone(
    hub: &Hub,
    name: &str,
    uid: &str,
    limit: Duration,
    lines: Lines,
) -> Result<(), Failure> {
    let started = Instant::now();
    let mut step = String::new();
    let mut waits = String::new();
    loop {
        let object = match api(hub).get_opt(name).await? {
            Some(object) if object.metadata.uid.as_deref() == Some(uid) => {
                serde_json::to_value(object).unwrap_or_default()
            }
            _ => return Ok(()),
        };
        let deletion = &object["status"]["deletion"];
        let now = text(&deletion["step"]);
        if now != step {
            if !step.is_empty() {
                lines.done(&step);
            }
            step = now;
        }
        let blocked = deletion["blockedOn"].as_array().and_then(|l| l.first()).map(text).unwrap_or_default();
        if !blocked.is_empty() && blocked != waits {
            lines.busy(&format!("{step:<16} waits for {blocked}"));
            waits = blocked;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            _ = tokio::signal::ctrl_c() => return Err(interrupted(name)),
        }
        if started.elapsed() > limit {
            return Err(Failure::TimedOut(format!(
                "{name} is still there after {limit:.0?}, at step {step}; it goes on: `skerry describe {name}`"
            )));
        }
    }
}
