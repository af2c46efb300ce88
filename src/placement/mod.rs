//! From Placements and the inventory to a plan, and the plan committed: ClusterBindings and PlacementDecisions.
//!
//! ```text
//!  watches ─► live ─► collect (world) ─► resolve objects ─► engine: plan ─► check ─► commit ─► output, status
//! ```
//! A cycle takes no hint from what woke it: it reads the world and does the same work each time. What it decides is the
//! engine's (`skerry-placement`), which this stage only feeds and obeys.

mod accepted;
mod commit;
mod live;
mod output;
pub mod raw;
mod request;
mod resolve;
mod site;
mod sources;
mod status;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use skerry_placement::{Config, Explanation, Input, Plan, RequestId};
use skerry_telemetry::Shutdown;

pub use live::{Live, resource};
pub use request::suspended;
pub use resolve::{Resolved, SourceError};
pub use site::{Members, Site};
pub use status::{condition, write_part};
pub use world::{Placed, World};

use crate::context::Context;
use crate::inventory::snapshot;

/// Gathering time after the first wake.
const BATCH: Duration = Duration::from_millis(50);
/// A cycle without a wake.
const PERIOD: Duration = Duration::from_secs(300);
/// The same, while something is not as it should be: what mends it may be nothing that is watched.
const PERIOD_UNSETTLED: Duration = Duration::from_secs(5);
/// Seed of the tie-break.
const SEED: u64 = 0x5c4e_1123;

/// Plans and commits; between cycles it remembers the last plan and the last request of each Placement.
#[derive(Default)]
pub struct Planner {
    plan: Plan,
    requests: BTreeMap<String, skerry_placement::Request>,
    is_settled: bool,
}

