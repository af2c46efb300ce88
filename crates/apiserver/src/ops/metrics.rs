//! Counters of the process, without tenant labels, and gauges of one tenant for itself (J3).

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use http::Response;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::listen::{Body, body};
use crate::tenant::Tenant;

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels of a request: bounded sets only.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    method: &'static str,
    code: u16,
}

/// A limit's name.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct LimitLabels {
    limit: &'static str,
}

/// What the process counts.
pub struct Metrics {
    registry: Registry,
    /// What other parts of the process count.
    others: OnceLock<skerry_telemetry::Metrics>,
    requests: Family<RequestLabels, Counter>,
    latency: Histogram,
    refusals: Family<LimitLabels, Counter>,
    /// Requests that ended in a panic (G6).
    pub panics: Counter,
    /// Open connections.
    pub connections: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("skerry_apiserver");
        let requests = Family::<RequestLabels, Counter>::default();
        let latency = Histogram::new([0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0]);
        let refusals = Family::<LimitLabels, Counter>::default();
        let (panics, connections) = (Counter::default(), Gauge::default());
        registry.register("requests", "Requests answered", requests.clone());
        registry.register("request_seconds", "Time to the head of the answer", latency.clone());
        registry.register("limit_refusals", "Refusals by limit", refusals.clone());
        registry.register("panics", "Requests that ended in a panic", panics.clone());
        registry.register("connections", "Open connections", connections.clone());
        Self { registry, others: OnceLock::new(), requests, latency, refusals, panics, connections }
    }
}

impl Metrics {
    /// Counts an answer.
    pub fn answered(&self, method: &http::Method, code: u16, took: Duration) {
        let method = match method.as_str() {
            "GET" => "GET",
            "POST" => "POST",
            "PUT" => "PUT",
            "PATCH" => "PATCH",
            "DELETE" => "DELETE",
            _ => "other",
        };
        self.requests.get_or_create(&RequestLabels { method, code }).inc();
        self.latency.observe(took.as_secs_f64());
    }

    /// Counts a refusal by the name of its limit.
    pub fn refused(&self, limit: &'static str) {
        self.refusals.get_or_create(&LimitLabels { limit }).inc();
    }

    /// Shows what other parts of the process count on the same page; the first attached stays.
    pub fn attach(&self, others: skerry_telemetry::Metrics) {
        let _first = self.others.set(others);
    }

    /// `/metrics` of the process.
    pub fn encode(&self) -> Response<Body> {
        let mut out = String::new();
        let own = text::encode_registry(&mut out, &self.registry);
        let others =
            self.others.get().map_or_else(|| Ok("# EOF\n".to_owned()), skerry_telemetry::Metrics::encode);
        page(own.and(others).map(|others| out + &others))
    }
}

fn encode(registry: &Registry) -> Response<Body> {
    let mut out = String::new();
    page(text::encode(&mut out, registry).map(|()| out))
}

fn page(text: Result<String, fmt::Error>) -> Response<Body> {
    match text {
        Ok(out) => body::answer(200, CONTENT_TYPE, out),
        Err(_) => body::answer(500, "text/plain; charset=utf-8", "metrics cannot be encoded"),
    }
}

/// `/metrics` of a tenant.
pub fn tenant_metrics(tenant: &Tenant) -> Response<Body> {
    let mut registry = Registry::with_prefix("skerry_tenant");
    let usage = tenant.store.usage();
    let (reading, mutating) = tenant.in_flight().counts();
    let rows = [
        ("objects", "Stored objects", usage.objects),
        ("bytes", "Bytes of stored objects", usage.bytes),
        ("history_bytes", "Bytes of history kept for watches", usage.history_bytes as u64),
        ("resource_version", "Version of the last write", usage.rv),
        ("reading", "Reading requests being served", reading),
        ("mutating", "Mutating requests being served", mutating),
    ];
    for (name, help, value) in rows {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    }
    encode(&registry)
}
