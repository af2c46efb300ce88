//! Configuration of the process and specification of a tenant: read once, whole, with every wrong field named.

mod limits;
mod reader;
mod server;
mod tenant;

pub use limits::Limits;
pub use reader::Reader;
pub use server::{
    Backend, CommitConfig, EgressConfig, HistoryConfig, ListenConfig, RedbConfig, ResourcesConfig,
    ServerConfig, ServingConfig, StoreConfig, SystemConfig, TenantDefaults,
};
pub use tenant::{Controllers, Egress, KubernetesService, OnHostUnavailable, Role, SpecChange, TenantSpec};

use crate::model::status::Cause;

/// A configuration file that cannot be used. One line per wrong field: its path and what it takes.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is no YAML.
    #[error("configuration is not YAML")]
    Syntax(#[source] serde_yaml_ng::Error),
    /// Fields are wrong or unknown.
    #[error("{}", sentences(.0))]
    Fields(Vec<Cause>),
}

fn sentences(causes: &[Cause]) -> String {
    let lines: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests;
