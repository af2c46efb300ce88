//! Touch notices: which object of which tenant changed, for dispatchers that serve all tenants (C1).

use tokio::sync::broadcast;

use super::event::Change;
use super::key::NsName;
use crate::model::gvk::ResourceId;
use crate::tenant::TenantId;

/// A notice of one durable write. The change says which other objects it concerns; what to do is decided on a
/// snapshot.
#[derive(Clone, Debug)]
pub struct Touch {
    /// The tenant.
    pub tenant: TenantId,
    /// The resource.
    pub resource: ResourceId,
    /// The object.
    pub name: NsName,
    /// What happened.
    pub change: Change,
}

/// What a dispatcher is told.
#[derive(Clone, Debug)]
pub enum Notice {
    /// An object was written.
    Touched(Touch),
    /// The dispatcher lagged and this many notices are lost: it must scan again.
    Overflow(u64),
}

/// Notices of all shards, from the moment of the call that made it.
pub struct Touches(pub(super) broadcast::Receiver<Touch>);

impl Touches {
    /// The next notice, `None` when the store is closed. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.0.recv().await {
            Ok(touch) => Some(Notice::Touched(touch)),
            Err(broadcast::error::RecvError::Lagged(lost)) => Some(Notice::Overflow(lost)),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}
