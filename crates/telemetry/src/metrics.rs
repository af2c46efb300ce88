//! One registry for the process; each component registers its own family under the prefix `skerry`.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::registry::{Metric, Registry};

/// Shared registry. Cloning gives another handle to the same one.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Registry::with_prefix("skerry"))))
    }
}

impl Metrics {
    /// Registers a metric and returns it, so that a component is made of what it registered.
    pub fn add<M: Metric + Clone>(&self, name: &str, help: &str, metric: M) -> M {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register(name, help, metric.clone());
        metric
    }

    /// Registers what is read anew at each look.
    pub fn collect(&self, collector: impl Collector) {
        let mut registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(collector));
    }

    /// The text that `/metrics` answers with.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;

    #[test]
    fn a_registered_metric_is_in_the_text() {
        let metrics = Metrics::default();
        let counter: Counter = metrics.add("things", "Things seen", Counter::default());
        counter.inc();
        assert!(metrics.encode().unwrap().contains("skerry_things_total 1"));
    }
}
