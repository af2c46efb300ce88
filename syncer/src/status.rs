//! What the hub is told of a tenant: condition `Synced` and `status.sync` (section 1), written on change only.

use std::{collections::BTreeMap, sync::Arc};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    directory::Owner,
    wire::{Wire, WireError},
};

/// A refused object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Kind.
    pub kind: &'static str,
    /// Namespace in the tenant.
    pub namespace: String,
    /// Name in the tenant.
    pub name: String,
    /// Reason of AP4.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Since when.
    pub since: String,
}

/// Objects of one kind that a drain has left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Remaining {
    /// Kind.
    pub kind: String,
    /// How many.
    pub count: usize,
    /// One of them, in the tenant's words where it has any.
    pub example: String,
    /// What it waits for: a finalizer, a foreign object.
    pub blocked_on: Option<String>,
}

/// State of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SyncState {
    /// Status of condition `Synced`.
    pub synced: bool,
    /// Its reason (tenancy L6).
    pub reason: &'static str,
    /// Its message.
    pub message: String,
    /// Objects on the host.
    pub objects: usize,
    /// Refused objects.
    pub refused: usize,
    /// Objects in the way.
    pub conflicts: usize,
    /// UID of the tenant's `kube-system`.
    pub identity: String,
    /// Newest refusals.
    pub problems: Vec<Problem>,
    /// What a drain has left; `None` while none is under way.
    pub remaining: Option<Vec<Remaining>>,
}

/// States of all tenants, by id.
pub type SyncStates = Arc<BTreeMap<Arc<str>, SyncState>>;

/// The part of the status that the syncer owns.
fn body(owner: &Owner, state: &SyncState, now: &str) -> Value {
    let status = if state.synced { "True" } else { "False" };
    let known = owner.conditions.iter().find(|c| c.get("type") == Some(&json!("Synced")));
    let since = known
        .filter(|c| c.get("status") == Some(&json!(status)))
        .and_then(|c| c.get("lastTransitionTime"))
        .cloned()
        .unwrap_or_else(|| json!(now));
    let problems: Vec<Value> = state
        .problems
        .iter()
        .map(|p| {
            json!({"kind": p.kind, "namespace": p.namespace, "name": p.name, "reason": p.reason, "message": p.message,
                "since": p.since})
        })
        .collect();
    json!({
        "apiVersion": "skerry.dev/v1alpha1",
        "kind": "VirtualCluster",
        "metadata": {"name": owner.name, "namespace": owner.namespace, "uid": owner.uid},
        "status": {
            "conditions": [{"type": "Synced", "status": status, "reason": state.reason, "message": state.message,
                "observedGeneration": owner.generation, "lastTransitionTime": since}],
            "sync": {"naming": "v1", "objects": state.objects, "refused": state.refused, "conflicts": state.conflicts,
                "identity": state.identity, "problems": problems},
        },
    })
}

/// Writes the status of one tenant.
pub(crate) async fn write(hub: &Wire, owner: &Owner, state: &SyncState, now: &str) -> Result<(), WireError> {
    let path = format!(
        "/apis/skerry.dev/v1alpha1/namespaces/{}/virtualclusters/{}/status",
        owner.namespace, owner.name
    );
    hub.apply(&path, &body(owner, state, now)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L7: the transition time moves only with the status.
    #[test]
    fn build_status_keeps_the_transition_time() {
        let owner = Owner {
            conditions: vec![json!({"type": "Synced", "status": "True", "lastTransitionTime": "t0"})],
            ..Owner::default()
        };
        let state = SyncState { synced: true, reason: "CaughtUp", ..SyncState::default() };
        assert_eq!(body(&owner, &state, "t1")["status"]["conditions"][0]["lastTransitionTime"], "t0");
        let down = SyncState { synced: false, reason: "HostUnreachable", ..SyncState::default() };
        assert_eq!(body(&owner, &down, "t1")["status"]["conditions"][0]["lastTransitionTime"], "t1");
    }
}
