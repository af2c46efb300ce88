//! What became of a delivery: status of bindings, and conditions RolledOut, Applied, Available, Drifted, Ready of
//! Placements; written only where something differs.

use serde_json::{Value, json};

use super::retry::Refusal;
use crate::placement::raw::{self, Served, items, text};
use crate::placement::{Placed, Resolved, Site, condition, write_part};

const MANAGER: &str = "skerry-rollout";

/// What a pass over one binding found.
#[derive(Clone, Debug, Default)]
pub struct Delivered {
    /// Objects that are as wanted.
    pub applied: usize,
    /// Of these, those that do their work.
    pub available: usize,
    /// On their way.
    pub progressing: Vec<String>,
    /// Failed for good.
    pub failed: Vec<String>,
    /// Refused ones: object, reason, message.
    pub failing: Vec<Value>,
    /// Fields that differed on the member.
    pub drift: Vec<Value>,
    /// Revision that was delivered, where one was.
    pub revision: String,
    /// The member could not be reached.
    pub unreachable: Option<String>,
    /// Nothing was tried: budget or suspension.
    pub waiting: bool,
    /// It was Available before this pass.
    pub was_available: bool,
    /// `spec.suspend` stops delivery to the member.
    pub suspended: bool,
    /// A wave waits for the one before: what comes after it was not looked at.
    pub incomplete: bool,
    /// A kind that was delivered is not served yet.
    pub undefined: bool,
    /// Objects with drift that were left as they are.
    pub held: usize,
    /// Objects as the member has them now: how they are served, namespace, name, version.
    pub seen: Vec<(Served, [String; 3])>,
}

impl Delivered {
    /// Nothing was tried.
    pub fn waiting(binding: &Value) -> Self {
        Self {
            waiting: true,
            was_available: text(binding, &["status", "phase"]) == "Available",
            ..Self::default()
        }
    }

    /// Delivery to the member is stopped.
    pub fn suspended(binding: &Value) -> Self {
        Self { suspended: true, ..Self::waiting(binding) }
    }

    /// Something has to come about before this delivery is whole.
    pub fn wait(&mut self, what: String) {
        self.incomplete = true;
        self.progressing.push(what);
    }

    /// Notes an object that was refused.
    pub fn fail(&mut self, kind: &str, name: &str, (reason, message): Refusal) {
        let message: String = message.chars().take(1024).collect();
        self.failing.push(json!({"object": format!("{kind} {name}"), "reason": reason, "message": message}));
    }

    /// Everything of the revision was delivered.
    pub fn is_whole(&self) -> bool {
        !self.waiting && self.unreachable.is_none() && self.failing.is_empty() && !self.incomplete
    }

    /// The member could not be reached.
    pub fn unreachable(why: &str) -> Self {
        Self { unreachable: Some(why.to_owned()), ..Self::default() }
    }

    fn phase(&self, before: &str) -> &'static str {
        match () {
            () if self.waiting && before.is_empty() => "Decided",
            () if self.unreachable.is_some() || !self.failing.is_empty() => {
                if before.is_empty() {
                    "Delivering"
                } else {
                    "Degraded"
                }
            }
            () if !self.failed.is_empty() => "Degraded",
            () if self.incomplete => "Delivering",
            () if self.progressing.is_empty() => "Available",
            () => "Applied",
        }
    }

    fn is_available(&self) -> bool {
        (self.waiting && self.was_available)
            || (!self.waiting
                && self.unreachable.is_none()
                && self.failing.is_empty()
                && self.failed.is_empty()
                && self.progressing.is_empty())
    }
}

/// Path of a binding.
pub fn path(binding: &Value) -> String {
    let (namespace, name) = (text(binding, &["metadata", "namespace"]), text(binding, &["metadata", "name"]));
    format!("/apis/skerry.dev/v1alpha1/namespaces/{namespace}/clusterbindings/{name}")
}

