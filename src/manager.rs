//! The manager: one watch over VirtualClusters, one pass per change, the stages in their order.
//!
//! A pass is level-triggered: an event and the ten-minute period run the same code (tenancy L3). Each stage writes its
//! own condition, so a stage that fails leaves those before it as they are.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::controller::{Action, Config as ControllerConfig, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use serde_json::Map;
use skerry_api::condition::{Statement, find, holds};
use skerry_api::virtual_cluster::Phase;
use skerry_api::virtual_cluster::reasons::{
    CONTROL_PLANE_READY, PROVISIONED, READY, REGISTERED, SYNCED, managers, ready as reason,
};
use skerry_api::{VirtualCluster, VirtualClusterClass};
use skerry_kit::error;
use skerry_telemetry::{Metrics, Shutdown};

use crate::context::{Context, NamespaceLocks, Settings};
use crate::control_plane::embedded::Embedded;
use crate::control_plane::external::External;
use crate::inventory::{self, InventoryState};
use crate::metrics::{ConditionChange, ManagerMetrics, StageError};
use crate::subject::Subject;
use crate::{control_plane, placement, provision, rollout};

/// A pass without an event, at the latest.
const PERIOD: Duration = Duration::from_secs(600);
/// Passes at once.
const WORKERS: u16 = 16;

/// What a manager is made of.
pub struct Parts {
    /// Client of the hub.
    pub hub: Client,
    /// Settings.
    pub settings: Settings,
    /// The embedded server, if there is one.
    pub embedded: Option<Embedded>,
    /// Registry.
    pub metrics: Metrics,
}

