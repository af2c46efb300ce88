//! Carries out what was decided: each ClusterBinding's objects on its member, kept as they should be, removed when the
//! binding drains.
//!
//! ```text
//!  bindings ─► work (objects as they go to one member) ─► rolling budget ─► push ─► health, drift ─► status
//! ```
//! Level-triggered: a look at a member compares what is wanted with what is there and writes only differences. Watches on
//! what was delivered say which members to look at; nothing is polled but by a net of ten minutes.

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
mod watch;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::{Value, json};
use skerry_api::labels;
use skerry_telemetry::Shutdown;

use crate::context::Context;
use crate::placement::raw::{self, items, text};
use crate::placement::{CycleError, Live, Placed, Resolved, Site, World, in_force};
use clients::Member;
use memory::{Kept, Purpose};
use push::Job;
use suspend::Suspended;
use watch::Watches;

pub use status::Delivered;

/// Gathering time after the first wake.
const BATCH: Duration = Duration::from_millis(50);
/// After a pass that failed as a whole.
const AGAIN: Duration = Duration::from_secs(2);
/// A pass without anything due.
const PERIOD: Duration = Duration::from_secs(600);
/// Between passes, whatever is due.
const AT_LEAST: Duration = Duration::from_millis(200);
/// Members that are looked at at once.
const AT_ONCE: usize = 16;
/// A member that does not answer for so long is out of reach.
const PROBE: Duration = Duration::from_secs(5);
/// Limit of one look at a member, and of one removal.
const LIMIT: Duration = Duration::from_secs(120);
/// So long a member that gave no answer is not asked for another binding.
const SILENT: Duration = Duration::from_secs(10);
/// While a copy waits for its replacement.
const DRAINING: Duration = Duration::from_secs(30);