async fn write(site: &Site<'_>, binding: &Value, status: Value) -> Result<(), kube::Error> {
    if skerry_kit::apply::covers(&binding["status"], &status) {
        return Ok(());
    }
    let body = json!({"apiVersion": "skerry.dev/v1alpha1", "kind": "ClusterBinding",
        "metadata": {"name": binding["metadata"]["name"], "namespace": binding["metadata"]["namespace"]}, "status": status});
    match raw::apply(&site.hub, &format!("{}/status", path(binding)), MANAGER, true, &body).await {
        Err(error) if skerry_kit::error::is_not_found(&error) => Ok(()),
        other => other.map(|now| site.saw(&now)),
    }
}

/// Status of a binding after a pass.
pub async fn binding(
    site: &Site<'_>,
    binding: &Value,
    done: &Delivered,
    target: &str,
) -> Result<(), kube::Error> {
    if done.waiting && !text(binding, &["status", "phase"]).is_empty() {
        return Ok(());
    }
    let reason = done.failing.first().map(|f| text(f, &["reason"]).to_owned());
    let message =
        done.failing.first().map(|f| format!("{}: {}", text(f, &["object"]), text(f, &["message"])));
    let (holds, why, said) = match (&done.unreachable, reason) {
        (Some(why), _) => ("Unknown", "Unreachable".to_owned(), why.clone()),
        (None, Some(reason)) => ("False", reason, message.unwrap_or_default()),
        (None, None) => ("True", "Applied".to_owned(), format!("{} objects", done.applied)),
    };
    let applied = condition(binding, "Applied", holds, &why, &said);
    let waits = done.failed.first().or(done.progressing.first()).cloned();
    let available = match (done.is_available(), waits) {
        (true, _) => {
            condition(binding, "Available", "True", "Available", "everything delivered does its work")
        }
        (false, Some(waits)) => condition(binding, "Available", "False", "Progressing", &waits),
        (false, None) => condition(binding, "Available", "False", &why, &said),
    };
    let before = text(binding, &["status", "revision"]);
    let revision = if done.is_whole() { target } else { before };
    let drift = match done.unreachable.is_some() || done.waiting {
        true => binding["status"]["drift"].as_array().cloned().unwrap_or_default(),
        false => done.drift.iter().take(100).cloned().collect(),
    };
    let drifted = match (drift.len(), done.held) {
        (0, _) => condition(binding, "Drifted", "False", "InSync", "the member is as delivered"),
        (_, 0) => condition(binding, "Drifted", "True", "Drifted", "fields differed"),
        (_, n) => condition(binding, "Drifted", "True", "Held", &format!("{n} objects are left as they are")),
    };
    let observed = match done.is_whole() {
        true => binding["metadata"]["generation"].clone(),
        false => binding["status"]["observedGeneration"].clone(),
    };
    let status = json!({
        "phase": done.phase(text(binding, &["status", "phase"])), "revision": revision,
        "observedGeneration": observed, "failing": done.failing.iter().take(20).collect::<Vec<_>>(),
        "drift": drift, "conditions": [applied, available, drifted],
    });
    write(site, binding, status).await
}

/// A copy that stays until its replacement is Available; says since when.
pub async fn draining(site: &Site<'_>, binding: &Value) -> Result<(), kube::Error> {
    let mut status = binding["status"].clone();
    let cause = text(binding, &["spec", "cause"]);
    let mut conditions = items(binding, &["status", "conditions"]).to_vec();
    conditions.retain(|c| text(c, &["type"]) != "Draining");
    conditions.push(condition(
        binding,
        "Draining",
        "True",
        cause,
        "it goes when its replacement is Available",
    ));
    status["conditions"] = conditions.into();
    write(site, binding, status).await
}

/// A removal that does not come to an end.
pub async fn stuck(site: &Site<'_>, binding: &Value, what: &str) -> Result<(), kube::Error> {
    write(site, binding, json!({"phase": "Removing", "stuckOn": what.chars().take(512).collect::<String>()}))
        .await
}

