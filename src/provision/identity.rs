//! The tenant's id, on record before anything that is named by it (tenancy V1), and the finalizer.

use std::collections::HashSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Map, json};
use skerry_api::condition::Statement;
use skerry_api::ids::tenant_id_candidate;
use skerry_api::labels;
use skerry_api::virtual_cluster::reasons::{PROVISIONED, managers, provisioned as reason};
use skerry_api::{ClusterProfile, VirtualCluster};

use super::Error;
use crate::context::Context;
use crate::subject::Subject;

/// Sets finalizer and id where they are missing.
pub async fn ensure(context: &Context, subject: &mut Subject) -> Result<(), Error> {
    if !subject.meta.finalizers.iter().flatten().any(|f| f == labels::FINALIZER_TEARDOWN) {
        add_finalizer(context, subject).await.map_err(Error::Identity)?;
    }
    if subject.typed.id.is_some() {
        return Ok(());
    }
    let now = Time(Timestamp::now());
    match free_id(context, subject).await.map_err(Error::Identity)? {
        Some(id) => {
            let fields = Map::from_iter([("id".to_owned(), id.into())]);
            let wait = Statement::unknown(PROVISIONED, "Pending", "being looked at");
            subject
                .write(&context.hub, managers::PROVISION, Some(&wait), fields, &now)
                .await
                .map_err(Error::Status)?;
            Ok(())
        }
        None => {
            let text = "all four ids of this object's UID are taken; delete it and create it anew";
            let no = Statement::no(PROVISIONED, reason::NAME_CONFLICT, text);
            subject
                .write(&context.hub, managers::PROVISION, Some(&no), Map::new(), &now)
                .await
                .map_err(Error::Status)?;
            Err(Error::Identity(kube::Error::Service(text.into())))
        }
    }
}

/// The first of the four candidates that nobody else has: no virtual cluster, no member, no tenant record.
async fn free_id(context: &Context, subject: &Subject) -> Result<Option<String>, kube::Error> {
    let taken: HashSet<String> = context
        .tenants
        .state()
        .iter()
        .filter(|o| o.uid().as_deref() != Some(&subject.uid))
        .filter_map(|o| o.data["status"]["id"].as_str().map(str::to_owned))
        .collect();
    let profiles: Api<ClusterProfile> =
        Api::namespaced(context.hub.clone(), &context.settings.inventory.namespace);
    for candidate in (0..4).filter_map(|n| tenant_id_candidate(&subject.uid, n)) {
        if taken.contains(&candidate) {
            continue;
        }
        let of_id =
            ListParams::default().labels(&format!("{}={candidate}", labels::INVENTORY_MEMBER_ID)).limit(1);
        let members = match profiles.list_metadata(&of_id).await {
            Ok(list) => list.items.len(),
            Err(failed) if skerry_kit::error::is_not_found(&failed) => 0,
            Err(failed) => return Err(failed),
        };
        if members == 0 && record_is_free(context, &candidate, &subject.uid).await? {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

async fn record_is_free(context: &Context, id: &str, uid: &str) -> Result<bool, kube::Error> {
    match &context.embedded {
        Some(embedded) => embedded.is_free(id, uid).await,
        None => Ok(true),
    }
}

async fn add_finalizer(context: &Context, subject: &mut Subject) -> Result<(), kube::Error> {
    let mut finalizers = subject.meta.finalizers.clone().unwrap_or_default();
    finalizers.push(labels::FINALIZER_TEARDOWN.to_owned());
    set_finalizers(context, subject, finalizers).await
}

/// Takes our finalizer away: the object may go.
pub async fn release(context: &Context, subject: &mut Subject) -> Result<(), kube::Error> {
    let finalizers: Vec<String> = subject
        .meta
        .finalizers
        .clone()
        .unwrap_or_default()
        .into_iter()
        .filter(|f| f != labels::FINALIZER_TEARDOWN)
        .collect();
    match set_finalizers(context, subject, finalizers).await {
        Err(failed) if skerry_kit::error::is_not_found(&failed) => Ok(()),
        other => other,
    }
}

/// Guarded by the UID: another object of this name is never touched.
async fn set_finalizers(
    context: &Context,
    subject: &mut Subject,
    list: Vec<String>,
) -> Result<(), kube::Error> {
    let api: Api<VirtualCluster> = Api::namespaced(context.hub.clone(), &subject.namespace);
    let patch = json!({"metadata": {"uid": subject.uid, "finalizers": list}});
    let stored = api
        .patch_metadata(
            &subject.name,
            &PatchParams { field_manager: Some(managers::PROVISION.into()), ..PatchParams::default() },
            &Patch::Merge(&patch),
        )
        .await?;
    subject.writes += 1;
    subject.meta = stored.metadata;
    Ok(())
}
