//! The last accepted spec of each Placement, kept on the hub: a bad edit changes nothing of what was delivered, not even
//! over a restart, and what `delivery.whenRemoved` said is known after the Placement is gone.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::raw::{self, text};
use super::world::{Placed, World};
use super::{Site, status};

/// Type of the Secrets. Inline manifests may hold Secrets, so a ConfigMap would not do.
pub const TYPE: &str = "skerry.dev/accepted-spec";

fn name(uid: &str) -> String {
    format!("skerry-accepted-{uid}")
}

fn collection(inventory: &str) -> String {
    format!("/api/v1/namespaces/{inventory}/secrets")
}

/// Reads all of them, by UID of the Placement.
pub async fn read(site: &Site<'_>) -> Result<BTreeMap<String, Value>, kube::Error> {
    let path =
        format!("{}?fieldSelector=type%3D{}", collection(&site.settings.namespace), TYPE.replace('/', "%2F"));
    let secrets = match raw::list_if_served(&site.hub, &path).await {
        // A command may run with fewer rights than the manager; then only specs as they are count.
        Err(error) if skerry_kit::error::code(&error) == Some(403) => Vec::new(),
        other => other?,
    };
    Ok(secrets.iter().filter_map(decode).collect())
}

/// UID of the Placement and its spec.
pub fn decode(secret: &Value) -> Option<(String, Value)> {
    let bytes = STANDARD.decode(text(secret, &["data", "spec"])).ok()?;
    let uid = text(secret, &["metadata", "name"]).trim_start_matches("skerry-accepted-").to_owned();
    Some((uid, serde_json::from_slice(&bytes).ok()?))
}

/// Keeps the spec of a Placement that was accepted; nothing is written when it is kept already.
pub async fn keep(site: &Site<'_>, world: &World, placement: &Placed) -> Result<(), kube::Error> {
    if world.accepted.get(&placement.uid) == Some(placement.spec()) {
        return Ok(());
    }
    let spec = serde_json::to_vec(placement.spec()).map_err(kube::Error::SerdeError)?;
    let name = name(&placement.uid);
    let body = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": world.inventory},
        "type": TYPE, "data": {"spec": STANDARD.encode(spec)}});
    let path = format!("{}/{name}", collection(&world.inventory));
    raw::apply(&site.hub, &path, status::MANAGER, true, &body).await.map(|kept| site.saw(&kept))
}

/// Forgets those of Placements that are gone with all their bindings.
pub async fn forget(site: &Site<'_>, world: &World) -> Result<(), kube::Error> {
    for uid in world.accepted.keys() {
        let known = world.placements.iter().any(|p| p.uid == *uid);
        if known || world.bindings_of(uid).next().is_some() {
            continue;
        }
        let path = format!("{}/{}", collection(&world.inventory), name(uid));
        if let Some(secret) = raw::get(&site.hub, &path).await? {
            raw::delete(&site.hub, &path, text(&secret, &["metadata", "uid"])).await?;
        }
    }
    Ok(())
}
