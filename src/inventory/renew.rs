//! The tokens by which the hub reaches a push member, renewed at half of their life (inventory section 3).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use skerry_api::ClusterReport;
use skerry_api::rights::{ACCOUNT, HOST_ACCOUNT};
use skerry_api::virtual_cluster::reasons::managers;

use super::join::{HOST_KEY, ISSUED, MEMBER_KEY};
use super::rights::{TOKEN_SECONDS, mint};
use crate::context::Context;

/// Whether a token issued then is due now.
fn is_due(issued: Option<&str>, now: Timestamp) -> bool {
    let Some(issued) = issued.and_then(|t| t.parse::<Timestamp>().ok()) else { return false };
    now.duration_since(issued) >= SignedDuration::from_secs(TOKEN_SECONDS / 2)
}

/// Renews the member's credential if it is due. One without the time of issue is somebody else's and left alone.
pub async fn if_due(context: &Context, report: &ClusterReport, member: &Client) -> Result<(), kube::Error> {
    let Some(push) = &report.spec.push else { return Ok(()) };
    let api: Api<Secret> = Api::namespaced(context.hub.clone(), &context.settings.inventory.namespace);
    let stored = api.get(&push.secret_ref.name).await?;
    let now = Timestamp::now();
    if !is_due(stored.annotations().get(ISSUED).map(String::as_str), now) {
        return Ok(());
    }
    let mut files = BTreeMap::new();
    for (key, account) in
        [(push.secret_ref.key.as_deref().unwrap_or(MEMBER_KEY), ACCOUNT), (HOST_KEY, HOST_ACCOUNT)]
    {
        let Some(bytes) = stored.data.as_ref().and_then(|d| d.get(key)) else { continue };
        let Ok(mut file) = serde_yaml_ng::from_slice::<Value>(&bytes.0) else { return Ok(()) };
        file["users"][0]["user"] = json!({"token": mint(member, account).await?});
        files.insert(key, serde_yaml_ng::to_string(&file).unwrap_or_default());
    }
    let patch = json!({
        "metadata": {"annotations": {ISSUED: now.to_string()}, "resourceVersion": stored.resource_version()},
        "stringData": files,
    });
    let params =
        PatchParams { field_manager: Some(managers::INVENTORY.to_owned()), ..PatchParams::default() };
    api.patch(&push.secret_ref.name, &params, &Patch::Merge(&patch)).await?;
    context.metrics.rotations.inc();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_renewed_at_half_of_their_life() {
        let issued: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        let at = |hours| issued + SignedDuration::from_hours(hours);
        assert!(
            !is_due(Some("2026-11-21T00:00:00Z"), at(11)) && is_due(Some("2026-11-21T00:00:00Z"), at(12))
        );
        assert!(!is_due(None, at(100)));
    }
}
