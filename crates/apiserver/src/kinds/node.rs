//! Node: a new one is not ready until its kubelet says so.

use serde_json::{Value, json};

use super::{Hooks, NONE};
use crate::model::object::Object;

/// Hooks of Nodes. The not-ready taint is admission's, since who creates the Node decides.
pub const HOOKS: Hooks = NONE;

/// Adds the taint that keeps pods away from a node nobody has reported on.
pub fn taint_not_ready(node: &mut Value) {
    let taint = json!({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"});
    let mut taints = node.items(&["spec", "taints"]).to_vec();
    if !taints.iter().any(|t| t.text(&["key"]) == taint.text(&["key"]) && t.text(&["effect"]) == "NoSchedule")
    {
        taints.push(taint);
        node.put(&["spec", "taints"], taints);
    }
}
