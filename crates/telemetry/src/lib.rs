//! Logs, metrics registry and shutdown.
