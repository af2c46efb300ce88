//! Pause `Reconcile` (tenancy O1): nothing is written for the tenant but conditions and the renewal of credentials.

use std::time::Duration;

use jiff::Timestamp;
use skerry_api::virtual_cluster::{PauseMode, VirtualClusterSpec};

use super::ValidatedTenant;

fn until(spec: &VirtualClusterSpec) -> Option<Timestamp> {
    spec.pause.as_ref()?.until.as_deref()?.parse().ok()
}

/// Whether a tenant with this spec in force is paused; `until` ends a pause by itself.
pub fn is_paused(spec: &VirtualClusterSpec, now: Timestamp) -> bool {
    let mode = spec.pause.as_ref().and_then(|p| p.mode);
    mode == Some(PauseMode::Reconcile) && until(spec).is_none_or(|end| end > now)
}

impl ValidatedTenant {
    /// Whether it is paused.
    pub fn is_paused(&self, now: Timestamp) -> bool {
        is_paused(&self.spec, now)
    }

    /// How long it still is, where that has an end.
    pub fn paused_for(&self, now: Timestamp) -> Option<Duration> {
        until(&self.spec).and_then(|end| Duration::try_from(end.duration_since(now)).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// TN-19: a pause with an end ends by itself.
    #[test]
    fn tn19_a_pause_ends_at_its_time() {
        let spec = |pause| serde_json::from_value::<VirtualClusterSpec>(json!({"pause": pause})).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let open = spec(json!({"mode": "Reconcile"}));
        assert!(is_paused(&open, at("2026-11-21T00:00:00Z")));
        let timed = spec(json!({"mode": "Reconcile", "until": "2026-11-21T01:00:00Z"}));
        assert!(
            is_paused(&timed, at("2026-11-21T00:59:59Z")) && !is_paused(&timed, at("2026-11-21T01:00:00Z"))
        );
        assert!(!is_paused(&spec(json!({"mode": "None"})), at("2026-11-21T00:00:00Z")));
    }
}
