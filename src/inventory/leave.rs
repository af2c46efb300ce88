//! A member leaves (inventory section 12): cordon, evict, drain, then access, profile and report. Each step is
//! idempotent; the step at work is on record in the VirtualCluster's deletion status.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, Preconditions};
use serde_json::{Map, json};
use skerry_api::cluster_profile::{JOINED, joined};
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
    cordon(context, &namespace, &name).await?;
    let id = subject.typed.id.clone().unwrap_or_default();
    bindings_left(context, &namespace, &name, &id).await
}

/// Bindings and decisions that still name a member.
pub async fn bindings_left(
    context: &Context,
    namespace: &str,
    name: &str,
    id: &str,
) -> Result<Left, kube::Error> {
    let bindings: Api<ClusterBinding> = Api::all(context.hub.clone());
    let selector = ListParams::default().labels(&format!("{}={id}", labels::MEMBER_ID));
    let found =
        error::optional(bindings.list_metadata(&selector).await)?.map(|l| l.items).unwrap_or_default();
    if let Some(first) = found.first() {
        let more = format!("clusterbinding {}/{}", first.namespace().unwrap_or_default(), first.name_any());
        return Ok(Left::waiting(more));
    }
    let decisions: Api<PlacementDecision> = Api::all(context.hub.clone());
    let lists =
        error::optional(decisions.list(&ListParams::default()).await)?.map(|l| l.items).unwrap_or_default();
    let names = |d: &&PlacementDecision| {
        d.decisions.iter().any(|c| {
            let reference = &c.cluster_profile_ref;
            reference.name == name && reference.namespace.as_deref().is_none_or(|n| n == namespace)
        })
    };
    Ok(lists.iter().find(names).map_or_else(Left::default, |d| {
        Left::waiting(format!("placementdecision {}/{}", d.namespace().unwrap_or_default(), d.name_any()))
    }))
}

/// Joined=False/Draining on the profile, `Cordon` on record in the Report: placement picks the member no more.
pub async fn cordon(context: &Context, namespace: &str, name: &str) -> Result<(), kube::Error> {
    let now = Timestamp::now();
    let profiles: Api<ClusterProfile> = Api::namespaced(context.hub.clone(), namespace);
    if let Some(stored) = error::optional(profiles.get(name).await)? {
        let before = stored.status.clone().unwrap_or_default();
        let leaving = Statement::no(JOINED, joined::DRAINING, "leaving the inventory");
        let mut conditions = before.conditions.clone().unwrap_or_default();
        if skerry_api::condition::merge(&mut conditions, &leaving, None, &Time(now)) {
            let mut status = json!(before);
            status["conditions"] = json!(conditions);
            apply::apply_status(&profiles, managers::INVENTORY, name, status).await?;
        }
    }
    let reports: Api<ClusterReport> = Api::namespaced(context.hub.clone(), namespace);
    if let Some(stored) = error::optional(reports.get(name).await)? {
        let status = stored.status.unwrap_or_default();
        if status.leave.is_none() {
            let body = json!({"status": {"leave": {"step": "Evict", "since": now}}});
            reports.patch_status(name, &params(), &kube::api::Patch::Merge(&body)).await?;
        }
    }
    Ok(())
}

fn params() -> kube::api::PatchParams {
    kube::api::PatchParams { field_manager: Some(managers::INVENTORY.to_owned()), ..Default::default() }
}

/// Steps 3 to 5: nothing of any consumer is left. Works are stored for pull members only, which come later.
pub async fn drain(context: &Context, subject: &mut Subject) -> Result<Left, kube::Error> {
    let Some((namespace, name)) = profile_of(subject) else { return Ok(Left::default()) };
    let id = subject.typed.id.clone().unwrap_or_default();
    bindings_left(context, &namespace, &name, &id).await
}

/// Steps 6 to 8: access, profile, report.
pub async fn remove_profile(context: &Context, subject: &mut Subject) -> Result<Left, kube::Error> {
    let Some((namespace, name)) = profile_of(subject) else { return Ok(Left::default()) };
    let id = subject.typed.id.clone().unwrap_or_default();
    let left = remove_entry(context, &namespace, &name, &id).await?;
    if left.blocked_on.is_empty() {
        say(context, subject, reason::REMOVED, "removed from the inventory").await?;
        context.inventory.forget_profile(&name);
    }
    Ok(left)
}

/// Deletes profile and report of a member by proof; a foreign finalizer is waited for and named.
pub async fn remove_entry(
    context: &Context,
    namespace: &str,
    name: &str,
    id: &str,
) -> Result<Left, kube::Error> {
    let profiles: Api<ClusterProfile> = Api::namespaced(context.hub.clone(), namespace);
    if let Some(stored) = error::optional(profiles.get(name).await)?
        && stored.spec.cluster_manager.name == context.settings.inventory.manager
        && stored.labels().get(labels::INVENTORY_MEMBER_ID).is_some_and(|l| l == id)
    {
        if stored.metadata.deletion_timestamp.is_none() {
            gone(profiles.delete(name, &exact(&stored)).await)?;
        }
        if let Some(held) = error::optional(profiles.get_metadata(name).await)?
            && held.uid() == stored.uid()
        {
            let by = held.finalizers().join(", ");
            return Ok(Left::waiting(format!("clusterprofile {namespace}/{name}: finalizer {by}")));
        }
    }
    let reports: Api<ClusterReport> = Api::namespaced(context.hub.clone(), namespace);
    if let Some(stored) = error::optional(reports.get_metadata(name).await)? {
        gone(reports.delete(name, &exact(&stored)).await)?;
    }
    Ok(Left::default())
}

fn exact<K: ResourceExt>(object: &K) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions { uid: object.uid(), ..Preconditions::default() }),
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
