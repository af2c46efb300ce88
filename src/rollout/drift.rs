//! Drift as it is reported: pointer, value of the hub, value of the member, first and last seen (A5). No Secret's
//! value gets in.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::compare::Diff;
use super::push::{Job, named};
use super::status::Delivered;
use crate::placement::raw::{items, text};

/// Most fields reported per binding.
const MOST: usize = 100;
/// `lastSeen` moves on after this long; were it to move with each look, each look would write.
const SEEN_AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// A value as it may be shown.
fn shown(object: &Value, pointer: &str, value: &Value) -> String {
    let open = ["/metadata/labels", "/type", "/immutable"];
    if text(object, &["kind"]) == "Secret" && !open.iter().any(|p| pointer.starts_with(p)) {
        return "***".to_owned();
    }
    value.to_string().chars().take(256).collect()
}

impl Delivered {
    /// Reports fields of an object that differ on the member.
    pub fn drifted(&mut self, job: &Job<'_>, object: &Value, diff: &[Diff]) {
        let now = Timestamp::now();
        for found in diff.iter().take(MOST.saturating_sub(self.drift.len())) {
            let pointer: String = found.pointer.chars().take(1024).collect();
            let mut item = json!({
                "object": named(object), "pointer": pointer,
                "hub": shown(object, &pointer, &found.hub), "member": shown(object, &pointer, &found.member),
            });
            if found.coarse {
                item["coarse"] = true.into();
            }
            let same = |known: &&Value| ["object", "pointer"].iter().all(|f| known[f] == item[f]);
            let known = items(job.binding, &["status", "drift"]).iter().find(same);
            let at = |field| known.and_then(|k| text(k, &[field]).parse::<Timestamp>().ok());
            let recent = |t: &Timestamp| now.duration_since(*t) < SEEN_AGAIN;
            let unchanged = known.is_some_and(|k| k["member"] == item["member"]);
            item["firstSeen"] = stamp(at("firstSeen").unwrap_or(now));
            item["lastSeen"] = stamp(at("lastSeen").filter(|t| unchanged && recent(t)).unwrap_or(now));
            self.drift.push(item);
        }
    }

    /// Whether an object was on record as drifted.
    pub fn was_drifted(binding: &Value, object: &Value) -> bool {
        items(binding, &["status", "drift"]).iter().any(|d| text(d, &["object"]) == named(object))
    }
}

fn stamp(at: Timestamp) -> Value {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into()
}
