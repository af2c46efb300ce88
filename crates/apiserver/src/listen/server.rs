//! The server of a process: its tenants, and what it asks of hosts.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock, Weak};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::builder::Builder;
use super::failures::Failures;
use super::routes::Routes;
use super::serving::Serving;
use crate::admit::Rule;
use crate::base::BaseImages;
use crate::bus;
use crate::config::ServerConfig;
use crate::controllers;
use crate::fair::Seats;
use crate::identity::Identity;
use crate::ops::{Metrics, TenantDebug};
use crate::store::Db;
use crate::tenant::{TenantId, Tenants};
use crate::tunnel::{ServiceGate, Tunnel};

/// Everything a request can reach.
pub struct Server {
    pub(super) config: ServerConfig,
    pub(super) db: Arc<Db>,
    pub(super) tenants: Tenants,
    pub(super) rules: Vec<Rule>,
    pub(super) routes: Routes,
    pub(super) images: Arc<BaseImages>,
    pub(super) serving: Arc<Serving>,
    pub(super) system_authorities: Vec<Vec<u8>>,
    pub(super) metrics: Metrics,
    pub(super) failures: Failures,
    pub(super) seats: Seats,
    pub(super) service_gate: OnceLock<Arc<dyn ServiceGate>>,
    pub(super) tunnel: OnceLock<Arc<dyn Tunnel>>,
    pub(super) debug: OnceLock<Arc<dyn TenantDebug>>,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
}

impl Server {
    /// Puts a server together.
    pub fn builder() -> Builder {
        Builder::default()
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

    /// Bootstrap objects.
    pub fn images(&self) -> &BaseImages {
        &self.images
    }

    /// What the process counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The seats that requests work on (J1).
    pub fn seats(&self) -> &Seats {
        &self.seats
    }

    /// Authorities of system identities, DER.
    pub fn system_authorities(&self) -> &[Vec<u8>] {
        &self.system_authorities
    }

    /// PEM of the authority that signs serving certificates: what a kubeconfig holds.
    pub fn serving_authority(&self) -> String {
        self.serving.authority_pem()
    }

    /// Adds addresses to the serving certificate: of hosts' front doors.
    pub fn add_addresses(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        self.serving.add_addresses(addresses);
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

    /// Who answers `/debug/tenants/…`, once it is attached.
    pub fn debug(&self) -> Option<&Arc<dyn TenantDebug>> {
        self.debug.get()
    }

    /// Attaches who answers; the first one stays.
    pub fn attach_debug(&self, debug: Arc<dyn TenantDebug>) {
        let _first = self.debug.set(debug);
    }

    /// A client of one tenant's API without a socket (G5): RBAC, admission and limits hold. It does not keep the server
    /// alive.
    pub fn client(self: &Arc<Self>, tenant: TenantId, who: Identity) -> kube::Client {
        bus::client(Arc::downgrade(self), Some(tenant), who)
    }

    /// A client that may use every path of the process: `/clusters/<id>/…`, `/shards/…`, `/skerry/v1/…`; other paths are
    /// the hub's. `component` names the caller: `skerry:<component>`.
    pub fn system_client(self: &Arc<Self>, component: &str) -> kube::Client {
        bus::client(Arc::downgrade(self), None, Identity::system(component))
    }

    /// The token that ends when the server is shut down.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// Tasks that a shutdown waits for.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Runs a task that ends with the server.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Ends listeners, connections and background work, and waits for them.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What runs without being asked: opening stored tenants, ending deletions, controllers.
    pub(super) fn begin(self: &Arc<Self>, with_controllers: bool) {
        let server: Weak<Self> = Arc::downgrade(self);
        let stop = self.stop.clone();
        self.spawn(async move {
            let Some(server) = server.upgrade() else { return };
            for id in server.tenants.deleting() {
                server.finish_deletion(id);
            }
            server.tenants.open_all().await;
            if with_controllers {
                let mut running = controllers::start(&server, &stop);
                drop(server);
                while running.join_next().await.is_some() {}
            }
        });
    }

    /// Goes on deleting a tenant until nothing of it is left.
    pub(crate) fn finish_deletion(self: &Arc<Self>, id: TenantId) {
        let server = Arc::downgrade(self);
        self.spawn(async move {
            while let Some(server) = server.upgrade() {
                match server.tenants.remove(id).await {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(tenant = %id, %error, "a deletion does not go on");
                        drop(server);
                        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
                    }
                }
            }
        });
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}
