//! Carries out what was decided: each ClusterBinding's objects on its member, kept as they should be, removed when the
//! binding drains.
//!
//! ```text
//!  bindings ─► work (objects as they go to one member) ─► rolling budget ─► push ─► health, drift ─► status
//! ```
//! Level-triggered: every pass compares what is wanted with what is there and writes only differences.

mod clients;
mod compare;
mod drift;
mod health;
mod memory;
mod push;
mod removal;
mod retry;
mod status;
mod suspend;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use skerry_api::labels;
use skerry_telemetry::Shutdown;

use crate::context::Context;
use crate::placement::raw::{self, items, text};
use crate::placement::{CycleError, Placed, Resolved, Site, World, in_force};
use memory::Kept;
use push::Job;
use suspend::Suspended;

pub use status::Delivered;

/// A pass without a change. Drift on members is found within it.
const PERIOD: Duration = Duration::from_secs(2);

/// Delivers; between passes it keeps clients of members and what it knows of each binding.
#[derive(Default)]
pub struct Executor {
    clients: clients::Clients,
    kept: BTreeMap<String, Kept>,
}

/// A pass did not get through.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The hub could not be read or written.
    #[error("the hub could not be read or written")]
    Hub(#[from] kube::Error),
    /// The inventory could not be read.
    #[error("the inventory could not be read")]
    Fleet(#[from] CycleError),
}

/// Delivers until the end.
pub async fn run(context: &Context, shutdown: &Shutdown) {
    let site = Site::of(context);
    let mut executor = Executor::default();
    loop {
        if let Err(failed) = executor.pass(&site, Instant::now()).await {
            tracing::warn!(error = %skerry_kit::error::chain(&failed), "a delivery pass failed");
        }
        tokio::select! {
            () = shutdown.wait() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

impl Executor {
    /// One pass over all bindings. `now` is what backoff is measured by.
    pub async fn pass(&mut self, site: &Site<'_>, now: Instant) -> Result<(), PassError> {
        let world = World::read(site).await?;
        let fleet = suspend::fleet_if_asked(site, &world).await?;
        self.kept.retain(|uid, _| world.bindings.iter().any(|b| text(b, &["metadata", "uid"]) == uid));
        for binding in &world.bindings {
            let is_orphan =
                !world.placements.iter().any(|p| p.uid == text(binding, &["spec", "placement", "uid"]));
            if is_orphan && is_leaving(binding) {
                self.remove(site, &world, binding).await?;
            }
        }
        for placement in &world.placements {
            match in_force(site, &world, placement).await {
                Ok((placement, found)) => {
                    let found = Arc::new(found);
                    let suspended = Suspended::of(&placement, fleet.as_ref());
                    self.deliver(site, &world, &placement, &found, &suspended, now).await?;
                }
                // Nothing can be delivered, but what is to go still goes.
                Err(_) => {
                    let suspended = Suspended::of(placement, fleet.as_ref());
                    let leaving =
                        world.bindings_of(&placement.uid).filter(|b| is_leaving(b) && !suspended.has(b));
                    for binding in leaving {
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
        resolved: &Arc<Resolved>,
        suspended: &Suspended,
        now: Instant,
    ) -> Result<(), kube::Error> {
        let mut all: Vec<&Value> = world.bindings_of(&placement.uid).collect();
        all.sort_by_key(|b| text(b, &["metadata", "name"]).to_owned());
        let may = work::moves(placement, resolved, &all, suspended);
        let mut delivered = Vec::new();
        for binding in all {
            let name = text(binding, &["metadata", "name"]).to_owned();
            if is_leaving(binding) {
                let goes = may.remove.contains(&name) || work::is_removing(binding);
                if goes && !suspended.has(binding) {
                    self.remove(site, world, binding).await?;
                } else {
                    status::draining(site, binding).await?;
                }
                continue;
            }
            let is_current = text(binding, &["status", "revision"]) == resolved.revision;
            let goes = is_current || may.update.contains(&name) || may.add.contains(&name);
            let outcome = if suspended.has(binding) {
                Delivered::suspended(binding)
            } else {
                match self.clients.of(site, world, binding).await {
                    Ok(member) if goes => {
                        let kept = self.kept.entry(text(binding, &["metadata", "uid"]).to_owned());
                        let job = Job { member: &member, placement, resolved, binding, now };
                        push::deliver(&job, kept.or_default()).await
                    }
                    Ok(_) => Delivered::waiting(binding),
                    Err(why) => Delivered::unreachable(&why),
                }
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
                Ok(member) if orphan => removal::orphan(&member, binding).await,
                Ok(member) => removal::remove(&member, binding).await,
                Err(why) => Err(why),
            };
            if let Err(stuck) = left {
                return status::stuck(site, binding, &stuck).await;
            }
        }
        release(site, binding).await
    }
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
