//! A member leaves (inventory section 12): cordon, evict, drain, then access, profile and report. Each step is
//! idempotent; the step at work is on record, a virtual member's in its VirtualCluster's deletion status, a real one's
//! in its Report.

mod abandoned;
pub mod real;
mod task;

pub use task::run;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, Preconditions};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use skerry_api::cluster_profile::{JOINED, joined};
use skerry_api::cluster_report::LeaveStep;
use skerry_api::condition::Statement;
use skerry_api::virtual_cluster::reasons::{REGISTERED, managers, registered as reason};
use skerry_api::{ClusterBinding, ClusterProfile, ClusterReport, PlacementDecision, labels};
use skerry_kit::{apply, error};

use crate::context::Context;
use crate::provision::deletion::Left;
use crate::subject::Subject;

/// Steps 1 and 2: no new decision names the member, and the old ones are gone.
pub async fn evict(context: &Context, subject: &mut Subject) -> Result<Left, kube::Error> {
    let Some((namespace, name)) = profile_of(subject) else { return Ok(Left::default()) };
    say(context, subject, reason::DRAINING, "leaving the inventory").await?;
    cordon(&context.hub, &namespace, &name).await?;
    let reports: Api<ClusterReport> = Api::namespaced(context.hub.clone(), &namespace);
    if let Some(stored) = error::optional(reports.get(&name).await)?
        && stored.leave().is_none()
    {
        let leave = json!({"step": LeaveStep::Evict, "since": Timestamp::now()});
        record(&reports, &name, leave).await?;
    }
    let id = subject.typed.id.clone().unwrap_or_default();
    users(&context.hub, &namespace, &name, &id).await.map(waiting)
}

/// The first binding or decision that still names a member.
async fn users(hub: &Client, namespace: &str, name: &str, id: &str) -> Result<Option<String>, kube::Error> {
    let found = bindings_of(hub, id).await?;
    if let Some(first) = found.first() {
        let said = format!("clusterbinding {}/{}", first.namespace().unwrap_or_default(), first.name_any());
        return Ok(Some(said));
    }
    let decisions: Api<PlacementDecision> = Api::all(hub.clone());
    let lists =
        error::optional(decisions.list(&ListParams::default()).await)?.map(|l| l.items).unwrap_or_default();
    let names = |d: &&PlacementDecision| {
        d.decisions.iter().any(|c| {
            let reference = &c.cluster_profile_ref;
            reference.name == name && reference.namespace.as_deref().is_none_or(|n| n == namespace)
        })
    };
    let said = |d: &PlacementDecision| {
        format!("placementdecision {}/{}", d.namespace().unwrap_or_default(), d.name_any())
    };
    Ok(lists.iter().find(names).map(said))
}

/// Bindings to a member.
async fn bindings_of(hub: &Client, id: &str) -> Result<Vec<ClusterBinding>, kube::Error> {
    let bindings: Api<ClusterBinding> = Api::all(hub.clone());
    let selector = ListParams::default().labels(&format!("{}={id}", labels::MEMBER_ID));
    Ok(error::optional(bindings.list(&selector).await)?.map(|l| l.items).unwrap_or_default())
}

fn waiting(what: Option<String>) -> Left {
    what.map_or_else(Left::default, Left::waiting)
}

/// Joined=False/Draining on the profile: placement picks the member no more.
async fn cordon(hub: &Client, namespace: &str, name: &str) -> Result<(), kube::Error> {
    let profiles: Api<ClusterProfile> = Api::namespaced(hub.clone(), namespace);
    let Some(stored) = error::optional(profiles.get(name).await)? else { return Ok(()) };
    let before = stored.status.clone().unwrap_or_default();
    let leaving = Statement::no(JOINED, joined::DRAINING, "leaving the inventory");
    let mut conditions = before.conditions.clone().unwrap_or_default();
    if skerry_api::condition::merge(&mut conditions, &leaving, None, &Time(Timestamp::now())) {
        let mut status = json!(before);
        status["conditions"] = json!(conditions);
        apply::apply_status(&profiles, managers::INVENTORY, name, status).await?;
    }
    Ok(())
}

