//! What wakes a cycle: watches whose data is not used, only that something came.

use std::collections::HashSet;
use std::sync::Arc;

use futures::StreamExt;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::watcher;
use kube::{Client, core::PartialObjectMeta};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::raw::Served;
use super::resolve::Resolved;

/// Wakes the driver.
#[derive(Clone, Default)]
pub struct Wake(Arc<Notify>);

/// Kinds of the hub that matter to every cycle: (group, version, kind, plural).
const HUB: [(&str, &str, &str, &str); 6] = [
    ("skerry.dev", "v1alpha1", "Placement", "placements"),
    ("skerry.dev", "v1alpha1", "ClusterPlacement", "clusterplacements"),
    ("skerry.dev", "v1alpha1", "ClusterBinding", "clusterbindings"),
    ("skerry.dev", "v1alpha1", "ClusterReport", "clusterreports"),
    ("multicluster.x-k8s.io", "v1alpha1", "ClusterProfile", "clusterprofiles"),
    ("", "v1", "Namespace", "namespaces"),
];

fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ApiResource {
        group: group.into(),
        version: version.into(),
        api_version,
        kind: kind.into(),
        plural: plural.into(),
    }
}

async fn follow(client: Client, what: ApiResource, wake: Wake) {
    let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &what);
    let mut events = watcher::watcher(api, watcher::Config::default()).boxed();
    while let Some(event) = events.next().await {
        match event {
            Ok(_) => wake.0.notify_one(),
            Err(error) => {
                tracing::debug!(kind = what.kind, error = %error, "a watch broke; it is opened again");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        }
    }
}

impl Wake {
    /// Waits for the next wake.
    pub async fn woken(&self) {
        self.0.notified().await;
    }

    /// Watches the hub's kinds for ever.
    pub async fn watch(&self, hub: Client) {
        let all = HUB.map(|(group, version, kind, plural)| {
            follow(hub.clone(), resource(group, version, kind, plural), self.clone())
        });
        futures::future::join_all(all).await;
    }
}

/// Watches on the kinds that Placements select, each opened once.
pub struct Sources {
    open: HashSet<(String, String, String)>,
    tasks: JoinSet<()>,
    wake: Wake,
}

impl Sources {
    /// None yet.
    pub fn new(wake: Wake) -> Self {
        Self { open: HashSet::new(), tasks: JoinSet::new(), wake }
    }

    /// Opens what is missing for a Placement's sources.
    pub fn follow(&mut self, resolved: &Resolved) {
        for Served { api_version, kind, plural, .. } in &resolved.follow {
            let key = (resolved.source.clone(), api_version.clone(), plural.clone());
            if !self.open.insert(key) {
                continue;
            }
            let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
            let what = resource(group, version, kind, plural);
            self.tasks.spawn(follow(resolved.client.clone(), what, self.wake.clone()));
        }
    }
}
