//! What a pass over a StatefulSet makes and deletes: a pure choice.
//!
//! In order: the lowest place first, and nothing else before it is available; then those beyond the last place, from
//! the highest down; then those of older revisions, from the highest down. In parallel: all at once, but for older
//! revisions, which go within `maxUnavailable`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::spec::{Spec, Strategy};
use crate::controllers::workload::pods::{available_in, is_over};
use crate::model::object::Object;

/// Label that names the revision of a pod.
pub const REVISION: &str = "controller-revision-hash";

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Make the pod of this ordinal.
    Create(i64),
    /// Delete the pod of this ordinal.
    Delete(i64),
}

/// Pods by ordinal.
pub type Pods = BTreeMap<i64, Value>;

/// Runs, is ready and has been so for long enough.
pub fn is_available(pod: &Value, spec: &Spec, now: Timestamp) -> bool {
    pod.text(&["status", "phase"]) == "Running"
        && !pod.is_deleting()
        && available_in(pod, spec.min_ready, now) == Some(0)
}

/// The steps of one pass; `update` is the revision that pods should have.
pub fn plan(spec: &Spec, update: &str, pods: &Pods, now: Timestamp) -> Vec<Step> {
    let mut steps = Vec::new();
    let available = |pod: &Value| is_available(pod, spec, now);
    for ordinal in spec.ordinals.clone() {
        let blocks = match pods.get(&ordinal) {
            None => {
                steps.push(Step::Create(ordinal));
                true
            }
            // The next one is made when this one is gone.
            Some(pod) if is_over(pod) => {
                if !pod.is_deleting() {
                    steps.push(Step::Delete(ordinal));
                }
                true
            }
            Some(pod) => !available(pod),
        };
        if blocks && !spec.parallel {
            return steps;
        }
    }
    let condemned = || pods.iter().filter(|(ordinal, _)| !spec.ordinals.contains(ordinal));
    let lowest_sick = condemned().find(|(_, pod)| !available(pod)).map(|(ordinal, _)| *ordinal);
    for (ordinal, pod) in condemned().rev() {
        let waits = pod.is_deleting() || (!available(pod) && lowest_sick != Some(*ordinal));
        if !pod.is_deleting() && (spec.parallel || !waits) {
            steps.push(Step::Delete(*ordinal));
        }
        if !spec.parallel {
            return steps;
        }
    }
    if let Strategy::Rolling { partition, unavailable } = spec.strategy {
        roll(spec, update, pods, now, (partition.unwrap_or(0), unavailable), &mut steps);
    }
    steps
}

/// Pods of older revisions, from the highest down. One that is away already costs nothing more.
fn roll(
    spec: &Spec,
    update: &str,
    pods: &Pods,
    now: Timestamp,
    (partition, unavailable): (i64, i64),
    steps: &mut Vec<Step>,
) {
    let here = |ordinal: &i64| pods.get(ordinal).is_some_and(|pod| is_available(pod, spec, now));
    let away = spec.ordinals.clone().filter(|ordinal| !here(ordinal)).count();
    let mut budget = unavailable - i64::try_from(away).unwrap_or(i64::MAX);
    for ordinal in (spec.ordinals.start + partition..spec.ordinals.end).rev() {
        let Some(pod) = pods.get(&ordinal) else { continue };
        let is_old = pod.text(&["metadata", "labels", REVISION]) != update;
        if !is_old || pod.is_deleting() || is_over(pod) {
            continue;
        }
        if here(&ordinal) {
            if budget <= 0 {
                continue;
            }
            budget -= 1;
        }
        steps.push(Step::Delete(ordinal));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn spec(more: Value) -> Spec {
        Spec::of(&json!({"spec": more}))
    }

    /// Pods as letters by ordinal: `n` new and available, `o` old and available, `s` old and sick, `d` being deleted,
    /// `f` failed, `.` absent.
    fn pods(letters: &str) -> Pods {
        let pod = |letter: char| {
            let revision = if letter == 'n' { "new" } else { "old" };
            let ready = if matches!(letter, 'n' | 'o' | 'd') { "True" } else { "False" };
            let phase = if letter == 'f' { "Failed" } else { "Running" };
            let mut pod = json!({"metadata": {"labels": {REVISION: revision}}, "status": {"phase": phase,
                "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": "2020-01-01T00:00:00Z"}]}});
            if letter == 'd' {
                pod.set_meta("deletionTimestamp", "2020-01-01T00:00:00Z");
            }
            pod
        };
        (0..).zip(letters.chars()).filter(|(_, l)| *l != '.').map(|(i, l)| (i, pod(l))).collect()
    }

    fn planned(more: Value, letters: &str) -> Vec<Step> {
        plan(&spec(more), "new", &pods(letters), Timestamp::now())
    }

    use Step::{Create, Delete};

    #[test]
    fn in_order_one_step_waits_for_the_other() {
        let three = || json!({"replicas": 3});
        assert_eq!(planned(three(), "n.n"), [Create(1)]);
        assert_eq!(planned(three(), "s.."), []);
        assert_eq!(planned(three(), "nf."), [Delete(1)]);
        assert_eq!(planned(three(), "nd."), []);
        assert_eq!(planned(three(), "nnnnn"), [Delete(4)]);
        assert_eq!(planned(three(), "nnnnd"), []);
        assert_eq!(planned(three(), "nnnsn"), [Delete(4)], "the sick one waits for the one above");
        assert_eq!(
            planned(three(), "nnnss"),
            [],
            "but for the lowest sick one none that is not available goes"
        );
        assert_eq!(planned(three(), "nnns"), [Delete(3)]);
        assert_eq!(planned(three(), "ooo"), [Delete(2)]);
        assert_eq!(planned(three(), "oon"), [Delete(1)]);
    }

    #[test]
    fn in_parallel_nothing_waits_but_replacement_keeps_to_its_budget() {
        let three = |rolling: Value| {
            json!({"replicas": 3, "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": rolling}})
        };
        assert_eq!(planned(three(json!({})), "n..nn"), [Create(1), Create(2), Delete(4), Delete(3)]);
        assert_eq!(planned(three(json!({})), "ooo"), [Delete(2)]);
        assert_eq!(planned(three(json!({})), "oso"), [Delete(1)], "one is away, and of an old revision");
        assert_eq!(planned(three(json!({"maxUnavailable": 2})), "ooo"), [Delete(2), Delete(1)]);
        assert_eq!(planned(three(json!({"partition": 2, "maxUnavailable": 3})), "ooo"), [Delete(2)]);
    }

    #[test]
    fn ordinals_start_where_they_are_told_and_on_delete_replaces_nothing() {
        assert_eq!(planned(json!({"replicas": 2, "ordinals": {"start": 1}}), ".n"), [Create(2)]);
        assert_eq!(planned(json!({"replicas": 2, "ordinals": {"start": 1}}), "nnn"), [Delete(0)]);
        let on_delete = json!({"replicas": 2, "updateStrategy": {"type": "OnDelete"}});
        assert_eq!(planned(on_delete, "oo"), []);
    }
}
