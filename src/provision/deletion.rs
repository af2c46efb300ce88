//! The end of a tenant (tenancy D1–D11), one step after the other; each starts when the one before left nothing.
//!
//! **Guarantee**: a deletion reads the id, the hosts and the deletion block, nothing else: a bad spec, a missing class
//! or Secret, an uninstalled kind cannot hold it (D9). **Caveat**: it waits for whoever has to clear away what it does
//! not own (syncer, rollout), and says for whom.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Preconditions};
use serde_json::json;
use skerry_api::condition::{Statement, find};
use skerry_api::rules::parse_duration;
use skerry_api::virtual_cluster::reasons::{PROVISIONED, SYNCED, provisioned as reason, synced};
use skerry_api::virtual_cluster::{DeletionStep, Remaining};

use super::{identity, status};
use crate::context::Context;
use crate::control_plane::{ProviderError, TenantRef, secret};
use crate::inventory::leave;
use crate::subject::Subject;

/// Between looks at what is left, while anything is.
const AGAIN: Duration = Duration::from_secs(2);

/// What one step found.
#[derive(Debug, Default)]
pub struct Left {
    /// Objects, by host and kind.
    pub remaining: Vec<Remaining>,
    /// What it waits for.
    pub blocked_on: Vec<String>,
}

impl Left {
    /// Waiting for one thing.
    pub fn waiting(what: impl Into<String>) -> Self {
        Self { blocked_on: vec![what.into()], ..Self::default() }
    }

    fn is_nothing(&self) -> bool {
        self.remaining.is_empty() && self.blocked_on.is_empty()
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A request to the hub failed.
    #[error("a request to the hub failed")]
    Hub(#[from] kube::Error),
    /// The provider failed.
    #[error("the provider failed")]
    Provider(#[from] ProviderError),
}

/// One pass over a VirtualCluster that is being deleted. `None`: it is gone.
pub async fn reconcile(context: &Context, subject: &mut Subject) -> Result<Option<Duration>, Error> {
    let tenant = TenantRef {
        id: subject.typed.id.clone().unwrap_or_default(),
        uid: subject.uid.clone(),
        namespace: subject.namespace.clone(),
        name: subject.name.clone(),
    };
    let first = subject.typed.deletion.as_ref().and_then(|d| d.step).unwrap_or(DeletionStep::EvictPlacements);
    let mut step = first;
    if subject.status["deletion"].is_null() {
        // The step is on record before it begins, so that others see that the tenant is going.
        record(context, subject, step, &Left::waiting("first look")).await?;
    }
    loop {
        let left = run(context, subject, &tenant, step).await?;
        if !left.is_nothing() {
            record(context, subject, step, &left).await?;
            return Ok(Some(AGAIN));
        }
        match next(step) {
            Some(following) => {
                step = following;
                record(context, subject, step, &Left::default()).await?;
            }
            None => break,
        }
    }
    context.forget(&tenant);
    identity::release(context, subject).await?;
    Ok(None)
}

fn next(step: DeletionStep) -> Option<DeletionStep> {
    match step {
        DeletionStep::EvictPlacements => Some(DeletionStep::DrainConsumers),
        DeletionStep::DrainConsumers => Some(DeletionStep::RemoveProfile),
        DeletionStep::RemoveProfile => Some(DeletionStep::DrainSyncer),
        DeletionStep::DrainSyncer => Some(DeletionStep::ControlPlane),
        DeletionStep::ControlPlane => Some(DeletionStep::StoreData),
        DeletionStep::StoreData => None,
    }
}

async fn run(
    context: &Context,
    subject: &mut Subject,
    tenant: &TenantRef,
    step: DeletionStep,
) -> Result<Left, Error> {
    match step {
        DeletionStep::EvictPlacements => Ok(leave::evict(context, subject).await?),
        DeletionStep::DrainConsumers => Ok(leave::drain(context, subject).await?),
        DeletionStep::RemoveProfile => Ok(leave::remove_profile(context, subject).await?),
        DeletionStep::DrainSyncer => Ok(drained(subject)),
        DeletionStep::ControlPlane => control_plane(context, tenant).await,
        DeletionStep::StoreData => store_data(context, tenant).await,
    }
}

/// Host objects are the syncer's; it says `Drained` when nothing is left. A tenant that it never saw has none.
fn drained(subject: &Subject) -> Left {
    match find(subject.conditions(), SYNCED) {
        None => Left::default(),
        Some(c) if c.status == "False" && c.reason == synced::DRAINED => Left::default(),
        Some(c) if c.reason == synced::DISABLED => Left::default(),
        Some(c) => Left::waiting(format!("syncer: {}: {}", c.reason, c.message)),
    }
}

/// What providers made in adopted clusters, then the published Secret, by proof of its UID.
async fn control_plane(context: &Context, tenant: &TenantRef) -> Result<Left, Error> {
    use crate::control_plane::Provider as _;
    let count = context.external.teardown(tenant).await?;
    if count > 0 {
        return Ok(Left::waiting(format!("{count} objects in the adopted cluster")));
    }
    let api: Api<Secret> = Api::namespaced(context.hub.clone(), &tenant.namespace);
    let name = secret::name(&tenant.name);
    if let Some(stored) = api.get_opt(&name).await?.filter(|s| secret::is_ours(s, tenant)) {
        let exact = DeleteParams {
            preconditions: Some(Preconditions { uid: stored.uid(), ..Preconditions::default() }),
            ..DeleteParams::default()
        };
        match api.delete(&name, &exact).await {
            Err(failed) if !skerry_kit::error::is_not_found(&failed) => return Err(failed.into()),
            _ => {}
        }
    }
    Ok(Left::default())
}

async fn store_data(context: &Context, tenant: &TenantRef) -> Result<Left, Error> {
    use crate::control_plane::Provider as _;
    let Some(embedded) = &context.embedded else { return Ok(Left::default()) };
    if tenant.id.is_empty() {
        return Ok(Left::default());
    }
    let left = embedded.teardown(tenant).await?;
    if left == 0 {
        return Ok(Left::default());
    }
    let count = i64::try_from(left).unwrap_or(i64::MAX);
    let remaining =
        Remaining { kind: Some("stored object".to_owned()), count: Some(count), ..Remaining::default() };
    Ok(Left { remaining: vec![remaining], ..Left::default() })
}

async fn record(
    context: &Context,
    subject: &mut Subject,
    step: DeletionStep,
    left: &Left,
) -> Result<(), kube::Error> {
    let now = Timestamp::now();
    let started = subject.meta.deletion_timestamp.as_ref().map_or(now, |t| t.0);
    let deadline = started + deadline_of(subject);
    let progress = json!({
        "startedAt": started,
        "step": step,
        "deadline": deadline,
        "overdue": now > deadline,
        "remaining": left.remaining,
        "blockedOn": left.blocked_on,
    });
    let what = left.blocked_on.first().map_or_else(String::new, |b| format!(", waits for {b}"));
    let statement = Statement::no(PROVISIONED, reason::DELETING, format!("step {step}{what}"));
    status::deleting(context, subject, &statement, progress).await
}

/// `deletion.deadline` as last in force, else as asked for, else ten minutes.
fn deadline_of(subject: &Subject) -> SignedDuration {
    let text = |v: &serde_json::Value| v["deletion"]["deadline"].as_str().and_then(parse_duration);
    let nanos = text(&subject.status["effective"]).or_else(|| text(&subject.spec));
    let nanos = nanos.and_then(|n| i64::try_from(n).ok()).unwrap_or(600_000_000_000);
    SignedDuration::from_nanos(nanos)
}
