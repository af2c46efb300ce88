//! Which pods a Job makes and deletes: a pure choice.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::backoff;
use super::policy::{self, Action};
use super::spec::{FAILURES, IGNORED, Spec, counted};
use super::tally::Tally;
use crate::controllers::workload::pods::{is_over, removal_rank};
use crate::model::object::Object;

/// Most pods made or deleted in one pass.
const BURST: i64 = 500;

/// A pod to be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Its completion index.
    pub index: Option<i64>,
    /// Failures of the index before it, and those among them that are ignored: told where indexes have limits.
    pub failures: Option<(i64, i64)>,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Pods to be made.
    pub make: Vec<Place>,
    /// Pods to be deleted.
    pub delete: Vec<Value>,
    /// Seconds after which more may be made.
    pub wait: Option<i64>,
}

/// The plan of a Job that goes on.
pub fn plan(job: &Value, spec: &Spec, pods: &[Value], tally: &Tally, now: Timestamp) -> Plan {
    if spec.suspended {
        return Plan { delete: tally.active.clone(), ..Plan::default() };
    }
    let active = length(tally.active.len());
    let successes = tally.successes(spec);
    let wanted = match spec.completions {
        None if successes > 0 => active,
        None => spec.parallelism,
        Some(completions) => (completions - successes).min(spec.parallelism).max(0),
    };
    let surplus = surplus(spec, tally, active - wanted);
    if !surplus.is_empty() {
        return Plan { delete: surplus, ..Plan::default() };
    }
    let leaving = if spec.replaces_ended_only { tally.terminating } else { 0 };
    let missing = (wanted - active - leaving).clamp(0, BURST);
    if missing == 0 {
        return Plan::default();
    }
    if spec.per_index.is_some() {
        return per_index(job, spec, pods, tally, missing, now);
    }
    match backoff::of_job(pods, now) {
        0 => {}
        wait => return Plan { wait: Some(wait), ..Plan::default() },
    }
    let make = if spec.indexed {
        let open = open_indexes(spec, pods, tally);
        open.into_iter().take(size(missing)).map(|i| Place { index: Some(i), failures: None }).collect()
    } else {
        vec![Place::default(); size(missing)]
    };
    Plan { make, ..Plan::default() }
}

fn length(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn size(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

/// Active pods beyond what is wanted: of indexes, second ones and those past the last completion go first.
fn surplus(spec: &Spec, tally: &Tally, more: i64) -> Vec<Value> {
    let mut ranked: Vec<&Value> = tally.active.iter().collect();
    ranked.sort_by_cached_key(|pod| removal_rank(pod));
    let mut out: Vec<Value> = Vec::new();
    let mut kept = Vec::new();
    let mut seen = BTreeSet::new();
    for pod in ranked.into_iter().rev() {
        let is_double = spec.indexed && spec.index(pod).is_none_or(|index| !seen.insert(index));
        if is_double { out.push(pod.clone()) } else { kept.push(pod) }
    }
    let left = size(more - length(out.len()));
    out.extend(kept.into_iter().rev().take(left).cloned());
    out.truncate(size(BURST));
    out
}

/// Indexes that want a pod, the lowest first.
fn open_indexes(spec: &Spec, pods: &[Value], tally: &Tally) -> Vec<i64> {
    let taken: BTreeSet<i64> = tally.active.iter().filter_map(|pod| spec.index(pod)).collect();
    let leaving: BTreeSet<i64> = pods
        .iter()
        .filter(|pod| spec.replaces_ended_only && pod.is_deleting() && !is_over(pod))
        .filter_map(|pod| spec.index(pod))
        .collect();
    (0..spec.completions.unwrap_or(0))
        .filter(|i| {
            [&taken, &leaving, &tally.completed, &tally.failed_indexes].iter().all(|set| !set.contains(i))
        })
        .collect()
}

/// Each index waits for itself.
fn per_index(job: &Value, spec: &Spec, pods: &[Value], tally: &Tally, missing: i64, now: Timestamp) -> Plan {
    let known: BTreeMap<i64, Place> = tally
        .delayed
        .iter()
        .map(|(index, failed)| {
            let ignored = i64::from(policy::on_failure(job, failed) == Action::Ignore);
            let failures = (counted(failed, FAILURES) + 1 - ignored, counted(failed, IGNORED) + ignored);
            (*index, Place { index: Some(*index), failures: Some(failures) })
        })
        .collect();
    let mut plan = Plan::default();
    for index in open_indexes(spec, pods, tally) {
        if length(plan.make.len()) == missing {
            break;
        }
        match tally.delayed.get(&index).map_or(0, |failed| backoff::of_index(failed, now)) {
            0 => {
                let fresh = Place { index: Some(index), failures: Some((0, 0)) };
                plan.make.push(known.get(&index).copied().unwrap_or(fresh));
            }
            wait => plan.wait = Some(plan.wait.map_or(wait, |known| known.min(wait))),
        }
    }
    plan
}
