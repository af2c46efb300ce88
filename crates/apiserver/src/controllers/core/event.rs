//! Events end: an hour after their last write, and the oldest ones when a tenant has too many (Q11).

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::{Controller, Ctx, Failed, Next, View};
use crate::identity::Identity;
use crate::model::gvk::ResourceId;
use crate::model::object::Object;
use crate::store::{Change, ChangeKind, NsName};

const EVENTS: &str = "/events";
/// How long an Event stays.
const TTL: Duration = Duration::from_secs(3600);

/// Removes Events.
pub struct Events {
    ttl: Duration,
}

impl Default for Events {
    fn default() -> Self {
        Self::new(TTL)
    }
}

impl Events {
    /// Events stay for `ttl` after their last write.
    pub fn new(ttl: Duration) -> Self {
        Self { ttl }
    }

    /// How long an Event still has.
    fn left(&self, event: &Value) -> Duration {
        let age = Timestamp::now().duration_since(last_write(event));
        self.ttl.saturating_sub(age.try_into().unwrap_or_default())
    }
}

/// The latest time that an Event speaks of.
fn last_write(event: &Value) -> Timestamp {
    let managers = event.items(&["metadata", "managedFields"]).iter().map(|manager| manager.text(&["time"]));
    let own = [
        event.meta("creationTimestamp"),
        event.text(&["lastTimestamp"]),
        event.text(&["eventTime"]),
        event.text(&["series", "lastObservedTime"]),
    ];
    let now = Timestamp::now();
    let times = own.into_iter().chain(managers).filter_map(|text| text.parse().ok());
    // What lies in the future says nothing: anybody may write it.
    times.filter(|time| *time <= now).max().unwrap_or(Timestamp::UNIX_EPOCH)
}

async fn remove(ctx: &Ctx, name: &NsName) -> Result<(), Failed> {
    let path = format!("/api/v1/namespaces/{}/events/{}", name.namespace(), name.name());
    match ctx.api.delete(&path, &json!({})).await {
        Err(status) if status.code != 404 => Err(status.into()),
        _ => Ok(()),
    }
}

/// Removes the oldest ones of too many.
async fn crowd(ctx: &Ctx) -> Result<(), Failed> {
    let limit = usize::try_from(ctx.view.tenant().limits().events).unwrap_or(usize::MAX);
    let surplus = ctx.view.snapshot().count(&ResourceId::from(EVENTS)).saturating_sub(limit);
    if surplus == 0 {
        return Ok(());
    }
    // One in a hundred more, so that a tenant at its limit is not sorted for each Event.
    let surplus = surplus + limit / 100;
    let mut all: Vec<(Timestamp, u64, NsName)> = Vec::new();
    for (name, record) in ctx.view.records(EVENTS, None) {
        all.push((last_write(&record.tree()), record.rv(), name));
    }
    all.sort();
    for (_, _, name) in all.iter().take(surplus) {
        ctx.api.server().metrics().refused("events");
        remove(ctx, name).await?;
    }
    Ok(())
}

impl Controller for Events {
    fn name(&self) -> &'static str {
        "event-ttl"
    }

    fn identity(&self) -> Identity {
        Identity::system("apiserver")
    }

    fn watches(&self) -> &[&'static str] {
        &[EVENTS]
    }

    fn keys(&self, _view: &View, _resource: &ResourceId, change: &Change) -> Vec<NsName> {
        let gone = change.kind == ChangeKind::Deleted;
        if gone { Vec::new() } else { vec![change.key.name.clone()] }
    }

    fn all(&self, view: &View) -> Vec<NsName> {
        view.names(EVENTS)
    }

    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>> {
        Box::pin(async move {
            crowd(&ctx).await?;
            let Some(event) = ctx.view.get(EVENTS, key.namespace(), key.name()) else {
                return Ok(Next::Done);
            };
            let left = self.left(&event);
            if left.is_zero() {
                remove(&ctx, &key).await?;
                return Ok(Next::Done);
            }
            Ok(Next::After(left))
        })
    }
}
