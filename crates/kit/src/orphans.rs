//! Deletion of what carries our label and was not applied (tenancy L2: by proof, never by name).

use std::collections::BTreeSet;
use std::fmt::Debug;

use kube::api::{Api, DeleteParams, ListParams, Preconditions};
use kube::{Error, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use skerry_api::labels;

/// Whether the object carries the tenant's label and the proof of its UID.
pub fn is_ours<K: ResourceExt>(object: &K, tenant: &str, uid: &str) -> bool {
    object.labels().get(labels::TENANT).is_some_and(|t| t == tenant)
        && object.annotations().get(labels::UID).is_some_and(|u| u == uid)
}

/// Deletes the tenant's objects of one kind whose names are not among `keep`; returns how many went.
pub async fn delete_orphans<K>(
    api: &Api<K>,
    tenant: &str,
    uid: &str,
    keep: &BTreeSet<String>,
) -> Result<usize, Error>
where
    K: Resource + Clone + Debug + DeserializeOwned,
{
    let selector = ListParams::default().labels(&format!("{}={tenant}", labels::TENANT));
    let mut gone = 0;
    for object in api.list(&selector).await? {
        let name = object.name_any();
        if keep.contains(&name) || !is_ours(&object, tenant, uid) {
            continue;
        }
        let exact = DeleteParams {
            preconditions: Some(Preconditions { uid: object.uid(), ..Preconditions::default() }),
            ..DeleteParams::default()
        };
        match api.delete(&name, &exact).await {
            Ok(_) => gone += 1,
            Err(error) if crate::error::is_not_found(&error) || crate::error::is_conflict(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(gone)
}
