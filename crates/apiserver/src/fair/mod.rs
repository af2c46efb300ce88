//! How many requests of a tenant are served at once (Q13) and in which order (J1), how many watches (Q12) and tunnels
//! (Q16) are open. A system identity is never held back.

mod round;
mod seats;
mod turn;
mod watches;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::status::ApiStatus;
use crate::tenant::Tenant;

pub use round::Class;
pub use seats::{NoSeat, Seat, Seats};
pub use turn::{Turn, enter};
pub use watches::{WatchSeat, Watches, watch};

/// Requests of a tenant being served.
#[derive(Default)]
pub struct InFlight {
    reading: Arc<AtomicU64>,
    mutating: Arc<AtomicU64>,
    tunnels: Arc<AtomicU64>,
    watches: Watches,
}

impl InFlight {
    /// Reading and mutating ones.
    pub fn counts(&self) -> (u64, u64) {
        (self.reading.load(Ordering::Relaxed), self.mutating.load(Ordering::Relaxed))
    }

    /// Open watches.
    pub fn watches(&self) -> &Watches {
        &self.watches
    }
}

/// A place among the requests or tunnels being served; given back when dropped.
#[derive(Debug)]
pub struct Place(Arc<AtomicU64>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes a place for a tunnel (Q16); 429 when the tenant has none left.
pub fn tunnel(tenant: &Tenant) -> Result<Place, ApiStatus> {
    take(&tenant.in_flight().tunnels, tenant.limits().tunnels)
        .ok_or_else(|| ApiStatus::too_many_requests("too many tunnels are open", 5))
}

fn take(counter: &Arc<AtomicU64>, limit: u64) -> Option<Place> {
    let has_room = counter.fetch_add(1, Ordering::Relaxed) < limit;
    let place = Place(counter.clone());
    // The place is given back at once where there was none.
    has_room.then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q13 at the limit and one above, and again when a place is free.
    #[test]
    fn places_are_counted_and_given_back() {
        let counter = Arc::new(AtomicU64::new(0));
        let held: Vec<Place> = (0..3).filter_map(|_| take(&counter, 3)).collect();
        assert_eq!(held.len(), 3);
        assert!(take(&counter, 3).is_none());
        drop(held);
        assert!(take(&counter, 3).is_some());
        assert_eq!(counter.load(Ordering::Relaxed), 0);
    }
}
