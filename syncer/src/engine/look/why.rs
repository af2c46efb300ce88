//! The last decision about one object, and its next try, from memory.

use serde::Serialize;

use super::super::{
    Engine,
    decision::{Decision, rule_of},
    model::Seen,
    queue::{Item, What},
    report,
    state::Tenant,
};
use super::{LookError, ObjectName};
use crate::refusal::Refusal;

/// Why an object is as it is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The object.
    pub object: ObjectName,
    /// What was decided last.
    pub decision: Decision,
    /// The rule of the design that led to it; empty where it was not looked at yet.
    pub rule: &'static str,
    /// For people.
    pub says: &'static str,
    /// How long ago.
    pub seconds_ago: Option<u64>,
    /// Why it is refused.
    pub refusal: Option<Refused>,
    /// Tries that failed since the last that did not.
    pub failed: Option<Attempts>,
    /// When it is looked at next.
    pub next: Next,
    /// Why nothing is written for the whole tenant now.
    pub stopped: Option<String>,
    /// The tenant's object as last seen.
    pub tenant: Option<Side>,
    /// The host's.
    pub host: Option<Side>,
}

/// A refusal and its rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// The rule of the design.
    pub rule: &'static str,
    /// The reason of AP4.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        let reason = refusal.reason;
        Self { rule: rule_of(reason), reason: reason.as_str(), message: refusal.message.clone() }
    }
}

/// Tries in a row that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempts {
    /// How many.
    pub count: u32,
    /// The last error.
    pub error: String,
}

/// When an object is looked at next; nothing in it: when either side changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// It is being looked at.
    pub now: bool,
    /// It waits for its turn since so many seconds.
    pub queued_seconds: Option<f64>,
    /// It is due in so many seconds.
    pub due_seconds: Option<f64>,
}

/// One side of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// UID there.
    pub uid: String,
    /// Its resourceVersion.
    pub resource_version: String,
    /// A deletion is under way.
    pub deleting: bool,
}

impl From<&Seen> for Side {
    fn from(seen: &Seen) -> Self {
        let Seen { uid, version, deleting, .. } = seen;
        Self { uid: uid.to_string(), resource_version: version.to_string(), deleting: *deleting }
    }
}

pub(super) fn of(engine: &Engine, tenant: &Tenant, object: &ObjectName) -> Result<Why, LookError> {
    let key = object.key();
    let entry = tenant.model.lock().entries.get(&key).cloned();
    let entry = entry.filter(|entry| entry.tenant.is_some() || entry.host.is_some());
    let entry = entry.ok_or_else(|| LookError::NoObject(object.clone()))?;
    let place = tenant.host.queue.place(&Item { tenant: tenant.id.clone(), what: What::Object(key) });
    let seconds = |time: std::time::Duration| time.as_secs_f64();
    let refusal = entry.refusal.as_deref().map(Refused::from);
    let was_looked_at = entry.decision != Decision::None;
    let rule = match &refusal {
        Some(refusal) if entry.decision == Decision::Refused => refusal.rule,
        _ => entry.decision.rule(),
    };
    Ok(Why {
        object: object.clone(),
        decision: entry.decision,
        rule,
        says: entry.decision.says(),
        seconds_ago: was_looked_at
            .then(|| engine.began.elapsed().as_secs().saturating_sub(u64::from(entry.decided))),
        refusal,
        failed: place.failures.map(|f| Attempts { count: f.count, error: f.why.into() }),
        next: Next {
            now: place.working,
            queued_seconds: place.queued.map(seconds),
            due_seconds: place.due.map(seconds),
        },
        stopped: (!tenant.writable()).then(|| report::state(tenant, engine.periods.silence).message),
        tenant: entry.tenant.as_ref().map(Side::from),
        host: entry.host.as_ref().map(Side::from),
    })
}
