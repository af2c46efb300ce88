//! How long a Job waits before it tries again: ten seconds after the first failure, twice as long after each further
//! one, ten minutes at most.

use jiff::Timestamp;
use serde_json::Value;

use super::spec::{FAILURES, IGNORED, counted};
use crate::model::object::Object;

const FIRST: i64 = 10;
const LAST: i64 = 600;

/// When a pod ended, as its containers say it, else its `Ready` condition.
fn ended_at(pod: &Value) -> Option<Timestamp> {
    let containers = pod.items(&["status", "containerStatuses"]).iter();
    let at = |text: &str| text.parse::<Timestamp>().ok();
    let newest = containers.filter_map(|c| at(c.text(&["state", "terminated", "finishedAt"]))).max();
    let unready = || {
        let mut all = pod.items(&["status", "conditions"]).iter();
        let ready = all.find(|c| c.text(&["type"]) == "Ready" && c.text(&["status"]) == "False")?;
        at(ready.text(&["lastTransitionTime"]))
    };
    newest.or_else(unready).or_else(|| at(pod.meta("creationTimestamp")))
}

fn left(failures: i64, last: Timestamp, now: Timestamp) -> i64 {
    let doublings = u32::try_from(failures - 1).unwrap_or(0).min(6);
    let pause = FIRST.saturating_mul(1 << doublings).min(LAST);
    (pause - (now.as_second() - last.as_second())).max(0)
}

/// Seconds that are left, by the failures since the last success.
pub fn of_job(pods: &[Value], now: Timestamp) -> i64 {
    let ended = |phase: &str| -> Vec<Timestamp> {
        pods.iter().filter(|p| p.text(&["status", "phase"]) == phase).filter_map(ended_at).collect()
    };
    let success = ended("Succeeded").into_iter().max();
    let failures: Vec<_> = ended("Failed").into_iter().filter(|at| success.is_none_or(|s| *at > s)).collect();
    let Some(last) = failures.iter().max() else { return 0 };
    left(i64::try_from(failures.len()).unwrap_or(i64::MAX), *last, now)
}

/// Seconds that are left for an index, by its last failed pod.
pub fn of_index(failed: &Value, now: Timestamp) -> i64 {
    let failures = counted(failed, FAILURES) + counted(failed, IGNORED) + 1;
    ended_at(failed).map_or(0, |last| left(failures, last, now))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(phase: &str, second: i64) -> Value {
        let at = Timestamp::from_second(second).unwrap().to_string();
        json!({"status": {"phase": phase, "containerStatuses": [{"state": {"terminated": {"finishedAt": at}}}]}})
    }

    #[test]
    fn the_pause_doubles_with_each_failure_and_a_success_ends_it() {
        let now = Timestamp::from_second(1_000).unwrap();
        let left = |pods: &[Value]| of_job(pods, now);
        assert_eq!(left(&[pod("Running", 990)]), 0);
        assert_eq!(left(&[pod("Failed", 995)]), 5);
        assert_eq!(left(&[pod("Failed", 995), pod("Failed", 900)]), 15);
        assert_eq!(left(&[pod("Failed", 995), pod("Failed", 900), pod("Succeeded", 950)]), 5);
        assert_eq!(left(&vec![pod("Failed", 1_000); 30]), 600);
        let index =
            json!({"metadata": {"annotations": {FAILURES: "1"}}, "status": pod("Failed", 1_000)["status"]});
        assert_eq!(of_index(&index, now), 20);
    }
}
