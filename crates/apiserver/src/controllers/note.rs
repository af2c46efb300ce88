//! What controllers tell people: Events about the objects they look after. The same word about the same object is one
//! Event with a count.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use super::Ctx;
use crate::bus::Patch;
use crate::model::clock;
use crate::model::object::Object;

/// Longest name of an object that leaves room for the rest of the Event's.
const BASE: usize = 236;

/// How an Event is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Something was done.
    Normal,
    /// Something could not be done.
    Warning,
}

impl Tone {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Writes an Event about `object`. One that cannot be written is lost: nothing depends on it.
pub async fn note(ctx: &Ctx, object: &Value, tone: Tone, reason: &str, message: &str) {
    let namespace = object.meta("namespace");
    let mut hasher = DefaultHasher::new();
    (object.meta("uid"), tone.as_str(), reason, message).hash(&mut hasher);
    let base: String = object.meta("name").chars().take(BASE).collect();
    let name = format!("{base}.{:016x}", hasher.finish());
    let path = format!("/api/v1/namespaces/{namespace}/events");
    let now = clock::now();
    let known = ctx.view.get("/events", namespace, &name);
    let written = match known {
        Some(known) => {
            let count = known.get("count").and_then(Value::as_i64).unwrap_or(1) + 1;
            let body = json!({ "count": count, "lastTimestamp": now });
            ctx.api.patch(&format!("{path}/{name}"), Patch::Merge, &body).await
        }
        None => {
            let manager = ctx.api.agent();
            let about = json!({ "apiVersion": object["apiVersion"], "kind": object["kind"], "namespace": namespace,
                "name": object.meta("name"), "uid": object.meta("uid"),
                "resourceVersion": object.meta("resourceVersion") });
            let event = json!({ "apiVersion": "v1", "kind": "Event", "metadata": { "name": name },
                "involvedObject": about, "type": tone.as_str(), "reason": reason, "message": message, "count": 1,
                "firstTimestamp": now, "lastTimestamp": now, "source": { "component": manager },
                "reportingComponent": manager });
            ctx.api.create(&path, &event).await
        }
    };
    if let Err(status) = written {
        tracing::debug!(reason, error = %status.message, "an Event was not written");
    }
}
