//! Health, metrics, the admin API and the watch over all tenants.

mod admin;
mod debug;
mod health;
mod metrics;
mod process;
mod wildcard;

pub use debug::{Question, TenantDebug};
pub use health::{process_health, tenant_health};
pub use metrics::{Metrics, tenant_metrics};
pub(crate) use process::{is_public, probe, process};
