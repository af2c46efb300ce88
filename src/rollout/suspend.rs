//! Whom `spec.suspend` stops delivery to: all, or members that its terms match. Deciding goes on.

use std::collections::BTreeSet;

use serde_json::Value;
use skerry_placement::{MemberId, Snapshot, members_matching};

use crate::placement::raw::{items, text};
use crate::placement::{CycleError, Placed, Site, World, fleet, suspended};

/// Members of one Placement that get nothing at present.
pub struct Suspended {
    all: bool,
    members: BTreeSet<MemberId>,
}

impl Suspended {
    /// Of a Placement that is in force. Without the fleet its terms match nobody.
    pub fn of(placement: &Placed, fleet: Option<&Snapshot>) -> Self {
        let all = placement.spec()["suspend"]["all"] == Value::Bool(true);
        let terms = suspended(placement).unwrap_or_default();
        let members = match fleet {
            Some(fleet) if !terms.is_empty() => members_matching(fleet, &terms),
            _ => BTreeSet::new(),
        };
        Self { all, members }
    }

    /// Whether a binding's member is among them. What goes with its Placement or with its member goes all the same.
    pub fn has(&self, binding: &Value) -> bool {
        let ends = matches!(text(binding, &["spec", "cause"]), "PlacementDeleted" | "MemberLeft")
            || !binding["metadata"]["deletionTimestamp"].is_null();
        let named = || self.members.iter().any(|m| *m.0 == *text(binding, &["spec", "member", "id"]));
        !ends && (self.all || named())
    }
}

/// The fleet, where some Placement's terms ask for it.
pub async fn fleet_if_asked(site: &Site<'_>, world: &World) -> Result<Option<Snapshot>, CycleError> {
    let asks = |spec: &Value| !items(spec, &["suspend", "members"]).is_empty();
    if world.placements.iter().any(|p| asks(p.spec())) || world.accepted.values().any(asks) {
        return fleet(site).await.map(Some);
    }
    Ok(None)
}
