//! What deciding and delivering need of where they run: the hub, the inventory's settings and figures, and clients of
//! virtual members. The manager has all of it; a command has the hub.

use kube::Client;

use super::live::Live;
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
    /// The hub as watches show it; without it the hub is listed.
    pub live: Option<&'a Live>,
}

impl<'a> Site<'a> {
    /// The manager's.
    pub fn of(context: &'a Context, live: &'a Live) -> Self {
        Self {
            hub: context.hub.clone(),
            settings: &context.settings.inventory,
            figures: &context.inventory,
            members: Box::new(|id| context.embedded.as_ref().and_then(|e| e.client(id))),
            live: Some(live),
        }
    }

    /// Shows what this process wrote to whoever reads the hub next.
    pub fn saw(&self, object: &serde_json::Value) {
        if let Some(live) = self.live {
            live.saw(object);
        }
    }
}
