//! How many requests of a tenant are served at once (Q13), how many watches (Q12) and tunnels (Q16) are open. A system
//! identity is never held back.

mod watches;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::identity::Identity;
use crate::model::status::ApiStatus;
use crate::tenant::Tenant;

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

/// A place among the requests being served; given back when dropped.
#[derive(Debug)]
pub struct Seat(Option<Arc<AtomicU64>>);

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(counter) = &self.0 {
            counter.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Takes a place for a request of a verb; 429 when the tenant has none left. Watches are counted elsewhere (Q12).
pub fn enter(tenant: &Tenant, who: &Identity, verb: &str) -> Result<Seat, ApiStatus> {
    let limits = tenant.limits();
    let (counter, limit) = match verb {
        _ if who.is_system() => return Ok(Seat(None)),
        "watch" => return Ok(Seat(None)),
        "get" | "list" | "head" | "options" => (&tenant.in_flight().reading, limits.in_flight_reading),
        _ => (&tenant.in_flight().mutating, limits.in_flight_mutating),
    };
    take(counter, limit)
        .ok_or_else(|| ApiStatus::too_many_requests("Too many requests, please try again later.", 1))
}

/// Takes a place for a tunnel (Q16); 429 when the tenant has none left.
pub fn tunnel(tenant: &Tenant) -> Result<Seat, ApiStatus> {
    take(&tenant.in_flight().tunnels, tenant.limits().tunnels)
        .ok_or_else(|| ApiStatus::too_many_requests("too many tunnels are open", 5))
}

fn take(counter: &Arc<AtomicU64>, limit: u64) -> Option<Seat> {
    let seat = counter.fetch_add(1, Ordering::Relaxed) < limit;
    let seat_of = Seat(Some(counter.clone()));
    // The place is given back at once where there was none.
    seat.then_some(seat_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q13 at the limit and one above, and again when a place is free.
    #[test]
    fn places_are_counted_and_given_back() {
        let counter = Arc::new(AtomicU64::new(0));
        let held: Vec<Seat> = (0..3).filter_map(|_| take(&counter, 3)).collect();
        assert_eq!(held.len(), 3);
        assert!(take(&counter, 3).is_none());
        drop(held);
        assert!(take(&counter, 3).is_some());
        assert_eq!(counter.load(Ordering::Relaxed), 0);
    }
}