/// Why a pass failed.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// Provision.
    #[error("provision")]
    Provision(#[source] provision::Error),
    /// Control plane.
    #[error("control_plane")]
    ControlPlane(#[source] control_plane::ProviderError),
    /// Inventory.
    #[error("inventory")]
    Inventory(#[source] kube::Error),
    /// Summary.
    #[error("status")]
    Status(#[source] kube::Error),
    /// Deletion.
    #[error("deletion")]
    Deletion(#[source] provision::deletion::Error),
}

impl PassError {
    /// A stable word for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Provision(inner) => inner.category(),
            Self::ControlPlane(_) => "control_plane",
            Self::Inventory(inner) | Self::Status(inner) => error::category(inner),
            Self::Deletion(_) => "deletion",
        }
    }
}

/// Runs until the end.
pub async fn run(parts: Parts, shutdown: Shutdown) {
    let Parts { hub, settings, embedded, metrics } = parts;
    let kind = ApiResource::erase::<VirtualCluster>(&());
    let all: Api<DynamicObject> = Api::all_with(hub.clone(), &kind);
    let controller = Controller::new_with(all, watcher::Config::default(), kind.clone());
    let store = controller.store();
    let reporter = Reporter { controller: "skerry-manager".to_owned(), instance: None };
    let context = Arc::new(Context {
        recorder: Recorder::new(hub.clone(), reporter),
        external: External::new(hub.clone()),
        embedded,
        settings,
        prober: Default::default(),
        backoff: Default::default(),
        tenants: store.clone(),
        inventory: InventoryState::default(),
        metrics: ManagerMetrics::register(&metrics),
        namespaces: NamespaceLocks::default(),
        hub: hub.clone(),
    });
    let everyone = move |_: VirtualClusterClass| {
        let kind = ApiResource::erase::<VirtualCluster>(&());
        store.state().iter().map(|o| ObjectRef::from_obj_with(o.as_ref(), kind.clone())).collect::<Vec<_>>()
    };
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::all(hub.clone());
    let of_tenants = watcher::Config::default().labels(skerry_api::labels::TENANT);
    let token = shutdown.token();
    let (wake, woken) = tokio::sync::mpsc::channel(1);
    let woken =
        futures::stream::unfold(woken, |mut woken| async move { woken.recv().await.map(|()| ((), woken)) });
    let passes = controller
        .reconcile_all_on(woken)
        .with_config(ControllerConfig::default().concurrency(WORKERS))
        .watches(Api::<VirtualClusterClass>::all(hub.clone()), watcher::Config::default(), everyone)
        .owns_with(secrets, (), of_tenants)
        .graceful_shutdown_on(async move { token.cancelled().await })
        .run(pass, on_failure, context.clone())
        .for_each(|result| async move {
            if let Err(failed) = result {
                tracing::debug!(error = %failed, "a pass ended with an error");
            }
        });
    let shared = async {
        match &context.embedded {
            Some(embedded) => control_plane::shared::run(embedded, &context.prober, wake, &shutdown).await,
            // The sender lives as long as the passes: a closed channel is no event.
            None => {
                let _kept = wake;
                shutdown.wait().await;
            }
        }
    };
    let live = placement::Live::new(hub.clone(), &context.settings.inventory.namespace);
    tokio::join!(
        passes,
        shared,
        inventory::real::run(&context, || live.reports(), &shutdown),
        inventory::leave::run(&context, || live.reports(), live.changes(), &shutdown),
        placement::run(&context, &live, &shutdown),
        rollout::run(&context, &live, &shutdown),
        async {
            tokio::select! {
                () = live.watch() => {}
                () = shutdown.wait() => {}
            }
        },
    );
}

async fn pass(object: Arc<DynamicObject>, context: Arc<Context>) -> Result<Action, PassError> {
    let started = tokio::time::Instant::now();
    let mut subject = match Subject::of(&object) {
        Ok(subject) => subject,
        Err(failed) => {
            // It hurts nobody else; a change of the object wakes it (L4).
            context.metrics.undecodable.inc();
            tracing::warn!(error = %failed, cause = ?std::error::Error::source(&failed), "a VirtualCluster does not decode");
            return Ok(Action::await_change());
        }
    };
    let was_ready = holds(subject.conditions(), READY);
    let result = if subject.is_deleting() {
        end(&context, &mut subject).await
    } else {
        keep(&context, &mut subject).await
    };
    announce(&context, &mut subject).await;
    context.metrics.pass_seconds.observe(started.elapsed().as_secs_f64());
    if subject.writes == 0 {
        context.metrics.noop_passes.inc();
    }
    if !was_ready
        && holds(subject.conditions(), READY)
        && let Some(created) = &subject.meta.creation_timestamp
    {
        context.metrics.ready_seconds.observe(Timestamp::now().duration_since(created.0).as_secs_f64());
    }
    let again = result?;
    context.backoff.succeeded(&subject.uid);
    Ok(again.map_or_else(Action::await_change, Action::requeue))
}

/// All stages of a tenant that is to be there.
async fn keep(context: &Context, subject: &mut Subject) -> Result<Option<Duration>, PassError> {
    let provisioned = provision::reconcile(context, subject).await.map_err(PassError::Provision)?;
    let mut again = PERIOD;
    if let Some(provisioned) = provisioned {
        let tenant = provisioned.tenant;
        let paused = tenant.is_paused(Timestamp::now());
        let published = match context.provider(tenant.plan.kind) {
            Some(provider) => {
                control_plane::reconcile(context, subject, &tenant, provider, provisioned.located).await
            }
            None => Ok(None),
        };
        let published = match published {
            Ok(published) => published,
            Err(failed) => {
                summarize(context, subject).await.map_err(PassError::Status)?;
                return Err(PassError::ControlPlane(failed));
            }
        };
        let next = published.as_ref().map_or(Duration::from_secs(10), |p| p.again);
        again = again.min(next);
        let registered = if paused {
            Ok(inventory::register::Registered { again: tenant.paused_for(Timestamp::now()) })
        } else {
            inventory::register::reconcile(context, subject, &tenant, published.as_ref()).await
        };
        match registered {
            Ok(registered) => again = registered.again.map_or(again, |a| again.min(a)),
            Err(failed) => {
                summarize(context, subject).await.map_err(PassError::Status)?;
                return Err(PassError::Inventory(failed));
            }
        }
    } else {
        // Room may come free, a class may appear: neither is an event of this object alone.
        again = Duration::from_secs(30);
    }
    summarize(context, subject).await.map_err(PassError::Status)?;
    Ok(Some(again))
}

/// A tenant that is to go.
async fn end(context: &Context, subject: &mut Subject) -> Result<Option<Duration>, PassError> {
    if !subject.meta.finalizers.iter().flatten().any(|f| f == skerry_api::labels::FINALIZER_TEARDOWN) {
        return Ok(None);
    }
    summarize(context, subject).await.map_err(PassError::Status)?;
    provision::deletion::reconcile(context, subject).await.map_err(PassError::Deletion)
}

/// Ready: the first that holds of a fixed list (L6, L8), and the phase for people.
pub fn ready(subject: &Subject) -> (Statement, Phase) {
    let conditions = subject.conditions();
    let said = |kind: &str| {
        find(conditions, kind)
            .map_or_else(|| format!("{kind} is not known yet"), |c| format!("{}: {}", c.reason, c.message))
    };
    let no = |why: &'static str, kind: &str| Statement::no(READY, why, said(kind));
    if subject.is_deleting() {
        return (Statement::no(READY, reason::DELETING, "being deleted"), Phase::Deleting);
    }
    let effective = subject.typed.effective.as_ref();
    if effective.is_some_and(|e| provision::is_paused(e, Timestamp::now())) {
        let text = "spec.pause.mode is Reconcile; `skerry resume` ends it";
        return (Statement::no(READY, reason::PAUSED, text), Phase::Paused);
    }
    let was_ready = find(conditions, READY)
        .is_some_and(|c| c.status == "True" || c.reason != reason::NOT_PROVISIONED)
        && subject.typed.endpoint.is_some();
    let unready =
        if was_ready && subject.typed.phase.is_some_and(|p| matches!(p, Phase::Ready | Phase::Degraded)) {
            Phase::Degraded
        } else {
            Phase::Provisioning
        };
    if !holds(conditions, PROVISIONED) && effective.is_none() {
        let phase = if find(conditions, PROVISIONED).is_some_and(|c| c.status == "False") {
            Phase::Failed
        } else {
            Phase::Pending
        };
        return (no(reason::NOT_PROVISIONED, PROVISIONED), phase);
    }
    if !holds(conditions, CONTROL_PLANE_READY) {
        return (no(reason::CONTROL_PLANE_NOT_READY, CONTROL_PLANE_READY), unready);
    }
    if !holds(conditions, SYNCED) {
        return (no(reason::NOT_SYNCED, SYNCED), unready);
    }
    if !holds(conditions, REGISTERED) {
        return (no(reason::NOT_REGISTERED, REGISTERED), unready);
    }
    let url = subject.status["endpoint"]["url"].as_str().unwrap_or_default();
    (Statement::yes(READY, reason::READY, format!("answers at {url}")), Phase::Ready)
}

async fn summarize(context: &Context, subject: &mut Subject) -> Result<(), kube::Error> {
    let (statement, phase) = ready(subject);
    let fields = Map::from_iter([("phase".to_owned(), phase.as_str().into())]);
    subject
        .write(&context.hub, managers::STATUS, Some(&statement), fields, &Time(Timestamp::now()))
        .await
        .map(drop)
}

/// One Event per fall to False (L7); the recorder joins repetitions.
async fn announce(context: &Context, subject: &mut Subject) {
    let reference = {
        let mut reference = VirtualCluster::default().object_ref(&());
        reference.name = Some(subject.name.clone());
        reference.namespace = Some(subject.namespace.clone());
        reference.uid = Some(subject.uid.clone());
        reference
    };
    for (kind, why, message) in std::mem::take(&mut subject.falls) {
        context
            .metrics
            .falls
            .get_or_create(&ConditionChange { r#type: kind.clone(), reason: why.clone() })
            .inc();
        if kind == READY {
            continue;
        }
        let note = message.chars().take(1000).collect::<String>();
        let event =
            Event { type_: EventType::Warning, reason: why, note: Some(note), action: kind, secondary: None };
        if let Err(failed) = context.recorder.publish(&event, &reference).await {
            tracing::debug!(error = %error::sentence(&failed), "an event was not written");
        }
    }
}

fn on_failure(object: Arc<DynamicObject>, failed: &PassError, context: Arc<Context>) -> Action {
    let key = object.uid().unwrap_or_default();
    let wait = context.backoff.failed(&key);
    let stage = match failed {
        PassError::Provision(_) => "provision",
        PassError::ControlPlane(_) => "control_plane",
        PassError::Inventory(_) => "inventory",
        PassError::Status(_) => "status",
        PassError::Deletion(_) => "deletion",
    };
    let labels = StageError { stage, category: failed.category() };
    context.metrics.errors.get_or_create(&labels).inc();
    let cause = skerry_kit::error::chain(failed);
    tracing::warn!(tenant = %object.name_any(), stage, error = %cause, "a pass failed; it is tried again in {wait:.1?}");
    Action::requeue(wait)
}
