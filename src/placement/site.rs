//! What deciding and delivering need of where they run: the hub, the inventory's settings and figures, and clients of
//! virtual members. The manager has all of it; a command has the hub.

use kube::Client;

use crate::context::Context;
use crate::inventory::{InventorySettings, InventoryState};

/// Finds the client of a virtual member by its id.
pub type Members<'a> = dyn Fn(&str) -> Option<Client> + Send + Sync + 'a;

/// Where a cycle or a delivery pass runs.
pub struct Site<'a> {
    /// Client of the hub.
    pub hub: Client,
    /// The inventory's settings.
    pub settings: &'a InventorySettings,
    /// What was collected of members.
    pub figures: &'a InventoryState,
    /// Clients of virtual members.
    pub members: Box<Members<'a>>,
}

impl<'a> Site<'a> {
    /// The manager's.
    pub fn of(context: &'a Context) -> Self {
        Self {
            hub: context.hub.clone(),
            settings: &context.settings.inventory,
            figures: &context.inventory,
            members: Box::new(|id| context.embedded.as_ref().and_then(|e| e.client(id))),
        }
    }
}