/// Delivers; between passes it keeps clients of members and what it knows of each binding.
#[derive(Default)]
pub struct Executor {
    clients: clients::Clients,
    kept: BTreeMap<String, Kept>,
    watches: Watches,
    /// Members that gave no answer, and until when nobody asks them again.
    silent: BTreeMap<String, Instant>,
    /// When the next pass is due, as far as this one knows.
    next: Option<Instant>,
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
pub async fn run(context: &Context, live: &Live, shutdown: &Shutdown) {
    let (site, mut executor) = (Site::of(context, live), Executor::default());
    tokio::select! {
        () = shutdown.wait() => {}
        () = deliveries(&site, live, &mut executor) => {}
    }
}

/// Delivers for ever: when the hub, a source or something delivered changed, and when a look at a member is due.
pub async fn deliveries(site: &Site<'_>, live: &Live, executor: &mut Executor) {
    let mut changes = live.changes();
    loop {
        changes.mark_unchanged();
        let due = match executor.pass(site, Instant::now()).await {
            Ok(due) => due,
            Err(failed) => {
                tracing::warn!(error = %skerry_kit::error::chain(&failed), "a delivery pass failed");
                Instant::now() + AGAIN
            }
        };
        tokio::select! {
            _ = changes.changed() => tokio::time::sleep(BATCH).await,
            () = executor.watches.woken() => tokio::time::sleep(BATCH).await,
            () = tokio::time::sleep_until(due.into()) => {}
        }
    }
}

impl Executor {
    /// One pass over all bindings; says when the next is due. `now` is what waits are measured by. Where the hub is
    /// watched, a member is only looked at if something was told of it, asked for anew, or is due.
    pub async fn pass(&mut self, site: &Site<'_>, now: Instant) -> Result<Instant, PassError> {
        self.next = None;
        self.silent.retain(|_, until| now < *until);
        let world = World::read(site).await?;
        let fleet = suspend::fleet_if_asked(site, &world).await?;
        let uids: BTreeSet<&str> = world.bindings.iter().map(|b| uid_of(b)).collect();
        self.kept.retain(|uid, _| uids.contains(uid.as_str()));
        let members = world.bindings.iter().map(|b| text(b, &["spec", "member", "id"])).collect();
        self.watches.tidy(&members, &uids);
        for binding in &world.bindings {
            let is_orphan =
                !world.placements.iter().any(|p| p.uid == text(binding, &["spec", "placement", "uid"]));
            if is_orphan && is_leaving(binding) {
                self.remove(site, &world, binding, now).await?;
            }
        }
        for placement in &world.placements {
            match in_force(site, &world, placement).await {
                Ok((placement, found)) => {
                    let suspended = Suspended::of(&placement, fleet.as_ref());
                    self.deliver(site, &world, &placement, &found, &suspended, now).await?;
                }
                // Nothing can be delivered, but what is to go still goes.
                Err(_) => {
                    let suspended = Suspended::of(placement, fleet.as_ref());
                    let leaving =
                        world.bindings_of(&placement.uid).filter(|b| is_leaving(b) && !suspended.has(b));
                    for binding in leaving {
                        self.remove(site, &world, binding, now).await?;
                    }
                }
            }
        }
        let waits = world.bindings.iter().any(|b| is_leaving(b));
        self.due(Some(now + if waits { DRAINING } else { PERIOD }));
        Ok(self.next.take().unwrap_or(now + PERIOD).max(now + AT_LEAST))
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
        let mut wanted: Vec<(&Value, Option<Delivered>)> = Vec::new();
        let mut looks = Vec::new();
        for binding in all {
            let name = text(binding, &["metadata", "name"]).to_owned();
            if is_leaving(binding) {
                let goes = may.remove.contains(&name) || work::is_removing(binding);
                if goes && !suspended.has(binding) {
                    self.remove(site, world, binding, now).await?;
                } else {
                    status::draining(site, binding).await?;
                }
                continue;
            }
            let is_current = text(binding, &["status", "revision"]) == resolved.revision;
            let goes = is_current || may.update.contains(&name) || may.add.contains(&name);
            let outcome = if suspended.has(binding) {
                Some(Delivered::suspended(binding))
            } else if goes {
                let purpose = Purpose::of(placement, resolved, binding);
                match self.ready(site, world, binding, &purpose, now).await {
                    Ok(member) => {
                        let kept = self.kept.remove(uid_of(binding)).unwrap_or_default();
                        looks.push(look(
                            wanted.len(),
                            member,
                            kept,
                            purpose,
                            (placement, resolved, binding, now),
                        ));
                        None
                    }
                    Err(outcome) => Some(outcome),
                }
            } else {
                Some(Delivered::waiting(binding))
            };
            wanted.push((binding, outcome));
        }
        let mut looks = futures::stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some((at, member, kept, outcome)) = looks.next().await {
            let (binding, wanted) = &mut wanted[at];
            let uid = uid_of(binding).to_owned();
            if site.live.is_some() {
                self.watches.after(&member, &uid, &outcome.seen);
            }
            if outcome.unreachable.is_some() {
                self.silent.insert(member.id, now + SILENT);
            }
            self.due(kept.due());
            self.kept.insert(uid, kept);
            *wanted = Some(outcome);
        }
        let mut delivered = Vec::new();
        for (binding, outcome) in wanted {
            let outcome = outcome.unwrap_or_default();
            status::binding(site, binding, &outcome, &resolved.revision).await?;
            delivered.push(outcome);
        }
        status::placement(site, placement, resolved, &delivered).await
    }

