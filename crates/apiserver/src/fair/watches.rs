//! Watches of a tenant and of each of its identities (Q12).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::Limits;
use crate::identity::Identity;
use crate::model::status::ApiStatus;
use crate::tenant::Tenant;

/// Open watches.
#[derive(Default)]
pub struct Watches(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    all: u64,
    of: HashMap<String, u64>,
}

/// An open watch; counted until dropped.
pub struct WatchSeat(Option<(Arc<Mutex<Counts>>, String)>);

impl Drop for WatchSeat {
    fn drop(&mut self) {
        let Some((counts, user)) = self.0.take() else { return };
        let mut counts = counts.lock();
        counts.all -= 1;
        if let Some(own) = counts.of.get_mut(&user) {
            *own -= 1;
            if *own == 0 {
                counts.of.remove(&user);
            }
        }
    }
}

impl Watches {
    /// How many are open.
    pub fn count(&self) -> u64 {
        self.0.lock().all
    }

    fn take(&self, user: &str, limits: &Limits) -> Option<WatchSeat> {
        let mut counts = self.0.lock();
        let own = counts.of.get(user).copied().unwrap_or_default();
        if counts.all >= limits.watches || own >= limits.watches_per_identity {
            return None;
        }
        counts.all += 1;
        counts.of.insert(user.to_owned(), own + 1);
        Some(WatchSeat(Some((self.0.clone(), user.to_owned()))))
    }
}

/// Counts a watch; 429 when the tenant or the identity has too many. Keep what it gives as long as the watch is open.
pub fn watch(tenant: &Tenant, who: &Identity) -> Result<WatchSeat, ApiStatus> {
    if who.is_system() {
        return Ok(WatchSeat(None));
    }
    let seat = tenant.in_flight().watches().take(&who.user, &tenant.limits());
    seat.ok_or_else(|| ApiStatus::too_many_requests("too many watches are open", 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q12 at the limits and one above; a neighbour is not concerned.
    #[test]
    fn watches_are_counted_by_tenant_and_identity() {
        let limits = Limits { watches: 3, watches_per_identity: 2, ..Limits::default() };
        let watches = Watches::default();
        let jane: Vec<_> = (0..2).filter_map(|_| watches.take("jane", &limits)).collect();
        assert_eq!(jane.len(), 2);
        assert!(watches.take("jane", &limits).is_none());
        let joe = watches.take("joe", &limits);
        assert!(joe.is_some() && watches.take("joe", &limits).is_none(), "the tenant's own limit");
        drop(jane);
        assert!(watches.take("jane", &limits).is_some());
        drop(joe);
        assert_eq!((watches.count(), watches.0.lock().of.len()), (0, 0));
    }
}