/// Writes the progress of leaving into a Report, and nothing beside it.
pub async fn record(reports: &Api<ClusterReport>, name: &str, leave: Value) -> Result<(), kube::Error> {
    let by = PatchParams { field_manager: Some(managers::INVENTORY.to_owned()), ..PatchParams::default() };
    let body = json!({"status": {"leave": leave}});
    reports.patch_status(name, &by, &Patch::Merge(&body)).await.map(drop)
}

/// Steps 3 to 5: nothing of any consumer is left. Works are stored for pull members only, which come later.
pub async fn drain(context: &Context, subject: &mut Subject) -> Result<Left, kube::Error> {
    let Some((namespace, name)) = profile_of(subject) else { return Ok(Left::default()) };
    let id = subject.typed.id.clone().unwrap_or_default();
    users(&context.hub, &namespace, &name, &id).await.map(waiting)
}

/// Steps 6 to 8: access, profile, report.
pub async fn remove_profile(context: &Context, subject: &mut Subject) -> Result<Left, kube::Error> {
    let Some((namespace, name)) = profile_of(subject) else { return Ok(Left::default()) };
    let id = subject.typed.id.clone().unwrap_or_default();
    let left =
        remove_entry(&context.hub, &context.settings.inventory.manager, &namespace, &name, &id).await?;
    if left.is_none() {
        remove_report(&context.hub, &namespace, &name).await?;
        say(context, subject, reason::REMOVED, "removed from the inventory").await?;
        context.inventory.forget_profile(&name);
    }
    Ok(waiting(left))
}

/// Deletes the profile of a member by proof; a foreign finalizer is waited for and named.
async fn remove_entry(
    hub: &Client,
    manager: &str,
    namespace: &str,
    name: &str,
    id: &str,
) -> Result<Option<String>, kube::Error> {
    let profiles: Api<ClusterProfile> = Api::namespaced(hub.clone(), namespace);
    let ours = |p: &ClusterProfile| {
        p.spec.cluster_manager.name == manager
            && p.labels().get(labels::INVENTORY_MEMBER_ID).is_some_and(|l| l == id)
    };
    match error::optional(profiles.get(name).await)?.filter(ours) {
        Some(stored) => remove(&profiles, &stored.metadata).await,
        None => Ok(None),
    }
}

/// The same with its Report.
async fn remove_report(hub: &Client, namespace: &str, name: &str) -> Result<Option<String>, kube::Error> {
    let reports: Api<ClusterReport> = Api::namespaced(hub.clone(), namespace);
    match error::optional(reports.get_metadata(name).await)? {
        Some(stored) => remove(&reports, &stored.metadata).await,
        None => Ok(None),
    }
}

/// Deletes exactly this object; names the finalizers that hold it.
async fn remove<K>(api: &Api<K>, stored: &ObjectMeta) -> Result<Option<String>, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let name = stored.name.clone().unwrap_or_default();
    if stored.deletion_timestamp.is_none() {
        gone(api.delete(&name, &exact(stored)).await)?;
    }
    let held = error::optional(api.get_metadata(&name).await)?.filter(|held| held.uid() == stored.uid);
    Ok(held.map(|held| {
        let (kind, by) = (K::kind(&()).to_lowercase(), held.finalizers().join(", "));
        format!("{kind} {}/{name}: finalizer {by}", held.namespace().unwrap_or_default())
    }))
}

fn exact(stored: &ObjectMeta) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions { uid: stored.uid.clone(), ..Preconditions::default() }),
        ..DeleteParams::default()
    }
}

fn gone<T>(result: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(failed) if !error::is_not_found(&failed) && !error::is_conflict(&failed) => Err(failed),
        _ => Ok(()),
    }
}

fn profile_of(subject: &Subject) -> Option<(String, String)> {
    let entry = subject.typed.inventory.as_ref()?;
    Some((entry.namespace.clone()?, entry.cluster_profile.clone()?))
}

async fn say(
    context: &Context,
    subject: &mut Subject,
    why: &'static str,
    text: &str,
) -> Result<(), kube::Error> {
    let mut fields = Map::new();
    if let Some(entry) = subject.status.get("inventory") {
        fields.insert("inventory".to_owned(), entry.clone());
    }
    let statement = Statement::no(REGISTERED, why, text);
    subject
        .write(&context.hub, managers::INVENTORY, Some(&statement), fields, &Time(Timestamp::now()))
        .await
        .map(drop)
}
