//! How often each index of a Job was tried, as its pods tell: the newest failed one is kept until another one is there.

use std::collections::BTreeMap;

use serde_json::Value;

use super::policy::{self, Action};
use super::spec::{FAILURES, Fate, IGNORED, Spec, counted, fate, is_tracked};
use super::tally::Tally;
use crate::model::object::Object;

/// Whether a failed pod is its index's last.
pub fn fails_index(job: &Value, spec: &Spec, pod: &Value) -> bool {
    let Some(limit) = spec.per_index else { return false };
    match policy::on_failure(job, pod) {
        Action::FailIndex => true,
        Action::Ignore => false,
        Action::Count | Action::FailJob(_) => counted(pod, FAILURES) >= limit,
    }
}

/// The newest failed pod of each index that is neither done nor tried again.
pub fn delayed(spec: &Spec, pods: &[Value], tally: &Tally) -> BTreeMap<i64, Value> {
    let mut newest: BTreeMap<i64, &Value> = BTreeMap::new();
    let tries = |pod: &Value| {
        (counted(pod, FAILURES) + counted(pod, IGNORED), pod.meta("creationTimestamp").to_owned())
    };
    for pod in pods {
        let Some(index) = spec.index(pod) else { continue };
        let known = newest.entry(index).or_insert(pod);
        if tries(known) < tries(pod) {
            *known = pod;
        }
    }
    newest
        .into_iter()
        .filter(|(index, pod)| {
            let open = !tally.completed.contains(index) && !tally.failed_indexes.contains(index);
            open && is_tracked(pod) && fate(pod, spec) == Fate::Failed
        })
        .map(|(index, pod)| (index, pod.clone()))
        .collect()
}
