//! The ClusterProfile of a member as it is to be (inventory section 2): a pure function of what is known.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use skerry_api::cluster_profile::{EXEC_EXTENSION, PROPERTY_ID, PROPERTY_SET, Property};
use skerry_api::condition::Statement;
use skerry_api::{ClusterProfile, Condition, labels};

/// Longest property value (P8).
const LONGEST_VALUE: usize = 1024;
/// Labels that are properties too, if there.
const MIRRORED: [&str; 2] = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

/// What the profile says.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Name.
    pub name: String,
    /// Namespace.
    pub namespace: String,
    /// Manager.
    pub manager: String,
    /// Member id.
    pub id: String,
    /// For people.
    pub display_name: String,
    /// Set.
    pub set: Option<String>,
    /// `virtual` or `real`.
    pub member_kind: &'static str,
    /// Further labels, each a property too.
    pub labels: BTreeMap<String, String>,
    /// Further properties.
    pub properties: BTreeMap<String, String>,
    /// The member's own ClusterProperties (A3); ours come first.
    pub own: BTreeMap<String, String>,
    /// Version.
    pub version: String,
    /// URL; empty: no access entries.
    pub server: String,
    /// PEM bundle.
    pub ca_bundle: String,
}

impl Facts {
    /// All labels of the profile.
    pub fn all_labels(&self) -> BTreeMap<String, String> {
        let mut all = self.labels.clone();
        all.insert(labels::CLUSTER_MANAGER.to_owned(), self.manager.clone());
        all.insert(labels::INVENTORY_MEMBER_ID.to_owned(), self.id.clone());
        all.insert(labels::MEMBER_KIND.to_owned(), self.member_kind.to_owned());
        if let Some(set) = &self.set {
            all.insert(labels::CLUSTERSET.to_owned(), set.clone());
        }
        all
    }

    /// Properties in the order of their precedence, the first of a name wins (P10, P11).
    fn all_properties(&self) -> Vec<(String, String)> {
        let mut out = vec![(PROPERTY_ID.to_owned(), self.id.clone())];
        out.extend(self.set.iter().map(|set| (PROPERTY_SET.to_owned(), set.clone())));
        let mirrored = |key: &str| {
            key.starts_with("skerry.dev/") || MIRRORED.contains(&key) || self.labels.contains_key(key)
        };
        out.extend(self.all_labels().into_iter().filter(|(key, _)| mirrored(key)));
        out.extend(self.properties.clone());
        out.extend(self.own.clone());
        let mut seen = std::collections::HashSet::new();
        let fits = |v: &str| !v.is_empty() && v.chars().count() <= LONGEST_VALUE;
        out.retain(|(name, value)| fits(value) && seen.insert(name.clone()));
        out
    }

    /// Keeps what was shown as the member's own while it does not answer.
    pub fn keep_own(&mut self, stored: Option<&ClusterProfile>) {
        let shown = stored.and_then(|p| p.status.as_ref()).and_then(|s| s.properties.clone());
        self.own = shown.into_iter().flatten().map(|p| (p.name, p.value)).collect();
    }

    /// Properties with the time at which each value was first seen.
    pub fn observed(&self, before: &[Property], now: Timestamp) -> Vec<Property> {
        let since = |name: &str, value: &str| {
            let known = before.iter().find(|p| p.name == name && p.value == value);
            known.and_then(|p| p.last_observed_time.clone()).unwrap_or(Time(now))
        };
        self.all_properties()
            .into_iter()
            .map(|(name, value)| Property { last_observed_time: Some(since(&name, &value)), name, value })
            .collect()
    }

    /// Access entries for both published readers.
    pub fn access(&self) -> Value {
        if self.server.is_empty() {
            return json!([]);
        }
        let secret = format!("skerry-{}", self.id);
        let entry = |name: &str, extension: Value| {
            let mut cluster = json!({"server": self.server, "extensions": [{"name": EXEC_EXTENSION, "extension": extension}]});
            if !self.ca_bundle.is_empty() {
                let bytes = k8s_openapi::ByteString(self.ca_bundle.clone().into_bytes());
                cluster["certificate-authority-data"] = json!(bytes);
            }
            json!({"name": name, "cluster": cluster})
        };
        json!([
            entry("secretreader", json!({"clusterName": secret})),
            entry("kubeconfig-secretreader", json!({"name": secret, "key": "kubeconfig"})),
        ])
    }

    /// Metadata and spec as applied.
    pub fn object(&self) -> Value {
        json!({
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": self.all_labels()},
            "spec": {"displayName": self.display_name, "clusterManager": {"name": self.manager}},
        })
    }

    /// Status as applied.
    pub fn status(&self, before: Option<&ClusterProfile>, statements: &[Statement], now: Timestamp) -> Value {
        let old = before.and_then(|p| p.status.as_ref());
        let conditions: &[Condition] = old.and_then(|s| s.conditions.as_deref()).unwrap_or_default();
        let properties = old.and_then(|s| s.properties.as_deref()).unwrap_or_default();
        let time = Time(now);
        let mut status = json!({
            "conditions": statements.iter().map(|s| s.since(conditions, None, &time)).collect::<Vec<_>>(),
            "properties": self.observed(properties, now),
            "accessProviders": self.access(),
        });
        if !self.version.is_empty() {
            status["version"] = json!({"kubernetes": self.version});
        }
        status
    }
}

/// Whether the stored object is what would be applied.
pub fn is_current(stored: &ClusterProfile, wanted: &Facts) -> bool {
    let labels_hold = {
        let stored = stored.metadata.labels.clone().unwrap_or_default();
        let wanted = wanted.all_labels();
        // Labels under our prefix that are no longer wanted must go too.
        let stale = stored.keys().any(|k| k.starts_with("skerry.dev/") && !wanted.contains_key(k));
        !stale && wanted.iter().all(|(k, v)| stored.get(k) == Some(v))
    };
    labels_hold
        && stored.spec.display_name.as_deref() == Some(wanted.display_name.as_str())
        && stored.spec.cluster_manager.name == wanted.manager
}
