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

use std::time::Duration;

use serde_json::{Value, json};
use skerry_api::labels;
use skerry_telemetry::Shutdown;

use crate::context::Context;
use crate::placement::raw::{self, items, text};
use crate::placement::{Placed, Resolved, Site, World, in_force};

pub use status::Delivered;

/// A pass without a change. Drift on members is found within it.
const PERIOD: Duration = Duration::from_secs(2);

/// Delivers; it keeps clients of members.
#[derive(Default)]
pub struct Executor {
    clients: clients::Clients,
}

/// Delivers until the end.
pub async fn run(context: &Context, shutdown: &Shutdown) {
    let site = Site::of(context);
    let mut executor = Executor::default();
    loop {
        if let Err(failed) = executor.pass(&site).await {
            tracing::warn!(error = %skerry_kit::error::sentence(&failed), "a delivery pass failed");
        }
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

impl Executor {
    /// One pass over all bindings.
    pub async fn pass(&mut self, site: &Site<'_>) -> Result<(), kube::Error> {
        let world = World::read(site).await?;
        for binding in &world.bindings {
            let is_orphan =
                !world.placements.iter().any(|p| p.uid == text(binding, &["spec", "placement", "uid"]));
            if is_orphan && is_leaving(binding) {
                self.remove(site, &world, binding).await?;
            }
        }
        for placement in &world.placements {
            match in_force(site, &world, placement).await {
                Ok((placement, found)) => self.deliver(site, &world, &placement, &found).await?,
                // Nothing can be delivered, but what is to go still goes.
                Err(_) => {
                    for binding in world.bindings_of(&placement.uid).filter(|b| is_leaving(b)) {
                        self.remove(site, &world, binding).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn deliver(
        &mut self,
        site: &Site<'_>,
        world: &World,
        placement: &Placed,
        resolved: &Resolved,
    ) -> Result<(), kube::Error> {
        let mut all: Vec<&Value> = world.bindings_of(&placement.uid).collect();
        all.sort_by_key(|b| text(b, &["metadata", "name"]).to_owned());
        let may = work::moves(placement, resolved, &all);
        let mut delivered = Vec::new();
        for binding in all {
            let name = text(binding, &["metadata", "name"]).to_owned();
            if is_leaving(binding) {
                if may.remove.contains(&name) || work::is_removing(binding) {
                    self.remove(site, world, binding).await?;
                } else {
                    status::draining(site, binding).await?;
                }
                continue;
            }
            let is_current = text(binding, &["status", "revision"]) == resolved.revision;
            let goes = is_current || may.update.contains(&name) || may.add.contains(&name);
            let goes = goes && !is_suspended(placement);
            let outcome = match self.clients.of(site, world, binding).await {
                Ok(member) if goes => push::deliver(&member, placement, resolved, binding).await,
                Ok(_) => Delivered::waiting(binding),
                Err(why) => Delivered::unreachable(&why),
            };
            status::binding(site, binding, &outcome, &resolved.revision).await?;
            delivered.push(outcome);
        }
        status::placement(site, placement, resolved, &delivered).await
    }

    /// Takes a draining binding's objects off its member, then lets the binding go.
    async fn remove(&mut self, site: &Site<'_>, world: &World, binding: &Value) -> Result<(), kube::Error> {
        let name = text(binding, &["spec", "member", "name"]);
        if world.profiles.iter().any(|p| text(p, &["metadata", "name"]) == name) {
            let orphan = world.keeps_removed(text(binding, &["spec", "placement", "uid"]));
            let left = match self.clients.of(site, world, binding).await {
                Ok(member) if orphan => push::orphan(&member, binding).await,
                Ok(member) => push::remove(&member, binding).await,
                Err(why) => Err(why),
            };
            if let Err(stuck) = left {
                return status::stuck(site, binding, &stuck).await;
            }
        }
        release(site, binding).await
    }
}

fn is_suspended(placement: &Placed) -> bool {
    placement.spec()["suspend"]["all"] == Value::Bool(true)
}

/// The binding is to go.
fn is_leaving(binding: &Value) -> bool {
    text(binding, &["spec", "state"]) == "Draining" || !binding["metadata"]["deletionTimestamp"].is_null()
}

/// Lets a binding go whose objects are gone.
async fn release(site: &Site<'_>, binding: &Value) -> Result<(), kube::Error> {
    let path = status::path(binding);
    let finalizers = items(binding, &["metadata", "finalizers"]);
    let kept: Vec<&Value> =
        finalizers.iter().filter(|f| f.as_str() != Some(labels::FINALIZER_DELIVERED)).collect();
    if kept.len() < finalizers.len() {
        let body = json!({"metadata": {"finalizers": kept, "resourceVersion": binding["metadata"]["resourceVersion"]}});
        match raw::merge(&site.hub, &path, &body).await {
            Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => return Ok(()),
            other => other?,
        };
    }
    raw::delete(&site.hub, &path, text(binding, &["metadata", "uid"])).await
}
