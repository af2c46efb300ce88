//! What the installation says about its inventory.

use std::time::Duration;

use skerry_api::labels;

/// A cluster set beyond the one that every hub namespace has (inventory CS2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterSet {
    /// Name.
    pub name: String,
    /// Hub namespaces whose virtual clusters may join it.
    pub namespaces: Vec<String>,
}

/// Settings, parsed once at start.
#[derive(Clone, Debug)]
pub struct InventorySettings {
    /// Name of the manager in ClusterProfiles (P1).
    pub manager: String,
    /// Namespace of ClusterProfiles and ClusterReports.
    pub namespace: String,
    /// Sets that tenants may name.
    pub sets: Vec<ClusterSet>,
    /// Names under reserved domains that are copied from virtual clusters all the same (A3).
    pub trusted_properties: Vec<String>,
    /// How long a member may take to leave before it is said to be stuck (L1).
    pub leave_deadline: Duration,
}

impl Default for InventorySettings {
    fn default() -> Self {
        Self {
            manager: "skerry".to_owned(),
            namespace: labels::INVENTORY_NAMESPACE.to_owned(),
            sets: Vec::new(),
            trusted_properties: Vec::new(),
            leave_deadline: Duration::from_secs(600),
        }
    }
}

impl InventorySettings {
    /// The set of a virtual cluster: its own namespace's unless it asks for one that lists the namespace (CS1, CS2).
    /// `None`: not allowed.
    pub fn set_of(&self, namespace: &str, asked: &str) -> Option<String> {
        if asked.is_empty() || asked == namespace {
            return Some(namespace.to_owned());
        }
        let listed = |s: &&ClusterSet| s.name == asked && s.namespaces.iter().any(|n| n == namespace);
        self.sets.iter().find(listed).map(|s| s.name.clone())
    }
}
