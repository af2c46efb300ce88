//! Figures of the manager (tenancy M1): no label names a tenant.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use skerry_telemetry::Metrics;

/// A stage, and how it failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StageError {
    /// Stage.
    pub stage: &'static str,
    /// Category of the error.
    pub category: &'static str,
}

/// A condition that changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ConditionChange {
    /// Type.
    pub r#type: String,
    /// Reason.
    pub reason: String,
}

/// Figures.
#[derive(Clone, Debug)]
pub struct ManagerMetrics {
    /// Failed passes.
    pub errors: Family<StageError, Counter>,
    /// Conditions that turned False.
    pub falls: Family<ConditionChange, Counter>,
    /// Passes that wrote nothing.
    pub noop_passes: Counter,
    /// Objects that do not decode.
    pub undecodable: Counter,
    /// From creation to Ready, in seconds.
    pub ready_seconds: Histogram,
    /// Time of a whole pass, in seconds.
    pub pass_seconds: Histogram,
    /// Credentials issued.
    pub rotations: Counter,
    /// Writes to ClusterProfiles.
    pub profile_writes: Counter,
    /// Writes to ClusterReports.
    pub report_writes: Counter,
    /// Members.
    pub members: Gauge,
    /// Members past the deadline of their leave.
    pub leave_stuck: Gauge,
    /// Deletions past their deadline.
    pub overdue: Gauge,
}

impl ManagerMetrics {
    /// Registers them.
    pub fn register(metrics: &Metrics) -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        Self {
            errors: metrics.add("reconcile_errors", "Passes that failed", Family::default()),
            falls: metrics.add("condition_changes", "Conditions that turned False", Family::default()),
            noop_passes: metrics.add("noop_passes", "Passes that wrote nothing", Counter::default()),
            undecodable: metrics.add("undecodable_objects", "Objects that do not decode", Counter::default()),
            ready_seconds: metrics.add("ready_seconds", "From creation to Ready", seconds()),
            pass_seconds: metrics.add("reconcile_seconds", "Time of a whole pass", seconds()),
            rotations: metrics.add("credential_rotations", "Credentials issued", Counter::default()),
            profile_writes: metrics.add("profile_writes", "Writes to ClusterProfiles", Counter::default()),
            report_writes: metrics.add("report_writes", "Writes to ClusterReports", Counter::default()),
            members: metrics.add("members", "Members of the inventory", Gauge::default()),
            leave_stuck: metrics.add(
                "leave_stuck",
                "Members past the deadline of their leave",
                Gauge::default(),
            ),
            overdue: metrics.add("deletions_overdue", "Deletions past their deadline", Gauge::default()),
        }
    }
}
