//! The server of a process: its tenants, and what it asks of hosts.

use std::sync::{Arc, OnceLock};

use crate::admit::Rule;
use crate::config::ServerConfig;
use crate::store::Db;
use crate::tenant::Tenants;
use crate::tunnel::{ServiceGate, Tunnel};

/// Everything a request can reach.
pub struct Server {
    config: ServerConfig,
    db: Arc<Db>,
    tenants: Tenants,
    rules: Vec<Rule>,
    service_gate: OnceLock<Arc<dyn ServiceGate>>,
    tunnel: OnceLock<Arc<dyn Tunnel>>,
}

impl Server {
    /// From its parts.
    pub fn new(config: ServerConfig, db: Arc<Db>, tenants: Tenants, rules: Vec<Rule>) -> Self {
        Self { config, db, tenants, rules, service_gate: OnceLock::new(), tunnel: OnceLock::new() }
    }

    /// Settings.
    pub fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// The store.
    pub fn db(&self) -> &Arc<Db> {
        &self.db
    }

    /// The tenants.
    pub fn tenants(&self) -> &Tenants {
        &self.tenants
    }

    /// Platform rules (H4).
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Where addresses of Services come from, once a host is attached.
    pub fn service_gate(&self) -> Option<&Arc<dyn ServiceGate>> {
        self.service_gate.get()
    }

    /// Attaches the gate; the first one stays.
    pub fn attach_service_gate(&self, gate: Arc<dyn ServiceGate>) {
        let _first = self.service_gate.set(gate);
    }

    /// The way to pods, once a host is attached.
    pub fn tunnel(&self) -> Option<&Arc<dyn Tunnel>> {
        self.tunnel.get()
    }

    /// Attaches the tunnel; the first one stays.
    pub fn attach_tunnel(&self, tunnel: Arc<dyn Tunnel>) {
        let _first = self.tunnel.set(tunnel);
    }
}