/// A cycle did not get through.
#[derive(Debug, thiserror::Error)]
pub enum CycleError {
    /// The world could not be read.
    #[error("the hub could not be read")]
    Read(#[source] kube::Error),
    /// A decision could not be written.
    #[error("a decision could not be written")]
    Write(#[source] kube::Error),
    /// The checker found a plan that breaks an invariant; nothing of it was written.
    #[error("the plan was rejected: {0}")]
    Rejected(String),
}

/// Plans until the end.
pub async fn run(context: &Context, live: &Live, shutdown: &Shutdown) {
    let (site, mut planner) = (Site::of(context, live), Planner::default());
    tokio::select! {
        () = shutdown.wait() => {}
        () = plans(&site, live, &mut planner) => {}
    }
}

/// Plans for ever: whenever the hub or a source changed, and once in a while.
pub async fn plans(site: &Site<'_>, live: &Live, planner: &mut Planner) {
    let mut changes = live.changes();
    loop {
        changes.mark_unchanged();
        let period = match planner.cycle(site).await {
            Ok(()) if planner.is_settled => PERIOD,
            Ok(()) => PERIOD_UNSETTLED,
            Err(failed) => {
                tracing::warn!(error = %skerry_kit::error::chain(&failed), "a placement cycle failed");
                PERIOD_UNSETTLED
            }
        };
        live.sources.tidy();
        tokio::select! {
            _ = changes.changed() => tokio::time::sleep(BATCH).await,
            () = tokio::time::sleep(period) => {}
        }
    }
}

/// What a Placement carries, if its spec can be taken as it is.
async fn judge(site: &Site<'_>, placement: &Placed) -> Result<Arc<Resolved>, SourceError> {
    request::check(placement)?;
    resolve::resolve(site, placement).await
}

/// The Placement as it is in force: its own spec, or the last accepted one while its own is refused.
pub async fn in_force(
    site: &Site<'_>,
    world: &World,
    placement: &Placed,
) -> Result<(Placed, Arc<Resolved>), SourceError> {
    match judge(site, placement).await {
        Ok(resolved) => Ok((placement.clone(), resolved)),
        Err(error) => {
            let Some(before) = placement.with_spec(world.accepted.get(&placement.uid)) else {
                return Err(error);
            };
            judge(site, &before).await.map(|resolved| (before, resolved))
        }
    }
}

impl Planner {
    /// One cycle: reads, plans, checks, commits.
    pub async fn cycle(&mut self, site: &Site<'_>) -> Result<(), CycleError> {
        let world = World::read(site).await.map_err(CycleError::Read)?;
        let mut requests = Vec::new();
        let mut verdicts = BTreeMap::new();
        for placement in &world.placements {
            let judged = judge(site, placement).await;
            let request = match &judged {
                Ok(resolved) => {
                    accepted::keep(site, &world, placement).await.map_err(CycleError::Write)?;
                    Some(request::of(placement, resolved, &world))
                }
                Err(_) => self.before(site, &world, placement).await,
            };
            if let Some(request) = request {
                self.requests.insert(placement.uid.clone(), request.clone());
                requests.push(request);
            }
            verdicts.insert(placement.uid.clone(), judged);
        }
        let fleet = fleet(site).await?;
        let config = Config::default();
        let input = input(&world, &config, &fleet, requests);
        let plan = skerry_placement::plan(&input, &self.plan);
        let violations = skerry_placement::check(&input, &self.plan, &plan);
        if let Some(first) = violations.first() {
            return Err(CycleError::Rejected(format!("{first:?}")));
        }
        commit::commit(site, &world, &plan).await.map_err(CycleError::Write)?;
        output::write(site, &world, &plan).await.map_err(CycleError::Write)?;
        status::write(site, &world, &plan, &verdicts).await.map_err(CycleError::Write)?;
        accepted::forget(site, &world).await.map_err(CycleError::Write)?;
        self.is_settled = verdicts.values().all(Result::is_ok);
        self.plan = plan;
        self.requests.retain(|uid, _| world.placements.iter().any(|p| p.uid == *uid));
        Ok(())
    }

    /// What a Placement asked for before its spec was refused: what was delivered stays where it is.
    async fn before(
        &self,
        site: &Site<'_>,
        world: &World,
        placement: &Placed,
    ) -> Option<skerry_placement::Request> {
        if let Some(known) = self.requests.get(&placement.uid) {
            return Some(known.clone());
        }
        let (before, resolved) = in_force(site, world, placement).await.ok()?;
        Some(request::of(&before, &resolved, world))
    }
}

/// The inventory as the engine takes it.
pub async fn fleet(site: &Site<'_>) -> Result<skerry_placement::Snapshot, CycleError> {
    let Some(live) = site.live.filter(|live| live.is_ready()) else {
        let read = snapshot::read(&site.hub, site.settings, site.figures);
        return read.await.map_err(CycleError::Read);
    };
    let figures = |name: &str| site.figures.figures(name);
    let (profiles, reports) = (live.typed(live::Kind::ClusterProfile), live.typed(live::Kind::ClusterReport));
    Ok(snapshot::build(&profiles, &reports, &site.settings.manager, &figures, Timestamp::now()))
}

fn input<'a>(
    world: &World,
    config: &'a Config,
    fleet: &'a skerry_placement::Snapshot,
    requests: Vec<skerry_placement::Request>,
) -> Input<'a> {
    Input {
        at: Timestamp::now().as_millisecond(),
        seed: SEED,
        config,
        fleet,
        requests,
        evaluate: None,
        blocked: Default::default(),
        held: world.held(),
        claims: Vec::new(),
        changes: &[],
    }
}

/// Why each member was taken or passed over for one Placement, from the world as it is now (placement Y1).
pub async fn explain(
    site: &Site<'_>,
    namespace: &str,
    name: &str,
) -> Result<Option<Explanation>, CycleError> {
    let world = World::read(site).await.map_err(CycleError::Read)?;
    let mut requests = Vec::new();
    let mut wanted = None;
    for placement in &world.placements {
        if let Ok((placement, resolved)) = in_force(site, &world, placement).await {
            requests.push(request::of(&placement, &resolved, &world));
        }
        if placement.namespace == namespace && placement.name == name {
            wanted = Some(RequestId::from(placement.uid.as_str()));
        }
    }
    let Some(wanted) = wanted else { return Ok(None) };
    let fleet = fleet(site).await?;
    let config = Config::default();
    let input = input(&world, &config, &fleet, requests);
    let plan = skerry_placement::plan(&input, &Plan::default());
    Ok(skerry_placement::explain(&input, &plan, &wanted))
}
