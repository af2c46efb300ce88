//! Controllers that run inside the server. One dispatcher per controller *kind* serves all tenants: it is told which
//! objects changed, queues keys, and calls the controller, which looks at a snapshot and writes through the ordinary
//! request path as its own ServiceAccount (C1, C2). An idle tenant costs nothing.

pub mod core;
mod dispatch;
pub mod network;
mod note;
mod queue;
mod view;
pub mod workload;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

pub use dispatch::{Dispatcher, start};
pub use view::View;

use crate::bus::Local;
use crate::identity::Identity;
use crate::model::gvk::ResourceId;
use crate::model::status::ApiStatus;
use crate::store::{Change, NsName};

/// What a controller wants after a pass over one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing until something changes.
    Done,
    /// Look again after this time.
    After(Duration),
}

/// What a pass works with: the tenant's objects as they stand, and a caller of its API.
#[derive(Clone)]
pub struct Ctx {
    /// Objects, read from one snapshot taken at the start of the pass.
    pub view: View,
    /// Writes.
    pub api: Local,
}

/// Why a pass failed; it is tried again with growing pauses.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .0.message)]
pub struct Failed(pub ApiStatus);

impl From<ApiStatus> for Failed {
    fn from(status: ApiStatus) -> Self {
        Self(status)
    }
}

/// A controller: a pure choice of keys, and a level-triggered pass over one key.
pub trait Controller: Send + Sync + 'static {
    /// Name of its ServiceAccount in kube-system, and of the manager its writes are booked to.
    fn name(&self) -> &'static str;
    /// Who it writes as: its ServiceAccount, unless it is a part of the server itself.
    fn identity(&self) -> Identity {
        Identity::controller(self.name())
    }
    /// Resources whose changes concern it. Empty: all.
    fn watches(&self) -> &[&'static str];
    /// Keys to look at because of a change.
    fn keys(&self, view: &View, resource: &ResourceId, change: &Change) -> Vec<NsName>;
    /// Keys to look at after a start or lost notices: all that could need something.
    fn all(&self, view: &View) -> Vec<NsName>;
    /// One pass. Finding nothing to change, it writes nothing (C3).
    fn reconcile(&self, ctx: Ctx, key: NsName) -> BoxFuture<'_, Result<Next, Failed>>;
}

/// Every controller of a server.
pub fn all() -> Vec<Arc<dyn Controller>> {
    vec![
        Arc::new(core::namespace::Namespaces),
        Arc::new(core::garbage::Garbage),
        Arc::new(core::account::ServiceAccounts),
        Arc::new(core::account::RootCa),
        Arc::new(core::aggregation::Aggregation),
        Arc::new(core::csr::Signing),
        Arc::new(core::definition::Definitions),
        Arc::new(core::event::Events::default()),
        Arc::new(workload::deployment::Deployments),
        Arc::new(workload::replicaset::ReplicaSets),
        Arc::new(workload::stateful::StatefulSets),
        Arc::new(workload::job::Jobs),
        Arc::new(workload::job::ttl::FinishedJobs),
        Arc::new(network::endpoints::Endpoints),
        Arc::new(network::endpoints::Slices),
    ]
}
