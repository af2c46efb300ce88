//! The identity of a member inside it (inventory A1): two ClusterProperties.

use kube::Client;
use kube::api::{Api, DeleteParams};
use serde_json::json;
use skerry_api::ClusterProperty;
use skerry_api::cluster_profile::{PROPERTY_ID, PROPERTY_SET};
use skerry_api::virtual_cluster::reasons::managers;
use skerry_kit::{apply, error};

/// Makes the pair true; without a set its property goes. Writes only what differs.
pub async fn ensure_pair(client: &Client, id: &str, set: Option<&str>) -> Result<usize, kube::Error> {
    let api: Api<ClusterProperty> = Api::all(client.clone());
    let mut writes = 0;
    for (name, value) in [(PROPERTY_ID, Some(id)), (PROPERTY_SET, set)] {
        let stored = api.get_opt(name).await?;
        match (stored, value) {
            (Some(stored), Some(value)) if stored.spec.value == value => {}
            (_, Some(value)) => {
                let body = json!({"metadata": {"name": name}, "spec": {"value": value}});
                let property: ClusterProperty =
                    serde_json::from_value(body).map_err(kube::Error::SerdeError)?;
                apply::apply(&api, managers::INVENTORY, &property).await?;
                writes += 1;
            }
            (Some(_), None) => match api.delete(name, &DeleteParams::default()).await {
                Err(failed) if !error::is_not_found(&failed) => return Err(failed),
                _ => writes += 1,
            },
            (None, None) => {}
        }
    }
    Ok(writes)
}

/// The id that a member already has, if it has one: a cluster's identity is not changed by joining.
pub async fn existing_id(client: &Client) -> Result<Option<String>, kube::Error> {
    let api: Api<ClusterProperty> = Api::all(client.clone());
    Ok(error::optional(api.get(PROPERTY_ID).await)?.map(|p| p.spec.value))
}
