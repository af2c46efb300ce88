//! Counting a Job's pods, each once, whatever happens in between.
//!
//! A pod carries a finalizer until it is counted. First its UID is written among the uncounted ones of the status, then
//! the finalizer goes, then the UID becomes a number. A pod with finalizer and UID waits for the second step, a UID
//! without such a pod for the third: so a stop between any two of them neither loses a pod nor counts it twice.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::indexes::{self, Indexes};
use super::policy::{self, Action};
use super::spec::{Fate, Spec, fate, is_tracked};
use super::tries;
use crate::controllers::workload::pods::is_over;
use crate::model::object::Object;

/// Most UIDs that wait in a status.
const WAITING: usize = 500;

/// What a Job was seen to come to, before its pods are all gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It goes on.
    None,
    /// It succeeds.
    Success,
    /// It fails.
    Failure,
}

impl Ending {
    /// By its conditions.
    pub fn of(job: &Value) -> Self {
        match (holds(job, "FailureTarget"), holds(job, "SuccessCriteriaMet")) {
            (true, _) => Self::Failure,
            (_, true) => Self::Success,
            _ => Self::None,
        }
    }
}

/// Whether a condition of a Job is true.
pub fn holds(job: &Value, ty: &str) -> bool {
    job.items(&["status", "conditions"])
        .iter()
        .any(|c| c.text(&["type"]) == ty && c.text(&["status"]) == "True")
}

/// Numbers of ended pods: those counted for good, and UIDs that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// For good.
    pub settled: i64,
    /// Uncounted.
    pub waiting: BTreeSet<String>,
}

impl Ended {
    fn of(job: &Value, field: &str, pods: &[Value]) -> Self {
        let tracked = |uid: &str| pods.iter().any(|p| p.meta("uid") == uid && is_tracked(p));
        let uids = job.items(&["status", "uncountedTerminatedPods", field]).iter().filter_map(Value::as_str);
        let (waiting, gone): (Vec<&str>, Vec<&str>) = uids.partition(|uid| tracked(uid));
        let before = job.at(&["status", field]).and_then(Value::as_i64).unwrap_or(0);
        Self {
            settled: before + i64::try_from(gone.len()).unwrap_or(0),
            waiting: waiting.into_iter().map(str::to_owned).collect(),
        }
    }

    /// All of them.
    pub fn total(&self) -> i64 {
        self.settled + i64::try_from(self.waiting.len()).unwrap_or(0)
    }
}

/// The pods of a Job, counted.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Pods on their way or running.
    pub active: Vec<Value>,
    /// Pods that are told to end and have not.
    pub terminating: i64,
    /// Successes, where completions have no indexes.
    pub succeeded: Ended,
    /// Failures.
    pub failed: Ended,
    /// Indexes with a success.
    pub completed: Indexes,
    /// Indexes that failed for good.
    pub failed_indexes: Indexes,
    /// Pods whose finalizer goes once the counts are written.
    pub strip: Vec<Value>,
    /// Failed pods that say how often their index failed, until another one does.
    pub delayed: BTreeMap<i64, Value>,
}

impl Tally {
    /// Counts.
    pub fn of(job: &Value, spec: &Spec, pods: &[Value]) -> Self {
        let completions = spec.completions.unwrap_or(0);
        let ending = if job.is_deleting() { Ending::Failure } else { Ending::of(job) };
        let before = |field: &str| indexes::parse(job.text(&["status", field]), completions);
        let mut tally = Self {
            active: pods.iter().filter(|p| fate(p, spec) == Fate::Active).cloned().collect(),
            terminating: count(pods, |p| p.is_deleting() && !is_over(p)),
            succeeded: Ended::of(job, "succeeded", pods),
            failed: Ended::of(job, "failed", pods),
            completed: before("completedIndexes"),
            failed_indexes: before("failedIndexes"),
            strip: Vec::new(),
            delayed: BTreeMap::new(),
        };
        let tracked = || pods.iter().filter(|p| is_tracked(p));
        for pod in tracked() {
            let Some(index) = spec.index(pod) else { continue };
            match fate(pod, spec) {
                Fate::Succeeded => tally.completed.extend([index]),
                Fate::Failed if tries::fails_index(job, spec, pod) => tally.failed_indexes.extend([index]),
                _ => {}
            }
        }
        let done = tally.completed.clone();
        tally.failed_indexes.retain(|index| !done.contains(index));
        if spec.per_index.is_some() && ending == Ending::None {
            tally.delayed = tries::delayed(spec, pods, &tally);
        }
        for pod in tracked() {
            tally.add(job, spec, ending, pod);
        }
        tally
    }

    fn add(&mut self, job: &Value, spec: &Spec, ending: Ending, pod: &Value) {
        let uid = pod.meta("uid");
        let known = self.succeeded.waiting.contains(uid) || self.failed.waiting.contains(uid);
        let is_delayed = self.delayed.values().any(|p| p.meta("uid") == uid);
        let fate = fate(pod, spec);
        let goes_on = fate == Fate::Active || (fate == Fate::Leaving && ending == Ending::None);
        if !known && (is_delayed || goes_on) {
            return;
        }
        if !known {
            let into = match fate {
                // Indexes say it.
                Fate::Succeeded if spec.indexed => None,
                Fate::Succeeded => Some(&mut self.succeeded),
                Fate::Failed if policy::on_failure(job, pod) == Action::Ignore => None,
                Fate::Failed if spec.indexed && spec.index(pod).is_none() => None,
                // What success or a suspension takes away did not fail.
                _ if (ending == Ending::Success || spec.suspended) && !is_over(pod) => None,
                _ => Some(&mut self.failed),
            };
            match into {
                Some(ended) if ended.waiting.len() >= WAITING => return,
                Some(ended) => ended.waiting.extend([uid.to_owned()]),
                None => {}
            }
        }
        self.strip.push(pod.clone());
    }

    /// All successes.
    pub fn successes(&self, spec: &Spec) -> i64 {
        if spec.indexed {
            return i64::try_from(self.completed.len()).unwrap_or(i64::MAX);
        }
        self.succeeded.total()
    }

    /// The uncounted ones as the status has them.
    pub fn uncounted(&self) -> Value {
        let mut out = json!({});
        for (field, ended) in [("succeeded", &self.succeeded), ("failed", &self.failed)] {
            if !ended.waiting.is_empty() {
                out[field] = ended.waiting.iter().cloned().collect();
            }
        }
        out
    }
}

/// How many pods are such.
pub fn count(pods: &[Value], test: impl Fn(&Value) -> bool) -> i64 {
    i64::try_from(pods.iter().filter(|pod| test(pod)).count()).unwrap_or(i64::MAX)
}
