//! What a StatefulSet asks for, read once.

use std::ops::Range;

use serde_json::Value;

use crate::model::object::Object;

/// How pods of older revisions are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Only when somebody deletes them.
    OnDelete,
    /// By the controller.
    Rolling {
        /// Ordinals below it keep the current revision; without it, as many as still have it do.
        partition: Option<i64>,
        /// How many pods may be away at a time.
        unavailable: i64,
    },
}

/// The spec of a StatefulSet.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Ordinals that pods are wanted for.
    pub ordinals: Range<i64>,
    /// All at a time instead of one after the other.
    pub parallel: bool,
    /// Seconds for which a pod is ready before it counts as available.
    pub min_ready: i64,
    /// Replacement of older revisions.
    pub strategy: Strategy,
    /// Claims go with the set.
    pub claims_go_with_set: bool,
    /// Claims go with pods that are scaled away.
    pub claims_go_with_pod: bool,
}

impl Spec {
    /// Reads it.
    pub fn of(set: &Value) -> Self {
        let number = |path: &[&str], default: i64| set.at(path).and_then(Value::as_i64).unwrap_or(default);
        let replicas = number(&["spec", "replicas"], 1).max(0);
        let start = number(&["spec", "ordinals", "start"], 0).max(0);
        let rolling = ["spec", "updateStrategy", "rollingUpdate"];
        let strategy = match set.text(&["spec", "updateStrategy", "type"]) {
            "OnDelete" => Strategy::OnDelete,
            _ => Strategy::Rolling {
                partition: set
                    .at(&rolling)
                    .map(|r| r.at(&["partition"]).and_then(Value::as_i64).unwrap_or(0)),
                unavailable: share(set.at(&rolling).and_then(|r| r.get("maxUnavailable")), replicas),
            },
        };
        let goes = |when: &str| set.text(&["spec", "persistentVolumeClaimRetentionPolicy", when]) == "Delete";
        Self {
            ordinals: start..start + replicas,
            parallel: set.text(&["spec", "podManagementPolicy"]) == "Parallel",
            min_ready: number(&["spec", "minReadySeconds"], 0),
            strategy,
            claims_go_with_set: goes("whenDeleted"),
            claims_go_with_pod: goes("whenScaled"),
        }
    }

    /// Whether a new pod of this ordinal still gets the current revision rather than the newest.
    pub fn keeps_current(&self, ordinal: i64, current_replicas: i64) -> bool {
        match self.strategy {
            Strategy::OnDelete => false,
            Strategy::Rolling { partition, .. } => {
                ordinal < self.ordinals.start + partition.unwrap_or(current_replicas)
            }
        }
    }
}

/// A number, or a percentage of the replicas rounded up; one at least.
fn share(value: Option<&Value>, replicas: i64) -> i64 {
    let share = match value {
        Some(Value::String(text)) => {
            text.strip_suffix('%').and_then(|p| p.parse::<i64>().ok()).map(|p| (p * replicas + 99) / 100)
        }
        Some(number) => number.as_i64(),
        None => None,
    };
    share.unwrap_or(1).max(1)
}

/// The ordinal of a pod of a set by its name, if the name is of the set's form.
pub fn ordinal(set: &str, pod: &str) -> Option<i64> {
    let digits = pod.strip_prefix(set)?.strip_prefix('-')?;
    let ordinal: i64 = digits.parse().ok()?;
    (ordinal >= 0 && ordinal.to_string() == digits).then_some(ordinal)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_ordinal_is_read_from_names_of_the_form_only() {
        assert_eq!(ordinal("db", "db-12"), Some(12));
        for other in ["db-01", "db--1", "db-x", "db", "dbx-1", "db-1-2", "db-+1"] {
            assert_eq!(ordinal("db", other), None, "{other}");
        }
    }

    #[test]
    fn a_share_is_rounded_up_and_never_none() {
        assert_eq!(share(Some(&json!("30%")), 4), 2);
        assert_eq!((share(Some(&json!("0%")), 4), share(None, 9), share(Some(&json!(3)), 9)), (1, 1, 3));
    }
}
