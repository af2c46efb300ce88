//! Figures of a metrics page (OB1): no label names a tenant.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{
        MetricType,
        counter::ConstCounter,
        family::Family,
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
    },
};
use skerry_telemetry::Metrics;

use super::{Engine, SyncerHandle, cache::Side, queue::Lane};
use crate::kind::Kind;

/// From half a millisecond to half a minute.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

type By = Family<[(&'static str, &'static str); 1], Histogram, fn() -> Histogram>;

/// What was timed.
#[derive(Clone, Debug)]
pub(crate) struct Timings {
    waits: By,
    carry: By,
    back: By,
}

impl Default for Timings {
    fn default() -> Self {
        let by = || Family::new_with_constructor(seconds as fn() -> Histogram);
        Self { waits: by(), carry: by(), back: by() }
    }
}

impl Timings {
    /// A key waited in its lane.
    pub(super) fn waited(&self, lane: Lane, time: Duration) {
        self.waits.get_or_create(&[("lane", lane.name())]).observe(time.as_secs_f64());
    }

    /// A pass, and the wait before it, ended in writes to a side.
    pub(super) fn passed(&self, kind: Kind, time: Duration, to: Side) {
        let family = match to {
            Side::Host => &self.carry,
            Side::Tenant => &self.back,
        };
        family.get_or_create(&[("kind", kind.plural())]).observe(time.as_secs_f64());
    }
}

impl SyncerHandle {
    /// Shows the syncer's figures on a metrics page, as `skerry_syncer_*`.
    pub fn register(&self, metrics: &Metrics) {
        let Timings { waits, carry, back } = self.engine.timings.clone();
        metrics.add("syncer_queue_wait_seconds", "From queued to looked at", waits);
        metrics.add("syncer_carry_seconds", "From what the tenant wrote to what the host answered", carry);
        metrics.add("syncer_return_seconds", "From what the host showed to what the tenant has", back);
        metrics.collect(Page(self.engine.clone()));
    }
}

/// What is read at each look.
struct Page(Arc<Engine>);

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Page")
    }
}

/// A counter of [`Engine::counts`] with one label: its name there and here, what it says, the label's name.
const COUNTERS: [(&str, &str, &str, &str); 4] = [
    ("patrol_mismatch_total", "syncer_patrol_mismatch", "What the patrol found", "class"),
    ("refusals_total", "syncer_refusals", "Objects refused", "reason"),
    ("events_dropped_total", "syncer_events_dropped", "Events not told", "why"),
    ("tokens_renewed_total", "syncer_tokens_renewed", "Tokens asked for", "result"),
];

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let counts = self.0.counts.all();
        let of = |ours: &'static str| counts.iter().filter(move |(name, ..)| *name == ours);
        let mut writes = encoder.encode_descriptor(
            "syncer_writes",
            "Writes to hosts and tenants",
            None,
            MetricType::Counter,
        )?;
        for side in Side::ALL {
            for (_, write, count) in of(side.writes()) {
                let (verb, kind) = write.split_once(' ').unwrap_or((write, ""));
                let labels = [("side", side.name()), ("verb", verb), ("kind", kind)];
                ConstCounter::new(*count).encode(writes.encode_family(&labels)?)?;
            }
        }
        for (ours, name, help, label) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (_, value, count) in of(ours) {
                ConstCounter::new(*count).encode(family.encode_family(&[(label, value.as_str())])?)?;
            }
        }
        let mut gauges = |name: &str, help: &str, label: &str, values: BTreeMap<String, i64>| {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (of, value) in values {
                ConstGauge::new(value).encode(family.encode_family(&[(label, of.as_str())])?)?;
            }
            Ok(())
        };
        let hosts = self.0.hosts.read().clone();
        let mut lanes: BTreeMap<String, i64> = BTreeMap::new();
        for (lane, depth) in hosts.values().flat_map(|host| host.queue.depth()) {
            *lanes.entry(lane.name().to_owned()).or_default() += depth as i64;
        }
        gauges("syncer_queue_depth", "Keys that wait", "lane", lanes)?;
        let inflight = |h: &super::state::Host| h.inflight.load(Ordering::Relaxed) as i64;
        let per_host = |of: &dyn Fn(&super::state::Host) -> i64| {
            hosts.iter().map(|(name, host)| (name.to_string(), of(host))).collect()
        };
        gauges("syncer_inflight", "Passes under way", "host", per_host(&inflight))?;
        gauges("syncer_window", "Passes allowed", "host", per_host(&|h| h.window.lock().size() as i64))?;
        let mut objects: BTreeMap<String, i64> = BTreeMap::new();
        for tenant in self.0.tenants.read().values() {
            for (key, _) in tenant.model.lock().entries.iter().filter(|(_, e)| e.host.is_some()) {
                *objects.entry(key.kind.plural().to_owned()).or_default() += 1;
            }
        }
        gauges("syncer_objects", "Objects on hosts", "kind", objects)?;
        let mut tenants = BTreeMap::from([("open".to_owned(), 0), ("starting".to_owned(), 0)]);
        for tenant in self.0.tenants.read().values() {
            let state = if tenant.open.load(Ordering::Acquire) { "open" } else { "starting" };
            *tenants.entry(state.to_owned()).or_default() += 1;
        }
        gauges("syncer_tenants", "Tenants", "state", tenants)
    }
}
