//! The list of what was left behind when something was let go of that does not answer (inventory L1).

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use kube::{Client, ResourceExt as _};
use skerry_api::Time;

const NAME: &str = "skerry-abandoned";
const KEY: &str = "list";
/// Lines that are kept.
const MOST: usize = 1000;

/// Adds lines, each with the time at which leaving began: saying it twice adds it once.
pub async fn add(hub: &Client, namespace: &str, since: &Time, what: &[String]) -> Result<(), kube::Error> {
    if what.is_empty() {
        return Ok(());
    }
    let api: Api<ConfigMap> = Api::namespaced(hub.clone(), namespace);
    let stored = api.get_opt(NAME).await?;
    let text = stored.as_ref().and_then(|c| c.data.as_ref()?.get(KEY)).cloned().unwrap_or_default();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let before = lines.len();
    for line in what {
        let line = format!("{} {line}", since.0);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    if lines.len() == before {
        return Ok(());
    }
    let list = lines[lines.len().saturating_sub(MOST)..].join("\n");
    let mut map = stored.unwrap_or_default();
    map.metadata.name = Some(NAME.to_owned());
    map.data.get_or_insert_default().insert(KEY.to_owned(), list);
    match map.resource_version() {
        Some(_) => api.replace(NAME, &PostParams::default(), &map).await?,
        None => api.create(&PostParams::default(), &map).await?,
    };
    Ok(())
}
