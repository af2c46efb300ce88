//! Clients with system identities of a server in this process.

use std::sync::Arc;

use kube::Client;
use skerry_apiserver::identity::Identity;
use skerry_apiserver::listen::Server;
use skerry_apiserver::tenant::TenantId;

use crate::control_plane::embedded::SystemClients;

/// Clients of one component.
#[derive(Clone)]
pub struct InProcess {
    server: Arc<Server>,
    component: &'static str,
}

impl InProcess {
    /// For `skerry:<component>`.
    pub fn new(server: Arc<Server>, component: &'static str) -> Self {
        Self { server, component }
    }
}

impl SystemClients for InProcess {
    fn tenant(&self, id: &str) -> Option<Client> {
        let id: TenantId = id.parse().ok()?;
        Some(self.server.client(id, Identity::system(self.component)))
    }
}
