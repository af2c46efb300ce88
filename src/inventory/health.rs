//! From evidence to a verdict (inventory section 5), as far as there are witnesses of neither kind: rows V3 to V6, V8, V9.

use std::collections::HashMap;

use parking_lot::Mutex;
use skerry_api::cluster_profile::{CONTROL_PLANE_HEALTHY, healthy};
use skerry_api::cluster_report::Verdict;
use skerry_api::condition::Statement;

/// What one probe of a real member said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// `/readyz` answered 200.
    Good,
    /// It answered something else.
    NotReady(String),
    /// 401 or 403: the member is up, our credential is not.
    Denied(String),
    /// No HTTP answer.
    Silent(String),
}

#[derive(Clone, Debug, Default)]
struct Record {
    verdict: Option<Verdict>,
    failures: u32,
    successes: u32,
}

/// Verdicts of real members by the name of their profile.
#[derive(Default)]
pub struct Verdicts(Mutex<HashMap<String, Record>>);

/// Thresholds of a member.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Failures in a row that mean down.
    pub failure: u32,
    /// Successes in a row that mean up again.
    pub success: u32,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { failure: 3, success: 2 }
    }
}

impl Verdicts {
    /// The verdict on a member.
    pub fn of(&self, profile: &str) -> Verdict {
        self.0.lock().get(profile).and_then(|r| r.verdict).unwrap_or(Verdict::Unknown)
    }

    /// Counts one probe (V10: hysteresis by the thresholds) and answers the verdict.
    pub fn note(&self, profile: &str, evidence: &Evidence, thresholds: Thresholds) -> Verdict {
        let mut records = self.0.lock();
        let record = records.entry(profile.to_owned()).or_default();
        let wanted = match evidence {
            Evidence::Good | Evidence::Denied(_) => Verdict::Healthy,
            Evidence::NotReady(_) => Verdict::ControlPlaneDown,
            Evidence::Silent(_) => Verdict::LinkLost,
        };
        if wanted == Verdict::Healthy {
            record.failures = 0;
            record.successes += 1;
            // The first success of all counts at once; after a fall as many as the threshold says.
            if record.verdict.is_none() || record.successes >= thresholds.success {
                record.verdict = Some(Verdict::Healthy);
            }
        } else {
            record.successes = 0;
            record.failures += 1;
            if record.failures >= thresholds.failure {
                record.verdict = Some(wanted);
            }
        }
        record.verdict.unwrap_or(Verdict::Unknown)
    }

    /// Forgets a member.
    pub fn forget(&self, profile: &str) {
        self.0.lock().remove(profile);
    }
}

/// How bad a verdict is, for choosing the least severe of several parents.
fn severity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Healthy => 0,
        Verdict::ControlPlaneDown => 1,
        Verdict::LinkLost => 2,
        Verdict::Unknown => 3,
        Verdict::HubIsolated => 4,
        Verdict::HostDown => 5,
    }
}

/// The verdict on a virtual member (V3 to V6): `up` is the control_plane stage's probe, parents are its hosts with
/// theirs. The second value is the parent at fault, where one is.
pub fn of_virtual(up: bool, parents: &[(String, Verdict)]) -> (Verdict, Option<String>) {
    let known: Vec<&(String, Verdict)> = parents.iter().filter(|(_, v)| *v != Verdict::Unknown).collect();
    if !known.is_empty() && known.len() == parents.len() && known.iter().all(|(_, v)| *v != Verdict::Healthy)
    {
        let least = known.iter().min_by_key(|(name, v)| (severity(*v), name.clone()));
        if let Some((name, verdict)) = least {
            return (*verdict, Some(name.clone()));
        }
    }
    (if up { Verdict::Healthy } else { Verdict::ControlPlaneDown }, None)
}

/// What the profile of a real member says about its API.
pub fn statement(verdict: Verdict) -> Statement {
    match verdict {
        Verdict::Healthy => Statement::yes(CONTROL_PLANE_HEALTHY, healthy::HEALTHY, "readyz answered"),
        Verdict::ControlPlaneDown => Statement::no(
            CONTROL_PLANE_HEALTHY,
            healthy::API_SERVER_UNHEALTHY,
            "readyz answers, but not ready",
        ),
        Verdict::LinkLost | Verdict::HubIsolated => {
            Statement::unknown(CONTROL_PLANE_HEALTHY, healthy::LINK_LOST, "no answer; nobody else was asked")
        }
        Verdict::HostDown => Statement::no(CONTROL_PLANE_HEALTHY, healthy::HOST_DOWN, "the host is down"),
        Verdict::Unknown => {
            Statement::unknown(CONTROL_PLANE_HEALTHY, healthy::NO_OBSERVATION, "never observed")
        }
    }
}
