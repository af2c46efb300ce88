//! From Placements and the inventory to a plan, and the plan committed: ClusterBindings and PlacementDecisions.
//!
//! ```text
//!  watches ─► wake ─► collect (world) ─► resolve objects ─► engine: plan ─► check ─► commit ─► output, status
//! ```
//! A cycle takes no hint from what woke it: it reads the world and does the same work each time. What it decides is the
//! engine's (`skerry-placement`), which this stage only feeds and obeys.

mod commit;
mod output;
pub mod raw;
mod request;
mod resolve;
mod status;
mod wake;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use skerry_placement::{Config, Explanation, Input, Plan, RequestId};
use skerry_telemetry::Shutdown;

pub use resolve::{Resolved, SourceError, resolve};
pub use status::{condition, write_part};
pub use world::{Placed, World};

use crate::context::Context;
use crate::inventory::snapshot;

/// Gathering time after the first wake.
const BATCH: Duration = Duration::from_millis(50);
/// A cycle without a wake.
const PERIOD: Duration = Duration::from_secs(5);
/// Seed of the tie-break.
const SEED: u64 = 0x5c4e_1123;

/// What the driver remembers between cycles: the last plan, and the last accepted form of each Placement.
#[derive(Default)]
pub struct Driver {
    plan: Plan,
    accepted: BTreeMap<String, skerry_placement::Request>,
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
pub async fn run(context: &Context, shutdown: &Shutdown) {
    let wake = wake::Wake::default();
    let mut driver = Driver::default();
    let mut sources = wake::Sources::new(wake.clone());
    let plans = async {
        loop {
            if let Err(failed) = cycle(context, &mut driver, &mut sources).await {
                tracing::warn!(error = %crate::manager::chain(&failed), "a placement cycle failed");
            }
            tokio::select! {
                () = wake.woken() => tokio::time::sleep(BATCH).await,
                () = tokio::time::sleep(PERIOD) => {}
            }
        }
    };
    tokio::select! {
        () = shutdown.wait() => {}
        () = plans => {}
        () = wake.watch(context.hub.clone()) => {}
    }
}

async fn cycle(
    context: &Context,
    driver: &mut Driver,
    sources: &mut wake::Sources,
) -> Result<(), CycleError> {
    let world = World::read(context).await.map_err(CycleError::Read)?;
    let mut requests = Vec::new();
    let mut verdicts = BTreeMap::new();
    for placement in &world.placements {
        let resolved = match request::check(placement) {
            Ok(()) => resolve(context, placement).await,
            Err(invalid) => Err(invalid),
        };
        match resolved {
            Ok(resolved) => {
                sources.follow(&resolved);
                let request = request::of(placement, &resolved, &world);
                driver.accepted.insert(placement.uid.clone(), request.clone());
                requests.push(request);
                verdicts.insert(placement.uid.clone(), Ok(resolved));
            }
            Err(error) => {
                // The last accepted form stays in force: what was delivered stays where it is.
                requests.extend(driver.accepted.get(&placement.uid).cloned());
                verdicts.insert(placement.uid.clone(), Err(error));
            }
        }
    }
    let fleet = fleet(context).await?;
    let config = Config::default();
    let input = input(&world, &config, &fleet, requests);
    let plan = skerry_placement::plan(&input, &driver.plan);
    let violations = skerry_placement::check(&input, &driver.plan, &plan);
    if let Some(first) = violations.first() {
        return Err(CycleError::Rejected(format!("{first:?}")));
    }
    commit::commit(context, &world, &plan).await.map_err(CycleError::Write)?;
    output::write(context, &world, &plan).await.map_err(CycleError::Write)?;
    status::write(context, &world, &plan, &verdicts).await.map_err(CycleError::Write)?;
    driver.plan = plan;
    driver.accepted.retain(|uid, _| world.placements.iter().any(|p| p.uid == *uid));
    Ok(())
}

/// The inventory as the engine takes it.
async fn fleet(context: &Context) -> Result<skerry_placement::Snapshot, CycleError> {
    let read = snapshot::read(&context.hub, &context.settings.inventory, &context.inventory);
    read.await.map_err(CycleError::Read)
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
    context: &Context,
    namespace: &str,
    name: &str,
) -> Result<Option<Explanation>, CycleError> {
    let world = World::read(context).await.map_err(CycleError::Read)?;
    let mut requests = Vec::new();
    let mut wanted = None;
    for placement in &world.placements {
        if let Ok(resolved) = resolve(context, placement).await {
            requests.push(request::of(placement, &resolved, &world));
        }
        if placement.namespace == namespace && placement.name == name {
            wanted = Some(RequestId::from(placement.uid.as_str()));
        }
    }
    let Some(wanted) = wanted else { return Ok(None) };
    let fleet = fleet(context).await?;
    let config = Config::default();
    let input = input(&world, &config, &fleet, requests);
    let plan = skerry_placement::plan(&input, &Plan::default());
    Ok(skerry_placement::explain(&input, &plan, &wanted))
}