/// The rollout stage's half of a Placement's status.
pub async fn placement(
    site: &Site<'_>,
    placement: &Placed,
    resolved: &Resolved,
    all: &[Delivered],
) -> Result<(), kube::Error> {
    let object = &placement.object;
    let total = all.len();
    let available = all.iter().filter(|d| d.is_available()).count();
    let waiting = all.iter().filter(|d| d.waiting).count();
    let failing: Vec<&Value> = all.iter().flat_map(|d| &d.failing).collect();
    let unreachable = all.iter().filter_map(|d| d.unreachable.as_ref()).next();
    let drifted = all.iter().filter(|d| !d.drift.is_empty()).count();
    let applied = match (failing.first(), unreachable) {
        (Some(first), _) => {
            let message = format!("{}: {}", text(first, &["object"]), text(first, &["message"]));
            condition(object, "Applied", "False", text(first, &["reason"]), &message)
        }
        (None, Some(why)) => condition(object, "Applied", "Unknown", "Unreachable", why),
        (None, None) => condition(object, "Applied", "True", "AllApplied", &format!("{total} members")),
    };
    let waits = all.iter().flat_map(|d| d.failed.iter().chain(&d.progressing)).next();
    let is_available = match available == total {
        true => {
            condition(object, "Available", "True", "AllAvailable", &format!("{available} of {total} members"))
        }
        false => {
            let message = waits.cloned().unwrap_or_else(|| format!("{available} of {total} members"));
            condition(object, "Available", "False", "Progressing", &message)
        }
    };
    let suspended = all.iter().filter(|d| d.suspended).count();
    let rolled = match (suspended, waiting) {
        (0, 0) => {
            condition(object, "RolledOut", "True", "UpToDate", &format!("revision {}", resolved.revision))
        }
        (0, n) => condition(object, "RolledOut", "False", "Progressing", &format!("{n} members wait")),
        (n, _) => {
            let message = format!("delivery to {n} of {total} members is suspended");
            condition(object, "RolledOut", "False", "Suspended", &message)
        }
    };
    let held = all.iter().filter(|d| d.held > 0).count();
    let holds = text(placement.spec(), &["delivery", "whenDrifted"]) == "Hold";
    let drift = match (drifted, held) {
        (0, _) => condition(object, "Drifted", "False", "InSync", "members are as delivered"),
        (n, 0) => {
            condition(object, "Drifted", "True", "Drifted", &format!("{n} members differed and were mended"))
        }
        (n, held) => {
            let reason = if holds { "Held" } else { "Drifted" };
            let message = format!("{n} members differ; on {held} of them objects are left as they are");
            condition(object, "Drifted", "True", reason, &message)
        }
    };
    let of_planning = |ty: &str| {
        items(object, &["status", "conditions"]).iter().find(|c| text(c, &["type"]) == ty).cloned()
    };
    let parts = [
        of_planning("Accepted"),
        of_planning("Placed"),
        Some(rolled.clone()),
        Some(applied.clone()),
        Some(is_available.clone()),
    ];
    let first_not = parts
        .into_iter()
        .map(|c| {
            c.unwrap_or_else(
                || json!({"status": "Unknown", "reason": "Evaluating", "message": "not judged yet"}),
            )
        })
        .find(|c| text(c, &["status"]) != "True");
    let ready = match first_not {
        None => condition(object, "Ready", "True", "Ready", "accepted, placed, delivered and available"),
        Some(not) => condition(object, "Ready", "False", text(&not, &["reason"]), text(&not, &["message"])),
    };
    let status = json!({
        "members": {"available": available, "drifted": drifted, "failed": failing.len()},
        "revision": {"target": resolved.revision},
        "conditions": [rolled, applied, is_available, drift, ready],
    });
    write_part(site, placement, MANAGER, status).await
}