    /// The member, if it has to be looked at; else what the last look found, or why there can be none.
    async fn ready(
        &mut self,
        site: &Site<'_>,
        world: &World,
        binding: &Value,
        purpose: &Purpose,
        now: Instant,
    ) -> Result<Member, Delivered> {
        let uid = uid_of(binding);
        let kept = self.kept.entry(uid.to_owned()).or_default();
        if site.live.is_some()
            && !self.watches.told(uid)
            && let Some(outcome) = kept.outcome(purpose, now).cloned()
        {
            let due = kept.due();
            self.due(due);
            return Err(outcome);
        }
        let refused = match self.clients.of(site, world, binding).await {
            Ok(member) if self.is_silent(&member.id, now) => "it gave no answer a moment ago".to_owned(),
            Ok(member) => return Ok(member),
            Err(why) => why,
        };
        let outcome = Delivered::unreachable(&refused);
        let kept = self.kept.entry(uid.to_owned()).or_default();
        kept.looked(purpose.clone(), &outcome, now, uid);
        let due = kept.due();
        self.watches.settle(uid);
        self.due(due);
        Err(outcome)
    }

    fn is_silent(&self, member: &str, now: Instant) -> bool {
        self.silent.get(member).is_some_and(|until| now < *until)
    }

    /// A pass is due by then.
    fn due(&mut self, at: Option<Instant>) {
        self.next = [self.next, at].into_iter().flatten().min();
    }

    /// Takes a draining binding's objects off its member, then lets the binding go.
    async fn remove(
        &mut self,
        site: &Site<'_>,
        world: &World,
        binding: &Value,
        now: Instant,
    ) -> Result<(), kube::Error> {
        let uid = uid_of(binding);
        let is_begun = work::is_removing(binding);
        let rests = self.kept.get(uid).is_some_and(|kept| is_begun && kept.rests(now));
        if site.live.is_some() && rests && !self.watches.told(uid) {
            self.due(self.kept.get(uid).and_then(Kept::due));
            return Ok(());
        }
        let name = text(binding, &["spec", "member", "name"]);
        if world.profiles.iter().any(|p| text(p, &["metadata", "name"]) == name) {
            let orphan = world.keeps_delivered(binding);
            let left = match self.clients.of(site, world, binding).await {
                Ok(member) => within_limit(&member, removal::take_away(&member, binding, orphan)).await,
                Err(why) => Err(why),
            };
            if let Err(stuck) = left.and_then(|outcome| outcome) {
                self.watches.settle(uid);
                let kept = self.kept.entry(uid.to_owned()).or_default();
                kept.stuck(now);
                let due = kept.due();
                self.due(due);
                return status::stuck(site, binding, &stuck).await;
            }
        }
        release(site, binding).await
    }
}

/// A look at one member: delivers there, and keeps what it came to.
async fn look(
    at: usize,
    member: Member,
    mut kept: Kept,
    purpose: Purpose,
    (placement, resolved, binding, now): (&Placed, &Arc<Resolved>, &Value, Instant),
) -> (usize, Member, Kept, Delivered) {
    let job = Job { member: &member, placement, resolved, binding, now };
    let outcome = within_limit(&member, push::deliver(&job, &mut kept)).await;
    let outcome = outcome.unwrap_or_else(|why| Delivered::unreachable(&why));
    kept.looked(purpose, &outcome, now, uid_of(binding));
    (at, member, kept, outcome)
}

/// Does something on a member that answers, as long as it may take.
async fn within_limit<T>(member: &Member, work: impl Future<Output = T>) -> Result<T, String> {
    let probe = tokio::time::timeout(PROBE, raw::get(&member.client, "/version"));
    match probe.await {
        Err(_) => return Err(format!("no answer within {} s", PROBE.as_secs())),
        // A refusal is an answer too.
        Ok(Ok(_) | Err(kube::Error::Api(_))) => {}
        Ok(Err(error)) => return Err(skerry_kit::error::sentence(&error)),
    }
    tokio::time::timeout(LIMIT, work).await.map_err(|_| format!("not done within {} s", LIMIT.as_secs()))
}

fn uid_of(binding: &Value) -> &str {
    text(binding, &["metadata", "uid"])
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
            other => site.saw(&other?),
        };
    }
    raw::delete(&site.hub, &path, text(binding, &["metadata", "uid"])).await
}
