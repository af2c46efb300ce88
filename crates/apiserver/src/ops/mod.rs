//! Health, metrics, the admin API.

mod health;
mod metrics;

pub use health::{process_health, tenant_health};
pub use metrics::{Metrics, tenant_metrics};
