//! Revisions of a Deployment: which ReplicaSet has its template, what a new one is called.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::model::object::Object;

/// Label that keeps pods of different revisions apart.
pub const HASH_LABEL: &str = "pod-template-hash";
/// Number of a revision.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// Replicas that the Deployment asked for when the set was last scaled.
pub const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// Replicas that may exist at most, with surge.
pub const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// Letters of a hash: those of generated names.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Short hash of a template; `collisions` makes another one where the name is taken.
pub fn hash(template: &Value, collisions: u64) -> String {
    let digest = Sha256::digest(format!("{template}{collisions}"));
    digest.iter().take(10).map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect()
}

/// The template without the hash label: what two revisions are compared by.
fn bare(template: &Value) -> Value {
    let mut template = template.clone();
    template.remove_at(&["metadata", "labels", HASH_LABEL]);
    template.remove_at(&["metadata", "creationTimestamp"]);
    template
}

/// Whether a ReplicaSet has the Deployment's template.
pub fn same_template(set: &Value, deployment: &Value) -> bool {
    let of = |o: &Value| o.at(&["spec", "template"]).map(bare);
    of(set) == of(deployment)
}

/// Revision number of a ReplicaSet.
pub fn number(set: &Value) -> i64 {
    set.text(&["metadata", "annotations", REVISION]).parse().unwrap_or(0)
}

/// Annotations that a ReplicaSet does not take over from its Deployment.
pub fn is_own_annotation(key: &str) -> bool {
    matches!(key, REVISION | DESIRED | MAX | "kubectl.kubernetes.io/last-applied-configuration")
        || key == "deployment.kubernetes.io/revision-history"
        || key == "deprecated.deployment.rollback.to"
}
