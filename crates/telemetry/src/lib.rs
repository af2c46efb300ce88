//! Logs, metrics registry and shutdown.

pub mod logs;
pub mod metrics;
pub mod shutdown;

pub use metrics::Metrics;
pub use shutdown::Shutdown;
