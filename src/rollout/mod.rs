//! Carries out what was decided: each ClusterBinding's objects on its member, kept as they should be, removed when the
//! binding drains.
//!
//! ```text
//!  bindings ─► work (objects as they go to one member) ─► rolling budget ─► push ─► health, drift ─► status
//! ```
//! Level-triggered: every pass compares what is wanted with what is there and writes only differences.

mod clients;
mod health;
mod push;
mod status;
mod work;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use skerry_api::labels;
use skerry_telemetry::Shutdown;

use crate::context::Context;
use crate::placement::raw::{self, text};
use crate::placement::{Placed, Resolved, World, resolve};

pub use status::Delivered;

/// A pass without a change. Drift on members is found within it.
const PERIOD: Duration = Duration::from_secs(2);

/// Delivers until the end.
pub async fn run(context: &Context, shutdown: &Shutdown) {
    let mut clients = clients::Clients::default();
    loop {
        if let Err(failed) = pass(context, &mut clients).await {
            tracing::warn!(error = %skerry_kit::error::sentence(&failed), "a delivery pass failed");
        }
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

async fn pass(context: &Context, clients: &mut clients::Clients) -> Result<(), kube::Error> {
    let world = World::read(context).await?;
    let mut resolved: BTreeMap<String, Resolved> = BTreeMap::new();
    for placement in &world.placements {
        if let Ok(found) = resolve(context, placement).await {
            resolved.insert(placement.uid.clone(), found);
        }
    }
    for binding in &world.bindings {
        if text(binding, &["spec", "state"]) == "Draining"
            || !binding["metadata"]["deletionTimestamp"].is_null()
        {
            remove(context, clients, &world, binding).await?;
        }
    }
    for placement in &world.placements {
        let Some(found) = resolved.get(&placement.uid) else { continue };
        deliver(context, clients, &world, placement, found).await?;
    }
    Ok(())
}

fn is_suspended(placement: &Placed) -> bool {
    placement.spec()["suspend"]["all"] == Value::Bool(true)
}

async fn deliver(
    context: &Context,
    clients: &mut clients::Clients,
    world: &World,
    placement: &Placed,
    resolved: &Resolved,
) -> Result<(), kube::Error> {
    let mut bound: Vec<&Value> = world
        .bindings_of(&placement.uid)
        .filter(|b| text(b, &["spec", "state"]) == "Bound" && b["metadata"]["deletionTimestamp"].is_null())
        .collect();
    bound.sort_by_key(|b| text(b, &["metadata", "name"]).to_owned());
    let may = work::updatable(placement, resolved, &bound);
    let mut delivered = Vec::new();
    for binding in bound {
        let wanted_now = !is_suspended(placement) && may.contains(text(binding, &["metadata", "name"]));
        let outcome = match clients.of(context, world, binding).await {
            Ok(member) if wanted_now => push::deliver(&member, world, placement, resolved, binding).await,
            Ok(_) => Delivered::waiting(binding),
            Err(why) => Delivered::unreachable(&why),
        };
        let revision =
            if wanted_now { resolved.revision.as_str() } else { text(binding, &["status", "revision"]) };
        status::binding(context, binding, &outcome, revision).await?;
        delivered.push(outcome);
    }
    status::placement(context, placement, resolved, &delivered).await
}

/// Takes a draining binding's objects off its member, then lets the binding go.
async fn remove(
    context: &Context,
    clients: &mut clients::Clients,
    world: &World,
    binding: &Value,
) -> Result<(), kube::Error> {
    let known = world
        .profiles
        .iter()
        .any(|p| text(p, &["metadata", "name"]) == text(binding, &["spec", "member", "name"]));
    if known {
        let left = match clients.of(context, world, binding).await {
            Ok(member) => push::remove(&member, binding).await,
            Err(why) => Err(why),
        };
        if let Err(stuck) = left {
            return status::stuck(context, binding, &stuck).await;
        }
    }
    let path = status::path(binding);
    if !text(binding, &["metadata", "deletionTimestamp"]).is_empty()
        || binding["metadata"]["finalizers"].is_array()
    {
        let kept: Vec<&Value> = binding["metadata"]["finalizers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|f| f.as_str() != Some(labels::FINALIZER_DELIVERED))
            .collect();
        let body = json!({"metadata": {"finalizers": kept, "resourceVersion": binding["metadata"]["resourceVersion"]}});
        match raw::merge(&context.hub, &path, &body).await {
            Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => return Ok(()),
            other => other?,
        };
    }
    raw::delete(&context.hub, &path, text(binding, &["metadata", "uid"])).await
}
